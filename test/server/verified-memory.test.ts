import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { ed25519Key } from '../../shared/crypto/key.ts';
import { rememberingVerified } from '../../shared/crypto/verified-memory.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';

function signer() {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const key = ed25519Key(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32));
  return { key, sign: (message: Uint8Array) => new Uint8Array(sign(null, message, privateKey)) };
}

/** The platform's, and how often it was asked. */
function counting(): { readonly crypto: Crypto; asked: number } {
  const counted = {
    asked: 0,
    crypto: {
      ...platformCrypto,
      verify(...args: Parameters<Crypto['verify']>) {
        counted.asked += 1;
        return platformCrypto.verify(...args);
      },
    },
  };
  return counted;
}

t.test('a signature that was good is verified once, and nothing else in its place', async (t) => {
  const counted = counting();
  const crypto = rememberingVerified(counted.crypto);
  const [one, other] = [signer(), signer()];
  const message = utf8('a role');
  const signature = one.sign(message);
  t.ok(crypto.verify(one.key, message, signature));
  t.ok(crypto.verify(one.key, utf8('a role'), signature.slice()));
  t.equal(counted.asked, 1);
  const altered = signature.slice();
  altered[0] = (altered[0] as number) ^ 1;
  const wrong: [string, Parameters<Crypto['verify']>][] = [
    ['another message', [one.key, utf8('a roll'), signature]],
    ['another signature', [one.key, message, altered]],
    ['one that is cut', [one.key, message, signature.subarray(0, 63)]],
    ['one that goes on', [one.key, message, Uint8Array.from([...signature, 0])]],
    ['none', [one.key, message, new Uint8Array()]],
    ['another key', [other.key, message, signature]],
    [
      'the key under another scheme',
      [{ ...one.key, scheme: 'ecdsa-sha2-nistp256' } as never, message, signature],
    ],
  ];
  for (const [what, args] of wrong)
    for (let i = 0; i < 2; i++) t.notOk(crypto.verify(...args), what);
  t.equal(counted.asked, 1 + 2 * wrong.length, 'what is not good is not remembered');
  message[0] = (message[0] as number) ^ 1;
  t.notOk(crypto.verify(one.key, message, signature), 'the bytes count, not where they lie');
});

t.test('it remembers those that were met last, and so many', async (t) => {
  const counted = counting();
  const crypto = rememberingVerified(counted.crypto);
  const { key, sign } = signer();
  const messages = Array.from({ length: 2049 }, (_, i) => utf8(`message ${i}`));
  const signatures = messages.map(sign);
  const verify = (i: number): boolean =>
    crypto.verify(key, messages[i] as Uint8Array, signatures[i] as Uint8Array);
  for (let i = 0; i < 2048; i++) verify(i);
  t.ok(verify(0));
  t.equal(counted.asked, 2048);
  t.ok(verify(2048));
  t.ok(verify(0), 'met again before the last one');
  t.equal(counted.asked, 2049);
  t.ok(verify(1), 'forgotten, and verified again');
  t.equal(counted.asked, 2050);
});

t.test('keys and signatures that are long are verified each time', async (t) => {
  let asked = 0;
  const verify = (): boolean => {
    asked += 1;
    return true;
  };
  const crypto = rememberingVerified({ ...platformCrypto, verify });
  const { key } = signer();
  for (let i = 0; i < 2; i++) crypto.verify(key, utf8('m'), new Uint8Array(129));
  for (let i = 0; i < 2; i++)
    crypto.verify({ ...key, bytes: new Uint8Array(129) }, utf8('m'), new Uint8Array(64));
  t.equal(asked, 4);
  t.same(Buffer.from(crypto.sha256(utf8('m'))), createHash('sha256').update('m').digest());
  t.same(Buffer.from(crypto.sha512(utf8('m'))), createHash('sha512').update('m').digest());
});
