// What is revoked already is not taken in, and what is revoked while it waits is not published.

import { join } from 'node:path';
import t from 'tap';
import { withReviewers } from '../../server/ceremony/reviewers.ts';
import { Branch } from '../../server/intake/branch.ts';
import { reachableFloors } from '../../server/intake/checks/vendor-floors.ts';
import { Delta } from '../../server/intake/delta.ts';
import { preflight } from '../../server/publish/preflight.ts';
import type { Published } from '../../server/storage/published.ts';
import { saveReviewPolicy } from '../../server/storage/review-policy.ts';
import type { SubmissionReply } from '../../shared/api/upload.ts';
import { utf8 } from '../../shared/bytes.ts';
import { buildEvidenceKeys, ROLE_FIELD } from '../../shared/evidence/keys.ts';
import { type JsonObject, jsonObject } from '../../shared/json/value.ts';
import { api, sidecarPath } from '../../shared/layout.ts';
import { LIFETIMES } from '../../shared/limits.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import type { RevocationList } from '../../shared/revocation/list.ts';
import { formatMetadata, sign, succinctTree, targetsTree } from '../../shared/tuf/build.ts';
import { parseTargets, type Targets } from '../../shared/tuf/targets.ts';
import { TODAY } from '../support/clock.ts';
import { testKey } from '../support/keys.ts';
import {
  EDU_CEILING,
  sha256,
  signedRole,
  type TestArtifact,
  testArtifact,
  testVendor,
} from '../support/repository.ts';
import { signList, testList } from '../support/revocations.ts';
import { ANNA, approve, artifactOf, BORIS, CLARA, handIn, reject, shown } from './reviewing.ts';
import { codeOf, type Running, running } from './support.ts';
import { listing, submit, teamTargets, withTeam } from './team.ts';

const TUF = [testKey('acme tuf 1'), testKey('acme tuf 2'), testKey('acme tuf 3')] as const;
const ACME = testVendor('acme', { tuf: TUF });
const OLD_KEY = testKey('acme evidence, stolen');
const WHY = { reason: 'CVE-2030-0001: writes past the end of its ring' };

const artifact = (product: string, generation = 1, signer = ACME.evidence, version = '1.0.0') =>
  testArtifact(ACME, `acme/${product}/${version}/x.js`, utf8(`${product} ${version}`), {
    generation,
    signer,
    ceiling: { ...EDU_CEILING, generation },
  });
const digestOf = (product: string): string => sha256(utf8(`${product} 1.0.0`));

interface Change {
  readonly floors?: JsonObject;
  readonly signers?: readonly (typeof TUF)[number][];
}

/** The role, with both evidence keys; its floors, if it has any. */
function role(version: number, artifacts: readonly TestArtifact[], change: Change = {}) {
  const keys = buildEvidenceKeys({ active: [ACME.evidence.key, OLD_KEY.key], retired: [] });
  const ours = { ...keys, ...(change.floors && { generation_floors: change.floors }) };
  const extra = jsonObject([[ROLE_FIELD, ours]]);
  return signedRole(ACME, version, artifacts, { extra, signers: change.signers ?? TUF.slice(1) });
}

async function publishList(it: Running, version: number, change: Partial<RevocationList>) {
  const list = await signList(testList(version, change));
  const expires = it.clock.now + LIFETIMES.revocations;
  return await submit(it, list, await listing(list, version, { expires }));
}

/** Hands in what refuses: the first check that does, its code and the reason. */
async function refusalOf(it: Running, artifacts: readonly TestArtifact[], bytes: Uint8Array) {
  await it.caller.uploadAll(artifacts);
  const reply = await it.caller.submit('acme', bytes);
  return { reply, said: said(reply) };
}

function said({ state, verdicts, error }: SubmissionReply): string {
  const check = verdicts.find(({ ok }) => !ok)?.check;
  return [state, check, error?.code, error?.context.reason].filter(Boolean).join(', ');
}

t.test('what the list revokes is refused when it comes in, for its reason', async (t) => {
  const it = await withTeam(t, ACME);
  const gpu = await artifact('gpu');
  const ceiling = gpu.entries.get(sidecarPath('acme/gpu/1.0.0/x.js', 'ceiling')) as JsonObject;
  const kept = await artifact('kept', 1, OLD_KEY);
  const denials: Partial<RevocationList> = {
    floors: new Map([['acme/edu', { generation: 3, ...WHY }]]),
    digests: new Map([
      [digestOf('net'), WHY],
      [(ceiling.hashes as JsonObject).sha256 as string, WHY],
    ]),
    keys: new Map([
      [OLD_KEY.keyid, { allowed: [digestOf('kept')], ...WHY }],
      [TUF[0].keyid, { allowed: [digestOf('kept')], ...WHY }],
    ]),
  };
  t.equal(await publishList(it, 2, denials), 'revocations');

  const path = (product: string): string => `revocations acme/${product}/1.0.0/x.js`;
  const cases: [string, TestArtifact, string, string, Change?][] = [
    ['below the floor', await artifact('edu', 2), path('edu'), 'generation'],
    ['denied bytes', await artifact('net'), path('net'), 'digest'],
    ['a denied ceiling', gpu, path('gpu'), 'digest'],
    ['evidence by a denied key', await artifact('usb', 1, OLD_KEY), path('usb'), 'key'],
    ['below its own floor', await artifact('sd'), path('sd'), 'generation', { floors: { sd: 2 } }],
    [
      'a role by a denied key',
      await artifact('tpm'),
      'denied-keys',
      'key',
      { signers: TUF.slice(0, 2) },
    ],
    [
      'also for a digest that stays allowed',
      kept,
      'denied-keys',
      'key',
      { signers: TUF.slice(0, 2) },
    ],
  ];
  for (const [name, bad, check, reason, change] of cases) {
    const { reply, said } = await refusalOf(it, [bad], await role(1, [bad], change));
    t.equal(said, `refused, ${check}, E_REVOKED, ${reason}`, name);
    t.ok(reply.error?.hint?.startsWith('nothing was changed'), name);
    const why = name.includes('own floor') ? /its vendor raised/ : WHY.reason;
    t.match(reply.error?.why, why, `${name}: the reason that was signed`);
  }
  t.equal((await it.repository.current.need()).version('acme'), 0, 'nothing of it was published');

  // The same things, each on the right side of the line.
  const good = [await artifact('edu', 3), await artifact('sd', 2), kept, await artifact('usb')];
  const { reply, said } = await refusalOf(it, good, await role(1, good, { floors: { sd: 2 } }));
  t.equal(said, 'published');
  for (const check of ['denied-keys', 'floors', path('edu'), path('kept'), 'floors: reachable'])
    t.match(
      reply.verdicts.filter((one) => one.check === check),
      [{ ok: true }],
      check,
    );

  // What stands already and is revoked later stays, and does not keep its vendor from mending it.
  t.equal(
    await publishList(it, 3, {
      ...denials,
      floors: new Map([['acme/edu', { generation: 4, ...WHY }]]),
    }),
    'revocations',
  );
  const mended = [...good, await artifact('edu', 4, ACME.evidence, '2.0.0')];
  t.equal(
    (await refusalOf(it, mended, await role(2, mended, { floors: { sd: 2 } }))).said,
    'published',
  );
});

t.test('without a security team a vendor’s own floors hold all the same', async (t) => {
  const it = await running(t);
  const bad = await testArtifact(it.acme);
  const keys = buildEvidenceKeys({ active: [it.acme.evidence.key], retired: [] });
  const own = async (floor: number) => {
    const ours = { ...keys, generation_floors: { edu: floor } };
    return await signedRole(it.acme, 1, [bad], { extra: jsonObject([[ROLE_FIELD, ours]]) });
  };
  const refused = 'refused, revocations acme/edu/1.0.0/edu.js, E_REVOKED, generation';
  t.equal((await refusalOf(it, [bad], await own(2))).said, refused);
  t.equal((await refusalOf(it, [bad], await own(1))).said, 'published');
});

t.test('the floors of a vendor only rise, and leave something', async (t) => {
  const it = await withTeam(t, ACME);
  const [three, five] = [
    await artifact('edu', 3),
    await artifact('edu', 5, ACME.evidence, '2.0.0'),
  ];
  const first = await role(1, [three], { floors: { edu: 3 } });
  t.equal((await refusalOf(it, [three], first)).said, 'published');
  const cases: [string, string, TestArtifact[], JsonObject | undefined][] = [
    ['lowered', 'floors, E_ROLLBACK, floor-lowered', [three], { edu: 2 }],
    ['left out', 'floors, E_ROLLBACK, floor-lowered', [three], { net: 9 }],
    ['all left out', 'floors, E_ROLLBACK, floor-lowered', [three], undefined],
    ['no number', 'floors, E_SCHEMA', [three], { edu: '3' }],
    ['zero', 'floors, E_SCHEMA', [three], { edu: 0 }],
    ["somebody else's", 'floors, E_NAME', [three], { edu: 3, 'evil/edu': 1 }],
    ['above all', 'floors: reachable, E_POLICY, floor-unreachable', [three], { edu: 5 }],
  ];
  for (const [name, expected, artifacts, floors] of cases) {
    const bytes = await role(2, artifacts, floors === undefined ? {} : { floors });
    const { said } = await refusalOf(it, artifacts, bytes);
    t.equal(said, `refused, ${expected}`, name);
  }
  const above = await role(2, [three, five], { floors: { edu: 6 } });
  t.equal(
    (await refusalOf(it, [five], above)).said,
    'refused, revocations acme/edu/2.0.0/x.js, E_REVOKED, generation',
    'with a build that is below it too',
  );
  const both = await role(2, [three, five], { floors: { edu: 5, net: 9 } });
  t.equal((await refusalOf(it, [five], both)).said, 'published', 'with the build for it');
  const gone = await role(3, [three], { floors: { edu: 6, net: 9 } });
  t.equal(
    (await refusalOf(it, [], gone)).said,
    'refused, floors: reachable, E_POLICY, floor-unreachable',
    'what is withdrawn does not count',
  );
  const less = await role(3, [three], { floors: { edu: 5, net: 9 } });
  t.equal((await refusalOf(it, [], less)).said, 'published', 'a withdrawal is never held up by it');
  const empty = await role(4, [], { floors: { edu: 7, net: 9 } });
  t.equal((await refusalOf(it, [], empty)).said, 'published', 'all withdrawn, and never again');
});

t.test('what stays is looked for in all that is published, bins included', async (t) => {
  const entry = (path: string, generation: number): [string, JsonObject] => [
    path,
    jsonObject([
      ['length', 1],
      ['hashes', jsonObject([['sha256', '0'.repeat(64)]])],
      ['custom', jsonObject([['ironport', jsonObject([['generation', generation]])]])],
    ]),
  ];
  const keys = { keys: TUF.map(({ key }) => key), threshold: 2 };
  const bins = succinctTree(platformCrypto, keys, 1, 'acme.b1');
  const file = (listed: readonly [string, JsonObject][], delegations?: JsonObject): Targets => {
    const tree = targetsTree(1, TODAY, { targets: new Map(listed), delegations });
    return parseTargets(formatMetadata(tree, new Map()), 'acme');
  };
  const files = new Map([
    ['acme', file([], bins)],
    ['acme.b1-0', file([entry('acme/edu/1/x', 1), entry('acme/net/1/x', 9)])],
    ['acme.b1-1', file([entry('acme/edu/2/x', 4)])],
  ]);
  const published = {
    role: async (name: string) => ({ targets: files.get(name) }),
  } as unknown as Published;
  const branch = new Branch(platformCrypto, published, 'acme');
  const at = (floor: number, delta = new Delta(branch)) =>
    reachableFloors(new Map([['acme/edu', floor]]), branch, delta);
  t.match(await at(4), '1 floor raised');
  await t.rejects(at(5), { code: 'E_POLICY', why: /4, of acme\/edu\/2\/x/ });
  const withdrawn = new Delta(branch);
  withdrawn.drop('acme/edu/2/x');
  await t.rejects(at(4, withdrawn), { code: 'E_POLICY', why: /1, of acme\/edu\/1\/x/ });
  withdrawn.drop('acme/edu/1/x');
  t.match(await at(4, withdrawn), '1 floor raised', 'another product’s versions are no matter');
});

t.test('bins rest on keys that are not denied, too', async (t) => {
  const it = await withTeam(t, ACME);
  const { intake, worker } = it.repository;
  await publishList(it, 2, { keys: new Map([[TUF[0].keyid, { allowed: [], ...WHY }]]) });
  const expires = TODAY + LIFETIMES.vendor;
  const keys = { keys: TUF.map(({ key }) => key), threshold: 2 };
  const hasBins = { delegations: succinctTree(platformCrypto, keys, 1, 'acme.b1') };
  const bytes = await signedRole(ACME, 1, [], { ...hasBins, signers: TUF.slice(1) });
  const bin = targetsTree(1, expires, { targets: new Map() });
  const submitBins = async (signers: readonly (typeof TUF)[number][]): Promise<string> => {
    const file = formatMetadata(bin, await sign(platformCrypto, bin, signers));
    const digest = sha256(file);
    await it.caller.uploadAll([{ blobs: new Map([[digest, file]]), entries: new Map() }]);
    const below = ['acme.b1-0', 'acme.b1-1'].map((name) => ({ role: name, sha256: digest }));
    const { id } = await intake.submitRole({ vendor: 'acme', role: 'acme', bytes, below });
    await worker.drain();
    return said(intake.find(id, 'acme'));
  };
  t.equal(await submitBins(TUF.slice(0, 2)), 'refused, bins: denied-keys, E_REVOKED, key');
  t.equal(await submitBins(TUF.slice(1)), 'published');
});

t.test('a list that comes while a submission waits', async (t) => {
  const it = await withTeam(t, ACME);
  const { repository, clock, caller } = it;
  const [bad, good] = [await artifact('edu', 1), await artifact('net', 1)];
  await caller.uploadAll([bad, good]);
  // Nobody renewed: vendors wait, and what they handed in was judged by list 1.
  clock.days(8);
  const wait = async (artifacts: TestArtifact[]): Promise<string> => {
    const bytes = await role(1, artifacts);
    const { id } = await repository.intake.submitRole({ vendor: 'acme', role: 'acme', bytes });
    await repository.worker.drain();
    const { state, verdicts } = repository.intake.find(id, 'acme');
    t.equal(state, 'queued');
    t.ok(
      verdicts.every(({ ok }) => ok),
      'nothing was wrong with it',
    );
    return id;
  };
  const id = await wait([bad]);
  const floors = new Map([['acme/edu', { generation: 2, ...WHY }]]);
  t.equal(await publishList(it, 2, { floors }), 'revocations');
  const reply = repository.intake.find(id, 'acme');
  t.equal(said(reply), 'refused, publication, E_REVOKED, generation');
  t.equal(reply.error?.why, WHY.reason);

  clock.days(8);
  const other = await wait([good]);
  t.equal(await publishList(it, 3, { floors }), 'revocations');
  t.equal(repository.intake.find(other, 'acme').state, 'published', 'what it does not revoke');
});

t.test('the client of the preflight refuses it, whatever intake found', async (t) => {
  const it = await withTeam(t, ACME);
  const [edu, net] = [await artifact('edu', 2), await artifact('net', 2)];
  t.equal((await refusalOf(it, [edu, net], await role(1, [edu, net]))).said, 'published');
  const { current } = it.repository;
  const look = async (product: string): Promise<void> => {
    const own = (await (await current.need()).role('acme'))?.targets;
    const path = `acme/${product}/1.0.0/x.js`;
    const length = own?.entry(path)?.length ?? 0;
    const fresh = [{ path, length, sha256: digestOf(product) }];
    await preflight({
      ...{ crypto: platformCrypto, clock: it.clock.read, layers: [join(it.home, 'tree')] },
      ...{ published: await current.need(), roles: [{ vendor: 'acme', role: 'acme', fresh }] },
    });
  };
  await look('edu');
  const stolen = TUF.slice(1).map(
    ({ keyid }) => [keyid, { allowed: [digestOf('net')], ...WHY }] as const,
  );
  // The floor is the last: it alone cannot be taken back.
  const changes: [string, Partial<RevocationList>][] = [
    ['digest', { digests: new Map([[digestOf('edu'), WHY]]) }],
    ['key', { keys: new Map(stolen) }],
    ['generation', { floors: new Map([['acme/edu', { generation: 3, ...WHY }]]) }],
  ];
  for (const [i, [reason, change]] of changes.entries()) {
    t.equal(await publishList(it, 2 + i, change), 'revocations');
    await t.rejects(look('edu'), { code: 'E_REVOKED', context: { reason } }, reason);
    await t.resolves(look('net'), `${reason}: not the other one`);
  }
});

t.test('a denied key counts nowhere: not of a reviewer, and not under a request', async (t) => {
  const it = await withTeam(t);
  const expires = it.clock.now + LIFETIMES.targets;
  const plain = parseTargets(await teamTargets(it, 2), 'targets');
  const named = { keys: [ANNA, BORIS, CLARA].map(({ key }) => key), threshold: 2 };
  const tree = withReviewers(plain, named, expires);
  const file = formatMetadata(tree, await sign(platformCrypto, tree, it.operators.targets));
  t.equal(await submit(it, file), 'targets');
  await saveReviewPolicy(it.home, 'all');

  const { id } = await handIn(it, 1, [await artifactOf(it)]);
  t.equal(await approve(it, id, ANNA), 'in-review');
  t.match(await shown(it, id), { approved_by: 1, needed: 2 });
  const denied = { allowed: [], ...WHY };
  const keys = new Map([[ANNA.keyid, denied]]);
  t.equal(await publishList(it, 2, { keys }), 'revocations');
  t.match(await shown(it, id), { approved_by: 0, needed: 2 }, 'what it said before, too');
  t.equal(await approve(it, id, ANNA), 'E_NOT_AUTHORISED');
  t.equal(await reject(it, id, ANNA), 'E_NOT_AUTHORISED');
  t.equal(await approve(it, id, BORIS), 'in-review');
  t.equal(await approve(it, id, CLARA), 'published', 'those who are left decide');

  const ask = () => it.caller.send('GET', api.submission(id));
  t.equal((await ask()).status, 200);
  const stolen = new Map([[it.acme.api.keyid, denied]]);
  t.equal(await publishList(it, 3, { keys: stolen }), 'revocations');
  const answer = await ask();
  t.equal(codeOf(answer), 'E_UNAUTHENTICATED');
  t.match(JSON.parse(answer.body.toString('utf8')).error, { why: WHY.reason });
});
