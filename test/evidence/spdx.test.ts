import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { verifySbomDescribes } from '../../shared/evidence/sbom.ts';
import { buildSpdx, parseSpdx } from '../../shared/evidence/spdx.ts';
import type { JsonValue } from '../../shared/json/value.ts';
import { EVIDENCE_LIMITS } from '../../shared/limits.ts';
import { faultsOfSpdx2 } from '../support/spdx2.ts';
import { artifactOf, bytesOf, EDU, NOW, refused, textOf } from './support.ts';

const DIGESTS = { sha256: EDU.sha256, sha512: EDU.sha512 };
const BYTES = buildSpdx({
  name: 'edu',
  version: '1.0.0',
  fileName: 'edu.js',
  digests: DIGESTS,
  supplier: 'acme',
  created: NOW,
  documentNamespace: 'https://ironshim.dev/spdx/x',
});
// biome-ignore lint/suspicious/noExplicitAny: a document to be broken in many ways
const document = (): any => JSON.parse(textOf(BYTES));
const OTHER = artifactOf('acme/other/1.0.0/other.js');

t.test('a document has what SPDX 2.3 asks for, and describes its artifact', async (t) => {
  const json = document();
  // SPDX 2.3, chapter 6 and 7: the required fields, and no others than those that exist.
  t.same(Object.keys(json), [
    'spdxVersion',
    'dataLicense',
    'SPDXID',
    'name',
    'documentNamespace',
    'creationInfo',
    'packages',
    'relationships',
  ]);
  t.match(json, {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    creationInfo: {
      created: '2030-01-31T12:00:00Z',
      creators: ['Tool: ironport', 'Organization: acme'],
    },
    packages: [
      {
        SPDXID: /^SPDXRef-[A-Za-z0-9.-]+$/,
        name: 'edu',
        downloadLocation: 'NOASSERTION',
        filesAnalyzed: false,
        checksums: [
          { algorithm: 'SHA256', checksumValue: EDU.sha256 },
          { algorithm: 'SHA512', checksumValue: EDU.sha512 },
        ],
      },
    ],
  });
  t.same(faultsOfSpdx2(json), []);
  const parsed = parseSpdx(BYTES);
  t.equal(parsed.created, NOW);
  t.equal(parsed.packages.length, 1);
  t.equal(verifySbomDescribes(parsed, EDU).name, 'edu');
  t.equal(verifySbomDescribes(parsed, { sha256: EDU.sha256 }).name, 'edu');
});

t.test('all spellings of "describes" are read', async (t) => {
  const id = 'SPDXRef-Package';
  const older = { ...document(), relationships: undefined, documentDescribes: [id] };
  t.equal(parseSpdx(bytesOf(older)).described.length, 1);
  const turned = {
    spdxElementId: id,
    relationshipType: 'DESCRIBED_BY',
    relatedSpdxElement: 'SPDXRef-DOCUMENT',
  };
  t.equal(parseSpdx(bytesOf({ ...document(), relationships: [turned] })).described.length, 1);
  const file = {
    SPDXID: 'SPDXRef-File',
    fileName: './edu.js',
    checksums: [{ algorithm: 'SHA256', checksumValue: EDU.sha256 }],
  };
  const filed = { ...document(), packages: [], files: [file], documentDescribes: ['SPDXRef-File'] };
  t.equal(verifySbomDescribes(parseSpdx(bytesOf(filed)), EDU).name, './edu.js');
});

t.test('a document of something else is refused', async (t) => {
  const describes = (value: JsonValue) => () => verifySbomDescribes(parseSpdx(bytesOf(value)), EDU);
  refused(t, () => verifySbomDescribes(parseSpdx(BYTES), OTHER), 'E_EVIDENCE', 'another file');
  refused(t, describes({ ...document(), relationships: [] }), 'E_EVIDENCE', 'describes nothing');

  const whole = document();
  whole.packages[0].checksums = [{ algorithm: 'SHA256', checksumValue: OTHER.sha256 }];
  whole.packages.push({ ...document().packages[0], SPDXID: 'SPDXRef-Part' });
  whole.relationships.push({
    spdxElementId: 'SPDXRef-Package',
    relationshipType: 'CONTAINS',
    relatedSpdxElement: 'SPDXRef-Part',
  });
  refused(t, describes(whole), 'E_EVIDENCE', 'contains the artifact, but describes another');

  const disagreeing = document();
  disagreeing.packages[0].checksums[1].checksumValue = OTHER.sha512;
  refused(t, describes(disagreeing), 'E_EVIDENCE', 'one digest of two');
  const weak = document();
  weak.packages[0].checksums.shift();
  refused(t, describes(weak), 'E_EVIDENCE', 'without SHA-256');
  const mentioned = { ...document(), comment: EDU.sha256, relationships: [] };
  refused(t, describes(mentioned), 'E_EVIDENCE', 'the digest stands somewhere in the text');
});

t.test('hostile documents', async (t) => {
  // biome-ignore lint/suspicious/noExplicitAny: a document to be broken in many ways
  const broken = (name: string, change: (json: any) => void) => {
    const json = document();
    change(json);
    refused(t, () => parseSpdx(bytesOf(json)), 'E_SCHEMA', name);
  };
  broken('another version', (json) => Object.assign(json, { spdxVersion: 'SPDX-2.2' }));
  broken('another licence of the data', (json) => Object.assign(json, { dataLicense: 'MIT' }));
  broken('another id of the document', (json) => Object.assign(json, { SPDXID: 'SPDXRef-X' }));
  broken('no namespace', (json) => delete json.documentNamespace);
  broken('a namespace with #', (json) =>
    Object.assign(json, { documentNamespace: 'https://a/#b' }),
  );
  broken('no creators', (json) => Object.assign(json.creationInfo, { creators: [] }));
  broken('no time', (json) => delete json.creationInfo.created);
  broken('an id twice', (json) => json.packages.push(json.packages[0]));
  broken('an id of another form', (json) => Object.assign(json.packages[0], { SPDXID: 'Package' }));
  broken('no download location', (json) => delete json.packages[0].downloadLocation);
  broken('a checksum twice', (json) =>
    json.packages[0].checksums.push(json.packages[0].checksums[0]),
  );
  broken('a checksum in upper case', (json) =>
    Object.assign(json.packages[0].checksums[0], { checksumValue: EDU.sha256.toUpperCase() }),
  );
  broken('packages as an object', (json) => Object.assign(json, { packages: {} }));
  broken('a relationship without type', (json) => delete json.relationships[0].relationshipType);

  const text = textOf(BYTES);
  refused(t, () => parseSpdx(utf8(text.slice(0, -1))), 'E_JSON', 'cut');
  refused(
    t,
    () => parseSpdx(utf8(text.replace('"packages"', '"packages":[],"packages"'))),
    'E_JSON',
    'a key twice',
  );
  refused(t, () => parseSpdx(utf8('['.repeat(1000))), 'E_JSON', 'nested');
  refused(t, () => parseSpdx(new Uint8Array(EVIDENCE_LIMITS.sbom + 1)), 'E_TOO_LARGE', 'huge');
});

t.test('each field of what there are thousands of is read as it must be, or refused', async (t) => {
  // The second package is taken by the short way unless something is wrong with it.
  const full = () => {
    const json = document();
    json.packages.push({
      ...document().packages[0],
      SPDXID: 'SPDXRef-Part',
      licenseConcluded: 'MIT',
      externalRefs: [
        { referenceType: 'purl', referenceLocator: 'pkg:generic/part@1' },
        { referenceType: 'cpe23Type', referenceLocator: 'cpe:2.3:*' },
      ],
    });
    const checksums = [{ algorithm: 'SHA1', checksumValue: 'ab' }];
    json.files = [{ SPDXID: 'SPDXRef-File', fileName: './x', checksums }];
    return json;
  };
  const [, part] = parseSpdx(bytesOf(full())).packages;
  const read = { name: 'edu', version: '1.0.0', purls: ['pkg:generic/part@1'], licences: ['MIT'] };
  t.strictSame(part, read);

  // biome-ignore lint/suspicious/noExplicitAny: a document to be broken in many ways
  const owners: Record<string, (json: any) => any> = {
    'packages[1]': (json) => json.packages[1],
    'packages[1].checksums[1]': (json) => json.packages[1].checksums[1],
    'packages[1].externalRefs[1]': (json) => json.packages[1].externalRefs[1],
    'files[0]': (json) => json.files[0],
    'files[0].checksums[0]': (json) => json.files[0].checksums[0],
    'relationships[0]': (json) => json.relationships[0],
  };
  const [string, list] = ['a string is expected', 'an array is expected'];
  const fields: [owner: string, field: string, expected: string, isOptional?: true][] = [
    ['packages[1]', 'SPDXID', string],
    ['packages[1]', 'name', string],
    ['packages[1]', 'downloadLocation', string],
    ['packages[1]', 'versionInfo', string, true],
    ['packages[1]', 'licenseConcluded', string, true],
    ['packages[1]', 'licenseDeclared', string, true],
    ['packages[1]', 'checksums', list, true],
    ['packages[1]', 'externalRefs', list, true],
    ['packages[1].checksums[1]', 'algorithm', string],
    ['packages[1].checksums[1]', 'checksumValue', string],
    ['packages[1].externalRefs[1]', 'referenceType', string],
    ['packages[1].externalRefs[1]', 'referenceLocator', string],
    ['files[0]', 'SPDXID', string],
    ['files[0]', 'fileName', string],
    ['files[0]', 'checksums', list],
    ['files[0].checksums[0]', 'algorithm', string],
    ['files[0].checksums[0]', 'checksumValue', string],
    ['relationships[0]', 'spdxElementId', string],
    ['relationships[0]', 'relationshipType', string],
    ['relationships[0]', 'relatedSpdxElement', string],
  ];
  for (const [owner, field, expected, isOptional] of fields) {
    for (const value of [null, 1, true, {}, expected === list ? 'x' : []]) {
      const json = full();
      Object.assign(owners[owner]?.(json), { [field]: value });
      const message = `spdx.${owner}.${field}: ${expected}`;
      t.throws(() => parseSpdx(bytesOf(json)), { code: 'E_SCHEMA', message });
    }
    const json = full();
    delete owners[owner]?.(json)[field];
    const message = `spdx.${owner}: the field "${field}" is missing`;
    if (isOptional === true) t.ok(parseSpdx(bytesOf(json)), `without ${field}`);
    else t.throws(() => parseSpdx(bytesOf(json)), { code: 'E_SCHEMA', message });
  }
  for (const place of ['packages', 'files', 'relationships'] as const) {
    for (const value of [null, 1, 'x', []]) {
      const json = full();
      json[place][0] = value;
      const message = `spdx.${place}[0]: an object is expected`;
      t.throws(() => parseSpdx(bytesOf(json)), { code: 'E_SCHEMA', message });
    }
  }
  for (const count of [8, 9, 30]) {
    const json = full();
    json.packages[1].checksums = Array.from({ length: count }, (_, i) => ({
      algorithm: `SHA${i}`,
      checksumValue: 'ab',
    }));
    t.ok(parseSpdx(bytesOf(json)), `${count} checksums`);
    json.packages[1].checksums[count - 1].algorithm = 'SHA0';
    const message = `spdx.packages[1].checksums[${count - 1}]: a second SHA0 of one element`;
    t.throws(() => parseSpdx(bytesOf(json)), { code: 'E_SCHEMA', message });
  }
  const twice = full();
  twice.files[0].SPDXID = 'SPDXRef-Part';
  const message = 'spdx: the identifier SPDXRef-Part stands twice';
  t.throws(() => parseSpdx(bytesOf(twice)), { code: 'E_SCHEMA', message });
});

t.test('five thousand packages are read in one go', async (t) => {
  const json = document();
  for (let i = 0; i < 5000; i++)
    json.packages.push({ ...json.packages[0], SPDXID: `SPDXRef-${i}` });
  const parsed = parseSpdx(bytesOf(json));
  t.equal(parsed.packages.length, 5001);
  t.equal(parsed.described.length, 1);
});

t.test('the second reader of the form finds what is not of it', async (t) => {
  // biome-ignore lint/suspicious/noExplicitAny: a document to be broken in many ways
  const wrong: [fault: string, (json: any) => void][] = [
    ['document.more', (json) => (json.more = 1)],
    ['document.documentNamespace', (json) => delete json.documentNamespace],
    ['document.documentNamespace', (json) => (json.documentNamespace = 'https://x.example/#a')],
    ['document.spdxVersion', (json) => (json.spdxVersion = 'SPDX-2X3')],
    ['document.creationInfo.created', (json) => (json.creationInfo.created = '2030-01-31')],
    ['document.creationInfo.creators', (json) => (json.creationInfo.creators = [])],
    ['document.packages[0].name', (json) => delete json.packages[0].name],
    ['document.packages[0].SPDXID', (json) => (json.packages[0].SPDXID = 'SPDXRef-a_b')],
    ['document.packages[0].filesAnalyzed', (json) => (json.packages[0].filesAnalyzed = 'no')],
    ['document.packages[0].licence', (json) => (json.packages[0].licence = 'MIT')],
    [
      'document.packages[0].checksums[0]',
      (json) => (json.packages[0].checksums[0].checksumValue += '0'),
    ],
    ['document.relationships[0].comments', (json) => (json.relationships[0].comments = '')],
    [
      'document.files[0].checksums',
      (json) => (json.files = [{ fileName: 'a', SPDXID: 'SPDXRef-a' }]),
    ],
  ];
  for (const [fault, spoil] of wrong) {
    const json = document();
    spoil(json);
    t.match(faultsOfSpdx2(json), [new RegExp(`^${fault.replace(/[[\]]/g, '\\$&')}: `)], fault);
  }
  for (const value of [null, [], 1, 'x']) t.equal(faultsOfSpdx2(value).length, 1);
});
