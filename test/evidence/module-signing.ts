/** Signs modules as Linux's sign-file does, with keys and certificates made here. */

import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { concatBytes, utf8 } from '../../shared/bytes.ts';

/** One element of DER. */
export function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = concatBytes(...parts);
  const { length } = content;
  const head =
    length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  if (length > 0xffff) throw new Error('longer than tests need');
  return concatBytes(Uint8Array.of(tag, ...head), content);
}

export function oid(text: string): Uint8Array {
  const [a, b, ...rest] = text.split('.').map(Number) as [number, number, ...number[]];
  const bytes = [a * 40 + b, ...rest].flatMap((arc) => {
    const groups = [arc & 127];
    for (let left = arc >> 7; left > 0; left >>= 7) groups.unshift((left & 127) | 128);
    return groups;
  });
  return der(6, Uint8Array.from(bytes));
}

const seq = (...parts: readonly Uint8Array[]): Uint8Array => der(0x30, ...parts);
const NULL = Uint8Array.of(5, 0);
export const OIDS = {
  data: '1.2.840.113549.1.7.1',
  signedData: '1.2.840.113549.1.7.2',
  rsa: '1.2.840.113549.1.1.1',
  sha256Rsa: '1.2.840.113549.1.1.11',
  ecdsaSha256: '1.2.840.10045.4.3.2',
  sha256: '2.16.840.1.101.3.4.2.1',
  contentType: '1.2.840.113549.1.9.3',
  messageDigest: '1.2.840.113549.1.9.4',
} as const;

const nameOf = (common: string): Uint8Array =>
  seq(der(0x31, seq(oid('2.5.4.3'), der(0x0c, utf8(common)))));

export interface ModuleKey {
  readonly key: KeyObject;
  readonly certificate: Uint8Array;
  readonly issuer: Uint8Array;
  readonly serial: Uint8Array;
  readonly keyId: Uint8Array;
  readonly isRsa: boolean;
}

/** A key with a certificate that it signed itself. */
export function moduleKey(common: string, kind: 'rsa' | 'ec' = 'rsa', serialNumber = 7): ModuleKey {
  const { privateKey, publicKey } =
    kind === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = Uint8Array.from(publicKey.export({ format: 'der', type: 'spki' }));
  const keyId = Uint8Array.from(createHash('sha1').update(spki).digest());
  const issuer = nameOf(common);
  const serial = der(2, Uint8Array.of(serialNumber));
  const isRsa = kind === 'rsa';
  const algorithm = isRsa ? seq(oid(OIDS.sha256Rsa), NULL) : seq(oid(OIDS.ecdsaSha256));
  const time = (text: string): Uint8Array => der(0x17, utf8(text));
  const body = seq(
    der(0xa0, der(2, Uint8Array.of(2))),
    serial,
    algorithm,
    issuer,
    seq(time('200101000000Z'), time('491231235959Z')),
    issuer,
    spki,
    der(0xa3, seq(seq(oid('2.5.29.14'), der(4, der(4, keyId))))),
  );
  const signature = Uint8Array.from(sign('sha256', body, privateKey));
  const certificate = seq(body, algorithm, der(3, Uint8Array.of(0), signature));
  return { key: privateKey, certificate, issuer, serial, keyId, isRsa };
}

export interface SigningOf {
  readonly by?: ModuleKey;
  /** Who is said to have signed. */
  readonly as?: ModuleKey;
  readonly byKeyId?: boolean;
  readonly withAttributes?: boolean;
  /** What is really signed, when not the module. */
  readonly over?: Uint8Array;
  readonly digest?: string;
}

/** The PKCS #7 block. */
export function pkcs7Of(module: Uint8Array, options: SigningOf = {}): Uint8Array {
  const {
    by = MODULE_KEY,
    byKeyId = false,
    withAttributes = false,
    digest = OIDS.sha256,
  } = options;
  const { as = by, over = module } = options;
  const id = byKeyId ? der(0x80, as.keyId) : seq(as.issuer, as.serial);
  const attribute = (type: string, value: Uint8Array): Uint8Array =>
    seq(oid(type), der(0x31, value));
  const hash = Uint8Array.from(createHash('sha256').update(over).digest());
  const attributes = [
    attribute(OIDS.contentType, oid(OIDS.data)),
    attribute(OIDS.messageDigest, der(4, hash)),
  ];
  const signed = withAttributes ? der(0x31, ...attributes) : over;
  const info = seq(
    der(2, Uint8Array.of(byKeyId ? 3 : 1)),
    id,
    seq(oid(digest), NULL),
    ...(withAttributes ? [der(0xa0, ...attributes)] : []),
    by.isRsa ? seq(oid(OIDS.rsa), NULL) : seq(oid(OIDS.ecdsaSha256)),
    der(4, Uint8Array.from(sign('sha256', signed, by.key))),
  );
  return signedData(info);
}

/** A SignedData around signer infos. */
export function signedData(...infos: readonly Uint8Array[]): Uint8Array {
  return seq(
    oid(OIDS.signedData),
    der(
      0xa0,
      seq(
        der(2, Uint8Array.of(1)),
        der(0x31, seq(oid(OIDS.sha256), NULL)),
        seq(oid(OIDS.data)),
        der(0x31, ...infos),
      ),
    ),
  );
}

/** Module, block, twelve bytes, and the line at the end. */
export function append(
  module: Uint8Array,
  block: Uint8Array,
  change: Record<number, number> = {},
): Uint8Array {
  const info = new Uint8Array(12);
  info[2] = 2;
  new DataView(info.buffer).setUint32(8, block.length);
  for (const [at, byte] of Object.entries(change)) info[Number(at)] = byte;
  return concatBytes(module, block, info, utf8('~Module signature appended~\n'));
}

export const MODULE_KEY = moduleKey('acme module signing');

export function signModule(module: Uint8Array, options: SigningOf = {}): Uint8Array {
  return append(module, pkcs7Of(module, options));
}
