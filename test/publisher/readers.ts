/**
 * Hosts that poll a repository over HTTP while something is done to it: another client of the field, from
 * root 1 each time and with what it keeps, and our own.
 */

import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import { Updater } from 'tuf-js';
import { MemoryStore } from '../../client/store/memory.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { updaterOf } from '../server/support.ts';
import { TestClock } from '../support/clock.ts';
import type { Scene } from './support.ts';

/** What they ask for; it holds `a driver` and a line's end. */
export const PATH = 'acme/edu/1.0.0/edu.js';

/**
 * Readers go on while something is done, after it was begun and once more when it is over; all that they
 * meet is asserted.
 */
export function watching(t: Test, readers: readonly Reader[]) {
  return async (name: string, act: () => Promise<unknown>): Promise<void> => {
    let isOver = false;
    const polls = readers.map(async (read) => {
      let count = 0;
      while (!isOver) {
        await read();
        count++;
      }
      await read();
      return count;
    });
    const watched = Promise.all(polls);
    watched.catch(() => {});
    await act().finally(() => {
      isOver = true;
    });
    const counts = await watched;
    t.ok(
      counts.every((count) => count > 0),
      `${name}: each of them read while it happened`,
    );
  };
}

export type Reader = () => Promise<void>;

/** A host that begins from root 1 each time. */
export function newcomer(t: Test, scene: Scene): Reader {
  return async () => {
    const folder = await mkdtemp(join(t.testdirName, 'newcomer-'));
    await read(scene, folder);
    await rm(folder, { recursive: true });
  };
}

/** A host that keeps what it verified. */
export function regular(t: Test, scene: Scene, name: string): Reader {
  const folder = join(t.testdirName, name);
  return () => read(scene, folder);
}

/** One refresh and one download by tuf-js. */
async function read(scene: Scene, folder: string): Promise<void> {
  const [metadataDir, targetDir] = [join(folder, 'metadata'), join(folder, 'targets')];
  for (const place of [metadataDir, targetDir]) mkdirSync(place, { recursive: true });
  const root = join(metadataDir, 'root.json');
  if (!existsSync(root)) await cp(scene.at('signed', '1.root.json'), root);
  const updater = new Updater({
    ...{ metadataDir, targetDir },
    metadataBaseUrl: `${scene.url}/metadata`,
    targetBaseUrl: `${scene.url}/targets`,
  });
  await updater.refresh();
  const info = await updater.getTargetInfo(PATH);
  if (info === undefined) throw new Error(`tuf-js finds no ${PATH}`);
  const bytes = readFileSync(await updater.downloadTarget(info), 'utf8');
  if (bytes !== 'a driver\n') throw new Error(`tuf-js downloads ${bytes}`);
}

/** Our client over the tree, which keeps its floors. */
export function ours(scene: Scene): Reader {
  const store = new MemoryStore(readFileSync(scene.at('signed', '1.root.json')));
  return async () => {
    const found = await updaterOf(scene.at('repo'), new TestClock(systemClock()), store).find(PATH);
    if (found === undefined) throw new Error(`our client finds no ${PATH}`);
  };
}
