// Keys of every kind that the field signs with, as metadata carries them, and what they sign.

import { ml_dsa44, ml_dsa65, ml_dsa87 } from '@noble/post-quantum/ml-dsa.js';
import t from 'tap';
import { concatBytes, toHex, utf8 } from '../../shared/bytes.ts';
import { derToPem, keyIdentity, keyToSpki, type PublicKey } from '../../shared/crypto/key.ts';
import { nobleCrypto } from '../../shared/crypto/noble.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { parseEnvelope, signEnvelope, verifyEnvelope } from '../../shared/evidence/dsse.ts';
import { canonicalBytes } from '../../shared/json/canonical.ts';
import { Node } from '../../shared/json/decode.ts';
import { jsonObject } from '../../shared/json/value.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { formatMetadata, sign } from '../../shared/tuf/build.ts';
import { parseEnvelope as parseMetadata } from '../../shared/tuf/envelope.ts';
import { keyId, keyObject, parseKey, signedMessage, type TufKey } from '../../shared/tuf/key.ts';
import { verifyThreshold } from '../../shared/tuf/role.ts';
import { rsaPair, signEncoded } from '../crypto/rsa-support.ts';
import { testKey } from '../support/keys.ts';

const rsa = rsaPair(2048);
const rsaSigner: Signer = { key: rsa.key, sign: async (message) => signEncoded(rsa, message) };

const SETS = { 'ml-dsa-44': ml_dsa44, 'ml-dsa-65': ml_dsa65, 'ml-dsa-87': ml_dsa87 } as const;

function mlDsaSigner(scheme: keyof typeof SETS): Signer {
  const { publicKey, secretKey } = SETS[scheme].keygen(new Uint8Array(32).fill(3));
  return {
    key: { scheme, bytes: publicKey },
    sign: async (message) => SETS[scheme].sign(message, secretKey),
  };
}
const mlDsa = [mlDsaSigner('ml-dsa-44'), mlDsaSigner('ml-dsa-65'), mlDsaSigner('ml-dsa-87')];
const everyKind: Signer[] = [
  testKey('kinds'),
  testKey('kinds', 'ecdsa-sha2-nistp256'),
  testKey('kinds', 'ecdsa-sha2-nistp384'),
  rsaSigner,
  ...mlDsa,
];

const SIGNED = jsonObject([
  ['_type', 'targets'],
  ['version', 7],
]);

function read(keytype: string, scheme: string, text: string): TufKey {
  const keyval = jsonObject([['public', text]]);
  const fields = [
    ['keytype', keytype],
    ['scheme', scheme],
    ['keyval', keyval],
  ] as const;
  return parseKey(new Node(jsonObject([...fields]), 'key'));
}

const pem = (key: PublicKey): string => derToPem(keyToSpki(key));

t.test('every kind is read as it was written', async (t) => {
  const names: string[] = [];
  for (const { key } of everyKind) {
    const parsed = parseKey(new Node(keyObject(key), 'key'));
    t.same(parsed.publicKey, key, key.scheme);
    names.push(`${parsed.keytype} ${parsed.scheme}`);
  }
  t.same(names, [
    'ed25519 ed25519',
    'ecdsa ecdsa-sha2-nistp256',
    'ecdsa ecdsa-sha2-nistp384',
    'rsa rsassa-pss-sha256',
    'ml-dsa ml-dsa-44/1',
    'ml-dsa ml-dsa-65/1',
    'ml-dsa ml-dsa-87/1',
  ]);
});

t.test('metadata that one key of each kind signed', async (t) => {
  const signatures = await sign(platformCrypto, SIGNED, everyKind);
  const envelope = parseMetadata(formatMetadata(SIGNED, signatures), 100_000, 'targets');
  const keyids = everyKind.map(({ key }) => keyId(platformCrypto, key));
  const keys = new Map(
    everyKind.map(({ key }, i) => [keyids[i] as string, parseKey(new Node(keyObject(key), 'key'))]),
  );
  const role = { keyids, threshold: everyKind.length };
  for (const crypto of [platformCrypto, nobleCrypto])
    t.same(verifyThreshold(crypto, envelope, keys, role, 'targets'), keyids);

  const more = jsonObject([...Object.entries(SIGNED), ['more', true]]);
  const changed = parseMetadata(formatMetadata(more, signatures), 100_000, 'targets');
  for (const crypto of [platformCrypto, nobleCrypto])
    t.throws(() => verifyThreshold(crypto, changed, keys, { keyids, threshold: 1 }, 'targets'), {
      code: 'E_THRESHOLD',
      context: { signed: 0 },
    });
});

t.test('what is signed (TAP 21, version 1)', async (t) => {
  const canonical = canonicalBytes(SIGNED);
  for (const { key } of everyKind) {
    const expected = key.scheme.startsWith('ml-dsa')
      ? concatBytes(utf8('tuf'), Uint8Array.of(1), platformCrypto.sha512(canonical))
      : canonical;
    t.same(signedMessage(platformCrypto, key, canonical), expected, key.scheme);
    t.same(signedMessage(nobleCrypto, key, canonical), expected, key.scheme);
  }
});

t.test('an ML-DSA signature over anything else is none', async (t) => {
  const canonical = canonicalBytes(SIGNED);
  const digest = platformCrypto.sha512(canonical);
  for (const signer of mlDsa) {
    const keyid = keyId(platformCrypto, signer.key);
    const keys = new Map([[keyid, parseKey(new Node(keyObject(signer.key), 'key'))]]);
    const role = { keyids: [keyid], threshold: 1 };
    const verify = async (message: Uint8Array): Promise<unknown> => {
      const sig = toHex(await signer.sign(message));
      const file = formatMetadata(SIGNED, new Map([[keyid, sig]]));
      const envelope = parseMetadata(file, 100_000, 'targets');
      return verifyThreshold(platformCrypto, envelope, keys, role, 'targets');
    };
    t.same(await verify(concatBytes(utf8('tuf\x01'), digest)), [keyid]);
    const others: [name: string, message: Uint8Array][] = [
      ['the metadata itself', canonical],
      ['its digest alone', digest],
      ['version 0', concatBytes(utf8('tuf\x00'), digest)],
      ['version 2', concatBytes(utf8('tuf\x02'), digest)],
      ['no version', concatBytes(utf8('tuf'), digest)],
      ['another domain', concatBytes(utf8('tug\x01'), digest)],
      ['another hash', concatBytes(utf8('tuf\x01'), platformCrypto.sha256(canonical))],
      ['no hash', concatBytes(utf8('tuf\x01'), canonical)],
    ];
    for (const [name, message] of others)
      await t.rejects(verify(message), { code: 'E_THRESHOLD' }, `${signer.key.scheme}: ${name}`);
  }
});

t.test(
  'DSSE signs its own bytes, also with ML-DSA, and neither passes for the other',
  async (t) => {
    for (const signer of [...mlDsa, rsaSigner]) {
      const bytes = await signEnvelope('text/plain', canonicalBytes(SIGNED), [{ signer }]);
      for (const crypto of [platformCrypto, nobleCrypto])
        t.same(verifyEnvelope(crypto, parseEnvelope(bytes), [signer.key], 1), [signer.key]);

      const keyid = keyId(platformCrypto, signer.key);
      const [{ sig } = { sig: new Uint8Array() }] = parseEnvelope(bytes).signatures;
      const file = formatMetadata(SIGNED, new Map([[keyid, toHex(sig)]]));
      const keys = new Map([[keyid, parseKey(new Node(keyObject(signer.key), 'key'))]]);
      const envelope = parseMetadata(file, 100_000, 'targets');
      const role = { keyids: [keyid], threshold: 1 };
      t.throws(() => verifyThreshold(platformCrypto, envelope, keys, role, 'targets'), {
        code: 'E_THRESHOLD',
      });
    }
  },
);

t.test('one key in several spellings counts once', async (t) => {
  for (const signer of [rsaSigner, ...mlDsa]) {
    const own = parseKey(new Node(keyObject(signer.key), 'key'));
    const other = read(own.keytype, own.scheme, pem(signer.key).replaceAll('\n', '\r\n').trim());
    t.equal(keyIdentity(other.publicKey as PublicKey), keyIdentity(signer.key));
    const keys = new Map([
      ['a', own],
      ['b', other],
    ]);
    const message = signedMessage(platformCrypto, signer.key, canonicalBytes(SIGNED));
    const [first, second] = [await signer.sign(message), await signer.sign(message)].map(toHex);
    const file = formatMetadata(
      SIGNED,
      new Map([...keys.keys()].map((id, i) => [id, (i === 0 ? first : second) as string])),
    );
    const envelope = parseMetadata(file, 100_000, 'targets');
    const role = { keyids: ['a', 'b'], threshold: 2 };
    t.throws(() => verifyThreshold(platformCrypto, envelope, keys, role, 'targets'), {
      code: 'E_THRESHOLD',
      context: { signed: 1, threshold: 2 },
    });
  }
});

t.test('keys that are kept and count nowhere', async (t) => {
  const [small, middle] = mlDsa.map(({ key }) => pem(key)) as [string, string];
  const cases: [keytype: string, scheme: string, text: string][] = [
    ['rsa', 'rsassa-pss-sha512', pem(rsa.key)],
    ['rsa', 'rsa-pkcs1v15-sha256', pem(rsa.key)],
    ['rsa', 'ed25519', pem(rsa.key)],
    ['ecdsa', 'rsassa-pss-sha256', pem(rsa.key)],
    ['rsa', 'rsassa-pss-sha256', small],
    ['rsa', 'rsassa-pss-sha256', 'no key'],
    ['rsa', 'rsassa-pss-sha256', pem(rsa.key).replaceAll('PUBLIC', 'RSA PUBLIC')],
    ['ml-dsa', 'ml-dsa-44', small],
    ['ml-dsa', 'ml-dsa-44/2', small],
    ['ml-dsa', 'ml-dsa-44/01', small],
    ['ml-dsa', 'ML-DSA-44/1', small],
    ['mldsa', 'ml-dsa-44/1', small],
    ['ml-dsa/ml-dsa-44', '1', small],
    ['ml-dsa-44/1', 'ml-dsa-44/1', small],
    ['ml-dsa', 'ml-dsa-65/1', small],
    ['ml-dsa', 'ml-dsa-44/1', middle],
    ['ml-dsa', 'ml-dsa-44/1', pem(rsa.key)],
    ['ml-dsa', 'ml-dsa-44/1', toHex((mlDsa[0] as Signer).key.bytes)],
    ['__proto__', 'constructor', small],
  ];
  for (const [keytype, scheme, text] of cases) {
    const key = read(keytype, scheme, text);
    t.equal(key.publicKey, undefined, `${keytype} ${scheme}`);
    t.type(key.unusable, 'string', 'and why');
  }
});
