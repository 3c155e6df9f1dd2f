/** What `attest` states beside the provenance: bills, tests, releases, and a module's signature. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { program } from '../../publisher/main.ts';
import { verifyEvidence } from '../../shared/evidence/evidence.ts';
import { Node } from '../../shared/json/decode.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { loadPublicKey } from '../../shared/node/signers/file.ts';
import { run } from '../cli/support.ts';
import { EDU_MODULE } from '../evidence/elf-support.ts';
import { MODULE_KEY, moduleKey, pkcs7Of, signModule } from '../evidence/module-signing.ts';
import { sha256 } from '../evidence/support.ts';
import { CEILING, ironport } from './support.ts';

const folder = t.testdir({ 'ceiling.json': JSON.stringify(CEILING) });
const at = (...parts: string[]): string => join(folder, ...parts);
const SIGNED = signModule(EDU_MODULE);
writeFileSync(at('edu.ko'), SIGNED);
writeFileSync(at('bare.ko'), EDU_MODULE);
writeFileSync(at('edu.der'), MODULE_KEY.certificate);
const ID = ['--contact', 'security@acme.example', '--hardware-id', 'PCI:0x1234:0x11e8'];
await ironport('init', '--vendor', 'acme', '--dir', at('acme'), ...ID);

const attest = (file: string, ...more: string[]) =>
  ironport(
    ...['attest', at(file), '--product', 'edu', '--version', '1.0.0'],
    ...['--ceiling', at('ceiling.json'), '--dir', at('acme'), '--out', at('out'), ...more],
  );
const json = (name: string, value: unknown): string => {
  writeFileSync(at(name), typeof value === 'string' ? value : JSON.stringify(value));
  return at(name);
};

/** As a host reads it. */
async function verdictOf(ran: Awaited<ReturnType<typeof attest>>, file: string) {
  t.equal(ran.exit, 0, JSON.stringify(ran.error));
  const read = (suffix: string) => readFileSync(at('out', `${file}${suffix}`));
  return verifyEvidence(platformCrypto, {
    artifact: { path: ran.data.path, length: ran.data.length, sha256: ran.data.sha256 },
    custom: new Node(ran.data.custom, 'custom'),
    sidecars: {
      ceiling: read('.ceiling.json'),
      statements: read('.intoto.jsonl'),
      sbom: read('.spdx.json'),
      bundle: read('.sigstore.json'),
    },
    evidenceKeys: {
      active: [await loadPublicKey(at('acme', 'keys', 'evidence-1.pub.json'))],
      retired: [],
    },
  });
}

const MODULE_SIGNATURE = 'https://ironshim.dev/attestation/module-signature/v1';
const bill = (file: string, format: string, out: string) =>
  run(program, ['sbom', at(file), '--format', format, '--out', at(out)]);

t.test('everything at once, each in a line that a host takes', async (t) => {
  await bill('edu.ko', 'spdx-2.3', 'edu.spdx.json');
  const passed = { result: 'PASSED', configuration: [{ uri: 'git+https://git.acme.example/lab' }] };
  const verdict = await verdictOf(
    await attest(
      'edu.ko',
      ...['--sbom', at('edu.spdx.json'), '--release', 'pkg:generic/acme/edu@1.0.0'],
      ...['--test-result', json('passed.json', passed), '--module-certificate', at('edu.der')],
    ),
    'edu.ko',
  );
  t.same(
    verdict.statements.map(({ statement }) => statement.predicateType),
    [
      'https://slsa.dev/provenance/v1',
      'https://in-toto.io/attestation/test-result/v0.1',
      'https://in-toto.io/attestation/release/v0.1',
      MODULE_SIGNATURE,
    ],
  );
  const [, test, release, signature] = verdict.statements.map(({ statement }) => statement);
  t.same(test?.predicate.value, passed);
  t.same(release?.predicate.value, { purl: 'pkg:generic/acme/edu@1.0.0' });
  t.match(signature?.predicate.value, {
    format: 'pkcs7',
    module: { sha256: sha256(EDU_MODULE) },
    signature: { sha256: sha256(pkcs7Of(EDU_MODULE)) },
    signers: [{ signer: 'CN=acme module signing, serial 07', digestAlgorithm: 'sha256' }],
    certificate: { sha256: sha256(MODULE_KEY.certificate) },
  });
  t.equal(verdict.sbom.packages[0]?.version, '1.2.0', 'the bill that was given is the sidecar');
});

t.test('without being asked: the signature only, and not verified', async (t) => {
  const signed = await verdictOf(await attest('edu.ko'), 'edu.ko');
  const [, line] = signed.statements;
  t.equal(line?.statement.predicateType, MODULE_SIGNATURE);
  t.equal(line?.statement.predicate.maybe('certificate'), undefined);
  t.equal((await verdictOf(await attest('bare.ko'), 'bare.ko')).statements.length, 1);
});

t.test('SPDX 3.0.1 is a sidecar too, CycloneDX a line', async (t) => {
  await bill('bare.ko', 'spdx-3.0.1', 'bare.spdx3.json');
  await bill('bare.ko', 'cyclonedx-1.6', 'bare.cdx.json');
  const third = await verdictOf(
    await attest('bare.ko', '--sbom', at('bare.spdx3.json')),
    'bare.ko',
  );
  t.equal(third.sbom.format, 'SPDX 3.0.1');
  const cdx = await verdictOf(await attest('bare.ko', '--sbom', at('bare.cdx.json')), 'bare.ko');
  t.equal(cdx.sbom.format, 'SPDX 2.3');
  t.equal(cdx.statements[1]?.statement.predicateType, 'https://cyclonedx.org/bom');
});

t.test(
  'a release is signed with the version that its type has, where no host compares that',
  async (t) => {
    for (const purl of [
      'pkg:deb/debian/edu-dkms@1:2.0.0-3',
      'pkg:golang/acme.example/edu@v1.0.0',
    ]) {
      const { statements } = await verdictOf(await attest('edu.ko', '--release', purl), 'edu.ko');
      const release = statements.find(({ statement }) =>
        statement.predicateType.includes('release'),
      );
      t.same(release?.statement.predicate.value, { purl });
      t.match((await attest('edu.ko', '--release', purl.replace(/@.*/, ''))).error, {
        code: 'E_USAGE',
      });
    }
  },
);

t.test('what a host would refuse is refused here, and nothing is written', async (t) => {
  const before = readFileSync(at('out', 'edu.ko.intoto.jsonl'));
  const refused = async (code: string, ...more: string[]) => {
    const { error } = await attest('edu.ko', ...more);
    t.match(error, { code }, more.join(' ').slice(0, 60));
    // Of files that are not of their form, which one.
    if (/^E_(SCHEMA|JSON)$/.test(code)) t.match(error?.message, more.at(-1));
  };
  await refused('E_EVIDENCE', '--sbom', at('bare.spdx3.json'));
  await refused('E_EVIDENCE', '--sbom', at('bare.cdx.json'));
  await refused('E_SCHEMA', '--sbom', json('half.json', { spdxVersion: 'SPDX-2.3' }));
  await refused('E_JSON', '--sbom', json('cut.json', '{"spdxVersion":'));
  await refused(
    'E_JSON',
    '--test-result',
    json('twice.json', '{"result":"PASSED","result":"FAILED"}'),
  );
  await refused('E_SCHEMA', '--test-result', json('empty.json', {}));
  const failing = { result: 'PASSED', configuration: [], failedTests: ['dma'] };
  await refused('E_SCHEMA', '--test-result', json('lie.json', failing));
  const failed = json('failed.json', { result: 'FAILED', configuration: [] });
  await refused('E_EVIDENCE', '--test-result', at('passed.json'), '--test-result', failed);
  await refused('E_USAGE', '--release', 'pkg:generic/acme/edu@1.0.1');
  await refused('E_USAGE', '--release', 'pkg:generic/acme/edu');
  await refused('E_USAGE', '--release', 'edu 1.0.0');
  await refused('E_USAGE', '--release', 'pkg:generic/other/edu@1.0.0');
  await refused('E_USAGE', '--release', 'pkg:generic/acme/nic@1.0.0');
  await refused('E_USAGE', '--release', 'pkg:generic/acme/edu@1.0.0#bare.ko');
  writeFileSync(at('other.der'), moduleKey('other').certificate);
  await refused('E_SIGNATURE', '--module-certificate', at('other.der'));
  await refused('E_KEY', '--module-certificate', at('passed.json'));
  const bare = await attest('bare.ko', '--module-certificate', at('edu.der'));
  t.match(bare.error, { code: 'E_SIGNATURE' });
  writeFileSync(at('broken.ko'), Buffer.concat([EDU_MODULE, SIGNED.subarray(-40)]));
  t.match((await attest('broken.ko')).error, { code: 'E_SCHEMA' });
  t.same(readFileSync(at('out', 'edu.ko.intoto.jsonl')), before);
});
