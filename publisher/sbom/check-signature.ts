/**
 * Whether a module's appended signature is one of a certificate that somebody gave. The kernel
 * looks at neither the dates of a certificate nor who issued it; what counts here too is the key.
 */

import { createHash, verify, X509Certificate } from 'node:crypto';
import { equalBytes } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import { isOf, parseCertificateIds } from '../../shared/evidence/elf/certificate.ts';
import type { ModuleSigner } from '../../shared/evidence/elf/pkcs7.ts';
import type { SignedModule } from '../../shared/evidence/elf/signed-module.ts';

/** RFC 8017 A.1 and A.2.4, RFC 5758 3.2: RSASSA-PKCS1-v1_5 and ECDSA, by the digest that is named. */
const ALGORITHMS: readonly string[] = [
  '1.2.840.113549.1.1.1',
  '1.2.840.113549.1.1.11',
  '1.2.840.113549.1.1.12',
  '1.2.840.113549.1.1.13',
  '1.2.840.10045.4.3.2',
  '1.2.840.10045.4.3.3',
  '1.2.840.10045.4.3.4',
];
/** SHA-1 and SHA-224 are read and shown, and prove nothing. */
const DIGESTS: readonly string[] = ['sha256', 'sha384', 'sha512'];

/** Reads a certificate in DER or PEM. `E_KEY`. */
export function readCertificate(bytes: Uint8Array, what: string): X509Certificate {
  try {
    return new X509Certificate(bytes);
  } catch (cause) {
    throw new IronError('E_KEY', `${what} is not an X.509 certificate in PEM or DER`, {
      hint: 'nothing was changed',
      cause,
    });
  }
}

/**
 * The certificate whose key signed the module, as its signature says. `E_SIGNATURE` when none of
 * them did.
 */
export function verifyModuleSignature(
  { module, signature }: SignedModule,
  certificates: readonly X509Certificate[],
): X509Certificate {
  const known = certificates.map((one) => ({ one, ids: parseCertificateIds(one.raw) }));
  let why = 'none of the certificates is of the signer that it names';
  for (const signer of signature.signers) {
    for (const { one, ids } of known) {
      if (!isOf(signer.id, ids)) continue;
      const problem = objection(module, signer, one);
      if (problem === undefined) return one;
      why = problem;
    }
  }
  throw new IronError('E_SIGNATURE', 'the signature at the end of the module does not verify', {
    why,
    hint: 'nothing was changed; give the certificate of the key that signed the module',
  });
}

function objection(
  module: Uint8Array,
  { digest, algorithm, attributes, signature }: ModuleSigner,
  certificate: X509Certificate,
): string | undefined {
  if (!DIGESTS.includes(digest)) return `its digest, ${digest}, is not one that is relied on`;
  if (!ALGORITHMS.includes(algorithm)) return `its algorithm, ${algorithm}, is unknown here`;
  if (attributes !== undefined) {
    // RFC 5652 5.4: what is signed speaks of the module by its digest only.
    const measured = createHash(digest).update(module).digest();
    if (!equalBytes(measured, attributes.digest)) return 'it was made for other bytes';
  }
  try {
    const holds = verify(digest, attributes?.signed ?? module, certificate.publicKey, signature);
    return holds ? undefined : 'it is not one of that key over these bytes';
  } catch {
    // A key of a kind that does not make such signatures.
    return 'it is not one of that key over these bytes';
  }
}
