/** `ironport sbom`: what it writes is read back, and is true; hostile inputs and wrong words. */

import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { sbom } from '../../publisher/commands/sbom.ts';
import { toHex } from '../../shared/bytes.ts';
import { parseCycloneDx } from '../../shared/evidence/cyclonedx.ts';
import { parsePurl } from '../../shared/evidence/purl.ts';
import { verifySbomDescribes } from '../../shared/evidence/sbom.ts';
import { parseSpdx } from '../../shared/evidence/spdx.ts';
import { parseSpdx3 } from '../../shared/evidence/spdx3.ts';
import { run } from '../cli/support.ts';
import { buildElf, EDU_MODULE, LIBRARY, modinfo } from '../evidence/elf-support.ts';
import { MODULE_KEY, moduleKey, signModule } from '../evidence/module-signing.ts';
import { sha256, textOf } from '../evidence/support.ts';

const program = { name: 'ironport', summary: 'test', commands: [sbom] };
const folder = t.testdir({
  build: { 'a.c': '// SPDX-License-Identifier: GPL-2.0-only\n', sub: {} },
});
const at = (...parts: string[]): string => join(folder, ...parts);
const SIGNED = signModule(EDU_MODULE);
writeFileSync(at('edu.ko'), SIGNED);
writeFileSync(at('edu.pem'), MODULE_KEY.certificate);

const EPOCH = { SOURCE_DATE_EPOCH: '1700000000' };
async function make(args: string[], out = 'out.json', env: Record<string, string> = EPOCH) {
  const line = ['sbom', ...args, '--out', at(out), '--json'];
  const { stdout, exit } = await run(program, line, { env });
  const { data, error } = JSON.parse(stdout);
  return { exit, data, error, bytes: () => Uint8Array.from(readFileSync(at(out))) };
}

const PARSERS = {
  'spdx-2.3': parseSpdx,
  'spdx-3.0.1': parseSpdx3,
  'cyclonedx-1.6': parseCycloneDx,
} as const;

t.test('a module in every format: read back, and about these bytes', async (t) => {
  for (const [format, parse] of Object.entries(PARSERS)) {
    const made = await make([at('edu.ko'), '--supplier', 'acme', '--format', format]);
    t.equal(made.exit, 0, format);
    const document = parse(made.bytes());
    t.equal(verifySbomDescribes(document, { sha256: sha256(SIGNED) }).name, 'edu');
    t.same(
      document.packages.map(({ name, version }) => [name, version]),
      [
        ['edu', '1.2.0'],
        ['linux', '6.12.0-lab'],
        ['vfio', undefined],
        ['vfio-pci-core', undefined],
      ],
    );
    const [purl, ...more] = document.packages.flatMap(({ purls }) => purls);
    t.same(more, [], 'of what it needs nobody knows where it comes from');
    t.match(parsePurl(purl as string), {
      type: 'generic',
      namespace: 'acme',
      name: 'edu',
      version: '1.2.0',
    });
    const text = textOf(made.bytes());
    for (const said of [
      'pci_iomap',
      '00112233445566778899aabbccddeeff00112233',
      sha256(EDU_MODULE),
    ])
      t.ok(text.includes(said), `${format} says ${said}`);
    t.match(made.data, {
      licence: 'LicenseRef-modinfo-GPL-20-v2',
      module_signature: {
        signers: [{ signer: 'CN=acme module signing, serial 07', digest: 'sha256' }],
        module_sha256: sha256(EDU_MODULE),
        verified_by: null,
      },
    });
    t.match(
      document.packages[0]?.licences[0],
      /^\(?LicenseRef-/,
      'words of the kernel are not SPDX',
    );
  }
});

t.test('equal inputs give equal bytes, other inputs other identifiers', async (t) => {
  for (const format of Object.keys(PARSERS)) {
    const args = [at('edu.ko'), '--format', format];
    const first = textOf((await make(args)).bytes());
    t.equal(textOf((await make(args, 'again.json')).bytes()), first, format);
    const later = textOf(
      (await make(args, 'out.json', { SOURCE_DATE_EPOCH: '1700000001' })).bytes(),
    );
    const identifier =
      /"documentNamespace":"[^"]+"|"spdxId":"[^"]+\/document"|"serialNumber":"[^"]+"/;
    t.not(identifier.exec(later)?.[0], identifier.exec(first)?.[0], 'another document');
    t.ok(identifier.test(first));
    t.match(first, /2023-11-14T22:13:20Z/);
  }
});

t.test('what somebody says goes before what stands in the file', async (t) => {
  const said = ['--name', 'other', '--version', '9', '--licence', 'GPL-2.0-only OR MIT'];
  const { data, bytes } = await make([at('edu.ko'), ...said]);
  t.match(data, { name: 'other', version: '9', licence: 'GPL-2.0-only OR MIT' });
  t.same(parseSpdx(bytes()).packages[0]?.licences, ['GPL-2.0-only OR MIT']);
});

t.test('names that look alike as identifiers are two things', async (t) => {
  writeFileSync(at('two.ko'), buildElf({ sections: [modinfo('depends=vfio_pci,vfio-pci')] }));
  const { data } = await make([at('two.ko')]);
  t.same(data.needs, [
    { name: 'vfio_pci', version: null },
    { name: 'vfio-pci', version: null },
  ]);
  t.match(data, { name: 'two.ko', version: null, licence: null, vermagic: null });
});

t.test('a folder: files, licences that they name, and what its ELF files need', async (t) => {
  mkdirSync(at('build', 'sub', 'deep'), { recursive: true });
  writeFileSync(at('build', 'sub', 'edu.ko'), SIGNED);
  writeFileSync(at('build', 'sub', 'deep', 'libedu.so'), LIBRARY);
  writeFileSync(at('build', 'broken.so'), LIBRARY.subarray(0, 100));
  symlinkSync('/etc/hostname', at('build', 'link'));
  writeFileSync(at('edu.tar'), 'packed');
  for (const [format, parse] of Object.entries(PARSERS)) {
    const args = [at('build'), '--of', at('edu.tar'), '--name', 'edu', '--version', '1.0.0'];
    const made = await make([...args, '--format', format], 'build/out.json');
    t.equal(made.exit, 0, format);
    t.equal(made.data.files, 4, 'neither the link nor the document itself');
    const document = parse(made.bytes());
    t.equal(verifySbomDescribes(document, { sha256: sha256(Buffer.from('packed')) }).name, 'edu');
    const names = document.packages.map(({ name }) => name);
    for (const name of ['libc.so.6', 'libm.so.6', 'linux', 'vfio', 'edu'])
      t.ok(names.includes(name), name);
    t.ok(textOf(made.bytes()).includes('GPL-2.0-only'), 'the licence that a.c names');
    const again = await make([...args, '--format', format], 'build/out.json');
    t.same(again.bytes(), made.bytes(), 'also when it was there already');
  }
});

t.test('a certificate that is given must be the signer', async (t) => {
  const by = (file: string) => make([at('edu.ko'), '--certificate', at(file)], 'signed.json');
  const good = await by('edu.pem');
  t.match(good.data.module_signature.verified_by, /^[0-9a-f]{64}$/);
  writeFileSync(at('other.pem'), moduleKey('other').certificate);
  t.match((await by('other.pem')).error, { code: 'E_SIGNATURE' });
  writeFileSync(at('none.pem'), 'nothing');
  t.match((await by('none.pem')).error, { code: 'E_KEY' });
  writeFileSync(at('bare.ko'), EDU_MODULE);
  const bare = await make([at('bare.ko'), '--certificate', at('edu.pem')], 'never.json');
  t.match(bare.error, { code: 'E_SIGNATURE', message: /no signature/ });
  const changed = Uint8Array.from(SIGNED);
  changed[200] = (changed[200] as number) ^ 1;
  writeFileSync(at('changed.ko'), changed);
  const forged = await make([at('changed.ko'), '--certificate', at('edu.pem')], 'never.json');
  t.match(forged.error, { code: 'E_SIGNATURE' });
  t.throws(() => readFileSync(at('never.json')), 'nothing was written');
  t.match(good.data.module_signature.module_sha256, toHex(Buffer.from(sha256(EDU_MODULE), 'hex')));
});

t.test('refusals', async (t) => {
  const refused = async (code: string, args: string[], env: Record<string, string> = EPOCH) =>
    t.match((await make(args, 'never.json', env)).error, { code }, args.slice(1).join(' '));
  const edu = at('edu.ko');
  await refused('E_NOT_FOUND', [at('missing')]);
  await refused('E_SCHEMA', [at('edu.tar')]);
  writeFileSync(at('edu.ko.xz'), '\xfd7zXZ');
  t.match((await make([at('edu.ko.xz')], 'never.json')).error, { hint: /unpack it first/ });
  writeFileSync(at('cut.ko'), EDU_MODULE.subarray(0, 300));
  await refused('E_SCHEMA', [at('cut.ko')]);
  await refused('E_USAGE', [edu, '--format', 'spdx']);
  await refused('E_USAGE', [edu, '--format', 'constructor']);
  await refused('E_USAGE', [edu, '--of', at('edu.tar')]);
  await refused('E_USAGE', [at('build'), '--certificate', at('edu.pem')]);
  await refused('E_USAGE', [edu, '--licence', 'whatever I like']);
  await refused('E_USAGE', [edu, '--supplier', '']);
  await refused('E_USAGE', [edu, '--name', 'a\u001b[2J']);
  await refused('E_USAGE', [edu], { SOURCE_DATE_EPOCH: 'yesterday' });
  t.throws(() => readFileSync(at('never.json')), 'nothing was written');
  t.match((await make([edu], 'edu.ko')).error, { code: 'E_USAGE', message: /also an input/ });
  t.same(Uint8Array.from(readFileSync(edu)), SIGNED, 'the module is as it was');
});
