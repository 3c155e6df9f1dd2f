// A stored file in any state that a host, a disk or an attacker may have left it in: it is
// replaced, that is said, and no floor goes down for it.

import { execFileSync } from 'node:child_process';
import { lstat, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { isIronError } from '../../shared/errors.ts';
import { store as layout } from '../../shared/layout.ts';
import { Follower, lowered, withFolder } from '../client/store-support.ts';
import { Simulator } from '../support/simulator.ts';

/** The files of a store that are a cache. */
const CACHED = [
  layout.rootHistory(2),
  layout.rootHistory(3),
  ...['timestamp', 'snapshot', 'targets', 'A'].map((role) => layout.metadata(role)),
];

/** A follower of version 3 of everything, which has stored all of it. */
async function follower(folder: string): Promise<{ host: Follower; old: Map<string, Uint8Array> }> {
  const sim = new Simulator();
  sim.delegate('targets', 'A');
  sim.addTarget('A', 'x', utf8('x'));
  const host = new Follower(join(folder, 'store'), sim);
  await host.pin();
  sim.nextRoot();
  sim.publish('targets', 'A');
  await host.updater().find('x');
  const old = new Map<string, Uint8Array>();
  for (const file of CACHED.filter((name) => name !== layout.rootHistory(3))) {
    old.set(file, new Uint8Array(await readFile(join(host.folder, file))));
  }
  sim.nextRoot();
  sim.publish('targets', 'A');
  await host.updater().find('x');
  host.said.length = 0;
  return { host, old };
}

const DAMAGES: Readonly<Record<string, (path: string, old: Uint8Array) => Promise<void>>> = {
  empty: (path) => writeFile(path, ''),
  'cut short': async (path) => writeFile(path, (await readFile(path)).subarray(0, 100)),
  'one bit': async (path) => {
    const bytes = await readFile(path);
    const at = bytes.length >> 1;
    bytes[at] = (bytes[at] as number) ^ 1;
    await writeFile(path, bytes);
  },
  zeros: async (path) => writeFile(path, new Uint8Array((await readFile(path)).length)),
  'no JSON': (path) => writeFile(path, 'hello'),
  'JSON without end': (path) => writeFile(path, '['.repeat(100_000)),
  'too large': (path) => writeFile(path, new Uint8Array(6_000_000)),
  'the version before': (path, old) => writeFile(path, old),
  'signed by a stranger': (path) =>
    writeFile(path, new Simulator(undefined, 'another').fileOf('targets')),
  'a link': async (path) => {
    await writeFile(`${path}.there`, await readFile(path));
    await rm(path);
    await symlink(`${path}.there`, path);
  },
  'a link to itself': async (path) => {
    await rm(path);
    await symlink(path, path);
  },
  'a folder': async (path) => {
    await rm(path);
    await mkdir(path);
  },
  'a folder with something in it': async (path) => {
    await rm(path);
    await mkdir(join(path, 'deep'), { recursive: true });
  },
  'a pipe': async (path) => {
    await rm(path);
    execFileSync('mkfifo', [path]);
  },
};

for (const [damage, make] of Object.entries(DAMAGES)) {
  t.test(`damaged: ${damage}`, async (t) => {
    for (const file of CACHED) {
      await withFolder(async (folder) => {
        const { host, old } = await follower(folder);
        const floors = await host.floors();
        await make(join(host.folder, file), old.get(file) ?? utf8('{}'));
        await host.updater().find('x');
        t.same(lowered(floors, await host.floors()), [], file);
        // An older file is what a store has in the usual course of things.
        if (damage !== 'the version before') t.not(host.said.length, 0, `${file}: it is said`);
        host.said.length = 0;
        host.sim.takeRequests();
        await host.updater().find('x');
        t.same(host.said, [], `${file}: and is mended`);
        t.same(host.sim.takeRequests(), ['4.root.json', 'timestamp.json']);
      });
    }
  });
}

t.test('any of the cached files may be gone: nothing older becomes acceptable', async (t) => {
  for (let set = 0; set < 2 ** CACHED.length; set++) {
    await withFolder(async (folder) => {
      const { host } = await follower(folder);
      const floors = await host.floors();
      const gone = CACHED.filter((_, i) => (set & (1 << i)) !== 0);
      for (const file of gone) await rm(join(host.folder, file));
      const { sim } = host;
      // A root that is gone here and no longer served: the chain is cut short of what was trusted.
      const third = sim.roots.get(3) as Uint8Array;
      sim.roots.delete(3);
      const cut = await host.refresh().catch((error) => error.code);
      // What is stored behind a gap is fetched again with what fills the gap.
      const expected = gone.some((file) => file.startsWith('roots/')) ? 'E_ROLLBACK' : undefined;
      if (cut !== expected) t.fail(`without ${gone.join(', ')} and root 3: ${cut}`);
      sim.roots.set(3, third);
      const drafts = [sim.timestamp, sim.snapshot, sim.targets, sim.role('A')];
      for (const draft of drafts) draft.version = 2;
      sim.snapshot.meta = Object.fromEntries(
        ['targets.json', 'A.json'].map((name) => [name, { version: 2 }]),
      );
      sim.timestamp.meta['snapshot.json'] = { version: 2 };
      const code = await host.refresh().then(
        () => 'accepted',
        (error) => (isIronError(error) ? error.code : String(error)),
      );
      if (code !== 'E_ROLLBACK') t.fail(`without ${gone.join(', ')}: ${code}`);
      const down = lowered(floors, await host.floors());
      if (down.length > 0) t.fail(`without ${gone.join(', ')}: ${down} went down`);
    });
  }
  t.pass(`${2 ** CACHED.length} sets of files`);
});

t.test('folders of the store that are something else', async (t) => {
  for (const name of [layout.metadataFolder, layout.rootsFolder]) {
    await withFolder(async (folder) => {
      const { host } = await follower(folder);
      const floors = await host.floors();
      await rm(join(host.folder, name), { recursive: true });
      await host.updater().find('x');
      t.same(lowered(floors, await host.floors()), [], `${name} is gone`);
      await rm(join(host.folder, name), { recursive: true });
      await writeFile(join(host.folder, name), 'a file');
      await host.updater().find('x');
      t.ok((await lstat(join(host.folder, name))).isDirectory(), `${name} was a file`);
      await rm(join(host.folder, name), { recursive: true });
      await mkdir(join(folder, 'elsewhere'));
      await symlink(join(folder, 'elsewhere'), join(host.folder, name));
      host.sim.nextRoot();
      host.sim.publish('targets', 'A');
      await host.updater().find('x');
      t.ok((await lstat(join(host.folder, name))).isDirectory(), `${name} led elsewhere`);
      t.same(await readdir(join(folder, 'elsewhere')), [], 'where nothing was written');
      t.same(lowered(floors, await host.floors()), [], `${name} is mended`);
    });
  }
});
