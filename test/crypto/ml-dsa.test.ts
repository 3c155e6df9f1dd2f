import { generateKeyPairSync, sign } from 'node:crypto';
import { sha512 } from '@noble/hashes/sha2.js';
import { ml_dsa44, ml_dsa65, ml_dsa87 } from '@noble/post-quantum/ml-dsa.js';
import fc from 'fast-check';
import t from 'tap';
import { concatBytes, utf8 } from '../../shared/bytes.ts';
import {
  derToPem,
  keyFromSpki,
  keyToSpki,
  type MlDsaScheme,
  type PublicKey,
  pemToDer,
} from '../../shared/crypto/key.ts';
import { nobleCrypto } from '../../shared/crypto/noble.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { verifyPortably } from '../../shared/node/ml-dsa.ts';

const MESSAGE = utf8('a driver, and what may be done with it');
/** Node has the scheme since 24.6; before, what the platform says is noble's word. */
const isNative = Number(process.versions.node.split('.')[0]) >= 24;

const SETS = [
  { scheme: 'ml-dsa-44', noble: ml_dsa44, c: 32, omega: 80, k: 4, signature: 2420 },
  { scheme: 'ml-dsa-65', noble: ml_dsa65, c: 48, omega: 55, k: 6, signature: 3309 },
  { scheme: 'ml-dsa-87', noble: ml_dsa87, c: 64, omega: 75, k: 8, signature: 4627 },
] as const;

function portable(key: PublicKey, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    return verifyPortably(key.scheme as MlDsaScheme, key.bytes, message, signature);
  } catch {
    return false;
  }
}

/** The one verdict of all three ways. */
function verdict(key: PublicKey, message: Uint8Array, signature: Uint8Array): boolean | string {
  const verdicts = [
    nobleCrypto.verify(key, message, signature),
    platformCrypto.verify(key, message, signature),
    portable(key, message, signature),
  ];
  const [first = false] = verdicts;
  return verdicts.every((one) => one === first) ? first : `noble, platform, fallback: ${verdicts}`;
}

for (const { scheme, noble, c, omega, k, signature: length } of SETS) {
  const seed = new Uint8Array(32).fill(7);
  const pair = noble.keygen(seed);
  const key: PublicKey = { scheme, bytes: pair.publicKey };
  const good = noble.sign(MESSAGE, pair.secretKey, { extraEntropy: false });

  t.test(`${scheme}: SubjectPublicKeyInfo (RFC 9881)`, async (t) => {
    const der = keyToSpki(key);
    t.same(keyFromSpki(scheme, der).bytes, pair.publicKey);
    t.same(pemToDer(derToPem(der)), der, 'and as PEM');
    for (const cut of [0, 1, 21, 22, der.length - 1])
      t.throws(() => keyFromSpki(scheme, der.subarray(0, cut)), { code: 'E_KEY' }, `${cut} bytes`);
    t.throws(() => keyFromSpki(scheme, concatBytes(der, Uint8Array.of(0))), { code: 'E_KEY' });
    for (let at = 0; at < 22; at++) {
      const changed = Uint8Array.from(der);
      changed[at] = (changed[at] as number) ^ 1;
      t.throws(() => keyFromSpki(scheme, changed), { code: 'E_KEY' }, `byte ${at}`);
    }
    for (const other of SETS.filter((set) => set.scheme !== scheme))
      t.throws(() => keyFromSpki(other.scheme, der), { code: 'E_KEY' }, `as ${other.scheme}`);
  });

  t.test(`${scheme}: what the platform makes`, { skip: !isNative }, async (t) => {
    const made = generateKeyPairSync(scheme);
    const der = new Uint8Array(made.publicKey.export({ format: 'der', type: 'spki' }));
    const of = keyFromSpki(scheme, der);
    t.same(keyToSpki(of), der);
    const signature = new Uint8Array(sign(null, MESSAGE, made.privateKey));
    t.equal(signature.length, length);
    t.equal(verdict(of, MESSAGE, signature), true);
    t.equal(verdict(key, MESSAGE, signature), false, 'under another key');
  });

  t.test(`${scheme}: good and not`, async (t) => {
    t.equal(good.length, length);
    t.equal(verdict(key, MESSAGE, good), true);
    t.equal(verdict(key, new Uint8Array(), noble.sign(new Uint8Array(), pair.secretKey)), true);
    t.equal(verdict(key, utf8('another message'), good), false);
    for (const cut of [0, 1, c, length - 1])
      t.equal(verdict(key, MESSAGE, good.subarray(0, cut)), false, `${cut} bytes`);
    t.equal(verdict(key, MESSAGE, concatBytes(good, Uint8Array.of(0))), false, 'a byte more');
    t.equal(verdict(key, MESSAGE, new Uint8Array(length)), false, 'zeros');
    t.equal(verdict(key, MESSAGE, new Uint8Array(length).fill(0xff)), false, 'ones');
  });

  t.test(`${scheme}: made in another way`, async (t) => {
    const context = noble.sign(MESSAGE, pair.secretKey, { context: utf8('tuf') });
    t.equal(verdict(key, MESSAGE, context), false, 'with a context');
    const hashed = noble.prehash(sha512).sign(MESSAGE, pair.secretKey);
    t.equal(verdict(key, MESSAGE, hashed), false, 'HashML-DSA');
    t.equal(verdict(key, sha512(MESSAGE), hashed), false, 'HashML-DSA, over the digest');
    const internal = noble.internal.sign(MESSAGE, pair.secretKey);
    t.equal(verdict(key, MESSAGE, internal), false, 'without the separator of FIPS 204');
  });

  t.test(`${scheme}: hints have one spelling (FIPS 204 Algorithm 21)`, async (t) => {
    const hints = length - omega - k;
    const counts = hints + omega;
    const change = (edit: (bytes: Uint8Array) => void): Uint8Array => {
      const changed = Uint8Array.from(good);
      edit(changed);
      return changed;
    };
    const total = good[length - 1] as number;
    t.ok(total > 1 && total < omega, 'the signature has hints and room for more');
    const first = good[counts] as number;
    t.ok(first > 1, 'two hints in the first polynomial');
    const cases: [name: string, signature: Uint8Array][] = [
      [
        'two hints the other way round',
        change((bytes) => bytes.set([bytes[hints + 1] as number, bytes[hints] as number], hints)),
      ],
      ['a hint twice', change((bytes) => bytes.set([bytes[hints] as number], hints + 1))],
      ['something where there is no hint', change((bytes) => bytes.set([1], counts - 1))],
      ['counts that go down', change((bytes) => bytes.set([first - 1], counts + 1))],
      ['more than fit', change((bytes) => bytes.set([omega + 1], length - 1))],
      ['255 of them', change((bytes) => bytes.set([255], counts))],
    ];
    for (const [name, signature] of cases) t.equal(verdict(key, MESSAGE, signature), false, name);
  });

  t.test(`${scheme}: changed anywhere`, async (t) => {
    fc.assert(
      fc.property(fc.nat(length * 8 - 1), (bit) => {
        const changed = Uint8Array.from(good);
        changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
        return verdict(key, MESSAGE, changed) === false;
      }),
      { numRuns: 20 },
    );
    fc.assert(
      fc.property(fc.nat(pair.publicKey.length * 8 - 1), (bit) => {
        const bytes = Uint8Array.from(pair.publicKey);
        bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
        return verdict({ scheme, bytes }, MESSAGE, good) === false;
      }),
      { numRuns: 10 },
    );
    t.pass();
  });
}
