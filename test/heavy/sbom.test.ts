/**
 * `ironport sbom` on real kernel modules of Debian, and what it writes against validators that are
 * generated from the standards' own schemas.
 */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import t, { type Test } from 'tap';
import { program } from '../../publisher/main.ts';
import { parseElf } from '../../shared/evidence/elf/elf.ts';
import { parseSignedModule } from '../../shared/evidence/elf/signed-module.ts';
import { run } from '../cli/support.ts';
import { EDU_MODULE, LIBRARY } from '../evidence/elf-support.ts';
import { signModule } from '../evidence/module-signing.ts';
import { faultsOfSpdx2 } from '../support/spdx2.ts';

t.setTimeout(600_000);

const folder = mkdtempSync(join(tmpdir(), 'ironport-sbom-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const at = (...parts: string[]): string => join(folder, ...parts);
const FORMATS = ['spdx-2.3', 'spdx-3.0.1', 'cyclonedx-1.6'] as const;

const schema = (name: string) =>
  JSON.parse(readFileSync(new URL(`../vectors/schemas/${name}`, import.meta.url), 'utf8'));
const options = {
  strict: false,
  // Words of a form that these documents do not have, or that the test reads itself.
  formats: { 'date-time': true, 'iri-reference': true, 'idn-email': true },
} as const;
const cyclonedx = new Ajv(options)
  .addSchema(schema('spdx.schema.json'))
  .addSchema(schema('jsf-0.82.schema.json'))
  .compile(schema('bom-1.6.schema.json'));
const spdx3 = new Ajv2020(options).compile(schema('spdx-json-schema-3.0.1.json'));

function valid(t: Test, validate: ValidateFunction, file: string): void {
  t.ok(validate(JSON.parse(readFileSync(file, 'utf8'))), file, { errors: validate.errors });
}

/** SPDX 2.3 by the clauses of its text. */
function validSpdx2(t: Test, file: string): void {
  const document = JSON.parse(readFileSync(file, 'utf8'));
  t.same(faultsOfSpdx2(document), [], file);
  const ids = new Set<string>([document.SPDXID]);
  for (const element of [...document.packages, ...(document.files ?? [])]) {
    // 7.2, 8.2
    t.notOk(ids.has(element.SPDXID), 'an identifier stands once');
    ids.add(element.SPDXID);
  }
  for (const one of document.relationships)
    t.ok(ids.has(one.spdxElementId) && ids.has(one.relatedSpdxElement), 'both ends are there');
  const defined = new Set(
    (document.hasExtractedLicensingInfos ?? []).map((one: { licenseId: string }) => one.licenseId),
  );
  for (const one of document.packages) {
    // 7.7, 7.13, 7.15, 7.17; 10.1: a reference to a licence has its text.
    t.match(one, { downloadLocation: String, licenseConcluded: String, copyrightText: String });
    for (const name of (one.licenseDeclared as string).match(/LicenseRef-[A-Za-z0-9.-]+/g) ?? [])
      t.ok(defined.has(name), `${name} has a text`);
    // 7.9: mandatory when files were analysed, and not there when they were not.
    t.equal(one.packageVerificationCode !== undefined, one.filesAnalyzed);
    if (one.filesAnalyzed) {
      const sums = (document.files as { checksums: { checksumValue: string }[] }[]).map(
        ({ checksums }) => checksums[0]?.checksumValue as string,
      );
      const code = createHash('sha1').update(sums.sort().join('')).digest('hex');
      t.equal(one.packageVerificationCode.packageVerificationCodeValue, code);
    }
  }
}

async function inEachFormat(t: Test, name: string, ...args: string[]): Promise<void> {
  for (const format of FORMATS) {
    const out = at(`${name}.${format}.json`);
    const { exit, stderr } = await run(program, [
      ...['sbom', ...args, '--format', format, '--out', out],
    ]);
    t.equal(exit, 0, `${name}, ${format}: ${stderr}`);
    if (format === 'spdx-2.3') validSpdx2(t, out);
    else valid(t, format === 'spdx-3.0.1' ? spdx3 : cyclonedx, out);
  }
}

t.test('the validators refuse', async (t) => {
  t.notOk(cyclonedx({ bomFormat: 'CycloneDX', specVersion: '1.6', more: 1 }));
  t.notOk(spdx3({ '@context': 'https://example.org', '@graph': [] }));
  const element = { type: 'software_Package', spdxId: 'https://a.example/p', name: 1 };
  t.notOk(
    spdx3({
      '@context': schema('spdx-json-schema-3.0.1.json').properties['@context'].const,
      '@graph': [element],
    }),
  );
});

t.test('what is made in tests, and folders', async (t) => {
  writeFileSync(at('edu.ko'), signModule(EDU_MODULE));
  writeFileSync(at('libedu.so'), LIBRARY);
  await inEachFormat(t, 'edu', at('edu.ko'), '--supplier', 'acme');
  await inEachFormat(t, 'libedu', at('libedu.so'), '--licence', 'MIT OR GPL-2.0-only');
  await inEachFormat(t, 'evidence', 'shared/evidence', '--of', at('edu.ko'), '--version', '1');
});

t.test('modules of Debian', async (t) => {
  const found = spawnSync('apt-cache', ['depends', 'linux-image-amd64'], { encoding: 'utf8' });
  const image = /Depends: (linux-image-\S+)/.exec(found.stdout ?? '')?.[1];
  const fetched =
    image !== undefined &&
    spawnSync('apt-get', ['-qq', 'download', image], { cwd: folder, stdio: 'ignore' }).status === 0;
  if (!fetched) return void t.pass('no Debian here', { skip: 'apt has no linux-image-amd64' });
  const deb = readdirSync(folder).find((name) => name.endsWith('.deb')) as string;
  const pipe = `dpkg-deb --fsys-tarfile ${deb} | tar x --wildcards '*/drivers/nvme/*' '*/drivers/net/[a-e]*'`;
  t.equal(spawnSync('sh', ['-c', pipe], { cwd: folder }).status, 0);
  const modules = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) =>
    /\.ko(\.xz)?$/.test(path),
  );
  t.ok(modules.length > 20, `${modules.length} modules`);
  for (const path of modules) {
    if (path.endsWith('.xz')) spawnSync('xz', ['-d', at(path)]);
    const bytes = readFileSync(at(path.replace(/\.xz$/, '')));
    const { module, symbols, buildId, machine } = parseElf(bytes);
    t.match(module, { name: /^\w+$/, vermagic: /^\d+\.\d+\.\d+-\S+ SMP/, licences: [/GPL/] }, path);
    t.match([buildId, machine], [/^[0-9a-f]{40}$/, 'x86-64']);
    t.ok(symbols.length > 0, 'it needs the kernel');
    // Debian signs its modules while it builds them, with a key that it then throws away.
    t.match(parseSignedModule(bytes)?.signature.signers, [{ digest: 'sha256' }]);
  }
  const nvme = modules.find((path) => path.includes('/host/nvme.ko')) as string;
  await inEachFormat(t, 'nvme', at(nvme.replace(/\.xz$/, '')));
  const drivers = nvme.slice(0, nvme.indexOf('/nvme/'));
  await inEachFormat(t, 'drivers', at(drivers), '--name', 'debian-drivers');
});
