/** What intake refuses, each for its own reason, over the socket that vendors use. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { buildEvidenceKeys, ROLE_FIELD } from '../../shared/evidence/keys.ts';
import { type JsonObject, jsonObject } from '../../shared/json/value.ts';
import { PUBLISHED_LIMITS } from '../../shared/limits.ts';
import { DAY } from '../../shared/time.ts';
import { objectMember, targetEntry, withFields } from '../../shared/tuf/build.ts';
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
import { Caller, codeOf, running } from './support.ts';

const { home, clock, acme, caller, service, repository } = await running(t);
const good = await testArtifact(acme);
await caller.uploadAll([good]);

interface Refusal {
  readonly name: string;
  readonly code: string;
  /** The check that must be the first to refuse. */
  readonly check: string;
  readonly role?: string;
  readonly bytes: Uint8Array;
  readonly upload?: readonly TestArtifact[];
}

const only = (artifact: TestArtifact, keep: (path: string) => boolean): TestArtifact => ({
  blobs: artifact.blobs,
  entries: new Map([...artifact.entries].filter(([path]) => keep(path))),
});
const forger = testKey('forger');
const edu2 = 'acme/edu/2.0.0/edu.js';
const otherCeiling = await testArtifact(acme, edu2, undefined, {
  ceiling: { ...EDU_CEILING, devices: [{ vendor: '0x8086', device: '0x10d3' }] },
});
const brokenCeiling = await testArtifact(acme, edu2, undefined, {
  ceiling: { ...EDU_CEILING, devices: [] },
});
const otherGeneration = await testArtifact(acme, edu2, undefined, { generation: 2 });
const forged = await testArtifact(acme, edu2, undefined, { signer: forger });
const lent = await testArtifact(acme, edu2, utf8('other bytes'));
const lentSidecars: TestArtifact = {
  blobs: new Map([...lent.blobs, ...good.blobs]),
  // The sidecars of 2.0.0 stay; the artifact itself is swapped.
  entries: new Map([
    ...lent.entries,
    [
      edu2,
      jsonObject([
        ...Object.entries(lent.entries.get(edu2) ?? {}),
        ['length', utf8('the driver at acme/edu/1.0.0/edu.js').length],
        ['hashes', jsonObject([['sha256', sha256(utf8('the driver at acme/edu/1.0.0/edu.js'))]])],
      ]),
    ],
  ]),
};
const sbom = good.entries.get('acme/edu/1.0.0/edu.js.spdx.json') as JsonObject;
const retired = await testArtifact(acme, edu2, utf8('signed too late'));
const evil = testVendor('evil');
const outside = await testArtifact({ ...acme, name: 'evil' }, 'evil/edu/1.0.0/edu.js');
const shallow = new Map([['acme/edu.js', targetEntry({ length: 1, sha256: sha256(utf8('x')) })]]);
const evidence = (...keys: ReturnType<typeof testKey>[]) => ({
  extra: jsonObject([
    [ROLE_FIELD, buildEvidenceKeys({ active: keys.map(({ key }) => key), retired: [] })],
  ]),
});

const REFUSALS: readonly Refusal[] = [
  {
    name: 'a role of somebody else',
    code: 'E_NOT_AUTHORISED',
    check: 'role',
    role: 'evil',
    bytes: await signedRole(acme, 1, [good]),
  },
  {
    name: 'a role called like a top-level one',
    code: 'E_NAME',
    check: 'role',
    role: 'snapshot',
    bytes: await signedRole(acme, 1, [good]),
  },
  {
    name: 'a role that is a path',
    code: 'E_NAME',
    check: 'role',
    role: '../../root',
    bytes: await signedRole(acme, 1, [good]),
  },
  {
    name: 'delegations of its own',
    code: 'E_DELEGATION',
    check: 'role',
    bytes: await signedRole(acme, 1, [good], {
      delegations: jsonObject([
        ['keys', jsonObject([])],
        ['roles', []],
      ]),
    }),
  },
  {
    name: 'one signature where two are needed',
    code: 'E_THRESHOLD',
    check: 'threshold',
    bytes: await signedRole(acme, 1, [good], { signers: acme.tuf.slice(0, 1) }),
  },
  {
    name: 'signatures of strangers',
    code: 'E_THRESHOLD',
    check: 'threshold',
    bytes: await signedRole(acme, 1, [good], { signers: evil.tuf }),
  },
  {
    name: 'a version too far',
    code: 'E_CONFLICT',
    check: 'version',
    bytes: await signedRole(acme, 2, [good]),
  },
  {
    name: 'expired',
    code: 'E_EXPIRED',
    check: 'expiry',
    bytes: await signedRole(acme, 1, [good], { expires: TODAY }),
  },
  {
    name: 'living too long',
    code: 'E_POLICY',
    check: 'expiry',
    bytes: await signedRole(acme, 1, [good], { expires: TODAY + 91 * DAY }),
  },
  {
    name: "another vendor's namespace",
    code: 'E_NOT_AUTHORISED',
    check: 'namespace',
    bytes: await signedRole(acme, 1, [good, outside]),
    upload: [outside],
  },
  {
    name: 'a path of another depth',
    code: 'E_NOT_AUTHORISED',
    check: 'namespace',
    bytes: await signedRole(acme, 1, [good], { entries: shallow }),
  },
  {
    name: 'a path with dots',
    code: 'E_NAME',
    check: 'namespace',
    bytes: await signedRole(acme, 1, [], {
      entries: new Map([
        ['acme/../1.0.0/x', targetEntry({ length: 1, sha256: sha256(utf8('x')) })],
      ]),
    }),
  },
  {
    name: 'a file name that no tree can hold',
    code: 'E_NAME',
    check: 'namespace',
    bytes: await signedRole(acme, 1, [], {
      entries: new Map([
        [
          `acme/edu/1.0.0/${'x'.repeat(200)}`,
          targetEntry({ length: 1, sha256: sha256(utf8('x')) }),
        ],
      ]),
    }),
  },
  {
    name: 'a file that comes near what clients refuse to read',
    code: 'E_TOO_LARGE',
    check: 'sizes',
    bytes: await signedRole(acme, 1, [good], {
      extra: jsonObject([
        ...Object.entries(evidence(acme.evidence).extra),
        ['x-padding', 'x'.repeat(PUBLISHED_LIMITS.targets)],
      ]),
    }),
  },
  {
    name: 'an entry with two digests',
    code: 'E_HASH',
    check: 'blobs',
    bytes: await signedRole(acme, 1, [good], {
      entries: new Map([
        [
          'acme/edu/1.0.0/edu.js.spdx.json',
          withFields(sbom, {
            hashes: withFields(objectMember(sbom, 'hashes'), { sha512: 'ab'.repeat(64) }),
          }),
        ],
      ]),
    }),
  },
  {
    name: 'evidence by a retired key',
    code: 'E_EVIDENCE',
    check: `evidence ${edu2}`,
    bytes: await signedRole(acme, 1, [retired], {
      extra: jsonObject([
        [
          ROLE_FIELD,
          buildEvidenceKeys({ active: [testKey('acme next').key], retired: [acme.evidence.key] }),
        ],
      ]),
    }),
    upload: [retired],
  },
  {
    name: 'a product that no tree can hold',
    code: 'E_NAME',
    check: 'namespace',
    bytes: await signedRole(acme, 1, [], {
      entries: new Map([
        [`acme/${'p'.repeat(256)}/1.0.0/x`, targetEntry({ length: 1, sha256: sha256(utf8('x')) })],
      ]),
    }),
  },
  {
    name: 'more bytes than an artifact may have',
    code: 'E_TOO_LARGE',
    check: 'sizes',
    bytes: await signedRole(acme, 1, [good], {
      entries: new Map([[edu2, targetEntry({ length: 2 ** 40, sha256: sha256(utf8('x')) })]]),
    }),
  },
  {
    name: 'bytes that were not uploaded',
    code: 'E_NOT_FOUND',
    check: 'blobs',
    bytes: await signedRole(acme, 1, [await testArtifact(acme, edu2, utf8('never sent'))]),
  },
  {
    name: 'another length',
    code: 'E_LENGTH',
    check: 'blobs',
    bytes: await signedRole(acme, 1, [], {
      entries: new Map([
        ...good.entries,
        [
          'acme/edu/1.0.0/edu.js.spdx.json',
          targetEntry({ length: 7, sha256: [...good.blobs.keys()][0] as string }),
        ],
      ]),
    }),
  },
  {
    name: 'no evidence at all',
    code: 'E_CEILING',
    check: 'sidecars',
    bytes: await signedRole(acme, 1, [only(good, (path) => path.endsWith('.js'))]),
  },
  {
    name: 'one sidecar missing',
    code: 'E_EVIDENCE',
    check: 'sidecars',
    bytes: await signedRole(acme, 1, [only(good, (path) => !path.endsWith('.spdx.json'))]),
  },
  {
    name: 'a sidecar without its artifact',
    code: 'E_EVIDENCE',
    check: 'sidecars',
    bytes: await signedRole(acme, 1, [only(good, (path) => path.endsWith('.spdx.json'))]),
  },
  {
    name: 'no evidence key',
    code: 'E_EVIDENCE',
    check: 'evidence-keys',
    bytes: await signedRole(acme, 1, [good], { extra: jsonObject([]) }),
  },
  {
    name: 'an evidence key that signs requests too',
    code: 'E_KEY',
    check: 'evidence-keys',
    bytes: await signedRole(acme, 1, [good], evidence(acme.evidence, acme.api)),
  },
  {
    name: 'an evidence key that signs metadata too',
    code: 'E_KEY',
    check: 'evidence-keys',
    bytes: await signedRole(acme, 1, [good], evidence(acme.evidence, acme.tuf[0] as never)),
  },
  {
    name: 'evidence signed by nobody who may',
    code: 'E_EVIDENCE',
    check: `evidence ${edu2}`,
    bytes: await signedRole(acme, 1, [forged]),
    upload: [forged],
  },
  {
    name: 'evidence of other bytes',
    code: 'E_EVIDENCE',
    check: `evidence ${edu2}`,
    bytes: await signedRole(acme, 1, [lentSidecars]),
    upload: [lentSidecars],
  },
  {
    name: 'hardware that was not given',
    code: 'E_NOT_AUTHORISED',
    check: `hardware ${edu2}`,
    bytes: await signedRole(acme, 1, [otherCeiling]),
    upload: [otherCeiling],
  },
  {
    name: 'a ceiling that is none',
    code: 'E_CEILING',
    check: `ceiling ${edu2}`,
    bytes: await signedRole(acme, 1, [brokenCeiling]),
    upload: [brokenCeiling],
  },
  {
    name: 'two generations',
    code: 'E_CEILING',
    check: `hardware ${edu2}`,
    bytes: await signedRole(acme, 1, [otherGeneration]),
    upload: [otherGeneration],
  },
];

for (const { name, code, check, role, bytes, upload } of REFUSALS) {
  t.test(name, async (t) => {
    await caller.uploadAll(upload ?? []);
    const reply = await caller.submit(role ?? 'acme', bytes);
    t.equal(reply.state, 'refused');
    t.equal(reply.error?.code, code);
    const [first] = reply.verdicts.filter(({ ok }) => !ok);
    t.match(first, { check, code });
    t.ok(
      reply.verdicts.some(({ ok }) => ok),
      'what held is kept too',
    );
    t.same(repository.worker && (await repository.current.need()).version('acme'), 0);
  });
}

t.test('what cannot be read is refused before it is judged', async (t) => {
  const send = async (body: Uint8Array): Promise<string> =>
    codeOf(await caller.send('POST', '/api/v1/submissions', body));
  t.equal(await send(utf8('{')), 'E_JSON');
  t.equal(await send(utf8('{}')), 'E_SCHEMA');
  t.equal(await send(utf8('{"schema":"ironport.submission/v1","schema":"x"}')), 'E_JSON');
  t.equal(await send(utf8('[[[[[[[[[[[[]]]]]]]]]]]]')), 'E_JSON');
  const document = (metadata: string): Uint8Array =>
    utf8(JSON.stringify({ schema: 'ironport.submission/v1', role: 'acme', metadata }));
  t.equal(await send(document('%%%')), 'E_SCHEMA');
  t.equal(await send(document('e30=')), 'E_SCHEMA');
  t.equal(await send(new Uint8Array(9 * 1024 * 1024)), 'E_TOO_LARGE');
});

t.test('a path that was published keeps its bytes', async (t) => {
  const first = await caller.submit('acme', await signedRole(acme, 1, [good]));
  t.equal(first.state, 'published', first.error?.message ?? '');
  const changed = await testArtifact(acme, 'acme/edu/1.0.0/edu.js', utf8('other bytes'));
  await caller.uploadAll([changed]);
  const reply = await caller.submit('acme', await signedRole(acme, 2, [changed]));
  t.equal(reply.error?.code, 'E_EXISTS');
  // Nor by taking it away first.
  t.equal((await caller.submit('acme', await signedRole(acme, 2, []))).state, 'published');
  const again = await caller.submit('acme', await signedRole(acme, 3, [changed]));
  t.equal(again.error?.code, 'E_EXISTS');
  const back = await caller.submit('acme', await signedRole(acme, 3, [good]));
  t.equal(back.state, 'published', 'the very bytes may come back');
  const stale = await caller.submit('acme', await signedRole(acme, 3, [good]));
  t.match(stale.error, { code: 'E_CONFLICT', context: { submitted: 3, current: 3 } });
});

t.test('a submission is its vendor’s affair', async (t) => {
  const reply = await caller.submit('acme', await signedRole(acme, 9, []));
  const stranger = new Caller(service.url, evil.api, clock);
  t.equal((await stranger.send('GET', `/api/v1/submissions/${reply.id}`)).status, 401);
  t.equal((await caller.send('GET', '/api/v1/submissions/0123')).status, 404);
  t.equal((await caller.send('GET', `/api/v1/submissions/${reply.id}?wait=x`)).status, 400);
  t.notOk(existsSync(join(home, 'tree/metadata/9.acme.json')));
});
