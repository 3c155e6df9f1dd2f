/** A vendor's published driver as a hand-over folder, an agent's state, and the played kernel. */

import { createHash } from 'node:crypto';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { program } from '../../agent/main.ts';
import { type Kernel, type KernelOptions, startKernel } from '../../scripts/demo/kernel/kernel.ts';
import { utf8 } from '../../shared/bytes.ts';
import { BUILD_TYPES, BUILDERS } from '../../shared/evidence/identifiers.ts';
import { makeEvidence } from '../../shared/evidence/make.ts';
import { handBuiltProvenance } from '../../shared/evidence/provenance.ts';
import { formatRecord, type HandoffFile, type HandoffRecord } from '../../shared/handoff/record.ts';
import { type JsonObject, jsonObject } from '../../shared/json/value.ts';
import {
  handoff,
  revocations as place,
  SIDECARS,
  type Sidecar,
  sidecarPath,
} from '../../shared/layout.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import type { RevocationList } from '../../shared/revocation/list.ts';
import { keyObject } from '../../shared/tuf/key.ts';
import { run } from '../cli/support.ts';
import { type TestKey, testKey } from '../support/keys.ts';
import { addRevocations, listIt, signList } from '../support/revocations.ts';
import { digest, Simulator } from '../support/simulator.ts';

export const EDU = new URL('../../examples/edu/', import.meta.url).pathname;
export const POLICY = join(EDU, 'policy.json');
export const NAME = 'acme/edu/1.0.0/edu-driver.mjs';
export const BDF = '0000:00:05.0';

export const CEILING: JsonObject = JSON.parse(readFileSync(join(EDU, 'ceiling.json'), 'utf8'));

export interface DriverOptions {
  readonly path?: string;
  readonly bytes?: Uint8Array;
  /** Security generation in the targets entry and, unless `ceiling` says otherwise, in the ceiling. */
  readonly generation?: number;
  readonly ceiling?: JsonObject;
}

/** A repository with the vendor acme, from which hand-overs are made. */
export class Repository {
  readonly sim: Simulator;
  readonly evidenceKey: TestKey = testKey('acme evidence');
  readonly files = new Map<string, Uint8Array>();

  constructor(now = systemClock()) {
    this.sim = new Simulator(now);
    this.setHardware('PCI:0x1234:0x11e8');
    this.sim.delegate('targets', 'acme', { paths: ['acme/*/*/*'], terminating: true });
    this.sim.role('acme')['x-ironport'] = {
      evidence_keys: [{ ...keyObject(this.evidenceKey.key), state: 'active' }],
    };
  }

  setHardware(...ids: string[]): void {
    const acme = { hardware_ids: ids, api_keys: [], contact: 'security@acme.example' };
    this.sim.targets['x-ironport'] = { vendors: { acme } };
  }

  /** Signs and publishes a driver with its evidence. */
  async add(options: DriverOptions = {}): Promise<string> {
    const { path = NAME, bytes = utf8(`driver ${path}\n`), generation = 1 } = options;
    const evidence = await makeEvidence(platformCrypto, {
      artifact: { path, length: bytes.length, sha256: digest('sha256', bytes) },
      generation,
      ceilingPredicate: options.ceiling ?? { ...CEILING, generation },
      provenancePredicate: handBuiltProvenance({
        buildType: BUILD_TYPES.byHand,
        externalParameters: { source: 'git+https://git.acme.example/edu' },
        builderId: BUILDERS.byHand,
      }),
      signer: this.evidenceKey,
      now: systemClock(),
    });
    this.#put(path, bytes, { ironport: evidence.custom });
    for (const sidecar of Object.keys(SIDECARS) as Sidecar[])
      this.#put(sidecarPath(path, sidecar), evidence[sidecar]);
    this.publish();
    return path;
  }

  publish(): void {
    this.sim.publish('targets', 'acme');
  }

  /** The security team's next list; the first one sets up its role. */
  async revoke(list: RevocationList): Promise<void> {
    if (this.sim.roles.has(place.role)) listIt(this.sim, await signList(list));
    else await addRevocations(this.sim, list);
    this.sim.publish('targets', place.role);
  }

  #put(path: string, bytes: Uint8Array, custom?: unknown): void {
    this.files.set(path, bytes);
    this.sim.addTarget('acme', path, bytes, custom);
  }

  get root(): Uint8Array {
    return this.sim.roots.get(1) as Uint8Array;
  }

  record(path = NAME): HandoffRecord {
    const file = (name: string): HandoffFile => {
      const bytes = this.files.get(name) as Uint8Array;
      return { path: name, length: bytes.length, sha256: digest('sha256', bytes) };
    };
    const { sim } = this;
    const list = sim.roles.get(place.role)?.targets[place.list]?.hashes.sha256;
    const names = ['targets', 'acme', ...(sim.roles.has(place.role) ? [place.role] : [])];
    return {
      artifact: file(path),
      sidecars: (Object.keys(SIDECARS) as Sidecar[]).map((one) => file(sidecarPath(path, one))),
      roots: [...this.sim.roots.values()],
      timestamp: this.sim.fileOf('timestamp'),
      snapshot: this.sim.fileOf('snapshot'),
      roles: new Map(names.map((role) => [role, sim.fileOf(role)])),
      ...(list === undefined ? {} : { revocations: sim.serve(listPlace(list)) }),
    };
  }

  /** Writes a hand-over folder, as an honest client does. */
  handOver(folder: string, path = NAME, record = this.record(path)): string {
    mkdirSync(join(folder, 'targets'), { recursive: true });
    writeFileSync(join(folder, handoff.record), formatRecord(record));
    for (const { path: name } of [record.artifact, ...record.sidecars])
      writeFileSync(join(folder, handoff.target(name)), this.files.get(name) as Uint8Array);
    return folder;
  }

  /** The root, in a file to pin. */
  rootFile(folder: string): string {
    const file = join(folder, 'root.json');
    writeFileSync(file, this.root);
    return file;
  }
}

const listPlace = (sha256: string): string => `targets/revocations/${sha256}.list.json`;

export interface Answer {
  readonly exit: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into documents whose shape they assert
  readonly data: any;
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly why: string;
    readonly hint: string;
    readonly context: Readonly<Record<string, string | number>>;
  };
}

/** Runs the agent's program in this process, with `--json`. */
export async function agent(...argv: string[]): Promise<Answer> {
  const { exit, stdout } = await run(program, [...argv, '--json', '--quiet']);
  const document = JSON.parse(stdout);
  return { exit, data: document.data, error: document.error };
}

/** Fails `t` unless the agent refused with this code and, when given, this reason. */
export function refused(
  t: Test,
  answer: Answer,
  code: string,
  name: string,
  reason?: string,
): void {
  t.equal(answer.error?.code, code, `${name}: ${answer.error?.message ?? 'nothing was refused'}`);
  t.not(answer.exit, 0, `${name}: the exit status says so`);
  if (reason !== undefined) t.equal(answer.error?.context.reason, reason, `${name}: the reason`);
}

/** Everything below a folder: kind, mode and content or target of each entry, by relative path. */
export function picture(folder: string): Record<string, string> {
  const found: Record<string, string> = {};
  const walk = (path: string): void => {
    for (const name of readdirSync(join(folder, path)).sort()) {
      const below = join(path, name);
      const place = join(folder, below);
      const stat = lstatSync(place);
      const mode = (stat.mode & 0o7777).toString(8);
      if (stat.isSymbolicLink()) found[below] = `link ${readlinkSync(place)}`;
      else if (stat.isDirectory()) found[below] = `folder ${mode}`;
      else if (stat.isFile()) found[below] = `file ${mode} ${hash(readFileSync(place))}`;
      else found[below] = `other ${mode} ${stat.isFIFO() ? 'pipe' : '?'}`;
      if (stat.isDirectory()) walk(below);
    }
  };
  walk('');
  return found;
}

/** What of an agent's state changed, but for its log of attempts and its lock. */
export function stateOf(folder: string): Record<string, string> {
  const all = Object.entries(picture(folder));
  return Object.fromEntries(all.filter(([path]) => !/^(audit|lock)/.test(path)));
}

function hash(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}

export function withMembers(
  object: JsonObject,
  members: Record<string, JsonObject[string]>,
): JsonObject {
  return jsonObject([...Object.entries(object), ...Object.entries(members)]);
}

export interface Scene {
  readonly folder: string;
  readonly state: string;
  readonly sysfs: string;
  readonly repository: Repository;
  readonly kernel: Kernel;
  /** Options that every command about the device takes. */
  readonly device: readonly string[];
  /** The tree as it was before anybody touched it. */
  readonly untouched: Record<string, string>;
}

/** A kernel that plays, and an agent that accepted the driver. */
export async function scene(t: Test, options: KernelOptions = {}): Promise<Scene> {
  const folder = mkdtempSync(join(tmpdir(), 'ironport-agent-test-'));
  const [state, sysfs] = [join(folder, 'state'), join(folder, 'sys')];
  const { faults, ...machine } = options;
  const kernel = await startKernel(sysfs, machine);
  t.teardown(async () => {
    await kernel.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const repository = new Repository();
  await repository.add();
  const handedOver = repository.handOver(join(folder, 'handoff'));
  const root = repository.rootFile(folder);
  const accepted = await agent('accept', handedOver, '--root', root, '--state', state);
  if (accepted.exit !== 0) throw new Error(JSON.stringify(accepted.error));
  const device = ['--state', state, '--sysfs-root', sysfs, '--device', BDF];
  const untouched = picture(sysfs);
  kernel.setFaults(faults ?? []);
  return { folder, state, sysfs, repository, kernel, device, untouched };
}

/** `apply` as most tests call it. */
export function apply(place: Scene, ...more: string[]): Promise<Answer> {
  return agent('apply', NAME, ...place.device, '--policy', POLICY, ...more);
}

/** A /proc of a host that nobody uses, and whose kernel was started like this. */
export function procOf(t: Test, options: string): string {
  const proc = mkdtempSync(join(tmpdir(), 'ironport-proc-'));
  t.teardown(() => rmSync(proc, { recursive: true }));
  mkdirSync(join(proc, 'self'));
  writeFileSync(join(proc, 'self/mountinfo'), '22 1 0:20 / / rw - tmpfs tmpfs rw\n');
  writeFileSync(join(proc, 'swaps'), 'Filename Type Size Used Priority\n');
  writeFileSync(join(proc, 'cmdline'), `${options}\n`, 'latin1');
  return proc;
}
