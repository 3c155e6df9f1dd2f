/** Real client processes against a repository over HTTP, to be started together and to be killed. */

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { FolderStore } from '../../client/store/folder.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { addArtifact, addVendor, EDU } from '../support/artifact.ts';
import { type Served, serve } from '../support/serve.ts';
import { digest, Simulator } from '../support/simulator.ts';

const CLIENT = fileURLToPath(new URL('../../bin/ironport-client.js', import.meta.url));
const SCRATCH = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

export interface Ended {
  readonly code: number | null;
  readonly stderr: string;
}

export class Fleet {
  readonly sim: Simulator;
  readonly out: string;
  readonly #served: Served;
  readonly #folder: string;
  readonly #root: string;
  /** SHA-256 of every version of the artifact so far. */
  readonly digests = new Set<string>();

  private constructor(sim: Simulator, served: Served, folder: string) {
    this.sim = sim;
    this.#served = served;
    this.#folder = folder;
    this.#root = join(folder, 'root.json');
    this.out = join(folder, 'edu.js');
  }

  static async make(t: Test): Promise<Fleet> {
    const sim = new Simulator(systemClock());
    addVendor(sim, 'acme');
    const served = await serve(sim);
    const folder = await mkdtemp(join(SCRATCH, 'ironport-fleet-'));
    t.teardown(async () => {
      await served.close();
      await rm(folder, { recursive: true, force: true });
    });
    const fleet = new Fleet(sim, served, folder);
    await writeFile(fleet.#root, sim.roots.get(1) as Uint8Array);
    await fleet.release(1);
    return fleet;
  }

  /** Publishes other bytes for the artifact. */
  async release(seed: number): Promise<void> {
    const bytes = new Uint8Array(400_000 + seed).map((_, i) => (i * seed + (i >> 8)) & 0xff);
    this.digests.add(digest('sha256', bytes));
    await addArtifact(this.sim, EDU, bytes);
    this.sim.publish('acme', 'targets');
  }

  /** Starts `get-verified`; `killAfter` milliseconds later it is killed where it stands. */
  get(killAfter?: number): Promise<Ended> {
    const address = this.#served.url.replace(/^http:\/\/|\/$/g, '');
    const args = [CLIENT, address, 'get-verified', EDU, this.out, '--root', this.#root, '--quiet'];
    return new Promise((resolve, reject) => {
      const child = spawn(process.execPath, args, {
        env: { ...process.env, XDG_STATE_HOME: this.#folder },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let stderr = '';
      child.stderr.on('data', (text) => {
        stderr += text;
      });
      const timer =
        killAfter === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfter);
      child.on('error', reject);
      child.on('close', (code) => {
        clearTimeout(timer);
        resolve({ code, stderr });
      });
    });
  }

  async store(): Promise<FolderStore | undefined> {
    const folder = join(this.#folder, 'ironport');
    const [name] = await readdir(folder).catch(() => []);
    return name === undefined ? undefined : new FolderStore(join(folder, name));
  }

  /** What is wrong with what the processes left, if anything. */
  async fault(): Promise<string | undefined> {
    const found = await readFile(this.out).catch(() => undefined);
    if (found !== undefined && !this.digests.has(digest('sha256', found))) {
      return 'half an artifact under its final name';
    }
    const store = await this.store();
    if (store === undefined || !(await store.isPinned())) return undefined;
    const floors = await store.floors();
    for (const role of await store.storedRoles()) {
      const bytes = (await store.read(role)) ?? new Uint8Array();
      const file = JSON.parse(new TextDecoder().decode(bytes));
      const { version } = file.signed;
      // Floors come first: no stored file is ahead of them.
      const floor = role === 'timestamp' ? floors.timestamp : floors.snapshot;
      if ((role === 'timestamp' || role === 'snapshot') && version > floor) {
        return `${role} ${version} is stored above its floor ${floor}`;
      }
    }
    return undefined;
  }
}

/** Kills `count` processes at random points; returns how many had got to their end before. */
export async function killAtRandom(t: Test, count: number, longest: number): Promise<number> {
  const fleet = await Fleet.make(t);
  let finished = 0;
  let floor = 0;
  for (let i = 0; i < count; i++) {
    if (i % 3 === 0) await fleet.release(i + 2);
    if (i % 10 === 9) fleet.sim.nextRoot(() => fleet.sim.rotateKeys('root'));
    const { code } = await fleet.get(Math.random() * longest);
    if (code === 0) finished++;
    const fault = await fleet.fault();
    if (fault !== undefined) t.fail(`after kill ${i}: ${fault}`);
    const store = await fleet.store();
    if (store !== undefined && (await store.isPinned())) {
      const { timestamp } = await store.floors();
      if (timestamp < floor)
        t.fail(`after kill ${i}: the floor went from ${floor} to ${timestamp}`);
      floor = timestamp;
    }
  }
  const last = await fleet.get();
  t.equal(last.code, 0, `an undisturbed run ends well${last.stderr}`);
  t.equal(await fleet.fault(), undefined);
  const final = await readFile(fleet.out);
  t.equal(digest('sha256', final), [...fleet.digests].at(-1), 'with the newest artifact');
  return finished;
}
