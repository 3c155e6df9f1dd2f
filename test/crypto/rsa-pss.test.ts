import { constants, createPublicKey, sign, verify } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { concatBytes, equalBytes, utf8 } from '../../shared/bytes.ts';
import type { PublicKey } from '../../shared/crypto/key.ts';
import { nobleCrypto } from '../../shared/crypto/noble.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import {
  bytesNumber,
  type Encoding,
  numberBytes,
  power,
  rsaPair,
  signEncoded,
  signRaw,
} from './rsa-support.ts';

const MESSAGE = utf8('a driver, and what may be done with it');

// An encoding is one bit shorter than the modulus: 2049 is where that saves a whole octet, 2050
// where all but one bit of the first octet must be zero.
const pairs = [2048, 2049, 2050, 3072].map((bits) => rsaPair(bits));
const [pair, longer] = pairs as [(typeof pairs)[0], (typeof pairs)[0]];

/** The one verdict of both. */
function verdict(key: PublicKey, message: Uint8Array, signature: Uint8Array): boolean | string {
  const [noble, platform] = [nobleCrypto, platformCrypto].map((crypto) =>
    crypto.verify(key, message, signature),
  );
  return noble === platform && noble !== undefined
    ? noble
    : `noble says ${noble}, the platform ${platform}`;
}

function platformSign(of: typeof pair, saltLength: number, hash = 'sha256'): Uint8Array {
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  return new Uint8Array(sign(hash, MESSAGE, { key: of.privateKey, padding, saltLength }));
}

t.test('salts of every length, as signers of the field choose them', async (t) => {
  for (const of of pairs) {
    const most = Math.ceil((of.bits - 1) / 8) - 34;
    for (const salt of [0, 1, 20, 32, 64, most])
      t.equal(verdict(of.key, MESSAGE, platformSign(of, salt)), true, `${of.bits} bits, ${salt}`);
    const maximal = platformSign(of, constants.RSA_PSS_SALTLEN_MAX_SIGN);
    t.equal(verdict(of.key, MESSAGE, maximal), true, `${of.bits} bits, the most`);
    t.equal(verdict(of.key, MESSAGE, signEncoded(of, MESSAGE)), true, 'made by the tests');
    t.equal(verdict(of.key, MESSAGE, signEncoded(of, MESSAGE, { salt: most })), true);
  }
});

t.test('the largest exponent', async (t) => {
  const of = rsaPair(2048, 2 ** 31 - 1);
  t.equal(verdict(of.key, MESSAGE, platformSign(of, 32)), true);
});

t.test('encodings that are wrong in one thing (RFC 8017 9.1.2)', async (t) => {
  const set =
    (at: number, byte: number) =>
    (bytes: Uint8Array): void => {
      bytes.set([byte], at < 0 ? bytes.length + at : at);
    };
  const cases: [name: string, wrong: Encoding][] = [
    ['step 4: the trailer of ISO 9796-2', { trailer: 0xcc }],
    ['step 4: the trailer of PKCS #1 v1.5', { trailer: 0x00 }],
    ['step 8: a mask of another hash', { maskHash: 'sha1' }],
    ['step 8: a mask of SHA-512', { maskHash: 'sha512' }],
    ['step 10: something before the one', { block: set(1, 1) }],
    ['step 10: something right before the one', { block: set(-34, 2) }],
    ['step 10: a two instead of the one', { block: set(-33, 2) }],
    ['step 10: no one', { salt: 0, block: set(-1, 0) }],
    ['step 10: nothing but zeros', { block: (block) => block.fill(0) }],
    ['step 14: another salt', { block: set(-1, 0) }],
    ['step 14: a salt that is one octet longer', { block: set(-34, 1) }],
    ['step 14: another hash', { encoded: set(-2, 0) }],
    ['another hash throughout', { hash: 'sha512', maskHash: 'sha512' }],
    ['SHA-1', { hash: 'sha1', maskHash: 'sha1' }],
  ];
  for (const of of pairs) {
    for (const [name, wrong] of cases)
      t.equal(verdict(of.key, MESSAGE, signEncoded(of, MESSAGE, wrong)), false, name);
  }
});

t.test('step 6, and I2OSP: a number one bit longer than encodings are', async (t) => {
  for (const of of pairs) {
    let more: bigint;
    let salt = 0;
    // Not every encoding has room below the modulus for the bit that is added.
    do {
      const good = bytesNumber(signEncoded(of, MESSAGE, { salt: salt++ }));
      more = power(good, 65_537n, of.modulus) + (1n << BigInt(of.bits - 1));
    } while (more >= of.modulus);
    const signature = signRaw(of, numberBytes(more, Math.ceil(of.bits / 8)));
    t.equal(verdict(of.key, MESSAGE, signature), false, `${of.bits} bits`);
  }
});

t.test('a signature is as long as the modulus, and below it', async (t) => {
  const length = Math.ceil(longer.bits / 8);
  // One that begins with a zero octet, and after which there is room above the modulus.
  let signature = signEncoded(longer, MESSAGE);
  for (let salt = 0; signature[0] !== 0; salt++)
    signature = signEncoded(longer, MESSAGE, { salt: salt % 200 });
  t.equal(verdict(longer.key, MESSAGE, signature), true);
  t.equal(verdict(longer.key, MESSAGE, signature.subarray(1)), false, 'without its leading zero');
  const padded = concatBytes(Uint8Array.of(0), signature);
  t.equal(verdict(longer.key, MESSAGE, padded), false, 'with another zero');
  const number = bytesNumber(signature);
  const above = numberBytes(number + longer.modulus, length);
  t.equal(verdict(longer.key, MESSAGE, above), false, 'the same number plus the modulus');
  for (const number of [0n, 1n, longer.modulus - 1n, longer.modulus]) {
    const bytes = numberBytes(number, length);
    t.equal(verdict(longer.key, MESSAGE, bytes), false, 'a number that nobody signs');
  }
  t.equal(verdict(longer.key, MESSAGE, new Uint8Array()), false, 'none');
  t.equal(verdict(longer.key, MESSAGE, new Uint8Array(length).fill(0xff)), false, 'the largest');
  const good = platformSign(pair, 32);
  for (let cut = 1; cut <= good.length; cut++) {
    const short = good.subarray(0, good.length - cut);
    if (verdict(pair.key, MESSAGE, short) !== false) t.fail(`cut by ${cut}`);
  }
  t.equal(verdict(pair.key, MESSAGE, concatBytes(good, Uint8Array.of(0))), false, 'longer');
});

t.test('another padding, key or message', async (t) => {
  const pkcs1 = new Uint8Array(sign('sha256', MESSAGE, pair.privateKey));
  t.ok(verify('sha256', MESSAGE, createPublicKey(pair.privateKey), pkcs1));
  t.equal(verdict(pair.key, MESSAGE, pkcs1), false, 'PKCS #1 v1.5');
  const sha512 = platformSign(pair, 32, 'sha512');
  t.equal(verdict(pair.key, MESSAGE, sha512), false, 'rsassa-pss-sha512');
  const good = platformSign(pair, 32);
  t.equal(verdict(rsaPair(2048).key, MESSAGE, good), false, 'another key');
  t.equal(verdict(pair.key, utf8('another message'), good), false, 'another message');
  t.equal(verdict(pair.key, new Uint8Array(), good), false, 'no message');
});

t.test('changed anywhere', async (t) => {
  const good = platformSign(pair, 32);
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.nat(188),
      fc.nat(good.length * 8 - 1),
      (message, salt, bit) => {
        const signature = signEncoded(pair, message, { salt });
        const changed = Uint8Array.from(signature);
        changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
        return (
          verdict(pair.key, message, signature) === true &&
          verdict(pair.key, message, changed) === false &&
          (equalBytes(message, MESSAGE) || verdict(pair.key, message, good) === false)
        );
      },
    ),
    { numRuns: 100 },
  );
  t.pass();
});
