// Every forgery of revocations, against the whole of what a host does, refused for its own reason.

import t from 'tap';
import { type VerifiedTarget, verifyTarget } from '../../client/verify-target.ts';
import { utf8 } from '../../shared/bytes.ts';
import { buildEvidenceKeys } from '../../shared/evidence/keys.ts';
import { buildStatement } from '../../shared/evidence/statement.ts';
import { revocations as place } from '../../shared/layout.ts';
import { REVOCATION_LIMITS } from '../../shared/limits.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import type { RevocationList } from '../../shared/revocation/list.ts';
import { listPayload } from '../../shared/revocation/signed-list.ts';
import { EXTENSION_FIELD } from '../../shared/tuf/vendors.ts';
import { addArtifact, addVendor, EDU } from '../support/artifact.ts';
import { Host } from '../support/host.ts';
import { testKey } from '../support/keys.ts';
import {
  addRevocations,
  listIt,
  nameTeam,
  signList,
  TEAM,
  TRUST,
  testList,
} from '../support/revocations.ts';
import { digest, Simulator } from '../support/simulator.ts';

const DRIVER = utf8('the driver');
const DRIVER_SHA256 = digest('sha256', DRIVER);
const WHY = { reason: 'CVE-2030-0001: writes past the end of its ring' };

/** A vendor with one artifact of generation 2, in a repository with an empty list. */
async function repository(): Promise<Host> {
  const sim = new Simulator();
  addVendor(sim, 'acme');
  await addArtifact(sim, EDU, DRIVER, generation(2));
  await addRevocations(sim);
  sim.publish('targets', 'acme', place.role);
  return new Host(sim);
}

const CEILING_OF = (await import('../support/artifact.ts')).CEILING;
const generation = (count: number) => ({
  generation: count,
  ceilingPredicate: { ...CEILING_OF, generation: count },
});

function verify(host: Host, path = EDU): Promise<VerifiedTarget> {
  const { checks, sim: fetcher } = host;
  return verifyTarget({ crypto: platformCrypto, updater: host.updater(), fetcher, path, checks });
}

/** What the team publishes next. */
async function publishList(host: Host, list: RevocationList): Promise<void> {
  listIt(host.sim, await signList(list));
  host.sim.publish(place.role);
}

const floor = (component: string, count: number): Partial<RevocationList> => ({
  floors: new Map([[component, { generation: count, ...WHY }]]),
});

t.test('a list that revokes nothing of it lets an artifact through, and is said', async (t) => {
  const host = await repository();
  const { verdict, notChecked } = await verify(host);
  t.strictSame(verdict.revocations, { epoch: 1, version: 1 });
  t.equal(verdict.versions.get('revocations'), 2);
  t.notOk(notChecked.some((what) => what.includes('revocations')));
  const said = host.checks.find(({ rule }) => rule === 'revocations');
  t.match(said, { version: 1, keys: TEAM.slice(0, 2).map(({ keyid }) => keyid) });
  t.ok(host.checks.some(({ rule }) => rule === 'not revoked'));
  t.match((await host.store.floors()).revocations, { epoch: 1, version: 1 });
  t.equal(verdict.freshUntil, host.clock.now + 86_400, 'a verdict is as fresh as what it rests on');

  await publishList(host, testList(2, floor('acme/edu', 2)));
  t.match((await verify(host)).verdict.revocations, { version: 2 }, 'at its floor, not below it');
  await publishList(host, testList(3, { ...floor('acme/edu', 2), ...floor('acme/edu2', 9) }));
  await t.rejects(verify(host), { code: 'E_ROLLBACK' }, 'the floor of acme/edu is gone');
});

t.test('revoked: by its generation, its bytes, what stands beside it', async (t) => {
  const ceiling = async (host: Host) => {
    const { sidecars } = await verify(host);
    return digest('sha256', sidecars.get('ceiling')?.bytes as Uint8Array);
  };
  const cases: [string, (host: Host) => Promise<Partial<RevocationList>>, string][] = [
    ['one line kills every older build', async () => floor('acme/edu', 3), 'generation'],
    ['a denied digest', async () => ({ digests: new Map([[DRIVER_SHA256, WHY]]) }), 'digest'],
    [
      'a denied ceiling',
      async (host) => ({ digests: new Map([[await ceiling(host), WHY]]) }),
      'digest',
    ],
  ];
  for (const [name, change, reason] of cases) {
    const host = await repository();
    await publishList(host, testList(2, await change(host)));
    await t.rejects(
      verify(host),
      { code: 'E_REVOKED', context: { reason, path: EDU }, why: WHY.reason },
      name,
    );
  }
});

t.test('a denied key counts nowhere, but for the digests that its denial names', async (t) => {
  const deny = (keyid: string, allowed: readonly string[] = []): Partial<RevocationList> => ({
    keys: new Map([[keyid, { allowed, ...WHY }]]),
  });
  const evidence = testKey('acme evidence').keyid;
  for (const which of ['the role acme', 'the provenance']) {
    const host = await repository();
    const tuf = host.sim.signers.get('acme')?.[0]?.keyid as string;
    const keyid = which === 'the role acme' ? tuf : evidence;
    await publishList(host, testList(2, deny(keyid)));
    const refused = { code: 'E_REVOKED', context: { reason: 'key' }, why: WHY.reason };
    await t.rejects(verify(host), { ...refused, message: new RegExp(which) }, which);
    await publishList(host, testList(3, deny(keyid, ['0'.repeat(64)])));
    await t.rejects(verify(host), refused, 'allowed for something else');
    await publishList(host, testList(4, deny(keyid, [DRIVER_SHA256])));
    t.equal((await verify(host)).verdict.sha256, DRIVER_SHA256, 'allowed for this one');
  }
  const host = await repository();
  const denied = testList(2, deny(testKey('targets of the simulator').keyid));
  await publishList(host, denied);
  t.ok(await verify(host), 'a key that nothing rests on');
});

t.test('a quorum that is large enough without the denied key holds', async (t) => {
  const sim = new Simulator();
  const [first, second] = [testKey('acme tuf 1'), testKey('acme tuf 2')];
  sim.signers.set('acme', [first, second]);
  addVendor(sim, 'acme');
  sim.role('acme')[EXTENSION_FIELD] = buildEvidenceKeys({
    active: [testKey('acme evidence').key, testKey('acme evidence 2').key],
    retired: [],
  });
  await addArtifact(sim, EDU, DRIVER);
  await addRevocations(
    sim,
    testList(1, {
      keys: new Map([
        [first.keyid, { allowed: [], ...WHY }],
        [testKey('acme evidence 2').keyid, { allowed: [], ...WHY }],
      ]),
    }),
  );
  sim.publish('targets');
  t.ok(await verify(new Host(sim)), '1 of 2, and the other one signed too');
  const delegated = sim.targets.delegations?.roles?.find(({ name }) => name === 'acme');
  if (delegated !== undefined) delegated.threshold = 2;
  sim.publish('targets');
  await t.rejects(verify(new Host(sim)), { code: 'E_REVOKED', context: { reason: 'key' } });
});

t.test('a vendor raises floors of its own products, and of nobody else', async (t) => {
  const host = await repository();
  const { sim } = host;
  addVendor(sim, 'evil');
  const raise = (vendor: string, floors: Record<string, number>) => {
    const role = sim.role(vendor);
    role[EXTENSION_FIELD] = { ...(role[EXTENSION_FIELD] as object), generation_floors: floors };
    sim.publish('targets', vendor);
  };
  raise('evil', { edu: 9 });
  t.ok(await verify(host), "evil's word about its own product edu");
  raise('acme', {
    edu: 2,
    ...Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`p${i}`, 1])),
  });
  t.ok(await verify(host));
  const floors = await host.store.floors();
  t.same([...(floors.revocations?.vendors ?? [])], [['acme/edu', 2]], 'of what was asked for');
  raise('acme', { edu: 3 });
  await t.rejects(verify(host), {
    code: 'E_REVOKED',
    context: { reason: 'generation' },
    why: /its vendor/,
  });
  raise('acme', { edu: 1 });
  await t.rejects(verify(host), { code: 'E_REVOKED' }, 'what a vendor said once, stays');
  for (const name of ['../other/edu', 'other/edu', '']) {
    raise('acme', { [name]: 1 });
    await t.rejects(verify(host), { code: 'E_NAME' }, name);
  }
});

t.test('no list, or a stale one', async (t) => {
  const cases: [string, string, (host: Host) => void][] = [
    [
      'the role expired',
      'E_REVOCATIONS_STALE',
      (host) => {
        host.sim.role(place.role).expires = host.sim.expiry(-1);
        host.sim.publish(place.role);
      },
    ],
    [
      'the file is not there',
      'E_REVOCATIONS_MISSING',
      ({ sim }) => {
        sim.overrides.set(listPlace(sim), null);
      },
    ],
    [
      'the role lists nothing',
      'E_REVOCATIONS_MISSING',
      ({ sim }) => {
        sim.role(place.role).targets = {};
        sim.publish(place.role);
      },
    ],
    [
      'the role was never published',
      'E_REVOCATIONS_MISSING',
      ({ sim }) => {
        sim.roles.delete(place.role);
        delete sim.snapshot.meta[`${place.role}.json`];
        sim.publish();
      },
    ],
    [
      'a team without a role',
      'E_REVOCATIONS_MISSING',
      ({ sim }) => {
        const { delegations } = sim.targets;
        if (delegations !== undefined)
          delegations.roles = delegations.roles?.filter(({ name }) => name !== place.role) ?? [];
        sim.publish('targets');
      },
    ],
    [
      'a role without a team',
      'E_REVOCATIONS_MISSING',
      ({ sim }) => {
        const { revocations: _, ...rest } = sim.targets[EXTENSION_FIELD] as Record<string, unknown>;
        sim.targets[EXTENSION_FIELD] = rest;
        sim.publish('targets');
      },
    ],
    [
      'the hot key sends to another role',
      'E_REVOCATIONS_MISSING',
      ({ sim }) => {
        const entry = sim.role(place.role).targets[place.list];
        sim.role(place.role).targets = {};
        sim.delegate(place.role, 'else', { paths: place.paths });
        if (entry !== undefined) sim.role('else').targets[place.list] = entry;
        sim.publish(place.role);
      },
    ],
  ];
  for (const [name, code, change] of cases) {
    const host = await repository();
    change(host);
    await t.rejects(verify(host), { code }, name);
    t.equal((await host.store.floors()).revocations, undefined, 'nothing was learnt');
  }
  const host = await repository();
  host.clock.days(0.5);
  t.ok(await verify(host));
  host.clock.days(7);
  const { sim } = host;
  sim.timestamp.expires = sim.expiry(9);
  sim.snapshot.expires = sim.expiry(9);
  sim.publish();
  await t.rejects(verify(host), { code: 'E_REVOCATIONS_STALE' }, 'also what is stored');
});

t.test('the hot key lists another list', async (t) => {
  const stranger = testKey('stranger');
  const signed = testList(2, { digests: new Map([[DRIVER_SHA256, WHY]]) });
  const payload = listPayload(platformCrypto, signed, TRUST);
  const otherKeys = {
    ...TRUST,
    keys: [TEAM[0], TEAM[1], stranger].map((key) => key?.key as never),
  };
  const vsa = buildStatement({
    subjects: [{ sha256: '0'.repeat(64) }],
    predicateType: 'https://slsa.dev/verification_summary/v1',
    predicate: {},
  });
  const text = new TextDecoder().decode(payload);
  const cases: [string, string, Promise<Uint8Array> | Uint8Array][] = [
    ['signed by nobody of the team', 'signer', signList(signed, { signers: [stranger] })],
    ['signed by the hot key', 'signer', signList(signed, { signers: [testKey('hot')] })],
    ['signed below the threshold', 'threshold', signList(signed, { signers: TEAM.slice(0, 1) })],
    [
      'one of the team, twice',
      'threshold',
      signList(signed, { signers: [TEAM[0], TEAM[0]] as never }),
    ],
    ['no statement', 'payload-type', signList(signed, { payloadType: 'application/json' })],
    ['another statement of the team', 'predicate-type', signList(signed, { payload: vsa })],
    ['made for another set of keys', 'subject', signList(signed, { trust: otherKeys })],
    [
      'made for another threshold',
      'subject',
      signList(signed, { trust: { ...TRUST, threshold: 3 } }),
    ],
    ['of an epoch that was not declared', 'epoch', signList({ ...signed, epoch: 2 })],
    [
      'with white space in it',
      'unreadable',
      signList(signed, { payload: utf8(text.replace('{', '{ ')) }),
    ],
    [
      'with an unknown field',
      'unreadable',
      signList(signed, { payload: utf8(text.replace('"epoch":1', '"epoch":1,"note":1')) }),
    ],
    [
      'with a field twice',
      'unreadable',
      signList(signed, { payload: utf8(text.replace('"epoch":1', '"epoch":1,"epoch":1')) }),
    ],
    ['no envelope', 'unreadable', utf8('{}')],
    ['no JSON', 'unreadable', utf8('[')],
  ];
  for (const [name, reason, bytes] of cases) {
    const host = await repository();
    t.ok(await verify(host));
    listIt(host.sim, await bytes);
    host.sim.publish(place.role);
    await t.rejects(verify(host), { code: 'E_REVOCATIONS', context: { reason } }, name);
    t.match((await host.store.floors()).revocations, { version: 1 }, 'nothing was learnt');
  }
});

t.test('nothing is taken back within an epoch', async (t) => {
  const base = testList(5, floor('acme/edu', 2));
  const cases: [string, string, string, RevocationList][] = [
    ['an older list', 'E_ROLLBACK', 'older', testList(4, floor('acme/edu', 2))],
    ['a floor lowered', 'E_ROLLBACK', 'floor-lowered', testList(6, floor('acme/edu', 1))],
    ['a floor gone', 'E_ROLLBACK', 'floor-lowered', testList(6)],
    [
      'a second list of the same version',
      'E_REVOCATIONS',
      'disagree',
      testList(5, floor('acme/edu', 3)),
    ],
  ];
  for (const [name, code, reason, list] of cases) {
    const host = await repository();
    await publishList(host, base);
    t.ok(await verify(host));
    await publishList(host, list);
    await t.rejects(verify(host), { code, context: { reason } }, name);
  }
});

t.test('epochs: declared by the operators, counted up', async (t) => {
  const host = await repository();
  await publishList(host, testList(5, floor('acme/edu', 2)));
  t.ok(await verify(host));
  const { sim } = host;
  const next = { ...TRUST, epoch: 2, keys: [testKey('new 1').key, testKey('new 2').key] };
  const news = [testKey('new 1'), testKey('new 2')];

  nameTeam(sim, next);
  sim.publish('targets');
  await t.rejects(verify(host), { code: 'E_REVOCATIONS', context: { reason: 'signer' } });
  const first = { ...testList(1), epoch: 2 };
  listIt(sim, await signList(first, { trust: next }));
  sim.publish(place.role);
  await t.rejects(
    verify(host),
    { code: 'E_REVOCATIONS', context: { reason: 'signer' } },
    'the old team',
  );
  listIt(sim, await signList(first, { trust: next, signers: news }));
  sim.publish(place.role);
  t.ok(await verify(host), 'floors begin anew with the new list');
  t.match((await host.store.floors()).revocations, {
    epoch: 2,
    version: 1,
    generations: new Map(),
  });

  nameTeam(sim, TRUST);
  listIt(sim, await signList(testList(9, floor('acme/edu', 2))));
  sim.publish('targets', place.role);
  await t.rejects(verify(host), { code: 'E_ROLLBACK', context: { reason: 'older-epoch' } });
  const { revocations: _, ...rest } = sim.targets[EXTENSION_FIELD] as Record<string, unknown>;
  sim.targets[EXTENSION_FIELD] = rest;
  const { delegations } = sim.targets;
  if (delegations !== undefined)
    delegations.roles = delegations.roles?.filter(({ name }) => name !== place.role) ?? [];
  sim.publish('targets');
  await t.rejects(verify(host), { code: 'E_REVOCATIONS_MISSING' }, 'once a list, always a list');
  t.match(
    (await verify(new Host(sim))).notChecked.filter((what) => what.startsWith('revocations')),
    [/no security team/],
    'who never saw one is told',
  );
});

t.test(
  'a stolen team with the highest numbers there are locks hosts until a new epoch',
  async (t) => {
    const host = await repository();
    const last = REVOCATION_LIMITS.number;
    await publishList(host, testList(last, floor('acme/edu', last)));
    await t.rejects(verify(host), { code: 'E_REVOKED', context: { reason: 'generation' } });
    // No number is left to follow it, and none that is lower is taken, whatever it says.
    await publishList(host, testList(1));
    await t.rejects(verify(host), {
      code: 'E_ROLLBACK',
      why: /revocations init --new-epoch/,
      context: { reason: 'older' },
    });
    const { sim } = host;
    const news = [testKey('new 1'), testKey('new 2')];
    const others = { ...TRUST, keys: news.map(({ key }) => key) };
    nameTeam(sim, others);
    listIt(sim, await signList(testList(1), { trust: others, signers: news }));
    sim.publish('targets', place.role);
    await t.rejects(verify(host), { code: 'E_ROLLBACK' }, 'another team alone does not help');
    const begun = { ...others, epoch: 2 };
    nameTeam(sim, begun);
    listIt(sim, await signList({ ...testList(1), epoch: 2 }, { trust: begun, signers: news }));
    sim.publish('targets', place.role);
    t.ok(await verify(host), 'a new epoch does');
  },
);

t.test('rotated online keys drop what an online key signs, and no revocation', async (t) => {
  const host = await repository();
  await publishList(host, testList(5, floor('acme/edu', 2)));
  t.ok(await verify(host));
  host.sim.nextRoot(() => host.sim.rotateKeys('snapshot'));
  await publishList(host, testList(4, floor('acme/edu', 2)));
  await t.rejects(verify(host), { code: 'E_ROLLBACK', context: { reason: 'older' } });
});

t.test('a list is fetched once, and held to its entry each time', async (t) => {
  const host = await repository();
  t.ok(await verify(host));
  const { sim } = host;
  const at = listPlace(sim);
  sim.overrides.set(at, utf8('x'));
  t.ok(await verify(host), 'the stored one serves');
  await publishList(host, testList(2));
  const honest = sim.serve(listPlace(sim)) as Uint8Array;
  sim.overrides.set(listPlace(sim), honest.with(9, (honest[9] as number) ^ 1));
  await t.rejects(verify(host), { code: 'E_HASH' });
  sim.overrides.set(listPlace(sim), new Uint8Array(honest.length + 1));
  await t.rejects(verify(host), { code: 'E_TOO_LARGE' });
  await host.store.writeList(utf8('damage'));
  sim.overrides.clear();
  t.ok(await verify(host), 'a damaged copy is replaced');
  const entry = sim.role(place.role).targets[place.list];
  if (entry !== undefined) entry.length = 2 ** 40;
  sim.publish(place.role);
  await t.rejects(verify(host), { code: 'E_TOO_LARGE' }, 'refused before a byte of it comes');
});

function listPlace(sim: Simulator): string {
  return `targets/revocations/${sim.role(place.role).targets[place.list]?.hashes.sha256}.list.json`;
}
