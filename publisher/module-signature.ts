/**
 * A kernel module that was signed for the kernel: what the vendor states of that signature, bound to
 * the module without it and to the block itself, so that neither can be exchanged for another.
 */

import type { X509Certificate } from 'node:crypto';
import { open } from 'node:fs/promises';
import { toHex } from '../shared/bytes.ts';
import { IronError } from '../shared/errors.ts';
import { signerText } from '../shared/evidence/bill/of-elf.ts';
import { hasModuleSignature } from '../shared/evidence/elf/signed-module.ts';
import { PREDICATE_TYPES } from '../shared/evidence/identifiers.ts';
import type { Claimed } from '../shared/evidence/make.ts';
import { ELF_LIMITS } from '../shared/limits.ts';
import { platformCrypto as crypto } from '../shared/node/crypto.ts';
import { onPath } from '../shared/node/file-system.ts';
import { readFileCapped } from '../shared/node/files.ts';
import { readSignature } from './sbom/make-bill.ts';

/** Bytes at the end of a file that say whether a signature is appended. */
const END = 64;

/**
 * Undefined when nothing is appended. `E_SIGNATURE` when a certificate was given and it does not
 * verify by it, or there is nothing to verify; `E_SCHEMA`, `E_HASH`.
 * @param held the bytes that were measured, where they are at hand
 */
export async function moduleSignatureClaim(
  file: string,
  measured: { readonly length: number; readonly sha256: string },
  certificates: readonly X509Certificate[],
  held?: Uint8Array,
): Promise<Claimed | undefined> {
  // Most artifacts are no modules, and may be large: their end says so.
  const isSigned = async (): Promise<boolean> =>
    held === undefined
      ? await endsSigned(file, measured.length)
      : hasModuleSignature(held.subarray(-END));
  if (certificates.length === 0 && !(await isSigned())) return undefined;
  const bytes = held ?? (await readFileCapped(file, ELF_LIMITS.file));
  if (toHex(crypto.sha256(bytes)) !== measured.sha256)
    throw new IronError('E_HASH', `${file} was changed while it was attested`, {
      hint: 'nothing was signed; attest a file that nobody writes to',
    });
  const read = readSignature(bytes, certificates);
  if (read === undefined) return undefined;
  const { signed, moduleSha256, blockSha256, verifiedBy } = read;
  return {
    predicateType: PREDICATE_TYPES.moduleSignature,
    predicate: {
      format: 'pkcs7',
      module: { sha256: moduleSha256 },
      signature: { sha256: blockSha256 },
      signers: signed.signature.signers.map(({ id, digest }) => ({
        signer: signerText(id),
        digestAlgorithm: digest,
      })),
      ...(verifiedBy !== undefined && { certificate: { sha256: verifiedBy } }),
    },
  };
}

async function endsSigned(path: string, length: number): Promise<boolean> {
  const end = new Uint8Array(Math.min(END, length));
  return await onPath(path, async () => {
    const file = await open(path, 'r');
    try {
      const { bytesRead } = await file.read(end, 0, end.length, length - end.length);
      return hasModuleSignature(end.subarray(0, bytesRead));
    } finally {
      await file.close();
    }
  });
}
