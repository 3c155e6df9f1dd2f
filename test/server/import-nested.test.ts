/** Roles nested below a vendor's come along where they are as ours; whatever is otherwise is named. */

import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { MemoryStore } from '../../client/store/memory.ts';
import { checkTree } from '../../server/publish/fsck.ts';
import type { Imported } from '../../server/storage/imported.ts';
import { openSource } from '../../server/takeover/source.ts';
import { type TakeOverReport, takeOver } from '../../server/takeover/take-over.ts';
import { utf8 } from '../../shared/bytes.ts';
import { data, tree } from '../../shared/layout.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { TestClock, TODAY } from '../support/clock.ts';
import {
  FOREIGN_FILES,
  type ForeignOptions,
  type ForeignRole,
  foreignFile,
  foreignKeysOf,
  writeForeign,
} from '../support/foreign.ts';
import { testKey } from '../support/keys.ts';
import { temporaryHome, updaterOf } from './support.ts';

const FILES: Readonly<Record<string, string>> = {
  ...FOREIGN_FILES,
  'acme/wifi/1.0.0/wifi.bin': 'a driver of the team for wireless things',
  'acme/wifi-ax/2.0.0/ax.bin': 'one of some of them',
  'acme/gpu/1.0.0/gpu.bin': 'a driver of another team',
};
const NESTED: readonly ForeignRole[] = [
  {
    ...{ name: 'acme.wifi', in: 'acme', paths: ['acme/wifi/*/*', 'acme/wifi-*/*/*'], version: 7 },
    lists: ['acme/wifi/1.0.0/wifi.bin'],
  },
  {
    ...{ name: 'acme.wifi.ax', in: 'acme.wifi', paths: ['acme/wifi-ax/*/*'], version: 3 },
    lists: ['acme/wifi-ax/2.0.0/ax.bin'],
  },
  { name: 'acme.gpu', in: 'acme', paths: ['acme/gpu/*/*'], lists: ['acme/gpu/1.0.0/gpu.bin'] },
];

interface Given {
  readonly from: string;
  readonly home: string;
  readonly root: Uint8Array;
}

async function given(t: Test, options: Partial<ForeignOptions> = {}): Promise<Given> {
  const folder = temporaryHome(t);
  const from = join(folder, 'theirs');
  const theirs = { style: 'python-tuf', files: FILES, nested: NESTED, ...options } as const;
  const roots = await writeForeign(from, theirs);
  return { from, home: join(folder, 'ours'), root: roots.get(1) as Uint8Array };
}

async function take({ from, home, root }: Given, dryRun = false): Promise<TakeOverReport> {
  const places = { from, metadata: 'metadata', targets: 'targets' };
  const source = openSource(places, new AbortController().signal);
  try {
    const clock = new TestClock().read;
    return await takeOver({ source, home, crypto, dryRun, clock, pinned: root });
  } finally {
    await source.close();
  }
}

const check = (folder: string) => checkTree(folder, { crypto, clock: () => TODAY });

for (const style of ['python-tuf', 'tuftool'] as const)
  t.test(`a tree as ${style} makes it`, async (t) => {
    const it = await given(t, { style });
    t.strictSame((await take(it, true)).obstacles, []);
    const { found, targets } = await take(it);
    t.equal(targets, Object.keys(FILES).length);
    t.strictSame(found.unreachable, []);
    const folder = join(it.home, data.tree);
    for (const { name, version = 1 } of NESTED) {
      const place = join('metadata', `${version}.${name}.json`);
      t.strictSame(await readFile(join(folder, place)), await readFile(join(it.from, place)), name);
    }
    t.strictSame((await check(folder)).findings, []);
    const client = updaterOf(it.home, new TestClock(), new MemoryStore(it.root));
    for (const { name, lists = [] } of NESTED)
      for (const path of lists) t.equal((await client.find(path))?.role, name, path);
    const note: Imported = JSON.parse(await readFile(join(folder, tree.imported), 'utf8'));
    t.match(note.first, { 'acme.wifi': 7, 'acme.wifi.ax': 3, 'acme.gpu': 1 });
  });

t.test('a nested role that is split into bins', async (t) => {
  const bins = [0, 1].map((n) => `acme.wifi.b1-${n}`);
  const path = 'acme/wifi/1.0.0/wifi.bin';
  const isHigh = ((crypto.sha256(utf8(path))[0] as number) & 0x80) !== 0;
  const it = await given(t, {
    files: { ...FOREIGN_FILES, [path]: 'a driver' },
    nested: [
      { name: 'acme.wifi', in: 'acme', paths: ['acme/wifi/*/*'] },
      ...bins.map((name, at) => ({
        ...{ name, in: 'acme.wifi', paths: ['acme/wifi/*/*'] },
        lists: isHigh === (at === 1) ? [path] : [],
      })),
    ],
    bend: (role, signed) => {
      if (role !== 'acme.wifi') return;
      const { keys: table, roles } = signed.delegations as Record<string, Signed[]>;
      const { keyids } = (roles as Signed[])[0] as { keyids: string[] };
      signed.delegations = {
        keys: table,
        succinct_roles: { keyids, threshold: 1, bit_length: 1, name_prefix: 'acme.wifi.b1' },
      };
    },
  });
  // They are signed by the key of the first one, which the description names.
  const by = foreignKeysOf(bins[0] as string);
  const place = join(it.from, 'metadata', `1.${bins[1]}.json`);
  const { signed } = JSON.parse(await readFile(place, 'utf8'));
  await writeFile(place, await foreignFile(signed, by));
  const { found } = await take(it);
  t.ok(bins.every((bin) => found.listing.has(bin)));
  const client = updaterOf(it.home, new TestClock(), new MemoryStore(it.root));
  t.equal((await client.find(path))?.role, bins[isHigh ? 1 : 0]);
  t.strictSame((await check(join(it.home, data.tree))).findings, []);
});

type Signed = Record<string, unknown>;
const delegationsOf = (signed: Signed) =>
  signed.delegations as { keys: Record<string, unknown>; roles: Signed[] };
const inRole = (name: string, act: (signed: Signed) => void) => (role: string, signed: Signed) => {
  if (role === name) act(signed);
};
/** Another delegation beside the first one of a role. */
const alsoTo = (name: string, paths: readonly string[]) => (signed: Signed) => {
  const { roles } = delegationsOf(signed);
  roles.push({ ...(roles[0] as Signed), name, paths });
};
const WIFI = NESTED[0] as ForeignRole;
const AX = NESTED[1] as ForeignRole;

const REFUSED: readonly {
  readonly name: string;
  readonly says: RegExp;
  readonly options: Partial<ForeignOptions>;
}[] = [
  {
    name: 'a role that delegates to the one above it',
    says: /^acme: E_NAME: "acme" is no role of acme\.wifi/m,
    options: { bend: inRole('acme.wifi', alsoTo('acme', ['acme/wifi/*/*'])) },
  },
  {
    name: 'a role that delegates to itself',
    says: /^acme\.wifi: E_NAME: "acme\.wifi" is no role of acme\.wifi/m,
    options: { bend: inRole('acme.wifi', alsoTo('acme.wifi', ['acme/wifi/*/*'])) },
  },
  {
    name: 'two roles that delegate to each other',
    says: /^acme\.wifi: E_NAME: "acme\.wifi" is no role of acme\.gpu/m,
    options: {
      nested: [...NESTED, { name: 'acme.gpu.one', in: 'acme.gpu', paths: ['acme/gpu/*/*'] }],
      bend: (role, signed) => {
        if (role === 'acme.gpu') alsoTo('acme.wifi', ['acme/gpu/*/*'])(signed);
        if (role === 'acme.wifi') alsoTo('acme.gpu', ['acme/wifi/*/*'])(signed);
      },
    },
  },
  {
    name: 'a role to which two delegate',
    says: /^acme\.wifi\.ax: E_NAME: "acme\.wifi\.ax" is no role of acme\.gpu/m,
    options: { nested: [...NESTED, { ...AX, in: 'acme.gpu', paths: ['acme/gpu/*/*'] }] },
  },
  {
    name: 'a role that stands twice in one file',
    says: /stands twice/,
    options: { bend: inRole('acme', alsoTo('acme.wifi', ['acme/more/*/*'])) },
  },
  {
    name: 'paths outside of the role above',
    says: /^acme\.wifi\.ax: E_DELEGATION: acme\.wifi may not delegate "acme\/gpu\/\*\/\*"/m,
    options: { nested: [WIFI, { ...AX, paths: ['acme/gpu/*/*'] }, NESTED[2] as ForeignRole] },
  },
  {
    name: "another vendor's paths",
    says: /^acme\.wifi: E_DELEGATION: not a pattern for a role of acme: "other\/wifi/m,
    options: { nested: [{ ...WIFI, paths: ['other/wifi/*/*'] }] },
  },
  {
    name: 'a path of another role',
    says: /^acme\.wifi: it lists "acme\/gpu\/1\.0\.0\/gpu\.bin", and that path is given to acme\.gpu/m,
    options: {
      nested: [
        { ...WIFI, lists: [...(WIFI.lists ?? []), 'acme/gpu/1.0.0/gpu.bin'] },
        { name: 'acme.gpu', in: 'acme', paths: ['acme/gpu/*/*'] },
      ],
    },
  },
  {
    name: 'a path that its role gave on',
    says: /^acme: it lists "acme\/wifi\/1\.0\.0\/wifi\.bin", and that path is given to acme\.wifi/m,
    options: { nested: [{ ...WIFI, lists: [] }] },
  },
  {
    name: 'an order that decides',
    says: /^acme: E_DELEGATION: acme\/wifi-ax\/\*\/\* and acme\/wifi-\*\/\*\/\* have paths in common/m,
    options: { nested: [WIFI, { name: 'acme.ax', in: 'acme', paths: ['acme/wifi-ax/*/*'] }] },
  },
  {
    name: 'a search that goes on',
    says: /^acme\.wifi: E_DELEGATION: the delegation to acme\.wifi does not end the search/m,
    options: { nested: [{ ...WIFI, terminating: false }] },
  },
  {
    name: 'parts of a version',
    says: /^acme\.wifi: E_DELEGATION: not a pattern for a role of acme: "acme\/wifi\/1\.0\.0\/wifi\.bin"/m,
    options: { nested: [{ ...WIFI, paths: ['acme/wifi/1.0.0/wifi.bin'] }] },
  },
  {
    name: 'a name of others',
    says: /^wifi-team: E_NAME: "wifi-team" is no role of acme/m,
    options: { nested: [{ ...WIFI, name: 'wifi-team' }] },
  },
  {
    name: 'roles too deep',
    says: /^acme\.a\.b\.c\.d: E_NAME: .*nested 3 deep/m,
    options: {
      nested: ['acme.a', 'acme.a.b', 'acme.a.b.c', 'acme.a.b.c.d'].map((name) => ({
        ...{ name, in: name.slice(0, name.lastIndexOf('.')), paths: ['acme/wifi/*/*'] },
        lists: name === 'acme.a.b.c' ? (WIFI.lists ?? []) : [],
      })),
    },
  },
  {
    name: 'a role that is not listed',
    says: /^acme\.gone: E_DELEGATION: acme delegates to it, and it is not there/m,
    options: { bend: inRole('acme', alsoTo('acme.gone', ['acme/gone/*/*'])) },
  },
  {
    name: 'too many',
    says: /^acme: E_QUOTA: acme would have 257 nested roles/m,
    options: {
      nested: Array.from({ length: 257 }, (_, n) => ({
        ...{ name: `acme.n${n}`, in: 'acme', paths: [`acme/n${n}/*/*`] },
      })),
    },
  },
];

for (const { name, says, options } of REFUSED)
  t.test(`refused: ${name}`, async (t) => {
    const it = await given(t, options);
    const { obstacles } = await take(it, true);
    t.match(obstacles.map(({ at, what }) => `${at}: ${what}`).join('\n'), says);
    await t.rejects(take(it), { code: 'E_POLICY' });
  });

t.test('a nested role by the keys of somebody else', async (t) => {
  const it = await given(t);
  const place = join(it.from, 'metadata', '3.acme.wifi.ax.json');
  const { signed } = JSON.parse(await readFile(place, 'utf8'));
  await writeFile(place, await foreignFile(signed, foreignKeysOf('acme.wifi')));
  const { obstacles } = await take(it, true);
  t.match(obstacles, [{ at: 'acme.wifi.ax', what: /^E_THRESHOLD/ }]);
});

t.test('a nested role to which nothing leads any more', async (t) => {
  const bend = inRole('acme.wifi', (signed) => {
    delete signed.delegations;
  });
  const it = await given(t, { bend });
  const { found } = await take(it);
  t.strictSame(found.unreachable, ['acme.wifi.ax']);
  t.strictSame((await check(join(it.home, data.tree))).findings, []);
});

t.test('a note that calls a nested role left, so that nobody misses its signatures', async (t) => {
  const it = await given(t);
  await take(it);
  const folder = join(it.home, data.tree);
  const forge = async (path: string, bytes: Uint8Array | string): Promise<void> => {
    await rm(join(folder, path));
    await writeFile(join(folder, path), bytes);
  };
  const place = 'metadata/3.acme.wifi.ax.json';
  const { signed } = JSON.parse(await readFile(join(folder, place), 'utf8'));
  await forge(place, await foreignFile(signed, [testKey('mallory')]));
  const note: Imported = JSON.parse(await readFile(join(folder, tree.imported), 'utf8'));
  const unreachable = ['acme.wifi.ax'];
  await forge(tree.imported, JSON.stringify({ ...note, unreachable }));
  const { findings } = await check(folder);
  t.match(
    findings.filter(({ at }) => at === place),
    [{ what: 'no delegation ever covered it' }],
  );
});
