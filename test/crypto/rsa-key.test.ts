import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { concatBytes, fromHex } from '../../shared/bytes.ts';
import {
  derToPem,
  isSigningKey,
  keyFromSpki,
  keyIdentity,
  keyToSpki,
  pemToDer,
} from '../../shared/crypto/key.ts';
import { ALGORITHM, integer, numberBytes, rsaPair, spki, tlv } from './rsa-support.ts';

const SCHEME = 'rsassa-pss-sha256';
const pair = rsaPair(2048);
const N = pair.modulus;
const E = 65_537n;
/** An odd number of so many bits; nobody knows its factors, and nothing here asks. */
const odd = (bits: bigint): bigint => (1n << (bits - 1n)) + 12345n;

t.test('what the platform writes is read, and written again to the byte', async (t) => {
  for (const bits of [2048, 2049, 3072]) {
    const { der, key } = rsaPair(bits);
    t.same(keyToSpki(key), der, `${bits} bits`);
    t.notOk(isSigningKey(key), 'it verifies and does not sign');
  }
  t.same(
    spki(integer(N), integer(E)),
    pair.der,
    'what the tests write is what the platform writes',
  );
});

t.test('two spellings of one key are one key', async (t) => {
  const pem = derToPem(pair.der);
  t.equal(pem, createPublicKey(pair.privateKey).export({ format: 'pem', type: 'spki' }));
  const spellings = [
    pem.replaceAll('\n', '\r\n'),
    pem.trimEnd(),
    `-----BEGIN PUBLIC KEY-----\n${Buffer.from(pair.der).toString('base64')}\n-----END PUBLIC KEY-----`,
  ];
  for (const spelling of spellings)
    t.equal(keyIdentity(keyFromSpki(SCHEME, pemToDer(spelling))), keyIdentity(pair.key));
});

t.test('the bounds', async (t) => {
  const accepted: [name: string, n: bigint, e: bigint][] = [
    ['the smallest modulus', odd(2048n), E],
    ['the largest modulus', odd(8192n), E],
    ['the largest exponent', N, 2n ** 31n - 1n],
  ];
  for (const [name, n, e] of accepted) {
    const der = spki(integer(n), integer(e));
    t.same(keyToSpki(keyFromSpki(SCHEME, der)), der, name);
  }
  const refused: [name: string, n: bigint, e: bigint][] = [
    ['a modulus of 1024 bits', odd(1024n), E],
    ['a modulus of 2047 bits', odd(2047n), E],
    ['a modulus of 8193 bits', odd(8193n), E],
    ['a modulus of 65,536 bits', odd(65_536n), E],
    ['a modulus of zero', 0n, E],
    ['an even modulus', N + 1n, E],
    ['the exponent 0', N, 0n],
    ['the exponent 1, with which every message signs itself', N, 1n],
    ['the exponent 3', N, 3n],
    ['the exponent below 2^16 + 1', N, 65_535n],
    ['an even exponent', N, 65_538n],
    ['an exponent of 32 bits', N, 2n ** 31n + 1n],
    ['an exponent as long as the modulus', N, N - 2n],
  ];
  for (const [name, n, e] of refused)
    t.throws(() => keyFromSpki(SCHEME, spki(integer(n), integer(e))), { code: 'E_KEY' }, name);
});

t.test('what is not DER, or not the key of this scheme', async (t) => {
  const n = integer(N);
  const e = integer(E);
  const wrap = (algorithm: Uint8Array, inner: Uint8Array, unused = 0): Uint8Array =>
    tlv(0x30, algorithm, tlv(3, Uint8Array.of(unused), inner));
  const inner = tlv(0x30, n, e);
  t.same(wrap(ALGORITHM, inner), pair.der);
  const modulus = numberBytes(N);
  const pss = generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).publicKey;
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
  const value = pair.der.subarray(4);
  const cases: [name: string, der: Uint8Array][] = [
    ['nothing', new Uint8Array()],
    ['another algorithm: id-RSASSA-PSS', pss.export({ format: 'der', type: 'spki' })],
    ['another algorithm: an EC key', ec.export({ format: 'der', type: 'spki' })],
    ['RSAPublicKey alone (PKCS #1)', inner],
    ['no parameters', wrap(fromHex('300b06092a864886f70d010101'), inner)],
    ['parameters that are not NULL', wrap(fromHex('300e06092a864886f70d010101020100'), inner)],
    ['unused bits', wrap(ALGORITHM, inner, 1)],
    ['a set instead of the outer sequence', concatBytes(Uint8Array.of(0x31), pair.der.subarray(1))],
    ['a set instead of the inner sequence', wrap(ALGORITHM, tlv(0x31, n, e))],
    ['an octet string around the key', tlv(0x30, ALGORITHM, tlv(4, Uint8Array.of(0), inner))],
    ['an indefinite length', concatBytes(fromHex('3080'), value, fromHex('0000'))],
    ['a length in three octets', concatBytes(fromHex('30830001'), pair.der.subarray(3))],
    ['a length without octets', concatBytes(fromHex('30ff'), value)],
    ['an exponent with a long length', spki(n, fromHex('028103010001'))],
    ['an exponent with a longer length', spki(n, fromHex('02820003010001'))],
    ['a modulus with a zero too many', spki(tlv(2, Uint8Array.of(0, 0), modulus), e)],
    ['an exponent with a leading zero', spki(n, tlv(2, fromHex('00010001')))],
    ['a negative modulus', spki(tlv(2, modulus), e)],
    ['a negative exponent', spki(n, tlv(2, fromHex('ff0001')))],
    ['an exponent without octets', spki(n, tlv(2))],
    ['no exponent', spki(n)],
    ['neither', spki()],
    ['a third number', spki(n, e, e)],
    ['something after the inner sequence', wrap(ALGORITHM, concatBytes(inner, Uint8Array.of(0)))],
    ['something after the bit string', tlv(0x30, pair.der.subarray(4), tlv(5))],
    ['something after everything', concatBytes(pair.der, Uint8Array.of(0))],
  ];
  for (const [name, der] of cases)
    t.throws(() => keyFromSpki(SCHEME, der), { code: 'E_KEY' }, name);
  for (let length = 0; length < pair.der.length; length++) {
    const cut = pair.der.subarray(0, length);
    t.throws(() => keyFromSpki(SCHEME, cut), { code: 'E_KEY' }, `cut off after ${length} bytes`);
  }
});

t.test('whatever is read is the one spelling of what was read', async (t) => {
  let read = 0;
  const change = fc.record({
    at: fc.nat(pair.der.length - 1),
    byte: fc.integer({ min: 1, max: 255 }),
  });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
      const der = Uint8Array.from(pair.der);
      for (const { at, byte } of changes) der[at] = (der[at] as number) ^ byte;
      let again: Uint8Array;
      try {
        again = keyToSpki(keyFromSpki(SCHEME, der));
      } catch (error) {
        return (error as { code?: string }).code === 'E_KEY';
      }
      read++;
      return Buffer.from(again).equals(der);
    }),
    { numRuns: 2000 },
  );
  t.ok(read > 100, 'changes inside the modulus make other keys');
});
