/** Good files of every kind, made by the code that writes them: what the mutations begin with. */

import { readdirSync, readFileSync } from 'node:fs';
import { formatCeremonyFile } from '../../server/ceremony/ceremony-file.ts';
import { fromHex, utf8 } from '../../shared/bytes.ts';
import { makeKeyFile } from '../../shared/node/signers/file.ts';
import { keyObject } from '../../shared/tuf/key.ts';
import { formatFloors, NO_FLOORS } from '../../shared/verify/floors.ts';
import { EDU_MODULE, LIBRARY } from '../../test/evidence/elf-support.ts';
import { MODULE_KEY, signModule } from '../../test/evidence/module-signing.ts';
import { make } from '../../test/evidence/support.ts';
import { addArtifact, addVendor, EDU } from '../../test/support/artifact.ts';
import { testKey } from '../../test/support/keys.ts';
import { Simulator } from '../../test/support/simulator.ts';

export type Seeds = Readonly<Record<string, Uint8Array>>;

const json = (value: unknown): Uint8Array => utf8(JSON.stringify(value));
const file = (path: string): Uint8Array => readFileSync(new URL(`../../${path}`, import.meta.url));

export async function makeSeeds(): Promise<Seeds> {
  const sim = new Simulator(1_900_000_000);
  addVendor(sim, 'acme');
  await addArtifact(sim, EDU, utf8('the driver'));
  sim.publish('targets');
  const served = (path: string): Uint8Array => sim.serve(path) ?? utf8('{}');
  const { custom: _, ...evidence } = await make();
  const key = keyObject(testKey('lab').key);
  const vectors = JSON.parse(Buffer.from(file('test/vectors/manifest-vectors.json')).toString());
  const pair = await makeKeyFile('ed25519');
  return {
    root: sim.roots.get(1) as Uint8Array,
    timestamp: served('metadata/timestamp.json'),
    snapshot: served('metadata/2.snapshot.json'),
    targets: served('metadata/2.targets.json'),
    role: served('metadata/1.acme.json'),
    ceremony: formatCeremonyFile({
      root: sim.roots.get(1) as Uint8Array,
      targets: served('metadata/2.targets.json'),
      list: undefined,
      revocations: undefined,
    }),
    ...evidence,
    policy: file('examples/edu/policy.json'),
    report: json({
      ...{ status: 'region', count: 4 },
      example: { op: 2, width: 4, region: 7, offset: '0x4' },
    }),
    aer: utf8('RxErr 0\nBadTLP 3\nTOTAL_ERR_COR 3\n'),
    crashes: json({ schema: 'ironport-agent.crashes/v1', at: ['2030-01-20T00:00:00Z'] }),
    'kernel-record': utf8(
      '3,812,4209114,-;DMAR: [DMA Write NO_PASID] Request device [00:05.0] fault addr 0x10002000 [fault reason 0x05] PTE Write access is not set\n SUBSYSTEM=pci\n',
    ),
    release: json({
      ...{ schema: 'ironport.quarantine-release/v1', incident: 'ab'.repeat(16) },
      ...{ host: 'cd'.repeat(16), device: DEVICE, audit_sha256: 'ef'.repeat(32) },
      expires: '2030-01-20T00:00:00Z',
    }),
    incident: json({
      ...{ schema: 'ironport-agent.incident/v1', incident: 'ab'.repeat(16), host: 'cd' },
      ...{ device: DEVICE, level: 'hard', reason: 'x', driver: null, found: null, audit: null },
      ...{ entered_at: '2030-01-20T00:00:00Z', released: null },
    }),
    'standing-policy': json({
      ...JSON.parse(Buffer.from(file('examples/edu/policy.json')).toString('utf8')),
      ...{ version: 1, expires: '2030-01-01T00:00:00Z' },
    }),
    request: json({
      ...{ schema: 'ironport-agent.request/v1', command: 'apply' },
      arguments: ['acme/edu/1.0.0/edu-driver.mjs'],
      options: { device: '0000:00:05.0', hold: true, run: true },
    }),
    answer: json({
      ...{ schema: 'ironport-agent.answer/v1', exit: 4, text: '' },
      document: {
        ...{ schema: 'ironport-agent/release/v1', ok: false },
        error: { code: 'E_NOT_FOUND', message: 'no', why: null, hint: 'look', context: { a: 1 } },
      },
    }),
    'product-policy': json({
      schema: 'ironport.product-policy/v1',
      channels: { '*': 'stable', acme: 'stable', 'acme/edu': 'testing' },
      approved: ['262477c85ee3dfb5430674e36087dcddc8e94a16e3e699c84fc7af5385e380a8'],
      hold: { 'acme/edu': '1.0.0' },
    }),
    'watch-list': json({
      schema: 'ironport.watch/v1',
      repositories: {
        vendors: { addresses: ['https://drivers.example'], every: '6h' },
        lab: { addresses: ['/srv/lab'], store: '/var/lib/lab', handoff: '/run/lab' },
      },
    }),
    map: json({
      repositories: { vendors: ['https://a.example/'], fleet: ['http://b.example:8080/'] },
      mapping: [
        {
          paths: ['acme/*/*/*'],
          repositories: ['vendors', 'fleet'],
          threshold: 2,
          terminating: true,
        },
      ],
    }),
    'host-policy': json({
      schema: 'ironport.host-policy/v1',
      version: 1,
      keys: { lab: key },
      evidence: {
        otherwise: 'refuse',
        rules: [
          {
            namespace: 'acme',
            builders: [{ id: 'https://a.example/b', signers: ['lab'], level: 1 }],
            external_parameters: { a: { one_of: [1] } },
            summaries: [
              {
                verifiers: [{ id: 'https://a.example/v', signers: ['lab'] }],
                levels: ['SLSA_BUILD_LEVEL_2'],
                resource_uri: 'https://a.example/{path}',
                max_age_days: 30,
              },
            ],
            sbom: { allow_licences: ['MIT'], forbid: ['pkg:npm/left-pad@1.0.0'] },
            expressions: [{ name: 'x', cel: 'sbom.packages.all(p, p.name != "x")' }],
          },
        ],
      },
    }),
    'policy-floor': json({
      schema: 'ironport.policy-floor/v1',
      version: 3,
      sha256: '0'.repeat(64),
    }),
    'fleet-keys': json({ schema: 'ironport.fleet-keys/v1', threshold: 1, keys: [key] }),
    cyclonedx: json({
      bomFormat: 'CycloneDX',
      specVersion: '1.6',
      components: [{ type: 'library', name: 'a', licenses: [{ license: { id: 'MIT' } }] }],
    }),
    spdx3: json({
      '@context': 'https://spdx.org/rdf/3.0.1/spdx-context.jsonld',
      '@graph': [
        { type: 'CreationInfo', '@id': '_:c', specVersion: '3.0.1' },
        { type: 'software_Package', spdxId: 'a:p', name: 'p', verifiedUsing: [] },
        { type: 'SpdxDocument', spdxId: 'a:d', rootElement: ['a:p'] },
      ],
    }),
    module: signModule(EDU_MODULE),
    library: LIBRARY,
    certificate: MODULE_KEY.certificate,
    floors: formatFloors(NO_FLOORS),
    key: pair.file,
    'public-key': pair.publicFile,
    ism2: fromHex(firstHex(vectors, 'ism2')),
    pattern: utf8('[metadata]\nversion = "1.0"\n[mapping]\nkmalloc = "iron_alloc"\n'),
    config: new Uint8Array(256).fill(0x11),
    ...kept(),
  };
}

const DEVICE = {
  ...{ path: '0000:00:05.0', vendor: '0x1234', device: '0x11e8', subsystem_vendor: '0x1af4' },
  ...{ subsystem_device: '0x1100', class: '0x00ff00', revision: '0x10', serial: null },
};

/** The first member of that name, however deep. */
function firstHex(value: unknown, name: string): string {
  if (typeof value !== 'object' || value === null) return '';
  for (const [key, member] of Object.entries(value)) {
    if (key.includes(name) && typeof member === 'string' && /^([0-9a-f]{2})+$/.test(member))
      return member;
    const found = firstHex(member, name);
    if (found !== '') return found;
  }
  return '';
}

/** What once did harm, under `scripts/fuzz/corpus`. */
function kept(): Seeds {
  const folder = new URL('corpus/', import.meta.url);
  const names = readdirSync(folder).filter((name) => name !== 'README.md');
  return Object.fromEntries(
    names.map((name) => [`kept-${name}`, readFileSync(new URL(name, folder))]),
  );
}
