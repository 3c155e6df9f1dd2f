/**
 * DSSE 1.0 envelopes: a payload, its type, and signatures over both. A signature covers the
 * pre-authentication encoding of the bytes, never a parsed form, and the payload that was
 * verified is the payload that is used: nothing is decoded a second time.
 */

import { concatBytes, toBase64, utf8 } from '../bytes.ts';
import type { Crypto } from '../crypto/crypto.ts';
import { keyIdentity, type PublicKey } from '../crypto/key.ts';
import type { Signer } from '../crypto/signer.ts';
import { IronError } from '../errors.ts';
import { Node } from '../json/decode.ts';
import { parseJson } from '../json/read.ts';
import { EVIDENCE_LIMITS } from '../limits.ts';
import { compactJson } from './compact.ts';

export interface Envelope {
  readonly payloadType: string;
  readonly payload: Uint8Array;
  readonly signatures: readonly EnvelopeSignature[];
}

export interface EnvelopeSignature {
  /** A hint that nobody signed: for people and for other tools, never for a decision. */
  readonly keyid?: string;
  readonly sig: Uint8Array;
}

/** Reads one envelope of at most `limit` bytes. `E_TOO_LARGE`, `E_JSON`, `E_SCHEMA`. */
export function parseEnvelope(
  bytes: Uint8Array,
  what = 'envelope',
  limit: number = EVIDENCE_LIMITS.envelope,
): Envelope {
  return readEnvelope(new Node(parseJson(bytes, { length: limit }), what));
}

/** An envelope that stands inside another document. */
export function readEnvelope(node: Node): Envelope {
  // DSSE envelope.md: unknown fields are ignored; a signature list that is empty proves nothing.
  const payloadType = node.get('payloadType').string();
  if (payloadType === '') throw node.get('payloadType').error('a payload type is expected');
  const signatures = node.get('signatures').items(EVIDENCE_LIMITS.signatures).map(readSignature);
  if (signatures.length === 0)
    throw node.get('signatures').error('at least one signature is expected');
  return { payloadType, payload: node.get('payload').base64(), signatures };
}

function readSignature(node: Node): EnvelopeSignature {
  const sig = node.get('sig').base64();
  if (sig.length === 0) throw node.get('sig').error('a signature is expected');
  // DSSE envelope.md: an empty keyid is the same as none.
  const keyid = node.maybe('keyid')?.string() ?? '';
  return keyid === '' ? { sig } : { keyid, sig };
}

/** The bytes that a signature covers (DSSE protocol.md, PAE). Lengths are in bytes of UTF-8. */
export function pae(payloadType: string, payload: Uint8Array): Uint8Array {
  const type = utf8(payloadType);
  return concatBytes(utf8(`DSSEv1 ${type.length} `), type, utf8(` ${payload.length} `), payload);
}

export interface EnvelopeSigner {
  readonly signer: Signer;
  readonly keyid?: string;
}

/** Signs and writes an envelope, one signature a signer in the given order. */
export async function signEnvelope(
  payloadType: string,
  payload: Uint8Array,
  signers: readonly EnvelopeSigner[],
): Promise<Uint8Array> {
  const message = pae(payloadType, payload);
  const signatures: EnvelopeSignature[] = [];
  for (const { signer, keyid } of signers) {
    const sig = await signer.sign(message);
    signatures.push(keyid === undefined ? { sig } : { keyid, sig });
  }
  return writeEnvelope({ payloadType, payload, signatures });
}

/** The envelope as bytes: standard padded base64, which is the only one that everybody reads. */
export function writeEnvelope(envelope: Envelope): Uint8Array {
  return compactJson(envelopeObject(envelope));
}

/** The envelope as it stands inside another document. */
export function envelopeObject({ payload, payloadType, signatures }: Envelope) {
  return {
    payload: toBase64(payload),
    payloadType,
    signatures: signatures.map(({ keyid, sig }) =>
      keyid === undefined ? { sig: toBase64(sig) } : { keyid, sig: toBase64(sig) },
    ),
  };
}

/**
 * The distinct keys among `keys` that signed, at least `threshold` of them. `E_SIGNATURE` when
 * none did, `E_THRESHOLD` when too few did, `E_TOO_LARGE` when trying them all costs too much.
 */
export function verifyEnvelope(
  crypto: Crypto,
  envelope: Envelope,
  keys: readonly PublicKey[],
  threshold: number,
): PublicKey[] {
  // A threshold of 0 would let anything through; DSSE protocol.md: t is at least 1.
  if (!Number.isSafeInteger(threshold) || threshold < 1) {
    throw new IronError('E_THRESHOLD', `a threshold is at least 1, not ${threshold}`);
  }
  // DSSE protocol.md: t of n *unique* keys. Keys are counted, not signatures and not key ids.
  const distinct = [...new Map(keys.map((key) => [keyIdentity(key), key])).values()];
  assertAffordable([envelope], distinct.length);
  const message = pae(envelope.payloadType, envelope.payload);
  // The keyid chooses nothing: it is not signed, so whoever could change it would choose.
  const signed = distinct.filter((key) =>
    envelope.signatures.some(({ sig }) => crypto.verify(key, message, sig)),
  );
  if (signed.length === 0) {
    throw new IronError(
      'E_SIGNATURE',
      'no signature of the envelope is by a key that may sign it',
      {
        context: { signatures: envelope.signatures.length, keys: distinct.length },
      },
    );
  }
  if (signed.length < threshold) {
    throw new IronError(
      'E_THRESHOLD',
      `${signed.length} distinct keys signed where ${threshold} must`,
      {
        context: { signed: signed.length, threshold },
      },
    );
  }
  return signed;
}

/**
 * Refuses (`E_TOO_LARGE`) what would keep us verifying: every signature is tried with every key,
 * and each try reads the whole payload.
 */
export function assertAffordable(envelopes: readonly Envelope[], keys: number): void {
  let tries = 0;
  let bytes = 0;
  for (const { signatures, payload } of envelopes) {
    tries += signatures.length * keys;
    bytes += signatures.length * keys * payload.length;
  }
  if (tries > EVIDENCE_LIMITS.verifications || bytes > EVIDENCE_LIMITS.verifiedBytes) {
    throw new IronError('E_TOO_LARGE', 'more signatures and keys than are worth trying', {
      why: `${tries} verifications over ${bytes} bytes would be needed`,
      context: { tries, bytes },
    });
  }
}
