/** Roles nested in a vendor's at the service: what is taken, what is refused, what stays for ever. */

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { ROLE_FIELD } from '../../shared/evidence/keys.ts';
import { jsonObject } from '../../shared/json/value.ts';
import { DAY } from '../../shared/time.ts';
import { testKey } from '../support/keys.ts';
import {
  EDU_CEILING,
  signedTargets,
  type TestArtifact,
  testArtifact,
  testVendor,
} from '../support/repository.ts';
import { ACME, asked, type Nested, nestedIn, WIFI } from './nesting.ts';
import { Caller, running } from './support.ts';

const EDU = 'acme/edu/1.0.0/edu.js';
const RADIO = 'acme/wifi6/1.0.0/radio.js';

t.test('nested, published into, un-nested, nested again', async (t) => {
  const it = await running(t);
  const { own, below, submit, artifact, find, snapshot, findings } = asked(it);
  const [edu, radio] = [await artifact(EDU), await artifact(RADIO)];
  await it.caller.uploadAll([edu, radio]);
  t.equal(await submit(await own(1, [edu, radio])), 'published');
  t.strictSame(await find(RADIO), ['targets', 'acme']);

  t.equal(await submit(await own(2, [edu], [WIFI]), await below(WIFI, 1, [radio])), 'published');
  t.strictSame(await find(RADIO), ['targets', 'acme', 'acme.wifi'], 'it moved');
  t.strictSame(await find(EDU), ['targets', 'acme'], 'this one did not');
  t.same(await findings(), []);

  // Alone, by its own keys, in versions of its own.
  const next = await artifact('acme/wifi7/1.0.0/radio.js');
  await it.caller.uploadAll([next]);
  t.equal(await submit(undefined, await below(WIFI, 2, [radio, next])), 'published');
  t.strictSame(await find('acme/wifi7/1.0.0/radio.js'), ['targets', 'acme', 'acme.wifi']);
  t.equal(await snapshot('acme'), 2);
  t.equal(await snapshot('acme.wifi'), 2);
  // The vendor's own needs it not, as long as it delegates alike.
  t.equal(await submit(await own(3, [edu], [WIFI])), 'published');

  // Keys are exchanged in one snapshot.
  const rotated: Nested = { ...WIFI, signers: [testKey('wifi 3')] };
  t.equal(await submit(await own(4, [edu], [rotated])), 'E_DELEGATION by nested');
  const old = await below(WIFI, 3, [radio, next]);
  t.equal(await submit(await own(4, [edu], [rotated]), old), 'E_THRESHOLD by acme.wifi: threshold');
  t.equal(
    await submit(await own(4, [edu], [rotated]), await below(rotated, 3, [radio, next])),
    'published',
  );
  t.equal(
    await submit(undefined, await below(WIFI, 4, [radio, next])),
    'E_THRESHOLD by acme.wifi: threshold',
    'the old keys',
  );
  t.strictSame(await find(RADIO), ['targets', 'acme', 'acme.wifi']);

  // Un-nested: the delegation goes, the name stays at its version.
  t.equal(await submit(await own(5, [edu, radio, next])), 'published');
  t.strictSame(await find(RADIO), ['targets', 'acme']);
  t.equal(await snapshot('acme.wifi'), 3, 'its entry stays');
  t.equal(await submit(undefined, await below(rotated, 4, [radio])), 'E_DELEGATION by nested');
  t.same(await findings(), []);

  // Admitted again it goes on from the old version, whatever it once listed.
  const back = await own(6, [edu], [WIFI]);
  t.equal(
    await submit(back, await below(WIFI, 1, [radio, next])),
    'E_CONFLICT by acme.wifi: version',
  );
  t.equal(
    await submit(back, await below(WIFI, 3, [radio, next])),
    'E_CONFLICT by acme.wifi: version',
  );
  t.equal(await submit(back, await below(WIFI, 4, [radio, next])), 'published');
  t.equal(await snapshot('acme.wifi'), 4);
  t.strictSame(await find(RADIO), ['targets', 'acme', 'acme.wifi']);
  t.same(await findings(), []);
  t.same(it.failures, []);
});

t.test('what is refused', async (t) => {
  const it = await running(t);
  const { own, below, submit, artifact, expires } = asked(it);
  const [edu, radio] = [await artifact(EDU), await artifact(RADIO)];
  await it.caller.uploadAll([edu, radio]);
  const good = () => own(1, [edu], [WIFI]);
  const role = await below(WIFI, 1, [radio]);
  const cases: (readonly [string, string, Uint8Array | undefined, ...(typeof role)[]])[] = [
    ['before the vendor has a role', 'E_DELEGATION by nested', undefined, role],
    ['it is missing', 'E_DELEGATION by nested', await good()],
    ['another one', 'E_NOT_AUTHORISED by nested', await good(), role, ['acme.net', role[1]]],
    ["another vendor's", 'E_NOT_AUTHORISED by nested', await good(), ['other.wifi', role[1]]],
    ['twice', 'E_SCHEMA by nested', await good(), role, role],
    ['none is delegated to', 'E_DELEGATION by nested', await own(1, [edu]), role],
    [
      'too few signatures',
      'E_THRESHOLD by acme.wifi: threshold',
      await good(),
      await below(WIFI, 1, [radio], { signers: WIFI.signers.slice(1) }),
    ],
    [
      "the vendor's signatures",
      'E_THRESHOLD by acme.wifi: threshold',
      await good(),
      await below(WIFI, 1, [radio], { signers: ACME.tuf }),
    ],
    [
      'a version too high',
      'E_CONFLICT by acme.wifi: version',
      await good(),
      await below(WIFI, 2, [radio]),
    ],
    [
      'expired',
      'E_EXPIRED by acme.wifi: expiry',
      await good(),
      await below(WIFI, 1, [radio], { expires: it.clock.now - 1 }),
    ],
    [
      'for too long',
      'E_POLICY by acme.wifi: expiry',
      await good(),
      await below(WIFI, 1, [radio], { expires: it.clock.now + 400 * DAY }),
    ],
    [
      'it delegates to itself',
      'E_NAME by acme.wifi: paths',
      await good(),
      await below(WIFI, 1, [radio], { delegations: nestedIn([WIFI]) }),
    ],
    [
      'it names evidence keys',
      'E_DELEGATION by acme.wifi: paths',
      await good(),
      await below(WIFI, 1, [radio], { extra: jsonObject([[ROLE_FIELD, jsonObject([])]]) }),
    ],
    [
      'a path of the vendor',
      'E_DELEGATION by acme.wifi: paths',
      await good(),
      await below(WIFI, 1, [radio, edu]),
    ],
    ['the vendor lists its path', 'E_DELEGATION by role', await own(1, [edu, radio], [WIFI]), role],
    [
      'beyond the namespace',
      'E_DELEGATION by role',
      await own(1, [edu], [{ ...WIFI, paths: ['other/wifi/*/*'] }]),
      role,
    ],
    [
      'called as if it were another vendor',
      'E_NAME by role',
      await own(1, [edu], [{ ...WIFI, name: 'other.wifi' }]),
      role,
    ],
    [
      'called like a bin',
      'E_NAME by role',
      await own(1, [edu], [{ ...WIFI, name: 'acme.b1-0' }]),
      ['acme.b1-0', role[1]],
    ],
    [
      'it does not end the search',
      'E_DELEGATION by role',
      await own(1, [edu], [], {
        delegations: nestedIn([WIFI], jsonObject([['terminating', false]])),
      }),
      role,
    ],
    [
      'two for one path',
      'E_DELEGATION by role',
      await own(1, [edu], [WIFI, { ...WIFI, name: 'acme.two' }]),
      role,
    ],
    [
      'an API key signs it',
      'E_KEY by role',
      await own(1, [edu], [{ ...WIFI, signers: [ACME.api] }]),
      role,
    ],
    [
      'an evidence key signs it',
      'E_KEY by evidence-keys',
      await own(1, [edu], [{ ...WIFI, signers: [ACME.evidence] }]),
      await below(WIFI, 1, [radio], { signers: [ACME.evidence] }),
    ],
    [
      'bytes that never came',
      'E_NOT_FOUND by acme.wifi: blobs',
      await good(),
      await below(WIFI, 1, [await artifact('acme/wifi9/1.0.0/x.js')]),
    ],
    ['no role at all', 'E_JSON by blob acme.wifi', await good(), ['acme.wifi', utf8('{"signed":')]],
    [
      'nested deeper than anybody reads',
      'E_JSON by blob acme.wifi',
      await good(),
      ['acme.wifi', utf8('['.repeat(100_000))],
    ],
    [
      'of more than clients read',
      'E_TOO_LARGE by acme.wifi: sizes',
      await good(),
      await below(WIFI, 1, [radio], { extra: jsonObject([['x-pad', 'x'.repeat(4_500_000)]]) }),
    ],
  ];
  for (const [what, code, file, ...roles] of cases)
    t.equal(await submit(file, ...roles), code, what);

  // Hardware and evidence are the vendor's.
  const foreign = jsonObject([
    ...Object.entries(EDU_CEILING),
    [
      'devices',
      [
        jsonObject([
          ['vendor', '0x9999'],
          ['device', '0x0001'],
        ]),
      ],
    ],
  ]);
  const claimed = await artifact('acme/wifi8/1.0.0/x.js', { ceiling: foreign });
  const unsigned = await artifact('acme/wifi8/1.0.1/x.js', { signer: WIFI.signers[0] });
  await it.caller.uploadAll([claimed, unsigned]);
  t.equal(
    await submit(await good(), await below(WIFI, 1, [claimed])),
    'E_NOT_AUTHORISED by hardware acme/wifi8/1.0.0/x.js',
  );
  t.match(
    await submit(await good(), await below(WIFI, 1, [unsigned])),
    /^E_CEILING|^E_EVIDENCE/,
    'a TUF key is no evidence key',
  );
  t.equal(await submit(await good(), role), 'published', 'and then it is taken');

  // Bytes of a path stay, whichever role lists it.
  const other = await testArtifact(ACME, RADIO, utf8('other bytes'), { now: it.clock.now });
  await it.caller.uploadAll([other]);
  t.equal(
    await submit(undefined, await below(WIFI, 2, [other])),
    'E_EXISTS by acme.wifi: unchanged',
  );
  t.equal(
    await submit(await own(2, [edu, other])),
    'E_EXISTS by unchanged',
    'also when it is un-nested',
  );
  // What a nested role lists does not vanish with it unsaid: sidecars go with their artifact, or not.
  const stripped = {
    ...radio,
    entries: new Map([...radio.entries].filter(([path]) => !path.endsWith('.spdx.json'))),
  };
  t.equal(await submit(undefined, await below(WIFI, 2, [stripped])), 'E_EVIDENCE by sidecars');
  t.equal(await submit(await own(2, [edu, stripped])), 'E_EVIDENCE by sidecars');
  t.ok(expires > 0);
  t.same(it.failures, []);
});

t.test('names that other services stumble over', async (t) => {
  const it = await running(t);
  const vendors = ['acme', '3ware', 'team', 'qa'].map((name) =>
    testVendor(name, {
      threshold: 1,
      ...(name === 'acme' ? {} : { hardwareIds: [`PCI:0x1234:0x${name.length}000`] }),
    }),
  );
  const { id } = await it.repository.intake.submitOperatorFiles(
    [await signedTargets(it.operators, 2, vendors, { expires: it.clock.now + 100 * DAY })],
    false,
  );
  await it.repository.worker.drain();
  t.equal(it.repository.intake.find(id, undefined).state, 'published');
  const chains: (readonly string[] | undefined)[] = [];
  for (const [index, names] of [
    [1, ['raid', 'root', 'b1', '5']],
    [2, ['qa', 'snapshot']],
    [3, []],
  ] as const) {
    const vendor = vendors[index] as (typeof vendors)[number];
    const caller = new Caller(it.service.url, vendor.api, it.clock);
    const { own, below, submit, find, snapshot } = asked(it, vendor, caller);
    const nested = names.map(
      (name): Nested => ({
        name: `${vendor.name}.${name}`,
        paths: [`${vendor.name}/${name}/*/*`],
        signers: [testKey(`${vendor.name} ${name}`)],
      }),
    );
    const ceiling = jsonObject([
      ...Object.entries(EDU_CEILING),
      [
        'devices',
        [
          jsonObject([
            ['vendor', '0x1234'],
            ['device', vendor.hardwareIds[0]?.slice(-6) ?? ''],
          ]),
        ],
      ],
    ]);
    const made = await Promise.all(
      names.map((name) =>
        testArtifact(vendor, `${vendor.name}/${name}/1.0.0/x.js`, undefined, {
          now: it.clock.now,
          ceiling,
        }),
      ),
    );
    await caller.uploadAll(made);
    const files = await Promise.all(
      nested.map((one, i) => below(one, 1, [made[i] as TestArtifact])),
    );
    t.equal(await submit(await own(1, [], nested), ...files), 'published', vendor.name);
    for (const { name } of nested) t.equal(await snapshot(name), 1, name);
    for (const name of names) chains.push(await find(`${vendor.name}/${name}/1.0.0/x.js`));
  }
  t.match(chains, [
    ['targets', '3ware', '3ware.raid'],
    ['targets', '3ware', '3ware.root'],
    ['targets', '3ware', '3ware.b1'],
    ['targets', '3ware', '3ware.5'],
    ['targets', 'team', 'team.qa'],
    ['targets', 'team', 'team.snapshot'],
  ]);
  const { snapshot, findings } = asked(it);
  t.equal(await snapshot('qa'), 1, 'beside team.qa');
  t.same(await findings(), []);
  t.same(it.failures, []);
});
