/** Processes that refresh one store, to be started together and to be killed. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type t from 'tap';
import { FolderStore } from '../../client/store/folder.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { serve } from '../support/serve.ts';
import { digest } from '../support/simulator.ts';
import { GrowingRepository } from './growing-repository.ts';
import { lowered, withFolder } from './store-support.ts';

type Test = Pick<typeof t, 'equal' | 'fail' | 'ok' | 'notOk' | 'comment'>;

const REFRESHER = fileURLToPath(new URL('store-refresher.ts', import.meta.url));

interface Scene {
  readonly repository: GrowingRepository;
  readonly store: FolderStore;
  start(rounds: number): ChildProcess;
}

/** Runs `act` with a store that is pinned to a growing repository behind HTTP. */
async function onScene(rotates: boolean, act: (scene: Scene) => Promise<void>): Promise<void> {
  const repository = new GrowingRepository(rotates);
  const served = await serve(repository);
  try {
    await withFolder(async (folder) => {
      const store = new FolderStore(join(folder, 'store'));
      await store.pinRoot(repository.sim.roots.get(1) as Uint8Array, platformCrypto);
      const start = (rounds: number): ChildProcess =>
        spawn(process.execPath, [REFRESHER, store.folder, served.url, String(rounds)], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
      await act({ repository, store, start });
    });
  } finally {
    await served.close();
  }
}

/** Names of stored files that are not, byte for byte, what was once served. */
async function broken({ repository, store }: Scene): Promise<string[]> {
  const found: string[] = [];
  for (const sub of ['metadata', 'roots']) {
    for (const name of await readdir(join(store.folder, sub)).catch(() => [])) {
      const bytes = await readFile(join(store.folder, sub, name)).catch(() => undefined);
      // A temporary one may be anything, and be gone by now.
      if (bytes === undefined || name.startsWith('.tmp-')) continue;
      if (!repository.served.has(digest('sha256', bytes))) found.push(name);
    }
  }
  return found;
}

/** `count` processes refresh one store `rounds` times each, while every read sees a new version. */
export async function refreshTogether(t: Test, count: number, rounds: number): Promise<void> {
  await onScene(false, async (scene) => {
    const children = Array.from({ length: count }, () => scene.start(rounds));
    const ended = Promise.all(children.map((child) => once(child, 'exit')));
    let before = await scene.store.floors();
    let looks = 0;
    let running = true;
    void ended.then(() => {
      running = false;
    });
    while (running) {
      const after = await scene.store.floors();
      const down = lowered(before, after);
      if (down.length > 0) t.fail(`floors went down while they ran: ${down.join(', ')}`);
      const bad = await broken(scene);
      if (bad.length > 0) t.fail(`half-written while they ran: ${bad.join(', ')}`);
      before = after;
      looks++;
      await setTimeout(5);
    }
    for (const [code] of await ended) t.equal(code, 0, 'a process ends well');
    const { timestamp } = await scene.store.floors();
    t.equal(timestamp, scene.repository.sim.timestamp.version, 'the last publication was taken');
    t.ok(timestamp > count * rounds, `${timestamp} publications, looked at ${looks} times`);
  });
}

/** Kills `count` processes in the midst of their refreshes, one after the other. */
export async function killRefreshers(t: Test, count: number): Promise<void> {
  await onScene(true, async (scene) => {
    const { repository, store } = scene;
    let [litter, recoveries] = [0, 0];
    for (let i = 0; i < count; i++) {
      const before = await store.floors();
      const child = scene.start(0);
      await once(child.stdout as NodeJS.ReadableStream, 'data');
      const ended = once(child, 'exit');
      await setTimeout(30 + Math.random() * 120);
      child.kill('SIGKILL');
      const [, signal] = await ended;
      if (signal !== 'SIGKILL') t.fail(`process ${i} ended by itself`);

      const after = await store.floors();
      const down = lowered(before, after);
      if (down.length > 0) {
        recoveries++;
        // TUF 5.3.11 and nothing else: a new root, stored, that replaced a key.
        const news = [...repository.rotations].filter((version) => version > before.root);
        const stored = await Promise.all(news.map((version) => store.root(version)));
        if (!stored.some((root) => root !== undefined) || down.includes('root')) {
          t.fail(`kill ${i}: ${down.join(', ')} went down`);
        }
      }
      const bad = await broken(scene);
      if (bad.length > 0) t.fail(`kill ${i}: half-written: ${bad.join(', ')}`);
      const names = await readdir(store.folder, { recursive: true });
      if (names.some((name) => name.includes('.tmp-'))) litter++;
    }
    const [code] = await once(scene.start(2), 'exit');
    t.equal(code, 0, 'an undisturbed run ends well');
    const { timestamp } = await store.floors();
    t.equal(timestamp, repository.sim.timestamp.version, 'with the last publication');
    const names = await readdir(store.folder, { recursive: true });
    t.notOk(
      names.some((name) => name.includes('.tmp-')),
      'and has swept what the killed ones left',
    );
    t.comment(`${count} kills: ${litter} in the midst of a write, ${recoveries} after new keys`);
    // Few kills may all miss; many that all miss would mean nothing.
    if (count >= 200) t.ok(litter > 0, 'some of them were killed in the midst of a write');
  });
}
