/**
 * The admission request: how a vendor asks to be let in. It names the vendor, the hardware that it
 * speaks for and its keys, in three lists that share none, and it is signed by every key that it
 * names: whoever asks holds all of them. That it is the vendor who asks, nobody can read out of
 * the file: for that the operator compares its fingerprint by another channel.
 */

import { equalBytes, toBase64, toHex, utf8 } from '../bytes.ts';
import type { Crypto } from '../crypto/crypto.ts';
import { isSigningKey, keyIdentity, type PublicKey } from '../crypto/key.ts';
import type { Signer } from '../crypto/signer.ts';
import { IronError } from '../errors.ts';
import { compactJson } from '../evidence/compact.ts';
import { pae } from '../evidence/dsse.ts';
import { Node } from '../json/decode.ts';
import { parseJson } from '../json/read.ts';
import { type JsonObject, jsonObject } from '../json/value.ts';
import { ADMISSION_LIMITS } from '../limits.ts';
import type { RoleSpec } from '../tuf/build.ts';
import { formatHardwareId, type HardwareId, parseHardwareId } from '../tuf/hardware-id.ts';
import { keyId, keyObject, parseKey, shortKeyId } from '../tuf/key.ts';
import { parseVendorName } from '../tuf/names.ts';

const SCHEMA = 'ironport.admission/v1';
/** What is signed begins with this type: no other document's signature serves as one of these. */
const PAYLOAD_TYPE = 'application/vnd.ironport.admission+json';

const CONTACT = /^[\x21-\x7e][\x20-\x7e]{1,254}[\x21-\x7e]$/;
const CONTACT_WORDS = 'a line of 3 to 256 ASCII characters';

/** A contact as somebody typed it. `E_USAGE` for one that no request may have. */
export function readContact(typed: string): string {
  if (CONTACT.test(typed)) return typed;
  throw new IronError('E_USAGE', `a contact is ${CONTACT_WORDS}`, {
    hint: 'nothing was made; give an address at which somebody reads: security@acme.example',
  });
}

/** The three lists; a key stands in one of them only. */
export const KEY_LISTS = ['tuf', 'evidence', 'api'] as const;
export type KeyList = (typeof KEY_LISTS)[number];

/** What the vendor asks for. */
export interface AdmissionRequest {
  readonly vendor: string;
  readonly hardwareIds: readonly HardwareId[];
  /** Where to report a vulnerability. */
  readonly contact: string;
  /** Keys of the vendor's role, and how many of them must sign. */
  readonly tuf: RoleSpec;
  readonly evidenceKeys: readonly PublicKey[];
  readonly apiKeys: readonly PublicKey[];
}

/** A request as it came. Its signatures were not looked at: `verifyAdmission` does that. */
export interface Admission {
  readonly request: AdmissionRequest;
  /** The bytes that the signatures cover, after their type. */
  readonly payload: Uint8Array;
  readonly signatures: readonly AdmissionSignature[];
}

export interface AdmissionSignature {
  readonly list: KeyList;
  readonly keyid: string;
  readonly sig: Uint8Array;
}

/** Reads a request. `E_TOO_LARGE`, `E_JSON`, `E_SCHEMA`, `E_NAME`, `E_KEY`. */
export function parseAdmission(bytes: Uint8Array): Admission {
  const file = new Node(parseJson(bytes, { length: ADMISSION_LIMITS.file }), 'admission');
  file.only('schema', 'payload', 'signatures').get('schema').oneOf(SCHEMA);
  const payload = file.get('payload').base64();
  const tree = new Node(parseJson(payload, { length: ADMISSION_LIMITS.file }), 'payload');
  const signatures = file
    .get('signatures')
    .items(ADMISSION_LIMITS.keys * KEY_LISTS.length)
    .map((item) => ({
      list: item
        .only('list', 'keyid', 'sig')
        .get('list')
        .oneOf(...KEY_LISTS),
      keyid: item.get('keyid').string(),
      sig: item.get('sig').base64(),
    }));
  return { request: parseRequest(tree), payload, signatures };
}

function parseRequest(tree: Node): AdmissionRequest {
  tree.only('vendor', 'hardware_ids', 'contact', 'tuf', 'evidence_keys', 'api_keys');
  const tuf = tree.get('tuf').only('keys', 'threshold');
  const keys = parseKeys(tuf.get('keys'));
  const request: AdmissionRequest = {
    vendor: parseVendorName(tree.get('vendor').string()),
    hardwareIds: parseHardwareIds(tree.get('hardware_ids')),
    contact: tree.get('contact').matching(CONTACT, CONTACT_WORDS),
    // TUF 4.3: at least 1; above the number of keys it could never be met.
    tuf: { keys, threshold: tuf.get('threshold').integer(1, keys.length) },
    evidenceKeys: parseKeys(tree.get('evidence_keys')),
    apiKeys: parseApiKeys(tree.get('api_keys')),
  };
  refuseSharedKeys(tree, request);
  return request;
}

function parseHardwareIds(node: Node): HardwareId[] {
  const ids = node
    .items(ADMISSION_LIMITS.hardwareIds)
    .map((item) => parseHardwareId(item.string()));
  if (new Set(ids.map(formatHardwareId)).size !== ids.length)
    throw node.error('a hardware id stands twice');
  return ids;
}

/** One list of keys: at least one, and each of a kind that this program can use. */
function parseKeys(node: Node): PublicKey[] {
  const items = node.items(ADMISSION_LIMITS.keys);
  if (items.length === 0) throw node.error('at least one key is expected');
  return items.map((item) => {
    const { publicKey, unusable } = parseKey(item);
    // Elsewhere such a key counts nowhere; here it would be admitted without having signed.
    if (publicKey === undefined)
      throw new IronError('E_KEY', `${item.path}: ${unusable ?? 'not a key'}`);
    return publicKey;
  });
}

/** Requests are signed with fewer kinds of keys than metadata (RFC 9421 3.3). */
function parseApiKeys(node: Node): PublicKey[] {
  const keys = parseKeys(node);
  const unfit = keys.find((key) => !isSigningKey(key));
  if (unfit !== undefined)
    throw new IronError('E_KEY', `${node.path}: no request can be signed with ${unfit.scheme}`);
  return keys;
}

/** A key in two lists would let the holder of the one (a build machine) do the work of the other. */
function refuseSharedKeys(tree: Node, request: AdmissionRequest): void {
  const owners = new Map<string, KeyList>();
  for (const list of KEY_LISTS) {
    for (const key of keysOf(request, list)) {
      const owner = owners.get(keyIdentity(key));
      if (owner === list) throw tree.error(`a key stands twice among the ${list} keys`);
      if (owner !== undefined)
        throw tree.error(`a key stands among the ${owner} keys and among the ${list} keys`);
      owners.set(keyIdentity(key), list);
    }
  }
}

/** The keys of one list. */
export function keysOf(request: AdmissionRequest, list: KeyList): readonly PublicKey[] {
  if (list === 'tuf') return request.tuf.keys;
  return list === 'evidence' ? request.evidenceKeys : request.apiKeys;
}

/** A key that signed, as verdicts name it. */
export interface AdmittedKey {
  readonly list: KeyList;
  readonly keyid: string;
  readonly key: PublicKey;
}

/**
 * Checks that every key that the request names signed it, and that nobody else did. Returns the
 * keys in the order of the lists. Throws `E_SIGNATURE`.
 */
export function verifyAdmission(crypto: Crypto, admission: Admission): AdmittedKey[] {
  const message = pae(PAYLOAD_TYPE, admission.payload);
  const unused = new Map<string, Uint8Array>();
  for (const { list, keyid, sig } of admission.signatures) {
    // A second one for the same key leaves open which of them is meant.
    if (unused.has(`${list} ${keyid}`))
      throw refused(`the ${list} key ${shortKeyId(keyid)} has two signatures`);
    unused.set(`${list} ${keyid}`, sig);
  }
  const admitted: AdmittedKey[] = [];
  for (const list of KEY_LISTS) {
    for (const key of keysOf(admission.request, list)) {
      const keyid = keyId(crypto, key);
      const sig = unused.get(`${list} ${keyid}`);
      // Proof of possession: a key that did not sign may be somebody else's.
      if (sig === undefined)
        throw refused(`the ${list} key ${shortKeyId(keyid)} did not sign the request`);
      if (!crypto.verify(key, message, sig))
        throw refused(`the signature of the ${list} key ${shortKeyId(keyid)} does not verify`);
      unused.delete(`${list} ${keyid}`);
      admitted.push({ list, keyid, key });
    }
  }
  const [stranger] = unused.keys();
  // Nothing rests on it, and so nobody should have put it there.
  if (stranger !== undefined)
    throw refused(
      `a signature is by a key that the request does not name: ${stranger.slice(0, 24)}`,
    );
  return admitted;
}

function refused(message: string): IronError {
  return new IronError('E_SIGNATURE', message, {
    why: 'a request is signed by every key that it names, so that the vendor is known to hold each',
    hint: 'nothing was changed; ask the vendor to make the request again with `ironport request`',
  });
}

/**
 * What vendor and operator read to one another: SHA-256, lower-case hexadecimal, of what the keys
 * signed. It covers the request and not the signatures, which a signer could make anew.
 */
export function admissionFingerprint(crypto: Crypto, admission: Admission): string {
  return toHex(crypto.sha256(pae(PAYLOAD_TYPE, admission.payload)));
}

/** A fingerprint for eyes and voices: sixteen groups of four. */
export function formatFingerprint(fingerprint: string): string {
  return fingerprint.replace(/(.{4})(?=.)/g, '$1 ');
}

/** A fingerprint as somebody typed it, in any grouping; `E_USAGE` when it is not a whole one. */
export function parseFingerprint(text: string): string {
  const hex = text.replace(/[\s:-]/g, '').toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(hex)) {
    throw new IronError('E_USAGE', 'a fingerprint has 64 hexadecimal digits', {
      why: 'a part of one can be met by trying; only the whole identifies a request',
    });
  }
  return hex;
}

/** Signers of each list; every key of the request must be among them. */
export type AdmissionSigners = Readonly<Record<KeyList, readonly Signer[]>>;

/** Writes and signs a request, and reads it back as the operator will. */
export async function makeAdmission(
  crypto: Crypto,
  asked: Pick<AdmissionRequest, 'vendor' | 'hardwareIds' | 'contact'> & {
    readonly threshold: number;
  },
  signers: AdmissionSigners,
): Promise<Uint8Array> {
  const objects = (list: KeyList): JsonObject[] => signers[list].map(({ key }) => keyObject(key));
  const payload = compactJson(
    jsonObject([
      ['vendor', asked.vendor],
      ['hardware_ids', asked.hardwareIds.map(formatHardwareId)],
      ['contact', asked.contact],
      [
        'tuf',
        jsonObject([
          ['keys', objects('tuf')],
          ['threshold', asked.threshold],
        ]),
      ],
      ['evidence_keys', objects('evidence')],
      ['api_keys', objects('api')],
    ]),
  );
  const signatures: JsonObject[] = [];
  for (const list of KEY_LISTS) {
    for (const signer of signers[list]) {
      const sig = await signer.sign(pae(PAYLOAD_TYPE, payload));
      const keyid = keyId(crypto, signer.key);
      signatures.push(
        jsonObject([
          ['list', list],
          ['keyid', keyid],
          ['sig', toBase64(sig)],
        ]),
      );
    }
  }
  const bytes = utf8(
    `${JSON.stringify({ schema: SCHEMA, payload: toBase64(payload), signatures })}\n`,
  );
  const admission = parseAdmission(bytes);
  verifyAdmission(crypto, admission);
  if (!equalBytes(admission.payload, payload))
    throw new IronError('E_INTERNAL', 'the request reads otherwise than it was written');
  return bytes;
}
