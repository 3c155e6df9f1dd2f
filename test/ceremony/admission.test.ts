import t from 'tap';
import {
  type AdmissionSigners,
  admissionFingerprint,
  formatFingerprint,
  makeAdmission,
  parseAdmission,
  parseFingerprint,
  verifyAdmission,
} from '../../shared/api/admission.ts';
import { fromUtf8, toBase64, utf8 } from '../../shared/bytes.ts';
import { nobleCrypto } from '../../shared/crypto/noble.ts';
import { pae } from '../../shared/evidence/dsse.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { parseHardwareId } from '../../shared/tuf/hardware-id.ts';
import { keyId, keyObject } from '../../shared/tuf/key.ts';
import { testKey } from '../support/keys.ts';
import { codeOf, refusal } from './support.ts';

const SIGNERS: AdmissionSigners = {
  tuf: [testKey('tuf 1'), testKey('tuf 2')],
  evidence: [testKey('evidence')],
  api: [testKey('api', 'ecdsa-sha2-nistp256')],
};
const ASKED = {
  vendor: 'acme',
  hardwareIds: [parseHardwareId('PCI:0x1234:0x11e8'), parseHardwareId('PCI:0x1af4')],
  contact: 'security@acme.example',
  threshold: 2,
};
const STRANGER = testKey('stranger');

interface File {
  schema: string;
  payload: string;
  signatures: { list: string; keyid: string; sig: string }[];
}
interface Payload {
  vendor: string;
  hardware_ids: string[];
  contact: string;
  tuf: { keys: object[]; threshold: number };
  evidence_keys: object[];
  api_keys: object[];
}

const bytes = await makeAdmission(crypto, ASKED, SIGNERS);
const file = (): File => JSON.parse(fromUtf8(bytes));
const payload = (): Payload => JSON.parse(Buffer.from(file().payload, 'base64').toString());
const write = (value: object): Uint8Array => utf8(JSON.stringify(value));
const verify = (value: object): unknown => verifyAdmission(crypto, parseAdmission(write(value)));

/** A request whose payload was changed and which every one of `signers` signed anew. */
async function resigned(
  change: (payload: Payload) => void,
  signers: AdmissionSigners = SIGNERS,
): Promise<File> {
  const changed = payload();
  change(changed);
  const body = write(changed);
  const signatures = [];
  for (const list of ['tuf', 'evidence', 'api'] as const) {
    for (const signer of signers[list]) {
      const sig = await signer.sign(pae('application/vnd.ironport.admission+json', body));
      signatures.push({ list, keyid: keyId(crypto, signer.key), sig: toBase64(sig) });
    }
  }
  return { schema: 'ironport.admission/v1', payload: toBase64(body), signatures };
}

t.test('a request says what was asked, and which keys signed', async (t) => {
  const admission = parseAdmission(bytes);
  t.equal(admission.request.vendor, 'acme');
  t.same(admission.request.hardwareIds, ASKED.hardwareIds);
  t.equal(admission.request.contact, 'security@acme.example');
  t.equal(admission.request.tuf.threshold, 2);
  for (const provider of [crypto, nobleCrypto]) {
    t.same(
      verifyAdmission(provider, admission).map(({ list, keyid }) => [list, keyid]),
      (['tuf', 'evidence', 'api'] as const).flatMap((list) =>
        SIGNERS[list].map(({ key }) => [list, keyId(crypto, key)]),
      ),
    );
  }
});

t.test('every key must have signed, and nobody else', async (t) => {
  for (let i = 0; i < file().signatures.length; i++) {
    const without = file();
    const [gone] = without.signatures.splice(i, 1);
    const error = await refusal(() => verify(without));
    t.equal(error.code, 'E_SIGNATURE');
    t.match(error.message, `the ${gone?.list} key ${gone?.keyid.slice(0, 12)} did not sign`);
  }
  const first = file().signatures[0] as File['signatures'][number];

  const twice = file();
  twice.signatures.push(first);
  t.match((await refusal(() => verify(twice))).message, 'has two signatures');

  const foreign = file();
  foreign.signatures.push({ ...first, keyid: keyId(crypto, STRANGER.key) });
  t.match((await refusal(() => verify(foreign))).message, 'does not name');

  const moved = file();
  for (const signature of moved.signatures) signature.list = 'tuf';
  t.match((await refusal(() => verify(moved))).message, /evidence key \w+ did not sign/);

  const swapped = file();
  const [a, b] = swapped.signatures as [typeof first, typeof first];
  [a.sig, b.sig] = [b.sig, a.sig];
  t.match((await refusal(() => verify(swapped))).message, 'does not verify');
});

t.test('a payload that was replaced, or signed as something else, is refused', async (t) => {
  const replaced = { ...file(), payload: (await resigned((p) => (p.contact = 'a@b.c'))).payload };
  t.match((await refusal(() => verify(replaced))).message, 'does not verify');

  // Somebody puts a key of the vendor under a request of their own.
  const stolen = await resigned((p) => (p.vendor = 'mallory'), { ...SIGNERS, tuf: [STRANGER] });
  t.match((await refusal(() => verify(stolen))).message, 'did not sign');

  const other = file();
  for (const [i, signer] of [...SIGNERS.tuf, ...SIGNERS.evidence, ...SIGNERS.api].entries()) {
    const body = Buffer.from(other.payload, 'base64');
    const sig = await signer.sign(pae('application/vnd.in-toto+json', body));
    (other.signatures[i] as (typeof other.signatures)[number]).sig = toBase64(sig);
  }
  t.match((await refusal(() => verify(other))).message, 'does not verify');
});

t.test('no key stands twice, in one list or in two', async (t) => {
  const changes: [string, (p: Payload) => void][] = [
    ['twice among the tuf keys', (p) => p.tuf.keys.push(p.tuf.keys[0] as object)],
    ['twice among the api keys', (p) => p.api_keys.push(p.api_keys[0] as object)],
    [
      'the tuf keys and among the evidence keys',
      (p) => p.evidence_keys.push(p.tuf.keys[0] as object),
    ],
    ['the tuf keys and among the api keys', (p) => p.api_keys.push(p.tuf.keys[1] as object)],
    ['the evidence keys and among the api', (p) => p.api_keys.push(p.evidence_keys[0] as object)],
    [
      // The same key in an older spelling has another id, and is the same key.
      'twice among the api keys',
      (p) => p.api_keys.push({ ...p.api_keys[0], keytype: 'ecdsa-sha2-nistp256' }),
    ],
  ];
  for (const [message, change] of changes) {
    const error = await refusal(async () => verify(await resigned(change)));
    t.equal(error.code, 'E_SCHEMA');
    t.match(error.message, message);
  }
});

t.test('a payload that is not of the form is refused', async (t) => {
  const weak = { ...keyObject(STRANGER.key), keyval: { public: '00'.repeat(32) } };
  const changes: [string, (p: Payload) => void][] = [
    ['E_SCHEMA', (p) => (p.tuf.keys = [])],
    ['E_SCHEMA', (p) => (p.evidence_keys = [])],
    ['E_SCHEMA', (p) => (p.api_keys = [])],
    ['E_SCHEMA', (p) => (p.tuf.threshold = 0)],
    ['E_SCHEMA', (p) => (p.tuf.threshold = 3)],
    ['E_SCHEMA', (p) => (p.contact = '')],
    ['E_SCHEMA', (p) => (p.contact = 'a@b\u001b[2J')],
    ['E_SCHEMA', (p) => (p.hardware_ids = ['USB:0x1234'])],
    ['E_SCHEMA', (p) => (p.hardware_ids = ['PCI:0x1234', 'PCI:0x1234'])],
    ['E_SCHEMA', (p) => Object.assign(p, { role: 'root' })],
    ['E_SCHEMA', (p) => Reflect.deleteProperty(p, 'api_keys')],
    ['E_NAME', (p) => (p.vendor = '../acme')],
    ['E_NAME', (p) => (p.vendor = 'targets')],
    ['E_KEY', (p) => p.api_keys.push(weak)],
    ['E_KEY', (p) => p.api_keys.push({ keytype: 'rsa', scheme: 'rsa', keyval: { public: '' } })],
    ['E_SCHEMA', (p) => (p.api_keys = Array.from({ length: 33 }, () => p.api_keys[0] as object))],
  ];
  for (const [code, change] of changes) {
    t.equal(await codeOf(async () => verify(await resigned(change))), code, String(change));
  }
});

t.test('a file that is not of the form is refused', async (t) => {
  t.equal(await codeOf(() => verify({ ...file(), schema: 'ironport.admission/v2' })), 'E_SCHEMA');
  t.equal(await codeOf(() => verify({ ...file(), note: '' })), 'E_SCHEMA');
  t.equal(await codeOf(() => verify({ ...file(), signatures: [] })), 'E_SIGNATURE');
  t.equal(
    await codeOf(() => verify({ ...file(), payload: toBase64(utf8('{"vendor":1')) })),
    'E_JSON',
  );
  const nested = utf8('['.repeat(100_000));
  t.equal(await codeOf(() => parseAdmission(nested)), 'E_JSON');
  t.equal(await codeOf(() => verify({ ...file(), payload: toBase64(nested) })), 'E_JSON');
  const twice = fromUtf8(bytes).replace('{', '{"schema":"ironport.admission/v1",');
  t.equal(await codeOf(() => parseAdmission(utf8(twice))), 'E_JSON');
  const long = { ...file(), payload: 'A'.repeat(300_000) };
  t.equal(await codeOf(() => verify(long)), 'E_TOO_LARGE');
  // Cut short anywhere, it is refused by a code, and never by a crash.
  const codes = new Set<string>();
  for (let length = 0; length < bytes.length - 1; length += 7)
    codes.add(await codeOf(() => parseAdmission(bytes.subarray(0, length))));
  t.same([...codes], ['E_JSON']);
});

t.test('a fingerprint stands for the whole request and no part of it', async (t) => {
  const fingerprint = admissionFingerprint(crypto, parseAdmission(bytes));
  t.match(fingerprint, /^[0-9a-f]{64}$/);
  const grouped = formatFingerprint(fingerprint);
  t.match(grouped, /^([0-9a-f]{4} ){15}[0-9a-f]{4}$/);
  t.equal(parseFingerprint(grouped.toUpperCase().replaceAll(' ', ':')), fingerprint);
  // Signing again changes nothing that was read out: ECDSA signatures differ each time.
  const again = await makeAdmission(crypto, ASKED, SIGNERS);
  t.not(fromUtf8(again), fromUtf8(bytes));
  t.equal(admissionFingerprint(crypto, parseAdmission(again)), fingerprint);
  const asked = await resigned((p) => (p.contact = 'mallory@acme.example'));
  t.not(admissionFingerprint(crypto, parseAdmission(write(asked))), fingerprint);
  for (const part of [fingerprint.slice(0, 63), `${fingerprint}0`, '', 'x'.repeat(64)])
    t.equal(await codeOf(() => parseFingerprint(part)), 'E_USAGE');
});

t.test('whoever makes a request is told at once what would be refused', async (t) => {
  t.equal(
    await codeOf(() => makeAdmission(crypto, { ...ASKED, threshold: 3 }, SIGNERS)),
    'E_SCHEMA',
  );
  const shared = { ...SIGNERS, api: SIGNERS.tuf };
  t.equal(await codeOf(() => makeAdmission(crypto, ASKED, shared)), 'E_SCHEMA');
  const broken = { ...SIGNERS, api: [{ key: STRANGER.key, sign: async () => new Uint8Array(64) }] };
  t.equal(await codeOf(() => makeAdmission(crypto, ASKED, broken)), 'E_SIGNATURE');
});
