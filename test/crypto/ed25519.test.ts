/**
 * Ed25519: the vectors of RFC 8032, and the cases in which libraries of the field disagree
 * (Chalkias, Garillot, Nikolaenko: Taming the many EdDSAs, table 5), built here from the curve's
 * points. For each the right answer is written down; that both libraries give it is the test.
 */

import { createHash, createPrivateKey, sign } from 'node:crypto';
import * as ed from '@noble/ed25519';
import fc from 'fast-check';
import t from 'tap';
import { concatBytes, fromHex, toHex, utf8 } from '../../shared/bytes.ts';
import { ed25519Key, type PublicKey } from '../../shared/crypto/key.ts';
import { verdict } from './second-opinion.ts';

const sha512 = (...parts: Uint8Array[]): Uint8Array =>
  createHash('sha512')
    .update(concatBytes(...parts))
    .digest();

/** RFC 8032 7.1: secret key, public key, message, signature. */
const RFC_8032: readonly (readonly [
  name: string,
  secret: string,
  key: string,
  message: string,
  signature: string,
])[] = [
  [
    'TEST 1',
    '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    '',
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  ],
  [
    'TEST 2',
    '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    '72',
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  ],
  [
    'TEST 3',
    'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    'af82',
    '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  ],
  [
    'TEST SHA(abc)',
    '833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42',
    'ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf',
    toHex(sha512(utf8('abc'))),
    'dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704',
  ],
];

/** PKCS #8 of an Ed25519 key, up to the 32 bytes (RFC 8410 7). */
const PKCS8 = '302e020100300506032b657004220420';

t.test('the vectors of RFC 8032', async (t) => {
  for (const [name, secret, key, message, signature] of RFC_8032) {
    const privateKey = createPrivateKey({
      key: Buffer.from(PKCS8 + secret, 'hex'),
      format: 'der',
      type: 'pkcs8',
    });
    t.equal(toHex(sign(null, fromHex(message), privateKey)), signature, `${name}: signing`);
    t.ok(
      verdict(ed25519Key(fromHex(key)), fromHex(message), fromHex(signature)),
      `${name}: verifying`,
    );
    t.notOk(
      verdict(
        ed25519Key(fromHex(key)),
        concatBytes(fromHex(message), utf8('x')),
        fromHex(signature),
      ),
      name,
    );
  }
});

/** Order of the base point (RFC 8032 5.1). */
const L = 2n ** 252n + 27742317777372353535851937790883648493n;

function integer(bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(Uint8Array.from(bytes).reverse())}`);
}

function littleEndian(value: bigint): Uint8Array {
  return fromHex(value.toString(16).padStart(64, '0')).reverse();
}

/** A point of order 8: a random point times L loses its part of prime order. */
const T8 = ((): ed.Point => {
  for (let y = 2n; ; y++) {
    try {
      const point = ed.Point.fromBytes(littleEndian(y));
      const torsion = point.multiplyUnsafe(L - 1n).add(point);
      if (!torsion.add(torsion).add(torsion.add(torsion)).equals(ed.Point.ZERO)) return torsion;
    } catch {
      // No point has this y.
    }
  }
})();

/** n times T8, for any n. */
function torsion(n: bigint): ed.Point {
  let point = ed.Point.ZERO;
  for (let i = 0n; i < n % 8n; i++) point = point.add(T8);
  return point;
}

const scalar = (label: string): bigint => integer(sha512(utf8(label))) % L;
const [a, r] = [scalar('secret'), scalar('nonce')];
const timesB = (n: bigint): ed.Point => ed.Point.BASE.multiplyUnsafe(n);
const challenge = (R: Uint8Array, A: Uint8Array, message: Uint8Array): bigint =>
  integer(sha512(R, A, message)) % L;

interface Made {
  readonly A: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

/**
 * A signature with public key aB + keyTorsion T8 and nonce point rB + nonceTorsion T8, and the
 * first message for which `wanted` says yes to what is left of the torsion: 0 means that the
 * equation without the cofactor holds too.
 */
function make(
  keyTorsion: bigint,
  nonceTorsion: bigint,
  wanted: (rest: bigint) => boolean,
  secret = a,
  nonce = r,
): Made {
  const A = timesB(secret || L)
    .add(torsion(keyTorsion))
    .toBytes();
  const R = (nonce === 0n ? ed.Point.ZERO : timesB(nonce)).add(torsion(nonceTorsion)).toBytes();
  for (let i = 0; ; i++) {
    const message = utf8(`message ${i}`);
    const k = challenge(R, A, message);
    if (!wanted((nonceTorsion + k * keyTorsion) % 8n)) continue;
    return { A, message, signature: concatBytes(R, littleEndian((nonce + k * secret) % L)) };
  }
}

const isZero = (rest: bigint): boolean => rest === 0n;
const isNotZero = (rest: bigint): boolean => rest !== 0n;

/** The same with S + n L. */
function moreS({ A, message, signature }: Made, n: bigint): Made {
  const S = integer(signature.subarray(32)) + n * L;
  return { A, message, signature: concatBytes(signature.subarray(0, 32), littleEndian(S)) };
}

/** The same with R spelt otherwise, and S for the challenge that this spelling gives. */
function otherR(R: string): Made {
  const [A, message, bytes] = [timesB(a).toBytes(), utf8('message'), fromHex(R)];
  return {
    A,
    message,
    signature: concatBytes(bytes, littleEndian((challenge(bytes, A, message) * a) % L)),
  };
}

const IDENTITY = `01${'00'.repeat(31)}`;

/**
 * What a verifier without the cofactor says (RFC 8032 5.1.7), for keys that can be parsed. An R
 * of small order is refused although the equation may hold: see `isSmallOrder`.
 */
const CASES: readonly (readonly [name: string, expected: boolean, made: Made])[] = [
  ['nothing special', true, make(0n, 0n, isZero)],
  ['mixed A, small R, both equations hold', false, make(1n, 1n, isZero, a, 0n)],
  ['mixed A, mixed R, both equations hold', true, make(1n, 3n, isZero)],
  ['mixed A, mixed R, with the cofactor only', false, make(1n, 3n, isNotZero)],
  ['mixed A, R of order L, both equations hold', true, make(1n, 0n, isZero)],
  ['mixed A, R of order L, with the cofactor only', false, make(1n, 0n, isNotZero)],
  ['A of order L, mixed R, with the cofactor only', false, make(0n, 1n, isNotZero)],
  ['A of order L, small R, with the cofactor only', false, make(0n, 1n, isNotZero, a, 0n)],
  ['S is L more', false, moreS(make(0n, 0n, isZero), 1n)],
  ['S is 8 L more, past 2^253', false, moreS(make(0n, 0n, isZero), 8n)],
  ['S has its highest bits set', false, moreS(make(0n, 0n, isZero), 15n)],
  ['R is the identity', false, otherR(IDENTITY)],
  ['R is the identity with the sign of x set', false, otherR(`01${'00'.repeat(30)}80`)],
  ['R is the identity as p + 1', false, otherR(`ee${'ff'.repeat(30)}7f`)],
  ['R is the identity as p + 1 with the sign of x set', false, otherR(`ee${'ff'.repeat(31)}`)],
  ['R is no point', false, otherR(`02${'00'.repeat(31)}`)],
];

t.test('where libraries of the field disagree', async (t) => {
  for (const [name, expected, { A, message, signature }] of CASES) {
    t.equal(verdict(ed25519Key(A), message, signature), expected, name);
  }
});

t.test('the cases are what they say: with the cofactor the other answer is right', async (t) => {
  const isCofactored = ({ A, message, signature }: Made): boolean => {
    const [R, S] = [signature.subarray(0, 32), integer(signature.subarray(32))];
    const left = timesB(S % L);
    const right = ed.Point.fromBytes(R, true).add(
      ed.Point.fromBytes(A, true).multiplyUnsafe(challenge(R, A, message)),
    );
    return left.add(right.negate()).clearCofactor().equals(ed.Point.ZERO);
  };
  for (const [name, , made] of CASES) {
    if (name.includes('with the cofactor only')) t.ok(isCofactored(made), name);
  }
});

t.test(
  'keys of small order and keys spelt otherwise are refused when they are parsed',
  async (t) => {
    const small = Array.from({ length: 8 }, (_, n) => torsion(BigInt(n)).toBytes());
    t.equal(new Set(small.map(toHex)).size, 8, 'all eight points');
    for (const point of small) {
      t.throws(() => ed25519Key(point), { code: 'E_KEY' }, toHex(point));
      const flipped = Uint8Array.from(point);
      flipped[31] = (flipped[31] as number) ^ 0x80;
      t.throws(() => ed25519Key(flipped), { code: 'E_KEY' }, `${toHex(flipped)}, the other sign`);
    }
    // y from p to 2^255 - 1: the only 19 values with a second spelling, in either sign.
    for (let y = 0; y < 19; y++) {
      for (const last of ['7f', 'ff']) {
        const bytes = fromHex((0xed + y).toString(16) + 'ff'.repeat(30) + last);
        t.throws(() => ed25519Key(bytes), { code: 'E_KEY' }, toHex(bytes));
      }
    }
    t.ok(ed25519Key(fromHex(`eb${'ff'.repeat(30)}7f`)), 'p - 2 is in its only spelling');
    for (const length of [0, 31, 33, 64])
      t.throws(() => ed25519Key(new Uint8Array(length)), { code: 'E_KEY' });
  },
);

t.test('a key that is no point verifies nothing', async (t) => {
  const { message, signature } = make(0n, 0n, isZero);
  let seen = 0;
  for (let y = 2n; seen < 10; y++) {
    const bytes = littleEndian(y);
    try {
      ed.Point.fromBytes(bytes);
    } catch {
      seen++;
      t.notOk(verdict(ed25519Key(bytes), message, signature), toHex(bytes));
    }
  }
});

t.test('signatures of another length', async (t) => {
  const { A, message, signature } = make(0n, 0n, isZero);
  const key: PublicKey = ed25519Key(A);
  for (const length of [0, 1, 32, 63])
    t.notOk(verdict(key, message, signature.subarray(0, length)), `${length} bytes`);
  t.notOk(verdict(key, message, concatBytes(signature, new Uint8Array(1))), '65 bytes');
});

t.test('one changed bit anywhere', async () => {
  const { A, message, signature } = make(0n, 0n, isZero);
  const whole = concatBytes(A, signature, message);
  fc.assert(
    fc.property(fc.nat({ max: whole.length * 8 - 1 }), (bit) => {
      const changed = Uint8Array.from(whole);
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      return !verdict(
        ed25519Key(changed.subarray(0, 32)),
        changed.subarray(96),
        changed.subarray(32, 96),
      );
    }),
    { numRuns: 300 },
  );
});
