/**
 * A service under load that is killed again and again: three vendors, one with a nested role and one with
 * hash bins, publish through its socket as fast as it takes them, it dies at any instant, and each time whoever reads finds one repository,
 * and nothing is missing that it ever said was published.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { cp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { checkTree } from '../../server/publish/fsck.ts';
import { openRepository } from '../../server/repository.ts';
import { utf8 } from '../../shared/bytes.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { TestClock } from '../support/clock.ts';
import { signedTargets, type TestVendor, testArtifact, testVendor } from '../support/repository.ts';
import { binned, type HandedIn, nested, plain, type Shape } from './kill-shapes.ts';
import { handInBelow } from './nesting.ts';
import { Caller, clientOf, madeHome, repositoryOptions } from './support.ts';

const BIN = fileURLToPath(new URL('../../bin/ironport-repo.js', import.meta.url));
const SHAPES: Readonly<Record<string, Shape>> = { acme: plain, beta: nested, gamma: binned };
const NAMES = Object.keys(SHAPES);

/** A process and the address on which it serves. */
interface Served {
  readonly child: ChildProcess;
  readonly url: string;
}

async function start(home: string): Promise<Served> {
  const child = spawn(process.execPath, [BIN, '127.0.0.1:0', home], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  for await (const data of child.stderr as NonNullable<typeof child.stderr>) {
    said += data;
    const url = /on (http:\/\/\S+)/.exec(said)?.[1];
    if (url !== undefined) {
      child.stderr?.resume();
      return { child, url };
    }
  }
  throw new Error(`the service did not start: ${said}`);
}

async function kill({ child }: Served): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

/** A clock that goes on by itself: the service is a process of its own. */
function liveClock(): TestClock {
  return Object.defineProperty(new TestClock(), 'now', { get: systemClock });
}

/** What the vendors know of: versions that the service said are published, and ids that it took. */
class Load {
  readonly home: string;
  readonly clock: TestClock;
  readonly vendors: readonly TestVendor[];
  /** By path, the version of the role that brought it; the newest of a vendor stands last. */
  readonly published = new Map<string, HandedIn['lister']>();
  readonly taken = new Map<string, string>();
  /** Says 'published' each time. */
  readonly news = new EventEmitter();

  constructor(home: string, clock: TestClock, vendors: readonly TestVendor[]) {
    this.home = home;
    this.clock = clock;
    this.vendors = vendors;
  }

  async pin(): Promise<Uint8Array> {
    return await readFile(join(this.home, 'tree/metadata/1.root.json'));
  }

  /** One vendor, until the connection breaks. */
  async publishAll(vendor: TestVendor, url: string): Promise<void> {
    const caller = new Caller(url, vendor.api, this.clock);
    try {
      for (let round = 0; ; round++) {
        const listed = await this.#listed();
        const path = `${vendor.name}/edu/1.0.${process.hrtime.bigint()}/edu.js`;
        const now = systemClock();
        const artifact = await testArtifact(vendor, path, utf8(`${path} ${round}`), { now });
        await caller.uploadAll([artifact]);
        // What brings it lists its newest artifact alone, so that a long test stays a quick one.
        const shape = SHAPES[vendor.name] as Shape;
        const made = await shape(vendor, listed, { ...artifact, path }, now + 86_400);
        const reply = await handInBelow(caller, vendor.name, made.own, made.below);
        this.taken.set(reply.id, vendor.name);
        const { state, error } = await caller.ended(reply.id);
        if (state === 'published') {
          this.published.set(path, made.lister);
          this.news.emit('published');
        }
        // What was queued before the last kill came first; it is looked up again.
        else if (error?.code !== 'E_CONFLICT')
          throw new Error(`${path} is ${state}: ${error?.message}, ${error?.why}`);
      }
    } catch (error) {
      if (!isBroken(error)) throw error;
    }
  }

  async #listed(): Promise<(role: string) => number> {
    const trusted = await clientOf(this.home, this.clock, await this.pin()).refresh();
    const { roles } = trusted.snapshot();
    return (role) => roles.get(role)?.version ?? 0;
  }

  /** What a reader finds, who comes now. */
  async look(t: Test, when: string): Promise<void> {
    const { home, clock } = this;
    const client = clientOf(home, clock, await this.pin());
    const { roles } = (await client.refresh()).snapshot();
    const listed = (role: string): number => roles.get(role)?.version ?? 0;
    for (const { name } of this.vendors) {
      const newest = [...this.published].filter(([path]) => path.startsWith(`${name}/`)).at(-1);
      if (newest === undefined) continue;
      const [path, { role, version, own }] = newest;
      const isLost = listed(role) < version || listed(name) < own;
      // Something of this vendor came after it, which nobody was told of.
      const isOver = listed(role) > version || listed(name) > own;
      const found = isLost || isOver ? undefined : await client.find(path);
      if (isLost || (!isOver && found?.chain.at(-1) !== role))
        t.fail(
          `${when}: ${path} was published by ${role} ${version} under ${name} ${own}, and ${listed(role)} under ${listed(name)} is there`,
        );
    }
  }

  /** Which kinds of roles were published, of those that each vendor has. */
  kinds(): string[] {
    return NAMES.filter((name) => [...this.published.keys()].some((path) => path.startsWith(name)));
  }
}

function isBroken(error: unknown): boolean {
  const codes = ['ECONNRESET', 'ECONNREFUSED', 'EPIPE'];
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

/** So many kills one repository sees: each look goes over all that was ever published into it. */
const KILLS_A_TREE = 40;

/** Kills a loaded service `kills` times, or for as long as there is time. */
export async function killUnderLoad(t: Test, kills: number, seconds: number): Promise<void> {
  const clock = liveClock();
  const { home, operators } = await madeHome(t, clock);
  const vendors = NAMES.map((name) => testVendor(name));
  const admitting = await openRepository(repositoryOptions(home, clock));
  const expires = clock.now + 86_400;
  await admitting.intake.submitOperatorFiles(
    [await signedTargets(operators, 2, vendors, { expires })],
    false,
  );
  await admitting.worker.drain();
  await admitting.close();

  const until = performance.now() + seconds * 1000;
  const total = { killed: 0, published: 0, kinds: new Set<string>() };
  while (total.killed < kills && performance.now() < until) {
    const copy = `${home}-${total.killed}`;
    await cp(home, copy, { recursive: true });
    t.teardown(() => rm(copy, { recursive: true, force: true }));
    const load = new Load(copy, clock, vendors);
    const last = Math.min(kills, total.killed + KILLS_A_TREE);
    for (; total.killed < last && performance.now() < until; total.killed++)
      await killOnce(t, load, total.killed + 1);
    await endWell(t, load, `after kill ${total.killed}, at the end of this tree`);
    total.published += load.published.size;
    for (const kind of load.kinds()) total.kinds.add(kind);
  }
  t.ok(total.published > 0, `${total.killed} kills, ${total.published} publications acknowledged`);
  const kinds = NAMES.filter((name) => total.kinds.has(name));
  t.strictSame(kinds, NAMES, 'a plain role, a nested one and bins were published');
}

/** Starts the service, loads it, kills it at any instant, and looks at what is there then. */
async function killOnce(t: Test, load: Load, number: number): Promise<void> {
  const served = await start(load.home);
  t.teardown(() => kill(served));
  const working = load.vendors.map((vendor) => load.publishAll(vendor, served.url));
  // From before the first upload came in to some publications later; every other one hears of a
  // publication first, so that the load is one on a slow machine as well.
  const lives = Math.random() ** 2 * 1200;
  if (number % 2 === 0) await Promise.race([once(load.news, 'published'), ...working]);
  await Promise.race([setTimeout(lives), ...working]);
  await kill(served);
  await Promise.all(working);
  await load.look(t, `after kill ${number}`);
  // What the next start removes, and what it will finish, is nothing that a reader meets.
  const wrong = (await findingsOf(load)).filter(
    ({ what }) => !/a crash left it|nothing (lists|names) it/.test(what),
  );
  if (wrong.length > 0) t.same(wrong, [], `fsck after kill ${number}`);
}

/** What was taken came to its end, and nothing that anybody could find is wrong. */
async function endWell(t: Test, load: Load, when: string): Promise<void> {
  const last = await openRepository(repositoryOptions(load.home, load.clock));
  await last.worker.drain();
  for (const [id, vendor] of load.taken) {
    const { state, error } = last.intake.find(id, vendor);
    if (state !== 'published' && error?.code !== 'E_CONFLICT')
      t.fail(`${id} of ${vendor} is ${state}: ${error?.message}`);
  }
  await last.close();
  await load.look(t, when);
  t.same(await findingsOf(load), [], `fsck ${when}`);
}

async function findingsOf({ home }: Load): Promise<readonly { readonly what: string }[]> {
  const options = { crypto: platformCrypto, clock: systemClock };
  return (await checkTree(join(home, 'tree'), options)).findings;
}
