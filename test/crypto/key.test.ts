import { generateKeyPairSync } from 'node:crypto';
import t from 'tap';
import { concatBytes, fromHex } from '../../shared/bytes.ts';
import {
  derToPem,
  keyFromSpki,
  keyIdentity,
  keyToSpki,
  pemToDer,
  type SigningScheme,
} from '../../shared/crypto/key.ts';

const SCHEMES = ['ed25519', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384'] as const;

/** DER and PEM of a new key, as the platform writes them. */
function spki(scheme: SigningScheme): { der: Buffer; pem: string } {
  const curve = { 'ecdsa-sha2-nistp256': 'P-256', 'ecdsa-sha2-nistp384': 'P-384', ed25519: '' }[
    scheme
  ];
  const { publicKey } =
    curve === ''
      ? generateKeyPairSync('ed25519')
      : generateKeyPairSync('ec', { namedCurve: curve });
  return {
    der: publicKey.export({ format: 'der', type: 'spki' }),
    pem: publicKey.export({ format: 'pem', type: 'spki' }) as string,
  };
}

for (const scheme of SCHEMES) {
  t.test(`${scheme}: SubjectPublicKeyInfo`, async (t) => {
    const { der, pem } = spki(scheme);
    const key = keyFromSpki(scheme, der);
    t.ok(der.equals(keyToSpki(key)));
    t.equal(derToPem(der), pem);
    t.ok(der.equals(pemToDer(pem)));
    const bad = (bytes: Uint8Array, name: string): unknown =>
      t.throws(() => keyFromSpki(scheme, bytes), { code: 'E_KEY' }, name);
    for (let length = 0; length < der.length; length++)
      bad(der.subarray(0, length), `cut off after ${length} bytes`);
    bad(concatBytes(der, Uint8Array.of(0)), 'a byte more');
    for (const other of SCHEMES) if (other !== scheme) bad(spki(other).der, `a key of ${other}`);
    // Every byte before the point is fixed: no parameter, curve or length can differ.
    const head = der.length - key.bytes.length;
    for (let at = 0; at < head; at++) {
      const changed = Uint8Array.from(der);
      changed[at] = (changed[at] as number) ^ 1;
      bad(changed, `byte ${at} changed`);
    }
  });
}

t.test('an EC point in another form', async (t) => {
  const { der } = spki('ecdsa-sha2-nistp256');
  const head = der.subarray(0, 26);
  for (const form of [0x00, 0x02, 0x03, 0x06, 0x07]) {
    const point = concatBytes(Uint8Array.of(form), der.subarray(27));
    t.throws(
      () => keyFromSpki('ecdsa-sha2-nistp256', concatBytes(head, point)),
      { code: 'E_KEY' },
      `form ${form}`,
    );
  }
});

t.test('PEM', async (t) => {
  const { pem, der } = spki('ed25519');
  for (const same of [
    pem.trim(),
    `\n${pem}\n`,
    pem.replaceAll('\n', '\r\n'),
    pem.replace(/(\w{20})/, '$1\n'),
  ]) {
    t.ok(der.equals(pemToDer(same)), JSON.stringify(same));
  }
  const body = pem.split('\n')[1] as string;
  const bad: Record<string, string> = {
    empty: '',
    'the body alone': body,
    'another label': pem.replaceAll('PUBLIC', 'PRIVATE'),
    'two blocks': pem + pem,
    'text before it': `comment\n${pem}`,
    'no end': pem.slice(0, -30),
    'a header': pem.replace('\n', '\nProc-Type: 4,ENCRYPTED\n\n'),
    'very long': pem.replace(body, 'A'.repeat(8000)),
  };
  for (const [name, text] of Object.entries(bad))
    t.throws(() => pemToDer(text), { code: 'E_KEY' }, name);
  t.throws(
    () => pemToDer(pem.replace(body, body.slice(1))),
    { code: 'E_SCHEMA' },
    'base64 of no whole bytes',
  );
  // Spaces without end must not cost more than reading them: so often, anything more than linear
  // time outlasts the time-out. No clock is read.
  for (let i = 0; i < 40; i++) {
    for (const tail of [' '.repeat(4000), ` ${'A '.repeat(2000)}!`]) {
      t.throws(() => pemToDer(`-----BEGIN PUBLIC KEY-----${tail}`), { code: 'E_KEY' });
    }
  }
});

t.test('one key has one identity', async (t) => {
  const { pem, der } = spki('ed25519');
  const [one, two] = [
    keyFromSpki('ed25519', der),
    keyFromSpki('ed25519', pemToDer(pem.replaceAll('\n', '\r\n'))),
  ];
  t.equal(keyIdentity(one), keyIdentity(two));
  t.not(keyIdentity(one), keyIdentity(keyFromSpki('ed25519', spki('ed25519').der)));
  const copied = fromHex('00'.repeat(44));
  copied.set(der);
  const key = keyFromSpki('ed25519', copied);
  copied.fill(0);
  t.equal(
    keyIdentity(key),
    keyIdentity(one),
    'a key does not change with the buffer it was read from',
  );
});
