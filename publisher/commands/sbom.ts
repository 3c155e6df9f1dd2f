/** `sbom`: a bill of materials from what stands in a driver, or in the folder it was packed from. */

import { stat } from 'node:fs/promises';
import type { CommandContext, CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { table } from '../../shared/cli/table.ts';
import { IronError } from '../../shared/errors.ts';
import { type Bill, billDigest, subjectOf } from '../../shared/evidence/bill/bill.ts';
import { type Said, signerText } from '../../shared/evidence/bill/of-elf.ts';
import { writeCycloneDx } from '../../shared/evidence/bill/write-cyclonedx.ts';
import { writeSpdx2 } from '../../shared/evidence/bill/write-spdx2.ts';
import { writeSpdx3 } from '../../shared/evidence/bill/write-spdx3.ts';
import { parseCycloneDx } from '../../shared/evidence/cyclonedx.ts';
import { type Sbom, verifySbomDescribes } from '../../shared/evidence/sbom.ts';
import { parseSpdx } from '../../shared/evidence/spdx.ts';
import { parseSpdx3 } from '../../shared/evidence/spdx3.ts';
import { PUBLISHER_LIMITS } from '../../shared/limits.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { readFileCapped, writeFileAtomic } from '../../shared/node/files.ts';
import { refuseSameFile, sourceDate } from '../pipeline/run/inputs.ts';
import { readCertificate } from '../sbom/check-signature.ts';
import { type Asked, billOfFile, billOfFolder, type MadeBill } from '../sbom/make-bill.ts';
import { isExpression } from '../sbom/measure.ts';

interface Format {
  readonly write: (bill: Bill, digest: string) => Uint8Array;
  readonly parse: (bytes: Uint8Array) => Sbom;
}

const FORMATS: Readonly<Record<string, Format>> = {
  'spdx-2.3': { write: writeSpdx2, parse: parseSpdx },
  'spdx-3.0.1': { write: writeSpdx3, parse: parseSpdx3 },
  'cyclonedx-1.6': { write: writeCycloneDx, parse: parseCycloneDx },
};

export const sbom: CommandSpec = {
  name: 'sbom',
  summary: 'write a bill of materials from a kernel module, another ELF file, or a folder',
  description:
    'Of an ELF file: what it needs, what .modinfo says, its build id, and an appended signature of the kernel. Of a folder: every file with its digests and the licence that it names, and what its ELF files need. What is not known is not claimed. Equal inputs and SOURCE_DATE_EPOCH give equal bytes.',
  arguments: [{ name: 'path', description: 'the ELF file, or the folder' }],
  options: [
    { flags: '-o, --out <file>', description: 'file to write', required: true },
    {
      flags: '-f, --format <format>',
      description: `one of ${Object.keys(FORMATS).join(', ')}`,
      default: 'spdx-2.3',
    },
    { flags: '--name <name>', description: 'what it is called, if not as it says itself' },
    { flags: '--version <version>', description: 'its version, if not as it says itself' },
    { flags: '--supplier <name>', description: 'who supplies it' },
    { flags: '--licence <expression>', description: 'its licence, as an expression of SPDX' },
    { flags: '--of <file>', description: 'the artifact that was packed from the folder' },
    {
      flags: '--certificate <file>',
      description:
        'certificate (PEM or DER) that the signature at the end of the module must verify by',
      repeatable: true,
    },
  ],
  examples: [
    'ironport sbom edu.ko --supplier acme --out edu.ko.spdx.json',
    'ironport sbom build/ --of edu-1.0.0.tar --name edu --version 1.0.0 --format cyclonedx-1.6 --out edu.cdx.json',
  ],
  schema: 'ironport/sbom/v1',
  async run(context) {
    const format = formatOf(context);
    const asked = await askedFor(context);
    const { path, out, packed } = asked;
    const isFolder = (await onPath(path, () => stat(path), 'E_NOT_FOUND')).isDirectory();
    refuseMisplaced(isFolder, asked);
    refuseSameFile(out, [path, ...(packed === undefined ? [] : [packed])]);
    const made = isFolder ? await billOfFolder(asked) : await billOfFile(asked);
    const { bill } = made;
    const bytes = format.write(bill, billDigest(crypto, bill));
    // What a host's reader would refuse is not written.
    const read = format.parse(bytes);
    const { sha256 } = subjectOf(bill);
    if (sha256 !== undefined) verifySbomDescribes(read, { sha256 });
    await writeFileAtomic(out, bytes);
    return resultOf(made, read, out, bytes);
  },
};

function formatOf(context: CommandContext): Format {
  const name = context.need('format');
  const format = Object.hasOwn(FORMATS, name) ? FORMATS[name] : undefined;
  if (format !== undefined) return format;
  throw new IronError('E_USAGE', `${JSON.stringify(name)} is no format of bills of materials`, {
    hint: `nothing was written; there are ${Object.keys(FORMATS).join(', ')}`,
  });
}

async function askedFor(context: CommandContext): Promise<Asked> {
  const certificates = [];
  for (const file of context.list('certificate'))
    certificates.push(
      readCertificate(await readFileCapped(file, PUBLISHER_LIMITS.certificate), file),
    );
  return {
    path: context.args[0] as string,
    out: context.need('out'),
    said: saidIn(context),
    certificates,
    packed: context.text('of'),
    created: sourceDate(context.env) ?? systemClock(),
    ui: context.ui,
    signal: context.signal,
  };
}

function saidIn(context: CommandContext): Said {
  const [name, version, supplier, licence] = ['name', 'version', 'supplier', 'licence'].map(
    (key) => {
      const text = context.text(key);
      if (text === undefined || (text.trim() !== '' && text.length <= 512 && !/\p{Cc}/u.test(text)))
        return text;
      throw new IronError('E_USAGE', `--${key} is empty, too long or has control characters`, {
        hint: 'nothing was written',
      });
    },
  );
  if (licence !== undefined && !isExpression(licence))
    throw new IronError('E_USAGE', `${JSON.stringify(licence)} is no licence expression of SPDX`, {
      hint: 'nothing was written; for example GPL-2.0-only, or MIT OR Apache-2.0',
    });
  return { name, version, supplier, licence };
}

function refuseMisplaced(isFolder: boolean, { certificates, packed }: Asked): void {
  const misplaced =
    isFolder && certificates.length > 0
      ? '--certificate is about one module, and this is a folder'
      : !isFolder && packed !== undefined
        ? '--of names what a folder was packed into, and this is a file'
        : undefined;
  if (misplaced !== undefined)
    throw new IronError('E_USAGE', misplaced, { hint: 'nothing was written' });
}

function resultOf(
  { bill, elf, signature }: MadeBill,
  read: Sbom,
  out: string,
  bytes: Uint8Array,
): CommandResult {
  const subject = subjectOf(bill);
  const needs = bill.components
    .filter(({ sha256 }) => sha256 === undefined)
    .filter((one) => one !== subject);
  const missing =
    signature?.verifiedBy === undefined ? 'not verified: no certificate was given' : '';
  const signers = (signature?.signed.signature.signers ?? []).map(({ id, digest }) => ({
    signer: signerText(id),
    digest,
  }));
  const data = {
    file: out,
    format: read.format,
    length: bytes.length,
    name: subject.name,
    version: subject.version ?? null,
    purl: subject.purl ?? null,
    licence: subject.licence ?? null,
    sha256: subject.sha256 ?? null,
    packages: read.packages.length,
    files: bill.files.length,
    needs: needs.map(({ name, version }) => ({ name, version: version ?? null })),
    symbols: elf?.symbols.length ?? null,
    build_id: elf?.buildId ?? null,
    vermagic: elf?.module?.vermagic ?? null,
    module_signature:
      signature === undefined
        ? null
        : {
            signers,
            module_sha256: signature.moduleSha256,
            signature_sha256: signature.blockSha256,
            verified_by: signature.verifiedBy ?? null,
          },
  };
  const rows: (readonly [string, string | null])[] = [
    ['describes', `${subject.name}${subject.version === undefined ? '' : ` ${subject.version}`}`],
    ['licence', subject.licence ?? 'not known'],
    ['vermagic', data.vermagic],
    ['build id', data.build_id],
    ['needs', needs.map(({ name }) => name).join(', ') || null],
    ['symbols', elf === undefined ? null : `${elf.symbols.length} from elsewhere`],
    ['files', bill.files.length === 0 ? null : String(bill.files.length)],
    ...signers.map(
      ({ signer, digest }) =>
        [
          'signature',
          `${signer}, ${digest}, ${missing || `verified by the certificate ${signature?.verifiedBy}`}`,
        ] as const,
    ),
    ['written', `${out}, ${read.format}`],
  ];
  return {
    data,
    text: table(rows.filter((row): row is readonly [string, string] => row[1] !== null)),
  };
}
