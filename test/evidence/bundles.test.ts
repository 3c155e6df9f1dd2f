/** The `.intoto.jsonl` and the Sigstore bundle; the latter also as another tool sees it. */

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { buildBundle, parseBundle } from '../../shared/evidence/bundle.ts';
import { parseEnvelope, signEnvelope } from '../../shared/evidence/dsse.ts';
import { IN_TOTO_PAYLOAD_TYPE } from '../../shared/evidence/identifiers.ts';
import { buildSigstoreBundle, parseSigstoreBundle } from '../../shared/evidence/sigstore-bundle.ts';
import type { JsonValue } from '../../shared/json/value.ts';
import { EVIDENCE_LIMITS } from '../../shared/limits.ts';
import { verifyElsewhere } from '../support/sigstore.ts';
import { acme, bytesOf, make, other, p256Signer, refused, textOf } from './support.ts';

t.test('@sigstore/verify verifies our bundles offline, and refuses altered ones', async (t) => {
  for (const signer of [acme, p256Signer()]) {
    const { bundle, statements } = await make({ signer });
    const json = JSON.parse(textOf(bundle));
    const keyid = json.verificationMaterial.publicKey.hint;
    const [line] = parseBundle(statements);
    t.same(
      line && 'envelope' in line && line.envelope,
      parseSigstoreBundle(bundle),
      'the same signing',
    );

    t.doesNotThrow(() => verifyElsewhere(json, keyid, signer.key), signer.key.scheme);
    t.throws(
      () => verifyElsewhere(json, keyid, other.key),
      { code: 'SIGNATURE_ERROR' },
      'another key',
    );
    t.throws(() => verifyElsewhere(json, 'another hint', signer.key), { code: 'PUBLIC_KEY_ERROR' });
    const payload = Buffer.from(json.dsseEnvelope.payload, 'base64');
    payload[payload.length - 3] = (payload[payload.length - 3] as number) ^ 1;
    json.dsseEnvelope.payload = payload.toString('base64');
    t.throws(
      () => verifyElsewhere(json, keyid, signer.key),
      { code: 'SIGNATURE_ERROR' },
      'tampered',
    );
  }
});

t.test('a Sigstore bundle has one signature, whose keyid is the hint', async (t) => {
  const envelope = async (...keyids: (string | undefined)[]) =>
    parseEnvelope(
      await signEnvelope(
        IN_TOTO_PAYLOAD_TYPE,
        utf8('{}'),
        keyids.map((keyid) => (keyid === undefined ? { signer: acme } : { signer: acme, keyid })),
      ),
    );
  const one = await envelope('k');
  const bundle = buildSigstoreBundle(one);
  t.equal(JSON.parse(textOf(bundle)).verificationMaterial.publicKey.hint, 'k');
  t.same(parseSigstoreBundle(bundle), one);
  const [none, two] = [await envelope(undefined), await envelope('k', 'l')];
  refused(t, () => buildSigstoreBundle(none), 'E_SCHEMA', 'no keyid');
  refused(t, () => buildSigstoreBundle(two), 'E_SCHEMA', 'two signatures');

  const json = JSON.parse(textOf(bundle));
  const { dsseEnvelope } = json;
  const shapes: Record<string, JsonValue> = {
    'another media type': {
      ...json,
      mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.1',
    },
    'another hint': { ...json, verificationMaterial: { publicKey: { hint: 'l' } } },
    'a certificate': { ...json, verificationMaterial: { certificate: { rawBytes: '' } } },
    'a message signature': { ...json, dsseEnvelope: undefined, messageSignature: {} },
    'two signatures': {
      ...json,
      dsseEnvelope: {
        ...dsseEnvelope,
        signatures: [...dsseEnvelope.signatures, ...dsseEnvelope.signatures],
      },
    },
    'no keyid': { ...json, dsseEnvelope: { ...dsseEnvelope, signatures: [{ sig: 'AAAA' }] } },
  };
  for (const [name, shape] of Object.entries(shapes)) {
    refused(t, () => parseSigstoreBundle(bytesOf(shape)), 'E_SCHEMA', name);
  }
  refused(t, () => parseSigstoreBundle(bundle.subarray(0, 100)), 'E_JSON', 'cut');
});

t.test('a bundle of statements is read line by line', async (t) => {
  const [a, b] = [
    await signEnvelope(IN_TOTO_PAYLOAD_TYPE, utf8('a'), [{ signer: acme }]),
    await signEnvelope('text/plain', utf8('b'), [{ signer: acme }]),
  ];
  const bytes = buildBundle([a, b]);
  t.equal(textOf(bytes), `${textOf(a)}\n${textOf(b)}\n`);
  const shape = (text: string) =>
    parseBundle(utf8(text)).map((line) => [line.line, 'envelope' in line]);
  t.same(shape(textOf(bytes)), [
    [1, true],
    [2, true],
  ]);
  t.same(
    shape(textOf(bytes).trimEnd()),
    [
      [1, true],
      [2, true],
    ],
    'the last newline may be absent',
  );
  t.same(shape(`\r\n \n${textOf(a)}\r\n`), [[3, true]], 'empty lines count but carry nothing');
  t.same(
    shape(`{}\n[1]\n7\n${textOf(a)}`),
    [
      [1, false],
      [2, false],
      [3, false],
      [4, true],
    ],
    'unknown lines are ignored',
  );
  t.match(parseBundle(utf8('{}'))[0], { ignored: /^line 1: .*payloadType/ });
  t.same(shape(''), []);
});

t.test('hostile bundles', async (t) => {
  const line = textOf(await signEnvelope('t', utf8('a'), [{ signer: acme }]));
  refused(t, () => parseBundle(utf8(`${line}\n${line.slice(0, -1)}`)), 'E_JSON', 'cut');
  t.match(refused(t, () => parseBundle(utf8(`${line}\n{`)), 'E_JSON', 'cut').message, /^line 2: /);
  refused(t, () => parseBundle(utf8(`${line}${line}`)), 'E_JSON', 'two on one line');
  refused(t, () => parseBundle(utf8(line.replace('{', '{"payload":"",'))), 'E_JSON', 'a key twice');
  refused(t, () => parseBundle(utf8('['.repeat(100_000))), 'E_JSON', 'nested');
  refused(t, () => parseBundle(Uint8Array.of(0xff, 0xfe)), 'E_JSON', 'no UTF-8');
  refused(
    t,
    () => parseBundle(new Uint8Array(EVIDENCE_LIMITS.bundle + 1).fill(0x0a)),
    'E_TOO_LARGE',
    'huge',
  );
  const most = '{}\n'.repeat(EVIDENCE_LIMITS.lines);
  t.equal(parseBundle(utf8(most)).length, EVIDENCE_LIMITS.lines);
  refused(t, () => parseBundle(utf8(`${most}{}`)), 'E_TOO_LARGE', 'too many lines');
  t.same(parseBundle(utf8('\n'.repeat(1_000_000))), [], 'a million empty lines');
});
