/** ECDSA over P-256 and P-384: both libraries give the same verdict, on what is not DER too. */

import { generateKeyPairSync, sign } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { concatBytes, fromHex, toHex, utf8 } from '../../shared/bytes.ts';
import { keyFromSpki, type PublicKey } from '../../shared/crypto/key.ts';
import { verdict } from './second-opinion.ts';

const MESSAGE = utf8('a message');

const CURVES = [
  {
    scheme: 'ecdsa-sha2-nistp256',
    curve: 'P-256',
    hash: 'sha256',
    size: 32,
    n: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  },
  {
    scheme: 'ecdsa-sha2-nistp384',
    curve: 'P-384',
    hash: 'sha384',
    size: 48,
    n: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  },
] as const;

/** Bytes of a DER INTEGER's content: shortest form, never negative. */
function content(value: bigint): Uint8Array {
  const hex = value.toString(16);
  const even = hex.length % 2 === 0 ? hex : `0${hex}`;
  return fromHex(/^[89a-f]/.test(even) ? `00${even}` : even);
}

const tlv = (tag: number, body: Uint8Array): Uint8Array =>
  concatBytes(
    Uint8Array.of(tag, ...(body.length < 128 ? [body.length] : [0x81, body.length])),
    body,
  );
const INTEGER = 0x02;
const SEQUENCE = 0x30;
const der = (r: bigint, s: bigint): Uint8Array =>
  tlv(SEQUENCE, concatBytes(tlv(INTEGER, content(r)), tlv(INTEGER, content(s))));

for (const { scheme, curve, hash, size, n } of CURVES) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: curve });
  const key: PublicKey = keyFromSpki(scheme, publicKey.export({ format: 'der', type: 'spki' }));
  const raw = sign(hash, MESSAGE, { key: privateKey, dsaEncoding: 'ieee-p1363' });
  const [r, s] = [
    BigInt(`0x${toHex(raw.subarray(0, size))}`),
    BigInt(`0x${toHex(raw.subarray(size))}`),
  ];

  t.test(`${curve}: signatures`, async (t) => {
    t.ok(verdict(key, MESSAGE, sign(hash, MESSAGE, privateKey)));
    t.ok(verdict(key, MESSAGE, der(r, s)), 'built by hand');
    t.ok(
      verdict(key, MESSAGE, der(r, n - s)),
      'either s is good (FIPS 186-5 6.4.2 knows no low s)',
    );
    t.notOk(verdict(key, utf8('another message'), der(r, s)));
    t.notOk(verdict(key, MESSAGE, raw), 'r and s side by side are not DER');
  });

  const int = (bytes: Uint8Array): Uint8Array => tlv(INTEGER, bytes);
  const [R, S] = [int(content(r)), int(content(s))];
  const zeroBefore = int(concatBytes(Uint8Array.of(0), content(r)));
  const body = concatBytes(R, S);
  const notDer: Record<string, Uint8Array> = {
    empty: new Uint8Array(),
    'an empty sequence': tlv(SEQUENCE, new Uint8Array()),
    'r alone': tlv(SEQUENCE, R),
    'a third integer': tlv(SEQUENCE, concatBytes(R, S, int(Uint8Array.of(1)))),
    'a byte after it': concatBytes(der(r, s), Uint8Array.of(0)),
    'a byte after s, inside': tlv(SEQUENCE, concatBytes(body, Uint8Array.of(0))),
    'a zero before r': tlv(SEQUENCE, concatBytes(zeroBefore, S)),
    'a length in the long form where the short one does': concatBytes(
      Uint8Array.of(SEQUENCE, 0x82, 0, body.length),
      body,
    ),
    'an indefinite length': concatBytes(Uint8Array.of(SEQUENCE, 0x80), body, new Uint8Array(2)),
    'a length of 2^32': concatBytes(Uint8Array.of(SEQUENCE, 0x85, 1, 0, 0, 0, body.length), body),
    'a set in place of the sequence': tlv(0x31, body),
    'bit strings in place of integers': tlv(
      SEQUENCE,
      concatBytes(tlv(0x03, content(r)), tlv(0x03, content(s))),
    ),
    'integers without content': tlv(
      SEQUENCE,
      concatBytes(int(new Uint8Array()), int(new Uint8Array())),
    ),
    'r is 0': der(0n, s),
    's is 0': der(r, 0n),
    'both are 0': der(0n, 0n),
    'r is n': der(n, s),
    's is n': der(r, n),
    'n added to r': der(r + n, s),
    'n added to s': der(r, s + n),
    'r negative': tlv(SEQUENCE, concatBytes(int(Uint8Array.of(0xff)), S)),
    's is a number of 200 bytes': der(r, 2n ** 1600n),
  };

  t.test(`${curve}: what is not a signature`, async (t) => {
    for (const [name, signature] of Object.entries(notDer))
      t.notOk(verdict(key, MESSAGE, signature), name);
    const good = der(r, s);
    for (let length = 0; length < good.length; length++) {
      t.notOk(verdict(key, MESSAGE, good.subarray(0, length)), `cut off after ${length} bytes`);
    }
  });

  t.test(`${curve}: one changed byte`, async () => {
    const good = der(r, s);
    fc.assert(
      fc.property(
        fc.nat({ max: good.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        (at, change) => {
          const changed = Uint8Array.from(good);
          changed[at] = (changed[at] as number) ^ change;
          return !verdict(key, MESSAGE, changed);
        },
      ),
      { numRuns: 200 },
    );
  });

  t.test(`${curve}: points that are none verify nothing`, async (t) => {
    const off = Uint8Array.from(key.bytes);
    off[size] = (off[size] as number) ^ 1;
    t.notOk(verdict({ scheme, bytes: off }, MESSAGE, der(r, s)), 'off the curve');
    const zero = new Uint8Array(key.bytes.length);
    zero[0] = 4;
    t.notOk(verdict({ scheme, bytes: zero }, MESSAGE, der(r, s)), '(0, 0)');
    const large = new Uint8Array(key.bytes.length).fill(0xff);
    large[0] = 4;
    t.notOk(verdict({ scheme, bytes: large }, MESSAGE, der(r, s)), 'coordinates over the field');
  });

  t.test(`${curve}: a key of another message's signer`, async (t) => {
    const other = generateKeyPairSync('ec', { namedCurve: curve });
    const signature = sign(hash, MESSAGE, other.privateKey);
    t.notOk(verdict(key, MESSAGE, signature));
    t.ok(
      verdict(
        keyFromSpki(scheme, other.publicKey.export({ format: 'der', type: 'spki' })),
        MESSAGE,
        signature,
      ),
    );
  });
}
