/** Hash bins and batches of blobs at the service: what is taken, and every way of being refused. */

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { demandListable } from '../../server/intake/checks/roles.ts';
import { BATCH_TYPE, formatBatch, parseBatch } from '../../shared/api/blob-batch.ts';
import { SUBMISSION_SCHEMA, submissionReply } from '../../shared/api/upload.ts';
import { concatBytes, toHex, utf8 } from '../../shared/bytes.ts';
import { Node } from '../../shared/json/decode.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { api, data } from '../../shared/layout.ts';
import { BIN_LIMITS, SERVER_LIMITS } from '../../shared/limits.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { DAY } from '../../shared/time.ts';
import { formatMetadata, sign, succinctTree, targetsTree } from '../../shared/tuf/build.ts';
import { binFor, parseDelegations, type SuccinctRoles } from '../../shared/tuf/delegations.ts';
import { roleNames } from '../../shared/tuf/snapshot-roles.ts';
import { signedRole, type TestArtifact, testArtifact, testVendor } from '../support/repository.ts';
import { type Caller, call, clientOf, codeOf, running } from './support.ts';

const sha256 = (bytes: Uint8Array): string => toHex(crypto.sha256(bytes));
const blob = (text: string) => ({ sha256: sha256(utf8(text)), bytes: utf8(text) });

t.test('a batch of blobs as bytes', async (t) => {
  const blobs = [blob('one'), blob(''), blob('three')];
  t.same(parseBatch(formatBatch(blobs)), blobs);
  const body = formatBatch(blobs);
  const room = new Uint8Array(1000).fill(0xff);
  t.same(formatBatch(blobs, room), body, 'in memory that was used before');
  for (let length = 0; length < body.length; length++) {
    // Cut at the end of a blob it is a shorter batch, anywhere else it is none.
    const ends = [39, 75];
    if (ends.includes(length)) t.ok(parseBatch(body.subarray(0, length)).length > 0);
    else t.throws(() => parseBatch(body.subarray(0, length)), { code: 'E_SCHEMA' }, `${length}`);
  }
  t.throws(() => parseBatch(concatBytes(body, body)), { code: 'E_SCHEMA' }, 'twice');
  const huge = formatBatch([blob('x')]);
  huge.fill(0xff, 32, 36);
  t.throws(() => parseBatch(huge), { code: 'E_SCHEMA' }, 'a length of 4 GiB');
  const many = Array.from({ length: SERVER_LIMITS.batch + 1 }, (_, i) => blob(`${i}`));
  t.throws(() => parseBatch(formatBatch(many)), { code: 'E_SCHEMA' }, 'too many');
});

async function sendBatch(caller: Caller, body: Uint8Array, type = BATCH_TYPE) {
  const extra = { 'content-type': type };
  return await call(
    caller.url,
    'POST',
    api.blobs,
    await caller.headers('POST', api.blobs, extra, body),
    body,
  );
}

t.test('batches whose bodies share memory, at once and one after the other', async (t) => {
  const { caller, home } = await running(t);
  const folder = join(home, data.quarantine, 'acme');
  const sets = Array.from({ length: 9 }, (_, set) =>
    // The larger ones first: what they leave behind is no part of those that follow.
    Array.from({ length: 9 - set }, (_, i) => blob(`${set} ${i} `.repeat(2000))),
  );
  for (let at = 0; at < sets.length; at += 3)
    for (const { status } of await Promise.all(
      sets.slice(at, at + 3).map((set) => sendBatch(caller, formatBatch(set))),
    ))
      t.equal(status, 200);
  const lie = { ...blob('lie'), sha256: sha256(utf8('truth')) };
  t.not((await sendBatch(caller, formatBatch([lie]))).status, 200);
  for (const { sha256: digest, bytes } of sets.flat())
    t.same(new Uint8Array(await readFile(join(folder, digest))), bytes);
  t.equal((await readdir(folder)).length, sets.flat().length);
});

t.test('a batch of blobs at the service', async (t) => {
  const { caller, repository, clock } = await running(t);
  const [a, b] = [blob('first blob'), blob('second blob')];
  const good = await sendBatch(caller, formatBatch([a, b]));
  t.equal(good.status, 200);
  t.same(JSON.parse(good.body.toString()), { received: 2, bytes: 21 });
  const { receiver } = repository.intake;
  t.match(await receiver.state('acme', a.sha256), { offset: 10, length: 10 });
  t.equal(await receiver.state('other', a.sha256), undefined, "another vendor's is not there");
  const again = await sendBatch(caller, formatBatch([a]));
  t.same(JSON.parse(again.body.toString()), { received: 1, bytes: 0 });

  const lie = { sha256: sha256(utf8('else')), bytes: utf8('wrong') };
  const wrong = await sendBatch(caller, formatBatch([blob('third'), lie]));
  t.equal(codeOf(wrong), 'E_HASH');
  t.equal(await receiver.state('acme', blob('third').sha256), undefined, 'nothing of it is taken');
  t.equal(codeOf(await sendBatch(caller, utf8('short'))), 'E_SCHEMA');
  t.equal(codeOf(await sendBatch(caller, formatBatch([a]), 'application/json')), 'E_USAGE');
  const body = formatBatch([blob('fourth')]);
  const headers = await caller.headers('POST', api.blobs, { 'content-type': BATCH_TYPE }, body);
  const swapped = formatBatch([blob('others')]);
  t.equal(
    codeOf(await call(caller.url, 'POST', api.blobs, headers, swapped)),
    'E_HASH',
    'another body',
  );
  t.equal(await receiver.state('acme', blob('others').sha256), undefined);
  // What a partial upload began, a batch may complete.
  const part = blob('begun in parts');
  await caller.patch(part.sha256, 0, part.bytes.length, part.bytes.subarray(0, 5)).catch(() => {});
  await sendBatch(caller, formatBatch([part]));
  t.match(await receiver.state('acme', part.sha256), { offset: 14, length: 14 });
  clock.now += 8 * DAY;
  await repository.worker.tick();
  t.equal(await receiver.state('acme', a.sha256), undefined, 'swept away');
});

const ACME = testVendor('acme');
const keys = ACME.tuf.map(({ key }) => key);
const delegating = (bits: number, prefix = `acme.b${bits}`): JsonObject =>
  succinctTree(crypto, { keys, threshold: 2 }, bits, prefix);
const described = (tree: JsonObject): SuccinctRoles =>
  parseDelegations(new Node(tree, 'x')).succinct as SuccinctRoles;

interface BinChange {
  readonly entries?: ReadonlyMap<string, JsonObject>;
  readonly signers?: typeof ACME.tuf;
  readonly delegations?: JsonObject;
  readonly expires?: number;
}

async function bin(version: number, expires: number, change: BinChange = {}): Promise<Uint8Array> {
  const tree = targetsTree(version, change.expires ?? expires, {
    targets: change.entries ?? new Map(),
    delegations: change.delegations,
  });
  return formatMetadata(tree, await sign(crypto, tree, change.signers ?? ACME.tuf));
}

/** Uploads the bins and hands them in with the role. */
async function submitBins(
  caller: Caller,
  own: Uint8Array | undefined,
  bins: readonly (readonly [string, Uint8Array])[],
) {
  const files = new Map(bins.map(([, bytes]) => [sha256(bytes), bytes]));
  if (files.size > 0)
    await sendBatch(
      caller,
      formatBatch([...files].map(([digest, bytes]) => ({ sha256: digest, bytes }))),
    );
  const document = {
    schema: SUBMISSION_SCHEMA,
    role: 'acme',
    ...(own === undefined ? {} : { metadata: Buffer.from(own).toString('base64') }),
    ...(bins.length === 0
      ? {}
      : { bins: bins.map(([role, bytes]) => ({ role, sha256: sha256(bytes) })) }),
  };
  const answer = await caller.send('POST', api.submissions, utf8(JSON.stringify(document)));
  if (answer.status !== 202) throw new Error(answer.body.toString());
  return await caller.ended(submissionReply.parse(JSON.parse(answer.body.toString())).id);
}

const inBins = (artifacts: readonly TestArtifact[], succinct: SuccinctRoles) => {
  const found = new Map<string, Map<string, JsonObject>>();
  for (const { entries } of artifacts)
    for (const [path, entry] of entries) {
      const role = binFor(crypto, succinct, path);
      found.set(role, (found.get(role) ?? new Map<string, JsonObject>()).set(path, entry));
    }
  return found;
};

t.test('a vendor in bins', async (t) => {
  const { caller, clock, home, failures } = await running(t);
  const expires = clock.now + 30 * DAY;
  const artifact = await testArtifact(ACME, 'acme/edu/1.0.0/edu.js', undefined, { now: clock.now });
  await caller.uploadAll([artifact]);
  const delegations = delegating(1);
  const succinct = described(delegations);
  const role = (version: number, change: Parameters<typeof signedRole>[3] = {}) =>
    signedRole(ACME, version, [], { expires, delegations, ...change });
  const contents = inBins([artifact], succinct);
  const both = async (version: number, change: Partial<Record<'0' | '1', BinChange>> = {}) =>
    await Promise.all(
      (['0', '1'] as const).map(async (name) => {
        const entries = contents.get(`acme.b1-${name}`) ?? new Map();
        return [
          `acme.b1-${name}`,
          await bin(version, expires, { entries, ...change[name] }),
        ] as const;
      }),
    );
  const refused = async (
    what: string,
    code: string,
    own: Uint8Array | undefined,
    bins: readonly (readonly [string, Uint8Array])[],
  ): Promise<void> => {
    const reply = await submitBins(caller, own, bins);
    t.match({ state: reply.state, code: reply.error?.code }, { state: 'refused', code }, what);
  };
  const all = await both(1);
  await refused('a bin is missing', 'E_DELEGATION', await role(1), all.slice(0, 1));
  await refused('none of them', 'E_DELEGATION', await role(1), []);
  await refused('bins before there is a role', 'E_DELEGATION', undefined, all);
  await refused('a bin twice', 'E_SCHEMA', await role(1), [...all, all[0] as never]).catch(
    (error) => t.fail(error),
  );
  await refused('a stranger among them', 'E_NOT_AUTHORISED', await role(1), [
    ...all,
    ['acme.b1-2', all[0]?.[1] as Uint8Array],
  ]);
  await refused('too wide a number', 'E_NOT_AUTHORISED', await role(1), [
    ...all,
    ['acme.b1-00', all[0]?.[1] as Uint8Array],
  ]);
  const foreign = delegating(1, 'other.b1');
  await refused(
    'bins of another name',
    'E_DELEGATION',
    await role(1, { delegations: foreign }),
    all,
  );
  await refused(
    'bins of a wrong number',
    'E_DELEGATION',
    await role(1, { delegations: delegating(2, 'acme.b1') }),
    all,
  );
  await refused(
    'too many',
    'E_DELEGATION',
    await role(1, { delegations: delegating(BIN_LIMITS.bits + 1) }),
    all,
  );
  await refused(
    'role and bins list it',
    'E_DELEGATION',
    await role(1, { entries: artifact.entries }),
    all,
  );
  await refused(
    'too few signatures',
    'E_THRESHOLD',
    await role(1),
    await both(1, { 1: { signers: ACME.tuf.slice(0, 1) } }),
  );
  await refused(
    'a version too high',
    'E_CONFLICT',
    await role(1),
    await both(1, { 0: {} }).then(async ([zero, one]) => [
      zero as never,
      [
        (one as never)[0],
        await bin(2, expires, { entries: contents.get('acme.b1-1') ?? new Map() }),
      ],
    ]),
  );
  await refused(
    'expired',
    'E_EXPIRED',
    await role(1),
    await both(1, { 0: { expires: clock.now - 1 } }),
  );
  await refused(
    'for too long',
    'E_POLICY',
    await role(1),
    await both(1, { 0: { expires: clock.now + 400 * DAY } }),
  );
  await refused(
    'it delegates on',
    'E_DELEGATION',
    await role(1),
    await both(1, { 0: { delegations } }),
  );
  const everything = new Map([...artifact.entries]);
  await refused(
    'in the wrong bin',
    'E_DELEGATION',
    await role(1),
    await both(1, { 0: { entries: everything } }),
  );
  const path = [...artifact.entries.keys()].find((one) => one.endsWith('.ceiling.json')) as string;
  const without = (name: '0' | '1') => {
    const entries = new Map(contents.get(`acme.b1-${name}`) ?? []);
    entries.delete(path);
    return { entries };
  };
  await refused(
    'without its ceiling',
    'E_CEILING',
    await role(1),
    await both(1, { 0: without('0'), 1: without('1') }),
  );
  const unknown = await testArtifact(ACME, 'acme/edu/2.0.0/edu.js', undefined, { now: clock.now });
  const [[name, entries]] = [...inBins([unknown], succinct)] as [[string, Map<string, JsonObject>]];
  await refused(
    'bytes that never came',
    'E_NOT_FOUND',
    await role(1),
    await both(1, { [name.slice(-1)]: { entries } }),
  );
  await refused('a bin that is none', 'E_JSON', await role(1), [
    all[0] as never,
    ['acme.b1-1', utf8('{')],
  ]);

  const reply = await submitBins(caller, await role(1), all);
  t.equal(reply.state, 'published', JSON.stringify(reply.error));
  const root = new Uint8Array(await readFile(join(home, 'tree/metadata/1.root.json')));
  const found = await clientOf(home, clock, root).find('acme/edu/1.0.0/edu.js');
  t.equal(found?.chain.length, 3);

  const strangers = testVendor('other').tuf.map(({ key }) => key);
  // Bins alone, in their own versions.
  await refused('the same version again', 'E_CONFLICT', undefined, all);
  await refused(
    'other keys for the same bins',
    'E_DELEGATION',
    await role(2, {
      delegations: succinctTree(crypto, { keys: strangers, threshold: 1 }, 1, 'acme.b1'),
    }),
    [],
  );
  const gone = await submitBins(
    caller,
    undefined,
    (await both(2, { 0: { entries: new Map() } })).slice(0, 1),
  );
  t.equal(
    gone.state,
    (contents.get('acme.b1-0')?.size ?? 0) === 0 ? 'published' : 'refused',
    'sidecars cannot go alone',
  );
  const renewed = await submitBins(caller, undefined, (await both(2)).slice(1));
  t.equal(renewed.state, 'published', JSON.stringify(renewed.error));
  // An own role that says the same of its bins needs none of them.
  t.equal((await submitBins(caller, await role(2), [])).state, 'published');
  t.same(failures, []);
  const { status } = await caller.send(
    'POST',
    api.submissions,
    utf8(JSON.stringify({ schema: SUBMISSION_SCHEMA, role: 'acme' })),
  );
  t.equal(status, 400, 'neither role nor bins');
});

t.test('roles are counted by vendor, those counted that it left', async (t) => {
  const names = (vendor: string, count: number) =>
    Array.from({ length: count }, (_, i) => `${vendor}.b14-${i.toString(16)}`);
  const listed = (roles: readonly string[]) => roleNames(roles.map((role) => `${role}.json`));
  t.match(demandListable('acme', listed(['targets', 'acme']), names('acme', 16_384)), /16385 of/);
  t.throws(() => demandListable('acme', listed(names('acme', 16_384)), names('acme.b13', 4000)), {
    code: 'E_QUOTA',
  });
  t.doesNotThrow(() => demandListable('beta', listed(names('acme', 16_384)), ['beta']));
  const full = [...names('acme', 16_384), ...names('beta', 16_384)];
  t.throws(() => demandListable('gamma', listed(full), names('gamma', 9000)), {
    code: 'E_TOO_LARGE',
    why: /acme \d+ % with 16384 roles, beta/,
  });
  const standing = listed(names('acme', 19_999));
  for (const again of [['acme.b14-0'], ['acme.new', 'acme.new', 'acme.b14-1']])
    t.doesNotThrow(() => demandListable('acme', standing, again), 'what is listed counts once');
  t.throws(() => demandListable('acme', standing, ['acme.one', 'acme.two']), { code: 'E_QUOTA' });
  t.match(demandListable('acme', standing, []), /19999 of/, 'to ask changes nothing');
});

t.test(
  'bins stay when their description gets keys by which they hold already, and else not',
  async (t) => {
    const it = await running(t);
    const { caller, acme, clock } = it;
    const expires = clock.now + 80 * DAY;
    const old = acme.tuf;
    const others = testVendor('other').tuf;
    const keysOf = (signers: typeof old) => signers.map(({ key }) => key);
    const described = (signers: typeof old, threshold = 2, bits = 1) =>
      succinctTree(crypto, { keys: keysOf(signers), threshold }, bits, `acme.b${bits}`);
    const own = (version: number, delegations: JsonObject) =>
      signedRole(acme, version, [], { delegations });
    const make = async (version: number, signers: typeof old) => {
      const tree = targetsTree(version, expires, { targets: new Map() });
      return formatMetadata(tree, await sign(crypto, tree, signers));
    };
    const names = ['acme.b1-0', 'acme.b1-1'] as const;
    const refused = async (version: number, delegations: JsonObject, what: string) =>
      t.match(
        await submitBins(caller, await own(version, delegations), []),
        { state: 'refused', error: { code: 'E_DELEGATION', message: /was not submitted/ } },
        what,
      );
    const first = await make(1, old);
    t.match(
      await submitBins(caller, await own(1, described(old)), [
        [names[0], first],
        [names[1], first],
      ]),
      { state: 'published' },
    );
    await refused(2, described(others), 'keys that signed none of them');
    await refused(2, described([...old, ...others], 3), 'more keys than signed them');
    await refused(2, described([...old, ...others], 2, 2), 'another number of bins');
    const both = await submitBins(caller, await own(2, described([...old, ...others])), []);
    t.match(both, { state: 'published' });
    const said = both.verdicts.map(({ detail }) => detail);
    t.ok(said.includes('0 bins of 2; 2 that stand hold by its keys already'), said.join(', '));
    await refused(3, described(others), 'the new keys signed none of them yet');
    t.match(await submitBins(caller, undefined, [[names[0], await make(2, others)]]), {
      state: 'published',
    });
    await refused(3, described(others), 'one is signed by the old ones still');
    const mixed = [old[0], others[0]] as typeof old;
    t.match(await submitBins(caller, undefined, [[names[1], await make(2, mixed)]]), {
      state: 'published',
    });
    await refused(3, described(others), 'by one of either');
    t.match(
      await submitBins(caller, await own(3, described(others)), [
        [names[1], await make(3, others)],
      ]),
      { state: 'published' },
      'what does not hold comes along',
    );
    const { roots } = await it.repository.current.need();
    const client = clientOf(it.home, clock, roots.get(1) as Uint8Array);
    await client.refresh();
    for (let i = 0; i < 8; i++)
      t.equal(
        await client.find(`acme/edu/1.0.${i}/x`),
        undefined,
        'a reader is let into every bin',
      );
  },
);
