/** As much of a certificate (RFC 5280 4.1) as tells whether a signature says that it is the signer's. */

import { equalBytes, toHex } from '../../bytes.ts';
import { IronError } from '../../errors.ts';
import { DerReader, TAG } from './der.ts';
import type { SignerId } from './pkcs7.ts';

const SUBJECT_KEY_ID = '2.5.29.14';

export interface CertificateIds {
  readonly issuerDer: Uint8Array;
  readonly serial: string;
  readonly keyId?: string;
}

/** Reads a certificate in DER. `E_KEY`. */
export function parseCertificateIds(der: Uint8Array): CertificateIds {
  const fail = (why: string): Error =>
    new IronError('E_KEY', `not an X.509 certificate in DER: ${why}`, {
      hint: 'nothing was changed',
    });
  const body = new DerReader(der, fail).into(TAG.sequence).into(TAG.sequence);
  body.maybe(TAG.context(0));
  const serial = toHex(body.next(TAG.integer).content);
  body.next(TAG.sequence);
  const issuerDer = body.next(TAG.sequence).whole;
  for (const tag of [TAG.sequence, TAG.sequence, TAG.sequence]) body.next(tag);
  // issuerUniqueID and subjectUniqueID, implicit and primitive; nobody has them.
  body.maybe(0x81);
  body.maybe(0x82);
  const extensions = body.maybe(TAG.context(3));
  if (extensions === undefined) return { issuerDer, serial };
  const list = body.inside(extensions).into(TAG.sequence);
  while (!list.isAtEnd) {
    const extension = list.into(TAG.sequence);
    if (extension.oid() !== SUBJECT_KEY_ID) continue;
    extension.maybe(0x01);
    const { content } = extension.next(TAG.octets);
    return {
      issuerDer,
      serial,
      keyId: toHex(new DerReader(content, fail).next(TAG.octets).content),
    };
  }
  return { issuerDer, serial };
}

export function isOf(signer: SignerId, certificate: CertificateIds): boolean {
  return 'keyId' in signer
    ? signer.keyId === certificate.keyId
    : signer.serial === certificate.serial && equalBytes(signer.issuerDer, certificate.issuerDer);
}
