/** From a file or a folder to a bill of materials: what is read, and what is said of it. */

import { createHash, type X509Certificate } from 'node:crypto';
import { basename, join, resolve } from 'node:path';
import { toHex } from '../../shared/bytes.ts';
import type { Ui } from '../../shared/cli/command.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import type { Bill, BillFile, Component, OtherLicence } from '../../shared/evidence/bill/bill.ts';
import {
  type Described,
  describeElf,
  ownPurl,
  type Said,
  signatureFacts,
} from '../../shared/evidence/bill/of-elf.ts';
import { type Elf, parseElf } from '../../shared/evidence/elf/elf.ts';
import { parseSignedModule, type SignedModule } from '../../shared/evidence/elf/signed-module.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import type { Instant } from '../../shared/time.ts';
import { verifyModuleSignature } from './check-signature.ts';
import { type MeasuredFile, measureFile } from './measure.ts';
import { walkFolder } from './walk.ts';

export interface Asked {
  readonly path: string;
  readonly out: string;
  readonly said: Said;
  readonly certificates: readonly X509Certificate[];
  /** The artifact that was packed from the folder. */
  readonly packed: string | undefined;
  readonly created: Instant;
  readonly ui: Ui;
  readonly signal: AbortSignal;
}

export interface MadeBill {
  readonly bill: Bill;
  readonly elf?: Elf;
  readonly signature?: ReadSignature;
}

export interface ReadSignature {
  readonly signed: SignedModule;
  readonly moduleSha256: string;
  readonly blockSha256: string;
  /** Whose key made it; undefined when no certificate was given. */
  readonly verifiedBy: string | undefined;
}

/** How distributions name modules that they compress. */
const COMPRESSED = /\.(xz|zst|gz)$/;

/** `E_SCHEMA` on a file that is no ELF file or a broken one, `E_SIGNATURE`, `E_TOO_LARGE`. */
export async function billOfFile(asked: Asked): Promise<MadeBill> {
  const { path, said, created, signal } = asked;
  const measured = await measureFile(resolve(path), signal);
  if (measured.elf === undefined)
    throw new IronError(
      'E_SCHEMA',
      `${path} is no ELF file: nothing in it says what it is made of`,
      {
        hint: COMPRESSED.test(path)
          ? 'nothing was written; unpack it first: a bill is of the bytes that are published'
          : 'nothing was written; give the folder that it was packed from, with --of and this file',
      },
    );
  const elf = parseElf(measured.elf);
  const signature = readSignature(measured.elf, asked.certificates);
  const described = describe(elf, {
    id: 'Package',
    fileName: basename(path),
    measured,
    signature,
    said,
  });
  const { component, needs, otherLicences } = described;
  const bill = {
    ...start(said, created),
    components: [component, ...needs],
    files: [],
    otherLicences,
  };
  return { bill, elf, ...(signature !== undefined && { signature }) };
}

export async function billOfFolder(asked: Asked): Promise<MadeBill> {
  const { path, out, said, created, packed, ui, signal } = asked;
  const { files: names, leftOut } = await walkFolder(path, out);
  if (leftOut.length > 0)
    ui.note(`${leftOut.length} links or special files are left out, ${leftOut[0]} among them`);
  const progress = ui.progress(`reading ${basename(resolve(path))}`);
  const files: BillFile[] = [];
  const found: Described[] = [];
  for (const name of names) {
    const measured = await measureFile(join(path, name), signal);
    progress.advance(measured.length);
    const { sha1, sha256, licences } = measured;
    files.push({ name: `./${name}`, sha1, sha256, licences });
    const one = describeIn(name, files.length, measured, ui);
    if (one !== undefined) found.push(one);
  }
  progress.done();
  const root = await rootOf(asked, said, packed);
  return {
    bill: {
      ...start(said, created),
      components: [root, ...found.map(({ component }) => component), ...joined(found)],
      files,
      verificationCode: verificationCode(files),
      otherLicences: unique(found.flatMap(({ otherLicences }) => otherLicences)),
    },
  };
}

const start = ({ supplier }: Said, created: Instant): { created: Instant; supplier?: string } => ({
  created,
  ...(supplier !== undefined && { supplier }),
});

interface DescribeOf {
  readonly id: string;
  readonly fileName: string;
  readonly measured: MeasuredFile;
  readonly signature: ReadSignature | undefined;
  readonly said: Said;
}

function describe(elf: Elf, { id, fileName, measured, signature, said }: DescribeOf): Described {
  const { sha256, sha512 } = measured;
  const facts =
    signature &&
    signatureFacts(
      signature.signed.signature.signers,
      signature.moduleSha256,
      signature.blockSha256,
    );
  return describeElf(
    { elf, id, fileName, sha256, sha512, ...(facts !== undefined && { signature: facts }) },
    said,
  );
}

/** A file that begins as ELF and goes on as something else is a file like any other, and it is said. */
function describeIn(
  name: string,
  number: number,
  measured: MeasuredFile,
  ui: Ui,
): Described | undefined {
  if (measured.elf === undefined) return undefined;
  try {
    const elf = parseElf(measured.elf);
    const signature = readSignature(measured.elf, []);
    return describe(elf, { id: `Elf-${number}`, fileName: name, measured, signature, said: {} });
  } catch (error) {
    if (!isIronError(error, 'E_SCHEMA')) throw error;
    ui.warn(`${name}: ${error.message}`);
    return undefined;
  }
}

export function readSignature(
  bytes: Uint8Array,
  certificates: readonly X509Certificate[],
): ReadSignature | undefined {
  const signed = parseSignedModule(bytes);
  if (signed === undefined) {
    if (certificates.length === 0) return undefined;
    throw new IronError('E_SIGNATURE', 'a certificate was given, but no signature is appended', {
      hint: 'nothing was written; sign the module first, or leave the certificate out',
    });
  }
  const by = certificates.length === 0 ? undefined : verifyModuleSignature(signed, certificates);
  return {
    signed,
    moduleSha256: toHex(crypto.sha256(signed.module)),
    blockSha256: toHex(crypto.sha256(signed.block)),
    verifiedBy: by?.fingerprint256.replaceAll(':', '').toLowerCase(),
  };
}

/** What the document describes: the packed artifact, or the folder, which has no digest of its own. */
async function rootOf(
  { path, signal }: Asked,
  said: Said,
  packed: string | undefined,
): Promise<Component> {
  const measured = packed === undefined ? undefined : await measureFile(resolve(packed), signal);
  const name = said.name ?? basename(resolve(packed ?? path));
  const { version, licence, supplier } = said;
  return {
    id: 'Package',
    name,
    ...(version !== undefined && { version }),
    ...(packed !== undefined && { fileName: basename(packed) }),
    purpose: 'files',
    ...(measured !== undefined && { sha256: measured.sha256, sha512: measured.sha512 }),
    purl: ownPurl(name, version, supplier, measured?.sha256),
    ...(licence !== undefined && { licence }),
    facts: [],
    needs: [],
  };
}

/** What several files need is one thing. */
function joined(found: readonly Described[]): Component[] {
  return unique(found.flatMap(({ needs }) => needs));
}

function unique<T extends Component | OtherLicence>(list: readonly T[]): T[] {
  return [...new Map(list.map((one) => [one.id, one])).values()];
}

/** SPDX 2.3, 7.9: SHA-1 over the files' SHA-1s in hexadecimal, sorted, one after the other. */
function verificationCode(files: readonly BillFile[]): string {
  const sums = files.map(({ sha1 }) => sha1).sort();
  return createHash('sha1').update(sums.join('')).digest('hex');
}
