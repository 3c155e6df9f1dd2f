/** A helper that serves a played machine, and ways to ask it: honestly, and otherwise. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { program } from '../../agent/main.ts';
import { type Answer as Answered, parseAnswer } from '../../agent/wire/answer.ts';
import { exchange } from '../../agent/wire/ask.ts';
import { frameOf } from '../../agent/wire/frame.ts';
import { utf8 } from '../../shared/bytes.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { signEnvelope } from '../../shared/evidence/dsse.ts';
import { HOST_POLICY_PAYLOAD_TYPE } from '../../shared/evidence/policy/signed-policy.ts';
import {
  parseReleaseDraft,
  RELEASE_PAYLOAD_TYPE,
  releasePayload,
} from '../../shared/manifest/quarantine.ts';
import { FLEET_POLICY_PAYLOAD_TYPE } from '../../shared/manifest/signed-policy.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { formatInstant } from '../../shared/time.ts';
import { keyObject } from '../../shared/tuf/key.ts';
import { run } from '../cli/support.ts';
import { testKey } from '../support/keys.ts';
import { type Answer, agent, POLICY, type Scene } from './support.ts';

export const operators = [testKey('operator 1'), testKey('operator 2')];

export interface Served {
  readonly socket: string;
  readonly spool: string;
  /** The file with the keys of the operators. */
  readonly fleet: string;
  /** A command with `--via`, as people ask. */
  via(...words: string[]): Promise<Answer>;
  /** A request in bytes that need be none. */
  send(message: string | Uint8Array): Promise<Answered>;
  /** Stops the helper, and waits until it did. */
  stop(): Promise<void>;
}

/** Starts `ironport-agent helper` in this process, for the user of this process. */
export function startHelper(t: Test, place: Scene, ...more: string[]): Promise<Served> {
  return startHelperFor(t, place, operators, ...more);
}

/** The same for a fleet of other operators. */
export async function startHelperFor(
  t: Test,
  place: Scene,
  fleetOf: readonly Signer[],
  ...more: string[]
): Promise<Served> {
  const [socket, spool] = [join(place.folder, 'helper.sock'), join(place.folder, 'people')];
  const fleet = join(place.folder, 'fleet-keys.json');
  const keys = fleetOf.map(({ key }) => keyObject(key));
  writeFileSync(fleet, JSON.stringify({ schema: 'ironport.fleet-keys/v1', threshold: 2, keys }), {
    mode: 0o644,
  });
  // A host with keys of its fleet takes nothing without rules that they signed.
  const hostPolicy = join(place.folder, 'host-policy.json');
  const rules = {
    schema: 'ironport.host-policy/v1',
    version: 1,
    evidence: { otherwise: 'default', rules: [] },
  };
  const signers = fleetOf.map((signer) => ({ signer }));
  writeFileSync(
    hostPolicy,
    await signEnvelope(HOST_POLICY_PAYLOAD_TYPE, utf8(JSON.stringify(rules)), signers),
    { mode: 0o644 },
  );
  mkdirSync(spool, { recursive: true });
  // As it would be at a prompt: what holds a device is this program, started once more.
  process.argv[1] = fileURLToPath(new URL('../../bin/ironport-agent.js', import.meta.url));
  let stop = (_: string): void => {};
  const ended = run(
    program,
    [
      ...['helper', '--socket', socket, '--spool', spool, '--fleet-keys', fleet],
      ...['--state', place.state, '--sysfs-root', place.sysfs, '--host-policy', hostPolicy],
      ...['--user', String(process.getuid?.() ?? 0), '--json', ...more],
    ],
    { signal: (heard) => (stop = heard) },
  );
  const served: Served = {
    ...{ socket, spool, fleet },
    via: (...words) => agent(...words, '--via', socket),
    send: async (message) => {
      const bytes = typeof message === 'string' ? utf8(message) : message;
      return parseAnswer(await exchange(socket, bytes));
    },
    stop: async () => {
      stop('SIGTERM');
      const { exit, stdout, stderr } = await ended;
      if (exit !== 0) throw new Error(`${stdout}${stderr}`);
    },
  };
  t.teardown(() => served.stop());
  await until(() => isServed(socket), ended);
  return served;
}

async function isServed(path: string): Promise<boolean> {
  const socket = createConnection(path);
  return await new Promise((resolve) => {
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}

/** Waits for a condition; throws what `ended` resolves to, when that comes first. */
export async function until(
  isSo: () => boolean | Promise<boolean>,
  ended: Promise<unknown> = new Promise(() => {}),
): Promise<void> {
  let over: unknown;
  ended.then((how) => (over = how ?? 'it ended'));
  while (!(await isSo())) {
    if (over !== undefined) throw new Error(JSON.stringify(over));
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export interface PolicyOptions {
  readonly version?: number;
  /** Seconds from now until it is over. */
  readonly seconds?: number;
  readonly by?: readonly ReturnType<typeof testKey>[];
  /** What else is another. */
  readonly change?: object;
  readonly payloadType?: string;
}

/** The example's fleet policy, signed, as an entry of the spool. */
export async function putPolicy(
  { spool }: Served,
  entry: string,
  options: PolicyOptions = {},
): Promise<string> {
  const { version = 1, seconds = 86_400, by = operators, change = {} } = options;
  const expires = formatInstant(systemClock() + seconds);
  const policy = { ...JSON.parse(readFileSync(POLICY, 'utf8')), version, expires, ...change };
  const bytes = await signEnvelope(
    options.payloadType ?? FLEET_POLICY_PAYLOAD_TYPE,
    utf8(JSON.stringify(policy)),
    by.map((signer) => ({ signer })),
  );
  writeFileSync(join(spool, entry), bytes);
  return entry;
}

export interface StatementOptions {
  readonly by?: readonly ReturnType<typeof testKey>[];
  /** Seconds from now until it is over. */
  readonly seconds?: number;
  readonly host?: string;
  /** Another address than that of the incident's device. */
  readonly device?: string;
}

/** The release of an incident, signed, as an entry of the spool. */
export async function putRelease(
  place: Scene,
  { spool }: Served,
  incident: string,
  options: StatementOptions = {},
): Promise<string> {
  const { by = operators, seconds = 3600, host, device } = options;
  const draft = join(place.folder, 'draft.json');
  const shown = await agent('quarantine', 'show', incident, '--out', draft, '--state', place.state);
  if (shown.exit !== 0) throw new Error(shown.error.message);
  const named = parseReleaseDraft(readFileSync(draft));
  const statement = {
    ...named,
    ...(host === undefined ? {} : { host }),
    ...(device === undefined ? {} : { device: { ...named.device, path: device } }),
    expires: systemClock() + seconds,
  };
  const entry = 'release.json';
  const signers = by.map((signer) => ({ signer }));
  const bytes = await signEnvelope(RELEASE_PAYLOAD_TYPE, releasePayload(statement), signers);
  writeFileSync(join(spool, entry), bytes);
  return entry;
}

/** A connection that sends what it is told, and says when it is closed. */
export function raw(path: string): { socket: Socket; closed: Promise<void> } {
  const socket = createConnection(path);
  socket.on('error', () => {});
  socket.resume();
  return { socket, closed: new Promise((resolve) => socket.once('close', () => resolve())) };
}

export { frameOf };

/** Every line of the audit log. */
export function linesOf(place: Scene): Record<string, unknown>[] {
  return readFileSync(join(place.state, 'audit.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}
