/**
 * What a vendor signs, verified by OpenSSL, which knows nothing of this project: the envelope taken apart as
 * DSSE's protocol.md says, and the bytes of its pre-authentication encoding put together here.
 */

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { derToPem, keyToSpki, type SigningScheme } from '../../shared/crypto/key.ts';
import { loadFileSigner } from '../../shared/node/signers/file.ts';
import { writeNewKey } from '../../shared/node/signers/write-key.ts';
import { EDU, make, textOf } from '../evidence/support.ts';

const skip = spawnSync('openssl', ['version']).status !== 0 && 'needs openssl';

/** The words of OpenSSL that verify the file `signed` by `key.pem` and `sig`. */
const WORDS: Readonly<Record<SigningScheme, readonly string[]>> = {
  ed25519: [
    'pkeyutl',
    '-verify',
    '-pubin',
    '-inkey',
    'key.pem',
    '-rawin',
    '-sigfile',
    'sig',
    '-in',
  ],
  'ecdsa-sha2-nistp256': ['dgst', '-sha256', '-verify', 'key.pem', '-signature', 'sig'],
  'ecdsa-sha2-nistp384': ['dgst', '-sha384', '-verify', 'key.pem', '-signature', 'sig'],
};

interface Envelope {
  readonly payload: string;
  readonly payloadType: string;
  readonly signatures: readonly { readonly sig: string }[];
}

function verifies(folder: string, scheme: SigningScheme, envelope: Envelope): boolean {
  const { payloadType: type, signatures } = envelope;
  const body = Buffer.from(envelope.payload, 'base64');
  const head = `DSSEv1 ${Buffer.byteLength(type)} ${type} ${body.length} `;
  writeFileSync(join(folder, 'signed'), Buffer.concat([Buffer.from(head), body]));
  writeFileSync(join(folder, 'sig'), Buffer.from(signatures[0]?.sig as string, 'base64'));
  return spawnSync('openssl', [...WORDS[scheme], 'signed'], { cwd: folder }).status === 0;
}

async function tryScheme(t: Test, scheme: SigningScheme): Promise<void> {
  const folder = t.testdir({});
  const path = join(folder, 'evidence.json');
  const { key } = await writeNewKey(path, scheme, { created: 0 });
  writeFileSync(join(folder, 'key.pem'), derToPem(keyToSpki(key)));
  const made = await make({ signer: await loadFileSigner(path) });
  const lines = textOf(made.statements).trimEnd().split('\n');
  const bundle = JSON.parse(textOf(made.bundle));
  const envelopes: Envelope[] = [
    ...lines.map((line) => JSON.parse(line)),
    JSON.parse(textOf(made.ceiling)),
    bundle.dsseEnvelope,
  ];
  t.equal(envelopes.length, 3, 'provenance, ceiling, and the provenance as a Sigstore bundle');
  for (const envelope of envelopes) {
    t.ok(verifies(folder, scheme, envelope), `${scheme} verifies`);
    const statement = JSON.parse(Buffer.from(envelope.payload, 'base64').toString());
    t.match(statement.subject, [{ digest: { sha256: EDU.sha256 } }], 'and is about the artifact');
    const other = Buffer.from(JSON.stringify({ ...statement, more: 1 })).toString('base64');
    t.notOk(verifies(folder, scheme, { ...envelope, payload: other }), 'another payload does not');
    const type = `${envelope.payloadType} `;
    t.notOk(verifies(folder, scheme, { ...envelope, payloadType: type }), 'nor another type');
  }
}

t.test('Ed25519', { skip }, (t) => tryScheme(t, 'ed25519'));
t.test('ECDSA over P-256', { skip }, (t) => tryScheme(t, 'ecdsa-sha2-nistp256'));
t.test('ECDSA over P-384', { skip }, (t) => tryScheme(t, 'ecdsa-sha2-nistp384'));
