// A store on a disk that is full, has no names left, or is read-only, and one of somebody else.
// Mounts small file systems: where that is not permitted, it is skipped, and says so.

import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { FolderStore } from '../../client/store/folder.ts';
import { equalBytes, utf8 } from '../../shared/bytes.ts';
import { isIronError } from '../../shared/errors.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { TODAY } from '../support/clock.ts';
import { Simulator } from '../support/simulator.ts';
import { Follower, lowered } from './store-support.ts';

const PAGE = 4096;
const disk = await mkdtemp(join(tmpdir(), 'ironport-disk-'));
const mount = (...args: string[]): boolean => spawnSync('mount', [...args, disk]).status === 0;
const canMount = mount('-t', 'tmpfs', '-o', 'size=512k,nr_inodes=200', 'tmpfs');
t.teardown(async () => {
  if (canMount) spawnSync('umount', [disk]);
  await rm(disk, { recursive: true, force: true });
});
const skip = canMount ? false : 'no right to mount a file system';

/** A store at version 2 on the disk, and a repository at version 3, in which more stands. */
async function behind(name: string): Promise<{ host: Follower; known: Uint8Array[] }> {
  const sim = new Simulator();
  sim.delegate('targets', 'A');
  sim.addTarget('A', 'x', utf8('x'));
  sim.publish('targets', 'A');
  const host = new Follower(join(disk, name), sim);
  await host.pin();
  await host.updater().find('x');
  const known = ['timestamp', 'snapshot', 'targets', 'A'].map((role) => sim.fileOf(role));
  for (let i = 0; i < 100; i++) sim.addTarget('targets', `file ${i}`, utf8(`${i}`));
  sim.nextRoot();
  sim.publish('targets', 'A');
  known.push(...['timestamp', 'snapshot', 'targets', 'A'].map((role) => sim.fileOf(role)));
  return { host, known: [...known, ...sim.roots.values()] };
}

async function assertWhole(host: Follower, known: readonly Uint8Array[], name: string) {
  for (const sub of ['metadata', 'roots']) {
    for (const file of await readdir(join(host.folder, sub)).catch(() => [])) {
      const bytes = new Uint8Array(await readFile(join(host.folder, sub, file)));
      if (!known.some((one) => equalBytes(one, bytes))) t.fail(`${name}: half of ${file}`);
    }
  }
}

t.test('a disk with less and less room', { skip }, async (t) => {
  let [full, done] = [0, 0];
  for (let pages = 0; pages < 20; pages++) {
    const name = `${pages} pages left`;
    const { host, known } = await behind('full');
    const floors = await host.floors();
    // All that is left but so many pages.
    const filler = join(disk, 'filler');
    await writeFile(filler, new Uint8Array(1024 * PAGE)).catch(() => {});
    const { length } = await readFile(filler);
    await writeFile(filler, new Uint8Array(Math.max(0, length - pages * PAGE)));
    await host
      .updater()
      .find('x')
      .then(
        () => done++,
        (error) => {
          full++;
          if (!isIronError(error, 'E_NO_SPACE')) t.fail(`${name}: ${error}`);
        },
      );
    t.same(lowered(floors, await host.floors()), [], name);
    await assertWhole(host, known, name);
    await rm(filler);
    await host.updater().find('x');
    t.same(await host.store().read('targets'), host.sim.fileOf('targets'), 'with room it goes on');
    await rm(host.folder, { recursive: true });
  }
  t.ok(full > 3 && done > 3, `${full} times full, ${done} times enough`);
});

t.test('a disk that takes no more files', { skip }, async (t) => {
  const { host, known } = await behind('no names');
  const floors = await host.floors();
  const fillers: string[] = [];
  for (;;) {
    const filler = join(disk, `filler ${fillers.length}`);
    if (
      await writeFile(filler, '').then(
        () => false,
        () => true,
      )
    )
      break;
    fillers.push(filler);
  }
  await t.rejects(host.refresh(), { code: 'E_NO_SPACE' });
  t.same(lowered(floors, await host.floors()), []);
  await assertWhole(host, known, 'no names');
  for (const filler of fillers) await rm(filler);
  await host.refresh();
  t.match(await host.floors(), { root: 2, timestamp: 3 });
});

t.test('a read-only disk', { skip }, async (t) => {
  const { host, known } = await behind('read-only');
  const before = await host.floors();
  t.ok(mount('-o', 'remount,ro'));
  await t.rejects(host.refresh(), { code: 'E_IO', why: /read-only/ });
  t.same(await host.floors(), before, 'what is there can be read');
  t.equal((await host.store().read('targets')) === undefined, false);
  t.equal(await host.store().isPinned(), true);
  await t.rejects(
    new FolderStore(join(disk, 'new')).pinRoot(
      new Simulator(TODAY, 'new').roots.get(1) as Uint8Array,
      platformCrypto,
    ),
    { code: 'E_IO' },
  );
  t.ok(mount('-o', 'remount,rw'));
  await assertWhole(host, known, 'read-only');
  await host.refresh();
  t.match(await host.floors(), { root: 2, timestamp: 3 });
});

/** Whether somebody who is neither owner nor root can run this Node and read these files at all. */
function strangerCannotRun(): string | false {
  const read = 'require("node:fs").readFileSync(process.argv[1])';
  const { status } = spawnSync(process.execPath, ['-e', read, fileURLToPath(import.meta.url)], {
    uid: 65534,
    gid: 65534,
  });
  return status === 0 ? false : 'Node or this checkout lies where nobody else can reach it';
}

t.test('a store of somebody else', { skip: skip || strangerCannotRun() }, async (t) => {
  const { host, known } = await behind('theirs');
  const before = await host.floors();
  // Whoever is neither owner nor root.
  const refresher = fileURLToPath(new URL('store-refresher.ts', import.meta.url));
  const { status, stderr } = spawnSync(
    process.execPath,
    [refresher, host.folder, 'http://127.0.0.1:9/', '1'],
    { uid: 65534, gid: 65534, encoding: 'utf8' },
  );
  t.equal(status, 1);
  t.match(stderr, /E_IO|EACCES/);
  t.same(await host.floors(), before);
  await assertWhole(host, known, 'theirs');
});
