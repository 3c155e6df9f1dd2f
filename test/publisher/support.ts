/** Operators, a vendor and the real service, each in a folder of its own, driven by command lines. */

import { mkdtempSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { program as clientProgram } from '../../client/main.ts';
import { program as vendorProgram } from '../../publisher/main.ts';
import { program as operatorProgram } from '../../server/main.ts';
import { openRepository, type Repository } from '../../server/repository.ts';
import { type Service, startService } from '../../server/service.ts';
import type { ProgramSpec } from '../../shared/cli/command.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { systemRandom } from '../../shared/node/random.ts';
import type { Clock } from '../../shared/time.ts';
import { type Ran, run } from '../cli/support.ts';

export interface Answer extends Ran {
  // biome-ignore lint/suspicious/noExplicitAny: what the documents hold is what is tested
  readonly data: any;
  readonly error:
    | { readonly code: string; readonly message: string; readonly why: string | null }
    | undefined;
}

async function answer(program: ProgramSpec, argv: readonly string[]): Promise<Answer> {
  const ran = await run(program, [...argv, '--json']);
  const { data, error } = JSON.parse(ran.stdout);
  return { ...ran, data, error };
}

export const ironport = (...argv: string[]): Promise<Answer> => answer(vendorProgram, argv);
export const repo = (...argv: string[]): Promise<Answer> => answer(operatorProgram, argv);

async function succeed(program: ProgramSpec, argv: readonly string[]): Promise<Answer> {
  const result = await answer(program, argv);
  if (result.exit !== 0) throw new Error(`${argv.join(' ')}: ${result.stdout}${result.stderr}`);
  return result;
}

export const vendor = (...argv: string[]): Promise<Answer> => succeed(vendorProgram, argv);
export const operator = (...argv: string[]): Promise<Answer> => succeed(operatorProgram, argv);

export const CEILING = {
  devices: [{ vendor: '0x1234', device: '0x11e8' }],
  bars: [{ index: 0, offset_bytes: '0x0', length_bytes: '0x1000', access: 'read-write' }],
  ports: [],
  interrupts: { kind: 'msi', vectors: 1, per_second_budget: 1000 },
  dma: { mask_bits: 28, total_bytes: '0x1000', windows_max: 1, direction: 'bidirectional' },
  abi: { min: 1, max: 1 },
  generation: 1,
};

/** Everybody's folders below `folder`, and the way things are done there. */
export class Scene {
  readonly folder: string;
  service: Service | undefined;
  repository: Repository | undefined;

  /** Told how far each publication is; it waits for the answer. */
  observe: (point: string) => void | Promise<void> = () => {};

  /** Further names that the service answers to. */
  readonly names: readonly string[];

  constructor(folder: string, names: readonly string[] = []) {
    this.folder = folder;
    this.names = names;
  }

  at(...parts: string[]): string {
    return join(this.folder, ...parts);
  }

  get url(): string {
    if (this.service === undefined) throw new Error('the service does not run');
    return this.service.url;
  }

  /** Keys, ceremony, and a service that shows what was signed. */
  async start(clock: Clock = systemClock): Promise<void> {
    await this.open(clock);
    const online = ['snapshot', 'timestamp'].map((role) =>
      this.at('repo', 'private', 'keys', `${role}.json`),
    ) as [string, string];
    for (const key of [...online, ...['r1', 'r2', 't1'].map((name) => this.at(`${name}.json`))])
      await operator('key', 'make', '--out', key);
    await operator(
      ...['ceremony', '--yes', '--out', this.at('signed'), '--root-threshold', '1'],
      ...['--root-key', this.at('r1.json'), '--root-key', this.at('r2.json')],
      ...['--targets-key', this.at('t1.json')],
      ...['--snapshot-key', online[0], '--timestamp-key', online[1]],
    );
    // The service reads its keys when it starts.
    await this.stop();
    await this.open(clock);
    await this.submit('1.root.json', '1.targets.json');
    await writeFile(this.at('ceiling.json'), JSON.stringify(CEILING));
  }

  async open(clock: Clock = systemClock): Promise<void> {
    this.repository = await openRepository({
      home: this.at('repo'),
      crypto: platformCrypto,
      clock,
      random: systemRandom,
      purpose: 'a test',
      observe: (point) => this.observe(point),
      onFailure: (error) => {
        throw error;
      },
    });
    this.service = await startService(this.repository, {
      listen: { host: '127.0.0.1', port: 0 },
      publicNames: this.names,
    });
  }

  async stop(): Promise<void> {
    await this.service?.close();
    this.service = undefined;
  }

  /** Hands the operators' signed files in and waits. */
  async submit(...names: string[]): Promise<void> {
    const files = names.map((name) => this.at('signed', name));
    const { data } = await operator('submit', ...files, '--dir', this.at('repo'));
    if (data.state !== 'published') throw new Error(JSON.stringify(data));
  }

  /** What a host that knows nothing yet gets of a target: `verified`, or what it says instead. */
  async fetched(path: string): Promise<string> {
    const store = mkdtempSync(this.at('store-'));
    const at = ['--store', store, '--repository', this.url];
    await run(clientProgram, ['init', ...at, ...this.root]);
    const ran = await run(clientProgram, ['get-verified', path, join(store, 'out'), ...at]);
    return ran.exit === 0 ? 'verified' : ran.stderr;
  }

  /** `request` and `vendor rotate-keys` for keys that the vendor made; `version` is that of the targets. Returns the request. */
  async exchange(name: string, version: number): Promise<string> {
    const request = this.at(`${name}-keys-for-${version}.json`);
    const { data } = await vendor('request', '--dir', this.at(name), '--out', request);
    const targets = (which: number): string => this.at('signed', `${which}.targets.json`);
    await operator(
      ...['vendor', 'rotate-keys', request, '--yes', '--targets', targets(version - 1)],
      ...['--root', this.at('signed', '1.root.json'), '--key', this.at('t1.json')],
      ...['--fingerprint', data.fingerprint, '--out', targets(version)],
    );
    return request;
  }

  /** `init`, `request`, `vendor add`, `submit`; `version` is that of the targets that admit. */
  async admit(name: string, version: number, ...options: string[]): Promise<void> {
    const hardware = name === 'acme' ? 'PCI:0x1234:0x11e8' : 'PCI:0x5678';
    await vendor(
      ...['init', '--vendor', name, '--dir', this.at(name), '--contact', `sec@${name}.example`],
      ...['--hardware-id', hardware, ...options],
    );
    const request = this.at(`${name}.admission.json`);
    const { data } = await vendor('request', '--dir', this.at(name), '--out', request);
    await operator(
      ...[
        'vendor',
        'add',
        request,
        '--yes',
        '--targets',
        this.at('signed', `${version - 1}.targets.json`),
      ],
      ...['--key', this.at('t1.json'), '--root', this.at('signed', '1.root.json')],
      ...['--fingerprint', data.fingerprint, '--out', this.at('signed', `${version}.targets.json`)],
    );
    await this.submit(`${version}.targets.json`);
  }

  /** The options of `publish`, for a file below the folder. */
  publishing(file: string, version: string, ...more: string[]): string[] {
    return [
      ...['publish', this.at(file), '--product', 'edu', '--version', version],
      ...['--ceiling', this.at('ceiling.json'), '--dir', this.at('acme'), '--repository', this.url],
      ...more,
    ];
  }

  get root(): string[] {
    return ['--root', this.at('signed', '1.root.json')];
  }
}
