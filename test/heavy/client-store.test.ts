// The store of a host: what it refuses, what it mends, and what a fault at any instant leaves.

import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { FolderStore } from '../../client/store/folder.ts';
import { stateFolder, storeFolder } from '../../client/store/locate.ts';
import { Updater } from '../../client/updater.ts';
import { equalBytes, utf8 } from '../../shared/bytes.ts';
import type { IronError } from '../../shared/errors.ts';
import { store as layout } from '../../shared/layout.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { type FileSystem, systemFiles } from '../../shared/node/file-system.ts';
import { NO_FLOORS } from '../../shared/verify/floors.ts';
import { FaultyFiles } from '../node/faults.ts';
import { TestClock } from '../support/clock.ts';
import { testKey } from '../support/keys.ts';
import { Simulator, signFile } from '../support/simulator.ts';

const clock = new TestClock();

/** Hundreds of stores are written here: in memory, where there is such a place. */
const SCRATCH = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

function updater(store: FolderStore, sim: Simulator): Updater {
  return new Updater({ crypto: platformCrypto, clock: clock.read, store, fetcher: sim });
}

async function pinned(
  t: Test,
  sim = new Simulator(),
): Promise<{ store: FolderStore; sim: Simulator }> {
  const store = new FolderStore(join(t.testdir(), 'store'));
  await store.pinRoot(sim.roots.get(1) as Uint8Array, platformCrypto);
  return { store, sim };
}

t.test('without a pin', async (t) => {
  const store = new FolderStore(join(t.testdir(), 'store'));
  await t.rejects(store.pinnedRoot(), { code: 'E_NO_PIN', hint: /--root FILE/ });
  t.equal(await store.isPinned(), false);
  await t.rejects(updater(store, new Simulator()).refresh(), { code: 'E_NO_PIN' });
});

t.test('a root is pinned once', async (t) => {
  const { store, sim } = await pinned(t);
  const root = sim.roots.get(1) as Uint8Array;
  t.equal(await store.pinRoot(root, platformCrypto), 'same');
  sim.nextRoot();
  const other = new Simulator(undefined, 'other').roots.get(1) as Uint8Array;
  for (const next of [sim.roots.get(2) as Uint8Array, other]) {
    await t.rejects(store.pinRoot(next, platformCrypto), { code: 'E_PIN_EXISTS' });
  }
  t.strictSame(await store.pinnedRoot(), root);
});

t.test('what is no root is not pinned', async (t) => {
  const store = new FolderStore(join(t.testdir(), 'store'));
  const sim = new Simulator();
  const unsigned = signFile(sim.root, [testKey('stranger')]);
  for (const [bytes, code] of [
    [utf8('{}'), 'E_SCHEMA'],
    [utf8('x'), 'E_JSON'],
    [unsigned, 'E_THRESHOLD'],
    [sim.fileOf('targets'), 'E_SCHEMA'],
  ] as const) {
    await t.rejects(store.pinRoot(bytes, platformCrypto), { code });
  }
  await t.rejects(store.pinnedRoot(), { code: 'E_NO_PIN' });
});

t.test('a damaged pin and damaged floors are said, and nothing is guessed', async (t) => {
  const { store, sim } = await pinned(t);
  const floors = join(store.folder, layout.floors);
  const pin = join(store.folder, layout.pinnedRoot);
  const good = await readFile(floors);
  for (const bad of ['', '{', '{}', `${good}x`, String(good).replace('"root":1', '"root":-1')]) {
    await writeFile(floors, bad);
    await t.rejects(updater(store, sim).refresh(), {
      code: 'E_STORE',
      hint: /nothing was changed/,
    });
    await t.rejects(
      store.pinRoot(sim.roots.get(1) as Uint8Array, platformCrypto).then(() => store.floors()),
      {
        code: 'E_STORE',
      },
    );
  }
  await rm(floors);
  await t.rejects(updater(store, sim).refresh(), { code: 'E_STORE' }, 'floors that are gone');
  await writeFile(floors, good);
  await updater(store, sim).refresh();
  await writeFile(pin, '{"signed":');
  await t.rejects(updater(store, sim).refresh(), { code: 'E_STORE' });
});

t.test('role names become file names that stay in the folder', async (t) => {
  const { store } = await pinned(t);
  for (const role of ['../../escape', '/etc/passwd', '..', '.', 'a/b', '__proto__', 'é?#']) {
    await store.write(role, utf8(role));
    t.strictSame(await store.read(role), utf8(role));
  }
  t.equal((await readdir(join(store.folder, 'metadata'))).length, 7);
  t.strictSame(await readdir(join(store.folder, '..')), ['store']);
  t.equal((await store.storedRoles()).length, 7);
  await t.rejects(store.write('x'.repeat(300), utf8('')), { code: 'E_NAME' });
});

t.test('stored files that cannot even be read are replaced, and it is said', async (t) => {
  const { sim } = await pinned(t);
  const said: IronError[] = [];
  const folder = join(t.testdir({ outside: 'secret' }), 'store');
  const store = new FolderStore(folder, { onUnreadable: (_, error) => said.push(error) });
  await store.pinRoot(sim.roots.get(1) as Uint8Array, platformCrypto);
  await updater(store, sim).refresh();
  const file = join(folder, layout.metadata('timestamp'));
  await writeFile(file, new Uint8Array(METADATA_LIMITS.timestamp + 1));
  t.equal(await store.read('timestamp'), undefined);
  await rm(file);
  await symlink(join(folder, '..', 'outside'), file);
  t.equal(await store.read('timestamp'), undefined, 'a link is not followed');
  await updater(store, sim).refresh();
  t.strictSame(await store.read('timestamp'), sim.fileOf('timestamp'));
  t.equal(
    await readFile(join(folder, '..', 'outside'), 'utf8'),
    'secret',
    'and not written through',
  );
  t.ok(said.length >= 2);
});

t.test('what crashed writers left is swept, and nothing else', async (t) => {
  const { store, sim } = await pinned(t);
  await updater(store, sim).refresh();
  const litter = ['.tmp-0123', 'metadata/.tmp-4567'].map((name) => join(store.folder, name));
  for (const path of litter) await writeFile(path, 'half');
  await writeFile(join(store.folder, 'note.txt'), 'mine');
  await updater(new FolderStore(store.folder), sim).refresh();
  const left = await readdir(store.folder, { recursive: true });
  t.notOk(left.some((name) => name.includes('.tmp-')));
  t.ok(left.includes('note.txt'));
});

/** A store at versions 1, a repository at versions 2 with rotated keys, and all files ever served. */
async function beforeUpdate(rotate: boolean) {
  const folder = join(await mkdtemp(join(SCRATCH, 'ironport-store-')), 'store');
  const sim = new Simulator();
  const store = new FolderStore(folder);
  await store.pinRoot(sim.roots.get(1) as Uint8Array, platformCrypto);
  await updater(store, sim).refresh();
  const known = ['timestamp', 'snapshot', 'targets'].map((role) => sim.fileOf(role));
  sim.nextRoot(() => {
    if (rotate) sim.rotateKeys('timestamp');
  });
  sim.publish('targets');
  known.push(...sim.roots.values());
  known.push(...['timestamp', 'snapshot', 'targets'].map((role) => sim.fileOf(role)));
  return { folder, sim, known };
}

/** Whatever happened: every file is whole, no floor went down, and a healthy run ends well. */
async function assertUnbroken(
  t: Test,
  folder: string,
  sim: Simulator,
  known: readonly Uint8Array[],
  name: string,
): Promise<void> {
  const store = new FolderStore(folder);
  await store.pinnedRoot();
  const floors = await store.floors();
  if (floors.root < 1 || (floors.root === 1 && floors.timestamp < 1))
    t.fail(`${name}: floors went down`);
  for (const sub of ['metadata', 'roots']) {
    for (const file of await readdir(join(folder, sub)).catch(() => [])) {
      if (file.startsWith('.tmp-')) continue;
      const bytes = new Uint8Array(await readFile(join(folder, sub, file)));
      if (!known.some((one) => equalBytes(one, bytes))) t.fail(`${name}: ${file} is half-written`);
    }
  }
  await updater(store, sim).refresh();
  if ((await store.floors()).timestamp !== sim.timestamp.version) t.fail(`${name}: not up to date`);
  const { version } = sim.timestamp;
  sim.timestamp.version = version - 1;
  await updater(store, sim)
    .refresh()
    .then(
      () => t.fail(`${name}: an older timestamp was accepted`),
      (error: IronError) => {
        if (error.code !== 'E_ROLLBACK') t.fail(`${name}: ${error.code}`);
      },
    );
  sim.timestamp.version = version;
}

for (const [errno, rotate] of [
  ['EIO', false],
  ['ENOSPC', true],
  [undefined, false],
  [undefined, true],
] as const) {
  const what = errno ?? 'the end of the process';
  t.test(`${what} at every call of an update${rotate ? ' that rotates keys' : ''}`, async (t) => {
    let survived = 0;
    for (let at = 1; ; at++) {
      const { folder, sim, known } = await beforeUpdate(rotate);
      const files: FileSystem & { calls: number } = new FaultyFiles(
        errno === undefined ? { at } : { at, errno },
      );
      const outcome = await updater(new FolderStore(folder, { files }), sim)
        .refresh()
        .then(
          () => 'done',
          (error) => error,
        );
      await assertUnbroken(t, folder, sim, known, `${what} at call ${at}`);
      await rm(join(folder, '..'), { recursive: true });
      if (files.calls < at) {
        t.equal(outcome, 'done', 'without a fault the update ends well');
        break;
      }
      if (errno === 'ENOSPC' && outcome !== 'done') {
        if (outcome.code !== 'E_NO_SPACE')
          t.fail(`at call ${at}: ${outcome.code} ${outcome.message}`);
      }
      survived++;
    }
    t.ok(survived > 20, `${survived} faults, none of which broke the store`);
  });
}

t.test('pinning, with a fault at every call', async (t) => {
  const sim = new Simulator();
  const root = sim.roots.get(1) as Uint8Array;
  for (let at = 1; ; at++) {
    const folder = join(await mkdtemp(join(SCRATCH, 'ironport-pin-')), 'store');
    const files = new FaultyFiles({ at });
    const outcome = await new FolderStore(folder, { files })
      .pinRoot(root, platformCrypto)
      .catch(() => 'died');
    const store = new FolderStore(folder);
    if (await store.isPinned()) await store.floors();
    await store.pinRoot(root, platformCrypto);
    await updater(store, sim).refresh();
    await rm(join(folder, '..'), { recursive: true });
    if (outcome !== 'died') break;
  }
  t.pass('a pin is there with its floors, or not at all');
});

t.test(
  'a read-only store: what is trusted can be read, and an update says what is wrong',
  async (t) => {
    const { store, sim } = await pinned(t);
    await updater(store, sim).refresh();
    sim.publish('targets');
    const refuse = async (): Promise<never> => {
      throw Object.assign(new Error('EROFS'), { code: 'EROFS', syscall: 'open' });
    };
    const files: FileSystem = {
      ...systemFiles,
      // Only what writes: O_RDONLY is 0, O_NONBLOCK and O_DIRECTORY do not write.
      open: (path, flags, mode) =>
        (flags & 3) === 0 ? systemFiles.open(path, flags, mode) : refuse(),
      rename: refuse,
      unlink: refuse,
    };
    const readOnly = new FolderStore(store.folder, { files });
    t.strictSame(await readOnly.read('targets'), await store.read('targets'));
    await t.rejects(updater(readOnly, sim).refresh(), { code: 'E_IO', why: /read-only/ });
    await updater(store, sim).refresh();
    t.pass('and nothing was broken by the attempt');
  },
);

t.test('where a store lies', async (t) => {
  t.equal(stateFolder({ XDG_STATE_HOME: '/state' }), '/state/ironport');
  t.equal(
    stateFolder({ XDG_STATE_HOME: 'relative', HOME: '/home/me' }),
    '/home/me/.local/state/ironport',
  );
  t.throws(() => stateFolder({ HOME: 'relative' }), { code: 'E_CONFIG' });
  const of = (url: string): string => storeFolder(platformCrypto, { XDG_STATE_HOME: '/s' }, url);
  t.match(of('http://127.0.0.1:8080/'), /^\/s\/ironport\/127\.0\.0\.1_8080-[0-9a-f]{12}$/);
  t.match(of('file:///srv/../repo/'), /^\/s\/ironport\/srv_.._repo-[0-9a-f]{12}$/);
  t.match(of('http://xn--e1afmkfd/..%2f'), /^\/s\/ironport\/[A-Za-z0-9._-]+-[0-9a-f]{12}$/);
  t.not(of('http://a/'), of('https://a/'), 'another scheme is another repository');
  t.not(of('http://a/b_c/'), of('http://a/b/c/'));
});

t.test(
  'two floors files that differ never appear: NO_FLOORS is written only before a pin',
  async (t) => {
    const { store } = await pinned(t);
    t.strictSame(await store.floors(), { ...NO_FLOORS, root: 1, time: 0 });
    await mkdir(join(store.folder, 'metadata'), { recursive: true });
    t.strictSame(await store.storedRoles(), []);
  },
);
