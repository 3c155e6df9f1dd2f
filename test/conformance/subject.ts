/**
 * The client under test, run as a suite of strangers runs it: a process over a simulator behind
 * HTTP, judged by its exit code, its files and its requests.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type t from 'tap';
import { type Served, serve } from '../support/serve.ts';
import { Simulator } from '../support/simulator.ts';
import { main } from './main.ts';

type Test = Pick<typeof t, 'equal' | 'teardown'>;

export const CLIENT = fileURLToPath(new URL('client', import.meta.url));
const MOVED_CLOCK = new URL('../../scripts/demo/support/moved-clock.mjs', import.meta.url).href;
const FAKETIME = (process.env.PATH ?? '')
  .split(delimiter)
  .map((folder) => join(folder, 'faketime'))
  .find(existsSync);

export interface Ended {
  readonly code: number | null;
  readonly said: string;
}

/** Runs a program to its end, `days` from now. */
export async function run(argv: readonly string[], days = 0): Promise<Ended> {
  const faked = days !== 0 && FAKETIME !== undefined;
  const moved = days !== 0 && FAKETIME === undefined;
  const [program = '', ...rest] = faked
    ? [FAKETIME, '-f', `${days > 0 ? '+' : ''}${days}d`, ...argv]
    : argv;
  const { NODE_OPTIONS: _, ...env } = process.env;
  const child = spawn(program, rest, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: moved
      ? {
          ...env,
          NODE_OPTIONS: `--import=${MOVED_CLOCK}`,
          DEMO_CLOCK_OFFSET: String(days * 86_400),
        }
      : env,
  });
  let said = '';
  child.stderr.on('data', (piece) => {
    said += piece;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, said };
}

export class Subject {
  /** Its present is the real one: another process reads the clock. */
  readonly sim: Simulator;
  readonly served: Served;
  readonly folder: string;
  readonly metadata: string;
  readonly targets: string;
  /** What it said last. */
  said = '';
  readonly #urls: string[] = [];

  private constructor(sim: Simulator, served: Served, folder: string) {
    this.sim = sim;
    this.served = served;
    this.folder = folder;
    this.metadata = join(folder, 'metadata');
    this.targets = join(folder, 'targets');
    served.misbehave = (request) => {
      this.#urls.push((request.url ?? '').slice(new URL(served.url).pathname.length));
      return false;
    };
  }

  /** A simulator behind HTTP, and a client that has nothing yet. */
  static async begin(t: Test): Promise<Subject> {
    const sim = new Simulator(Math.floor(Date.now() / 1000));
    const served = await serve(sim, 'a%20suite/');
    const folder = mkdtempSync(join(tmpdir(), 'ironport-subject-'));
    t.teardown(() => {
      rmSync(folder, { recursive: true, force: true });
      return served.close();
    });
    return new Subject(sim, served, folder);
  }

  /** The same, with the root of version 1 pinned. */
  static async initialised(t: Test): Promise<Subject> {
    const subject = await Subject.begin(t);
    const file = join(subject.folder, 'pinned.json');
    writeFileSync(file, subject.sim.roots.get(1) as Uint8Array);
    // In this process, because it is always the same: that it is one too, the contract's test sees.
    const code = await main(['--metadata-dir', subject.metadata, 'init', file]);
    t.equal(code, 0, 'init');
    return subject;
  }

  async init(root = this.sim.roots.get(1) as Uint8Array): Promise<number | null> {
    const file = join(this.folder, 'initial.json');
    writeFileSync(file, root);
    return this.command([], ['init', file]);
  }

  refresh(days = 0): Promise<number | null> {
    return this.command(['--metadata-url', `${this.served.url}metadata/`], ['refresh'], days);
  }

  download(paths: string | readonly string[], days = 0): Promise<number | null> {
    const names = typeof paths === 'string' ? [paths] : paths;
    const options = [
      ...['--metadata-url', `${this.served.url}metadata/`],
      ...names.flatMap((name) => ['--target-name', name]),
      ...['--target-base-url', `${this.served.url}targets/`, '--target-dir', this.targets],
    ];
    return this.command(options, ['download'], days);
  }

  async command(
    options: readonly string[],
    command: readonly string[],
    days = 0,
  ): Promise<number | null> {
    const argv = [CLIENT, '--metadata-dir', this.metadata, ...options];
    const { code, said } = await run([...argv, ...command], days);
    this.said = said;
    return code;
  }

  /** URLs asked for since the last call, as they were on the wire, below the suite's prefix. */
  urls(): string[] {
    return this.#urls.splice(0);
  }

  /** The same of metadata alone, without its folder. */
  asked(): string[] {
    return this.urls()
      .filter((url) => url.startsWith('metadata/'))
      .map((url) => url.slice('metadata/'.length));
  }

  /** What the folder shows as trusted: `root 1, snapshot 2`. */
  trusted(): string {
    if (!existsSync(this.metadata)) return '';
    return readdirSync(this.metadata)
      .filter((name) => name.endsWith('.json'))
      .sort()
      .map((name) => `${decodeURIComponent(name.slice(0, -5))} ${this.#versionIn(name)}`)
      .join(', ');
  }

  bytes(role: string): Uint8Array {
    return new Uint8Array(readFileSync(join(this.metadata, `${role}.json`)));
  }

  /** Every file below the folder of targets, by name; hidden ones too. */
  downloaded(): Record<string, string> {
    if (!existsSync(this.targets)) return {};
    const names = readdirSync(this.targets, { recursive: true, encoding: 'utf8' });
    return Object.fromEntries(
      names.sort().map((name) => [name, readFileSync(join(this.targets, name), 'utf8')]),
    );
  }

  forgetTargets(): void {
    rmSync(this.targets, { recursive: true, force: true });
  }

  #versionIn(name: string): number {
    return JSON.parse(readFileSync(join(this.metadata, name), 'utf8')).signed.version;
  }
}
