// What we write is what we read, and a signer that lies is found out before anything is written.

import t from 'tap';
import { fromUtf8 } from '../../shared/bytes.ts';
import { nobleCrypto } from '../../shared/crypto/noble.ts';
import { canonicalBytes, canonicalText } from '../../shared/json/canonical.ts';
import { parseJson } from '../../shared/json/read.ts';
import { isJsonObject, jsonObject } from '../../shared/json/value.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import {
  addSignatures,
  delegationTree,
  formatMetadata,
  keyTable,
  rootTree,
  sign,
  snapshotTree,
  targetEntry,
  targetsTree,
  timestampTree,
  withFields,
} from '../../shared/tuf/build.ts';
import { parseEnvelope } from '../../shared/tuf/envelope.ts';
import { verifyThreshold } from '../../shared/tuf/role.ts';
import { isRotated, parseRoot } from '../../shared/tuf/root.ts';
import { parseSnapshot } from '../../shared/tuf/snapshot.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import { parseTimestamp } from '../../shared/tuf/timestamp.ts';
import { TODAY } from '../support/clock.ts';
import { testKey } from '../support/keys.ts';

const keys = ['a', 'b', 'c'].map((name) => testKey(`build ${name}`));
const publicKeys = keys.map(({ key }) => key);
const role = { keys: publicKeys, threshold: 2 };
const roles = { root: role, targets: role, snapshot: role, timestamp: role };
const SHA256 = '0'.repeat(64);

t.test('every role is read back as it was written', async (t) => {
  const file = async (tree: Parameters<typeof sign>[1]) =>
    formatMetadata(tree, await sign(platformCrypto, tree, keys));

  const root = parseRoot(await file(rootTree(platformCrypto, 3, TODAY, roles)));
  t.match(root, { version: 3, expires: TODAY, consistentSnapshot: true });
  t.strictSame(root.roles.timestamp, { keyids: keys.map(({ keyid }) => keyid), threshold: 2 });
  t.strictSame(
    verifyThreshold(nobleCrypto, root.envelope, root.keys, root.roles.root, 'root'),
    keys.map(({ keyid }) => keyid),
  );

  const timestamp = parseTimestamp(
    await file(timestampTree(2, TODAY, { version: 9, length: 7, sha256: SHA256 })),
  );
  t.match(timestamp.snapshot, { version: 9, length: 7 });
  t.equal(timestamp.snapshot.hashes?.get('sha256'), SHA256);

  const snapshot = parseSnapshot(
    await file(
      snapshotTree(
        4,
        TODAY,
        new Map([
          ['targets', 1],
          ['acme', 5],
        ]),
      ),
    ),
  );
  t.equal(snapshot.roles.get('acme')?.version, 5);

  const targets = parseTargets(
    await file(
      targetsTree(1, TODAY, {
        targets: new Map([
          ['a/b', targetEntry({ length: 1, sha256: SHA256 }, jsonObject([['x', 1]]))],
        ]),
        delegations: jsonObject([
          ['keys', keyTable(platformCrypto, publicKeys)],
          ['roles', [delegationTree(platformCrypto, 'acme', role, ['acme/*'], true)]],
        ]),
        extra: jsonObject([['x-ironport', jsonObject([])]]),
      }),
    ),
    'targets',
  );
  t.strictSame(targets.paths(), ['a/b']);
  t.equal(targets.entry('a/b')?.custom?.get('x').integer(), 1);
  t.match(targets.delegations?.roles[0], { name: 'acme', terminating: true, threshold: 2 });
  t.ok(isJsonObject(targets.envelope.tree['x-ironport']));
});

t.test('a threshold that nobody can meet is not written', async (t) => {
  for (const threshold of [0, 4]) {
    const bad = { keys: publicKeys, threshold };
    t.throws(() => rootTree(platformCrypto, 1, TODAY, { ...roles, root: bad }), {
      code: 'E_SCHEMA',
    });
  }
  const twice = {
    keys: [publicKeys[0], publicKeys[0]].filter((key) => key !== undefined),
    threshold: 2,
  };
  t.throws(() => rootTree(platformCrypto, 1, TODAY, { ...roles, root: twice }), {
    code: 'E_SCHEMA',
  });
});

t.test('signatures are collected one by one; a signer that lies is refused', async (t) => {
  const [a, b, c] = keys;
  if (a === undefined || b === undefined || c === undefined) throw new Error('three keys');
  const tree = rootTree(platformCrypto, 1, TODAY, roles);
  const one = formatMetadata(tree, await sign(platformCrypto, tree, [a]));
  const two = await addSignatures(platformCrypto, parseEnvelope(one, 1e6, 'root'), [b]);
  t.strictSame([...parseEnvelope(two, 1e6, 'root').signatures.keys()], [a.keyid, b.keyid]);
  const liar = { key: c.key, sign: (message: Uint8Array) => a.sign(message) };
  await t.rejects(addSignatures(platformCrypto, parseEnvelope(two, 1e6, 'root'), [liar]), {
    code: 'E_SIGNATURE',
  });
});

t.test('rotation is a key that is gone', async (t) => {
  const read = async (timestampKeys: typeof publicKeys) => {
    const timestamp = { keys: timestampKeys, threshold: 1 };
    const tree = rootTree(platformCrypto, 1, TODAY, { ...roles, timestamp });
    return parseRoot(formatMetadata(tree, await sign(platformCrypto, tree, keys)));
  };
  const [one, two, all] = [
    await read(publicKeys.slice(0, 1)),
    await read(publicKeys.slice(1, 2)),
    await read(publicKeys),
  ];
  t.equal(isRotated(one, one, 'timestamp'), false);
  t.equal(isRotated(one, two, 'timestamp'), true);
  t.equal(isRotated(one, all, 'timestamp'), false, 'one more');
  t.equal(isRotated(all, one, 'timestamp'), true, 'fewer');
  t.equal(isRotated(one, two, 'snapshot'), false);
});

t.test('the strict reader stands before every role', async (t) => {
  const nested = `${'['.repeat(100)}${']'.repeat(100)}`;
  for (const parse of [
    parseRoot,
    parseTimestamp,
    parseSnapshot,
    (b: Uint8Array) => parseTargets(b, 'x'),
  ]) {
    for (const text of [
      nested,
      '{"signed":{"a":1,"a":2},"signatures":[]}',
      '{"signed":1.5}',
      '\ufeff{}',
      '{} {}',
    ]) {
      t.throws(() => parse(new TextEncoder().encode(text)), { code: 'E_JSON' });
    }
  }
  t.ok(parseJson(new TextEncoder().encode('{}'), { length: 2 }));
});

t.test('what is signed stands in the file as it was signed', async (t) => {
  const tree = timestampTree(2, TODAY, { version: 9, length: 7, sha256: SHA256 });
  const file = fromUtf8(formatMetadata(tree, await sign(platformCrypto, tree, keys)));
  t.ok(file.endsWith(`"signed":${canonicalText(tree)}}`));
});

t.test(
  'a control character, which canonical JSON leaves as it is, makes no broken file',
  async (t) => {
    const tree = withFields(timestampTree(2, TODAY, { version: 9, length: 7, sha256: SHA256 }), {
      'x-note': 'two\nlines\u0000',
    });
    const { envelope } = parseTimestamp(
      formatMetadata(tree, await sign(platformCrypto, tree, keys)),
    );
    t.strictSame(envelope.signedBytes(), canonicalBytes(tree));
    t.equal(envelope.tree['x-note'], 'two\nlines\u0000');
  },
);
