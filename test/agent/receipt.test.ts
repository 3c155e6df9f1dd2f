/** Receipts of bindings, as this project and as others read them. */

import { createPublicKey, verify } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { keyToSpki } from '../../shared/crypto/key.ts';
import { parseEnvelope, signEnvelope } from '../../shared/evidence/dsse.ts';
import { IN_TOTO_PAYLOAD_TYPE, SIGSTORE_BUNDLE_TYPE } from '../../shared/evidence/identifiers.ts';
import { buildStatement } from '../../shared/evidence/statement.ts';
import { RECEIPT_PREDICATE, readReceipt, receiptStatement } from '../../shared/manifest/receipt.ts';
import { windowAt } from '../../shared/manifest/windows.ts';
import { loadPublicKey, makeKeyFile } from '../../shared/node/signers/file.ts';
import { testKey } from '../support/keys.ts';
import { verifyElsewhere } from '../support/sigstore.ts';
import { agent, apply, BDF, NAME, refused, scene } from './support.ts';

/** DSSE protocol.md, PAE, written a second time: nothing of ours is used. */
function pae(type: string, payload: Buffer): Buffer {
  const head = `DSSEv1 ${Buffer.byteLength(type)} ${type} ${payload.length} `;
  return Buffer.concat([Buffer.from(head), payload]);
}

t.test('the receipt of a binding, read by nothing of ours', async (t) => {
  const place = await scene(t);
  const applied = await apply(place);
  const file = join(place.folder, 'receipt.json');
  const shown = await agent(
    ...['receipt', 'show', '--state', place.state, '--device', BDF, '--out', file],
  );
  t.equal(shown.data.out, file);
  t.equal(shown.data.grant_sha256, applied.data.grant_sha256);
  t.match(shown.data.receipt, {
    host: /^[0-9a-f]{32}$/,
    device: { path: BDF, vendor: '0x1234', device: '0x11e8', serial: null },
    grant: { sha256: applied.data.grant_sha256, iommu_domain: 1 },
    confinement: null,
    software: { agent: /^\d+\./, runtime: /^node \d+/ },
    versions: { root: Number, acme: Number },
  });

  const keyFile = join(place.state, 'keys', 'grant.pub.json');
  const publicKey = await loadPublicKey(keyFile);
  const spki = Buffer.from(keyToSpki(publicKey));
  const envelope = JSON.parse(readFileSync(file, 'utf8'));
  const [{ sig, keyid }] = envelope.signatures;
  const payload = Buffer.from(envelope.payload, 'base64');
  const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  const isSigned = (bytes: Buffer): boolean =>
    verify(null, pae(envelope.payloadType, bytes), key, Buffer.from(sig, 'base64'));
  t.ok(isSigned(payload), 'DSSE over plain Ed25519');
  const changed = Buffer.from(payload);
  changed[40] = (changed[40] as number) ^ 1;
  t.notOk(isSigned(changed));
  const statement = JSON.parse(payload.toString());
  t.match(statement, {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: NAME, digest: { sha256: /^[0-9a-f]{64}$/ } }],
    predicateType: RECEIPT_PREDICATE,
  });

  // As a bundle, by the verifier of Sigstore.
  const bundle = (dsseEnvelope: unknown) => ({
    mediaType: SIGSTORE_BUNDLE_TYPE,
    verificationMaterial: { publicKey: { hint: keyid } },
    dsseEnvelope,
  });
  verifyElsewhere(bundle(envelope), keyid, publicKey);
  const altered = bundle({ ...envelope, payload: changed.toString('base64') });
  t.throws(() => verifyElsewhere(altered, keyid, publicKey), { code: 'SIGNATURE_ERROR' });

  const check = (path: string, by = keyFile) => agent('receipt', 'verify', path, '--key', by);
  t.match((await check(file)).data, { device: BDF, artifact: { path: NAME } });
  writeFileSync(file, JSON.stringify({ ...envelope, payload: changed.toString('base64') }));
  refused(t, await check(file), 'E_SIGNATURE', 'changed');
  writeFileSync(file, JSON.stringify(envelope));
  const foreign = join(place.folder, 'foreign.pub.json');
  writeFileSync(foreign, (await makeKeyFile('ed25519')).publicFile);
  refused(t, await check(file, foreign), 'E_SIGNATURE', 'another host');
});

t.test('a receipt goes with its binding, and none is left by one that failed', async (t) => {
  const place = await scene(t, { faults: ['probe:fail'] });
  const receipt = join(place.state, 'receipts', '2.json');
  t.equal((await apply(place)).error.code, 'E_BIND_ROLLED_BACK');
  t.notOk(existsSync(join(place.state, 'receipts', '1.json')));
  place.kernel.setFaults([]);
  await apply(place);
  t.ok(existsSync(receipt));
  t.equal((await agent('release', ...place.device)).exit, 0);
  t.notOk(existsSync(receipt));
  const show = await agent('receipt', 'show', '--state', place.state, '--device', BDF);
  refused(t, show, 'E_NOT_FOUND', 'of what is not bound');
});

t.test('the map table of a device that is held', async (t) => {
  const place = await scene(t);
  await apply(place);
  const grant = await agent('receipt', 'show', '--state', place.state, '--device', BDF);
  const device = { ...grant.data.receipt.device };
  const statement = receiptStatement({
    grant: {
      artifact: { path: NAME, sha256: 'ab'.repeat(32) },
      hostId: 'cd'.repeat(16),
      interrupts: { kind: 'msi', vectors: 1, perSecondBudget: 10 },
      ...{ expires: 1_900_000_000, generation: 1, abi: 1, manifestSha256: 'ef'.repeat(32) },
      device: {
        ...{ path: device.path, vendor: 0x1234, device: 0x11e8, subsystemVendor: 0x1af4 },
        ...{ subsystemDevice: 0x1100, class: 0xff00, revision: 16, serial: null },
        ...{ bars: [], interrupts: { intx: false, msi: 1, msix: 0 }, reservedIova: [] },
      },
    } as unknown as Parameters<typeof receiptStatement>[0]['grant'],
    ...{ grantSha256: 'ab'.repeat(32), domain: 7, boot: 'boot', boundAt: 1_900_000_000 },
    confined: {
      maps: [{ window: windowAt(0x10_0000n, 0x1000n), access: 'read' }],
      ...{ backend: 'iommufd', interrupts: 1, driverRuns: true, notes: ['not reset'] },
    },
    metadata: new Map([['root', 1]]),
    versions: { agent: '0.1.0', runtime: 'node 24', kernel: '6.12' },
  });
  const key = testKey('host');
  const sign = async (payload: Uint8Array, type = IN_TOTO_PAYLOAD_TYPE) =>
    parseEnvelope(await signEnvelope(type, payload, [{ signer: key }]));
  const read = readReceipt(await sign(buildStatement(statement)));
  t.match(read.predicate.confinement, {
    backend: 'iommufd',
    maps: [{ iova: '0x100000', length_bytes: '0x1000', access: 'read' }],
    interrupts: { kind: 'msi', vectors: 1 },
    driver_runs: true,
  });
  const broken = async (change: object, more = {}): Promise<void> => {
    const predicate = { ...statement.predicate, ...change };
    const envelope = await sign(buildStatement({ ...statement, predicate, ...more }));
    t.throws(() => readReceipt(envelope), { code: 'E_SCHEMA' }, JSON.stringify(change));
  };
  await broken({ more: 1 });
  await broken({ confinement: { backend: 'iommufd' } });
  await broken({ grant: { sha256: 'x' } });
  await broken({ bound_at: 'yesterday' });
  await broken({}, { predicateType: 'https://example.com/other' });
  await broken({}, { subjects: [] });
  await broken({}, { subjects: [...statement.subjects, ...statement.subjects] });
  const other = await sign(utf8('{}'), 'text/plain');
  t.throws(() => readReceipt(other), { code: 'E_SCHEMA' }, 'signed as something else');
});
