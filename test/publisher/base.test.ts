/** What the vendor builds on, against a repository that does everything wrong. */

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { type Base, loadBase } from '../../publisher/rebase/base.ts';
import { loadFloor, loadRemembered, raiseFloor, remember } from '../../publisher/rebase/floor.ts';
import { TrustStore } from '../../publisher/rebase/trust-store.ts';
import { toHex, utf8 } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import { type JsonObject, jsonObject } from '../../shared/json/value.ts';
import { tree } from '../../shared/layout.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { DAY } from '../../shared/time.ts';
import {
  delegationTree,
  formatMetadata,
  keyTable,
  rootTree,
  sign,
  snapshotTree,
  targetEntry,
  targetsTree,
  timestampTree,
} from '../../shared/tuf/build.ts';
import { parseTargets, type Targets } from '../../shared/tuf/targets.ts';
import { codeOf, NOW, refusal } from '../ceremony/support.ts';
import { type TestKey, testKey } from '../support/keys.ts';

const YEAR = NOW + 365 * DAY;
const ACME = testKey('acme');

/** A tree of signed files by path; every part may be made wrongly. */
class Tree {
  readonly files = new Map<string, Uint8Array>();
  readonly root: Promise<Uint8Array>;

  constructor(online = ['snapshot', 'timestamp']) {
    const spec = (name: string) => ({ keys: [testKey(name).key], threshold: 1 });
    const roles = {
      root: spec('root'),
      targets: spec('targets'),
      snapshot: spec(online[0] as string),
      timestamp: spec(online[1] as string),
    };
    this.root = signed(rootTree(crypto, 1, YEAR, roles), testKey('root'));
  }

  async put(options: {
    readonly version: number;
    readonly roles?: ReadonlyMap<string, number>;
    readonly delegated?: boolean;
  }): Promise<this> {
    const { version, roles = new Map(), delegated = true } = options;
    const role = { keys: [ACME.key], threshold: 1 };
    const delegations = jsonObject([
      ['keys', keyTable(crypto, role.keys)],
      ['roles', delegated ? [delegationTree(crypto, 'acme', role, ['acme/*/*/*'], true)] : []],
    ]);
    const targets = targetsTree(version, YEAR, { targets: new Map(), delegations });
    this.files.set(tree.metadata('targets', version), await signed(targets, testKey('targets')));
    const listed = new Map([['targets', version], ...roles]);
    const snapshot = await signed(snapshotTree(version, YEAR, listed), testKey('snapshot'));
    this.files.set(tree.metadata('snapshot', version), snapshot);
    const meta = { version, length: snapshot.length, sha256: toHex(crypto.sha256(snapshot)) };
    const timestamp = timestampTree(version, YEAR, meta);
    this.files.set(tree.timestamp, await signed(timestamp, testKey('timestamp')));
    return this;
  }

  async role(version: number, expires = YEAR, by: TestKey = ACME): Promise<this> {
    const targets = new Map([
      [`acme/edu/${version}/f`, targetEntry({ length: 1, sha256: 'a'.repeat(64) })],
    ]);
    const role = targetsTree(version, expires, { targets });
    this.files.set(tree.metadata('acme', version), await signed(role, by));
    return this;
  }
}

async function signed(signedPart: JsonObject, key: TestKey): Promise<Uint8Array> {
  return formatMetadata(signedPart, await sign(crypto, signedPart, [key]));
}

const DIR = t.testdir();
let folders = 0;

async function freshStore(repository: Tree): Promise<TrustStore> {
  const store = new TrustStore(join(DIR, `vendor-${folders++}`));
  await store.prepare();
  await store.pin(crypto, await repository.root);
  return store;
}

function base(
  repository: Tree,
  store: TrustStore,
  floor = 0,
  now = NOW,
  own: readonly Targets[] = [],
): Promise<Base> {
  const fetchFile = async (path: string) => repository.files.get(path);
  return loadBase({
    vendor: 'acme',
    floor,
    own,
    updater: { crypto, clock: () => now, store, fetcher: { fetchFile } },
  });
}

t.test('before the first publication there is nothing to build on', async (t) => {
  const repository = await new Tree().put({ version: 1 });
  const found = await base(repository, await freshStore(repository));
  t.equal(found.role, undefined);
  t.equal(found.delegation.threshold, 1);
});

t.test('the published role is verified and built on', async (t) => {
  const repository = await (
    await new Tree().put({ version: 1, roles: new Map([['acme', 4]]) })
  ).role(4);
  const store = await freshStore(repository);
  t.equal((await base(repository, store, 4)).role?.version, 4);
  // From the store the second time, and verified again all the same.
  repository.files.delete(tree.metadata('acme', 4));
  t.equal((await base(repository, store, 4)).role?.version, 4);
});

t.test('a vendor that nobody admitted has no base', async (t) => {
  const repository = await new Tree().put({ version: 1, delegated: false });
  const store = await freshStore(repository);
  t.equal(await codeOf(() => base(repository, store)), 'E_NOT_AUTHORISED');
});

t.test('without a pin nothing is trusted', async (t) => {
  const repository = await new Tree().put({ version: 1 });
  const store = new TrustStore(join(DIR, 'unpinned'));
  await store.prepare();
  t.equal(await codeOf(() => base(repository, store)), 'E_NO_PIN');
});

t.test('a role that somebody else signed is no base', async (t) => {
  const roles = new Map([['acme', 4]]);
  const repository = await (await new Tree().put({ version: 1, roles })).role(
    4,
    YEAR,
    testKey('mallory'),
  );
  t.equal(await codeOf(async () => base(repository, await freshStore(repository))), 'E_THRESHOLD');
  await repository.role(4, NOW - DAY, testKey('mallory'));
  t.equal(await codeOf(async () => base(repository, await freshStore(repository))), 'E_THRESHOLD');
});

t.test(
  'after its keys were replaced a vendor builds on its own work, and on nothing else',
  async (t) => {
    // Signed with the key from before, which no delegation names any more.
    const roles = new Map([['acme', 4]]);
    const repository = await (await new Tree().put({ version: 1, roles })).role(
      4,
      YEAR,
      testKey('acme before'),
    );
    const published = parseTargets(
      repository.files.get(tree.metadata('acme', 4)) as Uint8Array,
      'acme',
    );
    const store = await freshStore(repository);
    t.equal((await base(repository, store, 4, NOW, [published])).role?.version, 4);
    t.equal(await codeOf(() => base(repository, store, 4)), 'E_THRESHOLD');
    await repository.role(4, YEAR - 1, testKey('acme before'));
    t.equal(await codeOf(() => base(repository, store, 4, NOW, [published])), 'E_THRESHOLD');
  },
);

t.test('an own role that expired is a base still, and only that', async (t) => {
  const roles = new Map([['acme', 4]]);
  const repository = await (await new Tree().put({ version: 1, roles })).role(4, NOW - DAY);
  t.equal((await base(repository, await freshStore(repository))).role?.version, 4);
  // Another version under its name is refused although expiry is not what it fails by.
  await repository.role(5, NOW - DAY);
  repository.files.set(
    tree.metadata('acme', 4),
    repository.files.get(tree.metadata('acme', 5)) as Uint8Array,
  );
  t.equal(
    await codeOf(async () => base(repository, await freshStore(repository))),
    'E_MIX_AND_MATCH',
  );
  const late = async () => base(repository, await freshStore(repository), 0, YEAR + DAY);
  t.equal((await refusal(late)).code, 'E_EXPIRED', 'of the operators nothing may be expired');
});

t.test('nothing below the floor is built on, whoever signed it', async (t) => {
  const roles = new Map([['acme', 4]]);
  const repository = await (await new Tree().put({ version: 1, roles })).role(4);
  t.equal(
    await codeOf(async () => base(repository, await freshStore(repository), 5)),
    'E_ROLLBACK',
  );
  const empty = await new Tree().put({ version: 1 });
  t.equal(await codeOf(async () => base(empty, await freshStore(empty), 1)), 'E_ROLLBACK');
});

t.test('the own client refuses what every client refuses', async (t) => {
  const roles = new Map([['acme', 4]]);
  const repository = await (await new Tree().put({ version: 2, roles })).role(4);
  const store = await freshStore(repository);
  await base(repository, store);
  await repository.put({ version: 1, roles });
  t.equal(await codeOf(() => base(repository, store)), 'E_ROLLBACK');
  await repository.put({ version: 3 });
  t.equal(await codeOf(() => base(repository, store)), 'E_ROLLBACK', 'a role does not vanish');
  await repository.put({ version: 4, roles: new Map([['acme', 3]]) });
  t.equal(await codeOf(() => base(repository, store)), 'E_ROLLBACK');
});

t.test('a root is pinned once', async (t) => {
  const repository = new Tree();
  const store = await freshStore(repository);
  t.equal(await store.pin(crypto, await repository.root), 'same');
  const other = await new Tree(['snapshot 2', 'timestamp 2']).root;
  t.equal(await codeOf(() => store.pin(crypto, other)), 'E_PIN_EXISTS');
  t.same(await store.pinnedRoot(), Buffer.from(await repository.root));

  const unsigned = utf8(Buffer.from(other).toString().replace('"version":1', '"version":2'));
  const empty = new TrustStore(join(DIR, 'empty'));
  await empty.prepare();
  t.equal(await codeOf(() => empty.pin(crypto, unsigned)), 'E_THRESHOLD');
  t.equal(await codeOf(() => empty.pin(crypto, other.subarray(0, -1))), 'E_JSON');
  t.equal(await codeOf(() => empty.pinnedRoot()), 'E_NO_PIN');
});

t.test('the floor beside the key only rises, and damage is no floor', async (t) => {
  const dir = join(DIR, 'floors');
  await mkdir(join(dir, 'keys'), { recursive: true });
  await mkdir(join(dir, 'signed'));
  t.equal(await loadFloor(dir, 'acme'), 0);
  await raiseFloor(dir, 'acme', 7);
  await raiseFloor(dir, 'acme', 3);
  t.equal(await loadFloor(dir, 'acme'), 7);
  t.equal(await codeOf(() => loadFloor(dir, 'other')), 'E_SCHEMA');
  const path = join(dir, 'keys', 'floor.json');
  const good = await readFile(path);
  for (const bad of [
    '',
    '{}',
    good.toString().replace('7', '-7'),
    good.toString().replace('7', '"7"'),
  ]) {
    await writeFile(path, bad);
    await t.rejects(loadFloor(dir, 'acme'), IronError);
    await t.rejects(raiseFloor(dir, 'acme', 9), IronError, 'and is not replaced by a guess');
  }

  t.equal(await loadRemembered(dir, 'lastSigned', 'acme'), undefined);
  const role = targetsTree(3, NOW, { targets: new Map() });
  await remember(dir, 'lastSigned', await signed(role, ACME));
  t.equal((await loadRemembered(dir, 'lastSigned', 'acme'))?.version, 3);
});
