/**
 * PKCS #7 as Linux appends it to modules: a detached SignedData (RFC 5652 5.1), read as far as it
 * says who signed, and over what.
 */

import { toHex } from '../../bytes.ts';
import { ELF_LIMITS } from '../../limits.ts';
import { type Der, DerReader, TAG } from './der.ts';
import { badSignature } from './signature-error.ts';
import { nameText } from './x509-name.ts';

export type DigestName = 'sha1' | 'sha224' | 'sha256' | 'sha384' | 'sha512';

/** Whoever signed, as RFC 5652 5.3 lets it be said: by the certificate's issuer, or by a key id. */
export type SignerId =
  | { readonly issuer: string; readonly issuerDer: Uint8Array; readonly serial: string }
  | { readonly keyId: string };

export interface ModuleSigner {
  readonly id: SignerId;
  /** The digest by its usual name, or its object identifier. */
  readonly digest: DigestName | string;
  /** Of the algorithm of the signature, as an object identifier. */
  readonly algorithm: string;
  readonly signature: Uint8Array;
  /** Signed attributes as they are signed, and the digest that they speak of; absent when none. */
  readonly attributes?: { readonly signed: Uint8Array; readonly digest: Uint8Array };
}

export interface ModuleSignature {
  /** Never empty. */
  readonly signers: readonly ModuleSigner[];
}

const OID = {
  data: '1.2.840.113549.1.7.1',
  signedData: '1.2.840.113549.1.7.2',
  contentType: '1.2.840.113549.1.9.3',
  messageDigest: '1.2.840.113549.1.9.4',
} as const;
const DIGESTS: Readonly<Record<string, DigestName>> = {
  '1.3.14.3.2.26': 'sha1',
  '2.16.840.1.101.3.4.2.4': 'sha224',
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};

export function readPkcs7(block: Uint8Array): ModuleSignature {
  const all = new DerReader(block, badSignature);
  const info = all.into(TAG.sequence);
  if (!all.isAtEnd) throw badSignature('something follows the PKCS #7 block');
  if (info.oid() !== OID.signedData) throw badSignature('it is no SignedData');
  const data = info.into(TAG.context(0)).into(TAG.sequence);
  data.next(TAG.integer);
  data.next(TAG.set);
  const content = data.into(TAG.sequence);
  // Detached: the module itself is the content. One inside would be another content.
  if (content.oid() !== OID.data || !content.isAtEnd)
    throw badSignature('it has a content of its own');
  data.maybe(TAG.context(0));
  data.maybe(TAG.context(1));
  const infos = data.into(TAG.set);
  const signers: ModuleSigner[] = [];
  while (!infos.isAtEnd) {
    if (signers.length === ELF_LIMITS.signers)
      throw badSignature(`more than ${ELF_LIMITS.signers} signers`);
    signers.push(readSigner(infos.into(TAG.sequence)));
  }
  if (signers.length === 0) throw badSignature('nobody signed');
  return { signers };
}

function readSigner(info: DerReader): ModuleSigner {
  info.next(TAG.integer);
  const id = readId(info);
  const digestOid = info.into(TAG.sequence).oid();
  const attributes = info.maybe(TAG.context(0));
  const algorithm = info.into(TAG.sequence).oid();
  const { content: signature } = info.next(TAG.octets);
  return {
    id,
    digest: DIGESTS[digestOid] ?? digestOid,
    algorithm,
    signature,
    ...(attributes !== undefined && { attributes: readAttributes(info, attributes) }),
  };
}

function readId(info: DerReader): SignerId {
  // SignerIdentifier: [0] is implicit and primitive, an octet string without its own tag.
  if (info.tag === 0x80) return { keyId: toHex(info.next(0x80).content) };
  const id = info.into(TAG.sequence);
  const issuer = id.next(TAG.sequence);
  const serial = id.next(TAG.integer);
  return {
    issuer: nameText(id.inside(issuer)),
    issuerDer: issuer.whole,
    serial: toHex(serial.content),
  };
}

/** RFC 5652 5.4: what is signed is the SET OF, not the [0] under which it stands. */
function readAttributes(info: DerReader, element: Der): { signed: Uint8Array; digest: Uint8Array } {
  const signed = Uint8Array.from(element.whole);
  signed[0] = TAG.set;
  const list = info.inside(element);
  const values = new Map<string, Der>();
  while (!list.isAtEnd) {
    const attribute = list.into(TAG.sequence);
    const type = attribute.oid();
    const set = attribute.into(TAG.set);
    // RFC 5652 11.1, 11.2: these two have exactly one value, and stand there once.
    if (type !== OID.contentType && type !== OID.messageDigest) continue;
    if (values.has(type)) throw badSignature('a signed attribute stands twice');
    values.set(type, set.next());
    if (!set.isAtEnd) throw badSignature('a signed attribute has two values');
  }
  const [type, digest] = [values.get(OID.contentType), values.get(OID.messageDigest)];
  if (type === undefined || new DerReader(type.whole, badSignature).oid() !== OID.data)
    throw badSignature('its signed attributes are about no data');
  if (digest?.tag !== TAG.octets) throw badSignature('its signed attributes have no digest');
  return { signed, digest: digest.content };
}
