// A client on a file system of a few kilobytes, and on one that is read-only. Mounts a tmpfs, which
// takes rights that a test run seldom has: without them it is skipped, and says so.

import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { downloadTarget } from '../../client/download.ts';
import { FolderStore } from '../../client/store/folder.ts';
import { Updater } from '../../client/updater.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { Machine } from '../client/bundle/support.ts';
import { addArtifact, addVendor, EDU } from '../support/artifact.ts';
import { TestClock } from '../support/clock.ts';
import { digest, Simulator } from '../support/simulator.ts';

const folder = await mkdtemp(join(tmpdir(), 'ironport-disk-'));
const disk = join(folder, 'disk');
await mkdir(disk);
const mount = (options: string): boolean =>
  spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', disk]).status === 0;
const canMount = mount('size=64k');
t.teardown(async () => {
  if (canMount) spawnSync('umount', [disk]);
  await rm(folder, { recursive: true, force: true });
});
const skip = canMount ? false : 'no right to mount a tmpfs';
const clock = new TestClock();
const refresh = (store: FolderStore, sim: Simulator): Promise<unknown> =>
  new Updater({ crypto: platformCrypto, clock: clock.read, store, fetcher: sim }).refresh();

t.test('a full disk', { skip }, async (t) => {
  const sim = new Simulator();
  const store = new FolderStore(join(disk, 'store'));
  await store.pinRoot(sim.roots.get(1) as Uint8Array, platformCrypto);
  await refresh(store, sim);
  const kept = await store.read('targets');
  for (let i = 0; i < 2000; i++) sim.addTarget('targets', `file ${i}`, new Uint8Array([i & 0xff]));
  sim.publish('targets');
  await t.rejects(refresh(store, sim), { code: 'E_NO_SPACE' });
  t.strictSame(await store.read('targets'), kept, 'the old file is whole');
  await store.floors();

  const bytes = new Uint8Array(200_000);
  const target = {
    path: 'big',
    place: 'targets/big',
    length: bytes.length,
    hashes: new Map([['sha256', digest('sha256', bytes)]]),
  };
  sim.overrides.set('targets/big', bytes);
  const out = join(disk, 'big');
  await t.rejects(downloadTarget({ fetcher: sim, target, out }), { code: 'E_NO_SPACE' });

  for (const path of Object.keys(sim.targets.targets)) delete sim.targets.targets[path];
  sim.publish('targets');
  await refresh(store, sim);
  t.strictSame(await store.read('targets'), sim.fileOf('targets'), 'with less to store it goes on');
});

t.test('the disk is full while a bundle is imported', { skip }, async (t) => {
  const sim = new Simulator();
  addVendor(sim, 'acme');
  await addArtifact(sim, EDU, new Uint8Array(200_000));
  sim.publish('targets');
  const made = new Machine(folder, 'maker');
  await made.pin(sim);
  const file = join(folder, 'edu.bundle');
  await made.create(sim, file);
  const host = new Machine(disk, 'importer');
  await host.pin(sim);
  const before = await host.store.floors();
  await t.rejects(host.import(file), { code: 'E_NO_SPACE' });
  t.strictSame(await host.store.floors(), before, 'what is trusted is as it was');
  t.strictSame(await host.store.storedRoles(), []);
  await rm(host.store.folder, { recursive: true });
});

t.test('a read-only disk', { skip }, async (t) => {
  const sim = new Simulator();
  const store = new FolderStore(join(disk, 'read-only'));
  await store.pinRoot(sim.roots.get(1) as Uint8Array, platformCrypto);
  await writeFile(join(disk, 'note'), 'x');
  t.equal(spawnSync('mount', ['-o', 'remount,ro', disk]).status, 0);
  await t.rejects(refresh(store, sim), { code: 'E_IO' });
  t.equal(await store.isPinned(), true, 'what is there can still be read');
  t.equal(spawnSync('mount', ['-o', 'remount,rw', disk]).status, 0);
  await refresh(store, sim);
});
