import fc from 'fast-check';
import t from 'tap';
import { fromBase64, fromHex, toBase64, utf8 } from '../../shared/bytes.ts';
import { nobleCrypto } from '../../shared/crypto/noble.ts';
import { isIronError } from '../../shared/errors.ts';
import {
  type Envelope,
  pae,
  parseEnvelope,
  signEnvelope,
  verifyEnvelope,
  writeEnvelope,
} from '../../shared/evidence/dsse.ts';
import { EVIDENCE_LIMITS } from '../../shared/limits.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { acme, bytesOf, ed25519Signer, other, p256Signer, refused, textOf } from './support.ts';

const TYPE = 'http://example.com/HelloWorld';

t.test('the pre-authentication encoding of the specification', async (t) => {
  t.equal(textOf(pae(TYPE, utf8('hello world'))), `DSSEv1 29 ${TYPE} 11 hello world`);
  t.equal(textOf(pae('', new Uint8Array())), 'DSSEv1 0  0 ');
  t.equal(textOf(pae('ä', utf8('€'))), 'DSSEv1 2 ä 3 €', 'lengths are in bytes');
});

t.test('the signature of the specification verifies (protocol.md, test vectors)', async (t) => {
  const point = (decimal: string) => fromHex(BigInt(decimal).toString(16).padStart(64, '0'));
  const x = point('46950820868899156662930047687818585632848591499744589407958293238635476079160');
  const y = point('5640078356564379163099075877009565129882514886557779369047442380624545832820');
  const key = { scheme: 'ecdsa-sha2-nistp256', bytes: Uint8Array.of(4, ...x, ...y) } as const;
  // The vector has r and s side by side; in envelopes of the field they are DER.
  const raw = fromBase64(
    'A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA==',
  );
  const sig = Uint8Array.of(0x30, 68, 2, 32, ...raw.subarray(0, 32), 2, 32, ...raw.subarray(32));
  const envelope = { payloadType: TYPE, payload: utf8('hello world'), signatures: [{ sig }] };
  t.same(verifyEnvelope(platformCrypto, envelope, [key], 1), [key]);
  t.same(verifyEnvelope(nobleCrypto, envelope, [key], 1), [key]);
  refused(
    t,
    () => verifyEnvelope(platformCrypto, { ...envelope, payload: utf8('hello World') }, [key], 1),
    'E_SIGNATURE',
    'another payload',
  );
});

t.test('what is signed is read back, is verified by both cryptos, and stands alone', async (t) => {
  const ecdsa = p256Signer();
  await fc.assert(
    fc.asyncProperty(
      fc.string({ minLength: 1, unit: 'grapheme' }),
      fc.uint8Array(),
      async (type, payload) => {
        const bytes = await signEnvelope(type, payload, [
          { signer: acme, keyid: 'a' },
          { signer: ecdsa },
        ]);
        const envelope = parseEnvelope(bytes);
        t.same([envelope.payloadType, [...envelope.payload]], [type, [...payload]]);
        t.same(
          envelope.signatures.map((signature) => signature.keyid),
          ['a', undefined],
        );
        for (const crypto of [platformCrypto, nobleCrypto]) {
          t.same(verifyEnvelope(crypto, envelope, [acme.key, other.key, ecdsa.key], 2), [
            acme.key,
            ecdsa.key,
          ]);
        }
      },
    ),
    { numRuns: 25 },
  );
});

t.test('one bit more or less, anywhere, is another thing', async (t) => {
  const envelope = parseEnvelope(await signEnvelope(TYPE, utf8('hello world'), [{ signer: acme }]));
  const flipped = (bytes: Uint8Array, bit: number): Uint8Array => {
    const copy = Uint8Array.from(bytes);
    const at = (bit >> 3) % copy.length;
    copy[at] = (copy[at] as number) ^ (1 << (bit & 7));
    return copy;
  };
  const sig = envelope.signatures[0]?.sig as Uint8Array;
  const broken = fc
    .nat(2 ** 16)
    .chain((bit) =>
      fc.constantFrom<Envelope>(
        { ...envelope, payload: flipped(envelope.payload, bit) },
        { ...envelope, signatures: [{ sig: flipped(sig, bit) }] },
        { ...envelope, payloadType: `${TYPE}${bit}` },
      ),
    );
  const every = () =>
    fc.assert(
      fc.property(broken, (envelope) => {
        try {
          verifyEnvelope(platformCrypto, envelope, [acme.key], 1);
        } catch (error) {
          return isIronError(error, 'E_SIGNATURE');
        }
        return false;
      }),
    );
  t.doesNotThrow(every);
});

t.test('length of type and payload cannot be moved into each other', async (t) => {
  const envelope = parseEnvelope(await signEnvelope('ab', utf8('c'), [{ signer: acme }]));
  const moved = { ...envelope, payloadType: 'a', payload: utf8('bc') };
  refused(t, () => verifyEnvelope(platformCrypto, moved, [acme.key], 1), 'E_SIGNATURE', 'moved');
});

t.test('a threshold counts distinct keys', async (t) => {
  const twice = parseEnvelope(
    await signEnvelope(TYPE, utf8('x'), [
      { signer: acme, keyid: 'one' },
      { signer: acme, keyid: 'two' },
    ]),
  );
  t.equal(twice.signatures.length, 2);
  t.equal(verifyEnvelope(platformCrypto, twice, [acme.key], 1).length, 1);
  const copies = [acme.key, { ...acme.key, bytes: Uint8Array.from(acme.key.bytes) }, other.key];
  refused(
    t,
    () => verifyEnvelope(platformCrypto, twice, copies, 2),
    'E_THRESHOLD',
    'one key, twice',
  );
  const both = parseEnvelope(
    await signEnvelope(TYPE, utf8('x'), [{ signer: acme }, { signer: other }]),
  );
  t.equal(verifyEnvelope(platformCrypto, both, copies, 2).length, 2);
});

t.test('a threshold of nothing is refused, and so is a signature of nobody', async (t) => {
  const envelope = parseEnvelope(await signEnvelope(TYPE, utf8('x'), [{ signer: acme }]));
  for (const threshold of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    refused(
      t,
      () => verifyEnvelope(platformCrypto, envelope, [acme.key], threshold),
      'E_THRESHOLD',
      `threshold ${threshold}`,
    );
  }
  refused(t, () => verifyEnvelope(platformCrypto, envelope, [], 1), 'E_SIGNATURE', 'no keys');
  refused(
    t,
    () => verifyEnvelope(platformCrypto, { ...envelope, signatures: [] }, [acme.key], 1),
    'E_SIGNATURE',
    'unsigned',
  );
});

t.test('a keyid decides nothing', async (t) => {
  const signed = parseEnvelope(
    await signEnvelope(TYPE, utf8('x'), [{ signer: acme, keyid: 'acme' }]),
  );
  const sig = signed.signatures[0]?.sig as Uint8Array;
  const renamed = { ...signed, signatures: [{ keyid: 'somebody else', sig }] };
  t.same(verifyEnvelope(platformCrypto, renamed, [other.key, acme.key], 1), [acme.key]);
  const lying = parseEnvelope(
    await signEnvelope(TYPE, utf8('x'), [{ signer: other, keyid: 'acme' }]),
  );
  refused(t, () => verifyEnvelope(platformCrypto, lying, [acme.key], 1), 'E_SIGNATURE', 'a lie');
});

t.test('what would take too long is not begun', async (t) => {
  const signature = { sig: new Uint8Array(64) };
  const keys = Array.from({ length: 64 }, (_, i) => ed25519Signer(`key ${i}`).key);
  const many = { payloadType: 't', payload: utf8('x'), signatures: Array(64).fill(signature) };
  refused(t, () => verifyEnvelope(platformCrypto, many, keys, 1), 'E_TOO_LARGE', '64 by 64');
  const large = {
    payloadType: 't',
    payload: new Uint8Array(12 * 1024 * 1024),
    signatures: [signature],
  };
  refused(t, () => verifyEnvelope(platformCrypto, large, keys, 1), 'E_TOO_LARGE', '12 MiB by 64');
});

t.test('both alphabets of base64 are read, the standard one is written', async (t) => {
  const payload = Uint8Array.of(0xfb, 0xff, 0xfe, 0x3e);
  const written = textOf(await signEnvelope(TYPE, payload, [{ signer: acme }]));
  t.match(written, `"payload":"+//+Pg=="`);
  const urlSafe = written.replace(
    /"(payload|sig)":"([^"]*)"/g,
    (_, key: string, text: string) =>
      `"${key}":"${text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')}"`,
  );
  t.match(urlSafe, `"payload":"-__-Pg"`);
  const envelope = parseEnvelope(utf8(urlSafe));
  t.same([...envelope.payload], [...payload]);
  t.same(verifyEnvelope(platformCrypto, envelope, [acme.key], 1), [acme.key]);
  t.equal(textOf(writeEnvelope(envelope)), written, 'and written back as it was');
});

t.test('hostile envelopes', async (t) => {
  const sig = toBase64(new Uint8Array(64));
  const good = { payload: 'eA==', payloadType: 't', signatures: [{ sig }] };
  t.ok(parseEnvelope(bytesOf({ ...good, extra: 1 })), 'unknown fields are ignored');
  t.notOk(
    'keyid' in
      (parseEnvelope(bytesOf({ ...good, signatures: [{ sig, keyid: '' }] })).signatures[0] ?? {}),
  );
  const text = JSON.stringify(good);
  for (let cut = 0; cut < text.length; cut++) {
    refused(t, () => parseEnvelope(utf8(text.slice(0, cut))), 'E_JSON', `cut at ${cut}`);
  }
  refused(
    t,
    () => parseEnvelope(utf8(text.replace('{', '{"payload":"eA==",'))),
    'E_JSON',
    'a key twice',
  );
  refused(t, () => parseEnvelope(utf8(`${'['.repeat(100)}${']'.repeat(100)}`)), 'E_JSON', 'nested');
  refused(
    t,
    () => parseEnvelope(new Uint8Array(EVIDENCE_LIMITS.envelope + 1)),
    'E_TOO_LARGE',
    'huge',
  );
  refused(
    t,
    () => parseEnvelope(utf8(text), 'ceiling', text.length - 1),
    'E_TOO_LARGE',
    'over the limit given',
  );
  const shapes = {
    'no payload': { payloadType: 't', signatures: [{ sig }] },
    'no type': { payload: 'eA==', signatures: [{ sig }] },
    'empty type': { ...good, payloadType: '' },
    'no signatures': { ...good, signatures: [] },
    'signatures as an object': { ...good, signatures: { 0: { sig } } },
    'too many signatures': {
      ...good,
      signatures: Array(EVIDENCE_LIMITS.signatures + 1).fill({ sig }),
    },
    'an empty signature': { ...good, signatures: [{ sig: '' }] },
    'keyid is a number': { ...good, signatures: [{ sig, keyid: 1 }] },
    'payload is no base64': { ...good, payload: 'eA=' },
    'payload in two alphabets': { ...good, payload: '-/+_' },
    'payload with stray bits': { ...good, payload: 'eB==' },
    'an array': [good],
    null: null,
  };
  for (const [name, shape] of Object.entries(shapes)) {
    refused(t, () => parseEnvelope(bytesOf(shape)), 'E_SCHEMA', name);
  }
});
