/** A repository of other tools is taken over whole, or not at all; what has no place here is said. */

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { MemoryStore } from '../../client/store/memory.ts';
import { restoreBackup } from '../../server/backup/restore.ts';
import { makeBackup } from '../../server/backup/write.ts';
import { BlobIndex } from '../../server/db/blob-index.ts';
import { openDatabase } from '../../server/db/open.ts';
import { serveTree } from '../../server/http/static-server.ts';
import { checkTree } from '../../server/publish/fsck.ts';
import { openSource } from '../../server/takeover/source.ts';
import { type TakeOverReport, takeOver } from '../../server/takeover/take-over.ts';
import { data, tree } from '../../shared/layout.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { DAY } from '../../shared/time.ts';
import { keyObject } from '../../shared/tuf/key.ts';
import { TrustedMetadata } from '../../shared/verify/trusted.ts';
import { TestClock, TODAY } from '../support/clock.ts';
import {
  FOREIGN_FILES,
  FOREIGN_KEYS,
  FOREIGN_VERSIONS,
  type ForeignOptions,
  foreignFile,
  foreignId,
  writeForeign,
} from '../support/foreign.ts';
import { testKey } from '../support/keys.ts';
import { temporaryHome, updaterOf } from './support.ts';

interface Given {
  readonly from: string;
  readonly home: string;
  readonly roots: ReadonlyMap<number, Uint8Array>;
}

async function given(t: Test, options: Partial<ForeignOptions> = {}): Promise<Given> {
  const folder = temporaryHome(t);
  const from = join(folder, 'theirs');
  const roots = await writeForeign(from, { style: 'python-tuf', ...options });
  return { from, home: join(folder, 'ours'), roots };
}

interface Wish {
  readonly root?: number;
  readonly pinned?: Uint8Array;
  readonly dryRun?: boolean;
  readonly metadata?: string;
}

async function take({ from, home, roots }: Given, wish: Wish = {}): Promise<TakeOverReport> {
  const { root = 1, dryRun = false, metadata = 'metadata' } = wish;
  const source = openSource({ from, metadata, targets: 'targets' }, new AbortController().signal);
  try {
    return await takeOver({
      ...{ source, home, crypto, dryRun, clock: new TestClock().read },
      pinned: wish.pinned ?? (roots.get(root) as Uint8Array),
    });
  } finally {
    await source.close();
  }
}

/** Nothing is there: neither a repository nor what one was made in. */
function isUntouched({ home }: Given): boolean {
  return (
    !existsSync(home) && readdirSync(join(home, '..')).every((name) => !name.startsWith('.tmp-'))
  );
}

for (const style of ['python-tuf', 'tuftool'] as const) {
  t.test(`a tree as ${style} makes it`, async (t) => {
    const it = await given(t, { style });
    const dry = await take(it, { dryRun: true });
    t.strictSame(dry.obstacles, []);
    t.ok(isUntouched(it), 'a dry run writes nothing');
    const report = await take(it);
    t.strictSame(
      [report.found.root.version, report.found.versions, report.targets],
      [3, { timestamp: FOREIGN_VERSIONS.timestamp, snapshot: FOREIGN_VERSIONS.snapshot }, 3],
    );
    const folder = join(it.home, data.tree);
    const names = ['1.root.json', '2.root.json', '3.root.json', '12.targets.json', '5.acme.json'];
    for (const name of [...names, '41.snapshot.json', 'timestamp.json'])
      t.strictSame(
        await readFile(join(folder, 'metadata', name)),
        await readFile(join(it.from, 'metadata', name)),
        `${name} is the same, byte for byte`,
      );
    t.strictSame((await checkTree(folder, { crypto, clock: () => TODAY })).findings, []);
    const store = new MemoryStore(it.roots.get(1) as Uint8Array);
    const client = updaterOf(it.home, new TestClock(), store);
    for (const [path, text] of Object.entries(FOREIGN_FILES)) {
      const entry = (await client.find(path))?.entry;
      const place = join(folder, tree.target(path, entry?.hashes.get('sha256') as string));
      t.equal(await readFile(place, 'utf8'), text, path);
    }
    const db = openDatabase(join(it.home, data.database));
    const index = new BlobIndex(db);
    t.equal(index.upTo(), FOREIGN_VERSIONS.timestamp);
    t.equal(index.digestsOf('firmware-1.bin').length, 1, 'its names are remembered');
    db.close();
    await t.rejects(take(it), { code: 'E_EXISTS' }, 'not over a repository');
  });
}

t.test('from root 1, which nobody can put in its place', async (t) => {
  const it = await given(t);
  for (const root of [2, 3])
    await t.rejects(take(it, { root }), { code: 'E_NO_PIN', hint: /take root 1/ }, `root ${root}`);
  // A forger's root 1 that root 2 follows, as TUF 5.3.4 has it: the keys of root 2 count in it.
  const { signed } = JSON.parse(Buffer.from(it.roots.get(1) as Uint8Array).toString('utf8'));
  const mallory = testKey('mallory');
  signed.keys[foreignId(mallory)] = keyObject(mallory.key);
  signed.roles.root.keyids.push(foreignId(mallory));
  signed.roles.root.threshold = 1;
  const forged = await foreignFile(signed, [mallory]);
  const chain = new TrustedMetadata({ crypto, now: 0, root: forged });
  chain.updateRoot(it.roots.get(2) as Uint8Array);
  await writeFile(join(it.from, 'metadata', '1.root.json'), forged);
  await t.rejects(take(it, { root: 2 }), { code: 'E_NO_PIN' }, 'a later root tells nothing of it');
  await t.rejects(take(it, { root: 1 }), { code: 'E_PIN_EXISTS' });
  const other = await given(t, { keys: { ...FOREIGN_KEYS, targets: [testKey('somebody')] } });
  const pinned = other.roots.get(1) as Uint8Array;
  await t.rejects(take(it, { pinned }), { code: 'E_PIN_EXISTS' }, 'another repository');
  t.ok(isUntouched(it));
  await rm(join(it.from, 'metadata', '1.root.json'));
  t.equal((await take(it)).found.root.version, 3, 'what is given need not be there');
});

t.test('over HTTP', async (t) => {
  const it = await given(t);
  const served = await serveTree({
    ...{ folder: it.from, listen: { host: '127.0.0.1', port: 0 }, onFailure: () => {} },
  });
  t.teardown(() => served.close(0));
  const report = await take({ ...it, from: served.url });
  t.equal(report.targets, 3);
  t.strictSame(
    (await checkTree(join(it.home, data.tree), { crypto, clock: () => TODAY })).findings,
    [],
  );
});

t.test('a server that fails, cuts short or never ends', async (t) => {
  const it = await given(t);
  const answers: Record<string, (server: Server) => void> = {
    'an error': (server) =>
      server.on('request', (_request, response) => response.writeHead(500).end()),
    'half a file': (server) =>
      server.on('request', (request, response) => {
        const bytes = fileAt(it.from, request.url ?? '');
        if (bytes === undefined) return response.writeHead(404).end();
        if (!request.url?.startsWith('/targets/')) return response.end(bytes);
        response.writeHead(200, { 'content-length': bytes.length });
        response.write(bytes.subarray(0, 3), () => response.destroy());
        return response;
      }),
    'a file without end': (server) =>
      server.on('request', (request, response) => {
        const bytes = fileAt(it.from, request.url ?? '');
        if (bytes === undefined) return response.writeHead(404).end();
        if (!request.url?.startsWith('/targets/')) return response.end(bytes);
        const piece = Buffer.alloc(65_536);
        // Only as much as goes out: whoever hangs up is written to no more, on every Node.
        const more = (): void => {
          while (response.write(piece));
        };
        response.on('drain', more);
        more();
        return response;
      }),
  };
  const codes = {
    'an error': 'E_NETWORK',
    'half a file': 'E_NETWORK',
    'a file without end': 'E_POLICY',
  };
  for (const [name, answer] of Object.entries(answers)) {
    const server = createServer();
    answer(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const from = `http://127.0.0.1:${port}`;
    await t.rejects(take({ ...it, from }), { code: codes[name as keyof typeof codes] }, name);
    t.ok(isUntouched(it), name);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

function fileAt(folder: string, url: string): Buffer | undefined {
  const place = join(folder, decodeURIComponent(url));
  return existsSync(place) ? readFileSync(place) : undefined;
}

type Signed = Record<string, unknown>;
const inTargets = (act: (signed: Signed) => void) => (role: string, signed: Signed) => {
  if (role === 'targets') act(signed);
};
const delegations = (signed: Signed) => signed.delegations as { roles: Signed[] };
const entries = (signed: Signed) => signed.targets as Record<string, Signed>;

const REFUSED: readonly {
  readonly name: string;
  readonly code?: string;
  readonly says: RegExp;
  readonly options: Partial<ForeignOptions>;
}[] = [
  {
    name: 'a tree without consistent snapshots',
    says: /consistent snapshots/,
    options: { consistent: false },
  },
  {
    name: 'targets whose bytes are gone',
    says: /bytes are not there/,
    options: { lost: ['firmware-1.bin'] },
  },
  { name: 'other bytes', says: /SHA-256/, options: { altered: ['acme/edu/1.0.0/edu.js'] } },
  {
    name: 'a delegation without a namespace',
    says: /outside of acme\//,
    options: {
      bend: inTargets((signed) => {
        (delegations(signed).roles[0] as Signed).paths = ['*'];
      }),
    },
  },
  {
    name: 'a namespace that is not ours',
    says: /acme\/\*\/\*\/\*/,
    options: {
      bend: inTargets((signed) => {
        (delegations(signed).roles[0] as Signed).paths = ['acme/*'];
      }),
    },
  },
  {
    name: 'roles by hash prefixes',
    says: /not given/,
    options: {
      bend: inTargets((signed) => {
        const role = delegations(signed).roles[0] as Signed;
        delete role.paths;
        role.path_hash_prefixes = ['0'];
      }),
    },
  },
  {
    name: 'bins at the top',
    says: /hash bins/,
    options: {
      bend: inTargets((signed) => {
        const { keyids, threshold } = delegations(signed).roles[0] as Signed;
        const { keys } = signed.delegations as Signed;
        const succinct_roles = { keyids, threshold, bit_length: 2, name_prefix: 'bin' };
        signed.delegations = { keys, succinct_roles };
      }),
    },
  },
  {
    name: 'roles below a vendor that are not called by its name',
    says: /"deeper" is no role of acme/,
    options: {
      bend: (role, signed) => {
        if (role === 'acme') signed.delegations = nested();
      },
    },
  },
  {
    name: 'only a SHA-512',
    says: /SHA-256/,
    options: {
      bend: inTargets((signed) => {
        const entry = entries(signed)['firmware-1.bin'] as Signed;
        entry.hashes = { sha512: 'ab'.repeat(64) };
      }),
    },
  },
  {
    name: 'a path that climbs',
    says: /"\.\."/,
    options: {
      bend: inTargets((signed) => {
        entries(signed)['../../etc/passwd'] = entries(signed)['firmware-1.bin'] as Signed;
      }),
    },
  },
  {
    name: 'a name that no disk holds',
    says: /too long/,
    options: { files: { ['x'.repeat(240)]: 'x' }, lost: ['x'.repeat(240)] },
  },
  {
    name: 'a version that nothing can follow',
    says: /no room/,
    options: { versions: { ...FOREIGN_VERSIONS, timestamp: 2 ** 52 } },
  },
  {
    name: 'a role by too few keys',
    says: /acme: E_THRESHOLD/,
    options: {
      bend: inTargets((signed) => {
        const role = delegations(signed).roles[0] as Signed;
        role.keyids = ['00'.repeat(32)];
      }),
    },
  },
];

function nested(): object {
  const role = {
    name: 'deeper',
    keyids: [],
    threshold: 1,
    paths: ['acme/*/*/*'],
    terminating: false,
  };
  return { keys: {}, roles: [role] };
}

for (const { name, says, options } of REFUSED) {
  t.test(`refused: ${name}`, async (t) => {
    const it = await given(t, options);
    const { obstacles } = await take(it, { dryRun: true });
    t.match(obstacles.map(({ at, what }) => `${at}: ${what}`).join('\n'), says);
    await t.rejects(take(it), { code: 'E_POLICY', why: says });
    t.ok(isUntouched(it), 'nothing was written');
  });
}

t.test('keys of unknown kinds are said, and refuse only where they are needed', async (t) => {
  const unknown = (role: string, signed: Signed): void => {
    if (role !== 'root') return;
    const keys = signed.keys as Record<string, Signed>;
    (signed.roles as Record<string, { keyids: string[] }>).root?.keyids.push('ee'.repeat(32));
    keys['ee'.repeat(32)] = { keytype: 'sphincs', scheme: 'x', keyval: { public: 'ab' } };
  };
  const it = await given(t, { bend: unknown });
  const { found } = await take(it);
  t.match(found.notes, [/counts for nothing here: keys of kind sphincs/]);
});

t.test('metadata that was tampered with', async (t) => {
  const files = ['2.root', '41.snapshot', '12.targets', 'timestamp'];
  for (const name of files) {
    const it = await given(t);
    const place = join(it.from, 'metadata', `${name}.json`);
    const text = readFileSync(place, 'utf8');
    const damages = {
      altered: text.replace(/"expires": "20/, '"expires": "21'),
      truncated: text.slice(0, -20),
      huge: `${text}${' '.repeat(6_000_000)}`,
      nested: '['.repeat(100_000),
      twice: text.replace('"signed": {', '"signed": {"version": 1, '),
      unsigned: text.replace(/"sig": "[0-9a-f]+"/g, '"sig": "00"'),
      stranger: Buffer.from(
        await foreignFile(JSON.parse(text).signed, [testKey('a stranger')]),
      ).toString('utf8'),
    };
    for (const [how, bytes] of Object.entries(damages)) {
      writeFileSync(place, bytes);
      await t.rejects(take(it), /./, `${name} ${how}`);
      t.ok(isUntouched(it), `${name} ${how}: nothing was written`);
    }
  }
});

t.test('what the snapshot lists and nothing delegates to any more', async (t) => {
  const it = await given(t, {
    bend: inTargets((signed) => {
      delegations(signed).roles = [];
    }),
  });
  const { found } = await take(it);
  t.strictSame(found.unreachable, ['acme']);
  t.strictSame(
    (await checkTree(join(it.home, data.tree), { crypto, clock: () => TODAY })).findings,
    [],
  );
});

t.test('one that has expired is taken over, and it is said', async (t) => {
  const it = await given(t, { expires: TODAY - DAY });
  const { found } = await take(it);
  t.ok(found.expired.some(({ role }) => role === 'timestamp'));
});

t.test('what was taken over can be backed up and restored', async (t) => {
  const it = await given(t);
  await take(it);
  const clock = new TestClock();
  const out = `${it.home}-backup`;
  await makeBackup({ home: it.home, out, crypto, clock: clock.read });
  const again = `${it.home}-again`;
  await restoreBackup({ from: out, home: again, crypto });
  t.strictSame(
    (await checkTree(join(again, data.tree), { crypto, clock: clock.read })).findings,
    [],
  );
  const place = join(again, data.tree, tree.imported);
  const { first } = JSON.parse(await readFile(place, 'utf8'));
  t.strictSame(first, { targets: 12, acme: 5, snapshot: 41 });
  await rm(place);
  const missing = await checkTree(join(again, data.tree), { crypto, clock: clock.read });
  t.match(missing.findings.map(({ what }) => what).join('\n'), /it is not there/);
});

t.test('what an import that was killed left is in nobody’s way', async (t) => {
  const it = await given(t);
  const left = join(it.home, '..', '.tmp-ours-0123456789ab');
  await mkdir(join(left, data.tree), { recursive: true });
  await writeFile(join(left, data.tree, 'half'), 'x');
  await mkdir(it.home);
  t.equal((await take(it)).targets, 3, 'into an empty folder, too');
});
