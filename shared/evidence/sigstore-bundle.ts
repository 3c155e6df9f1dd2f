/**
 * A DSSE envelope as a Sigstore bundle v0.3, signed by a key that the verifier knows: no
 * certificate, no transparency log, no timestamp. It exists so that other people's tools can
 * verify what we publish; it holds the same signature as the `.intoto.jsonl`, not a second one.
 */

import { IronError } from '../errors.ts';
import { Node } from '../json/decode.ts';
import { parseJson } from '../json/read.ts';
import { EVIDENCE_LIMITS } from '../limits.ts';
import { compactJson } from './compact.ts';
import { type Envelope, envelopeObject, readEnvelope } from './dsse.ts';
import { SIGSTORE_BUNDLE_TYPE } from './identifiers.ts';

/** Writes the bundle. `E_SCHEMA` unless the envelope has exactly one signature, with a keyid. */
export function buildSigstoreBundle(envelope: Envelope): Uint8Array {
  const [signature, ...more] = envelope.signatures;
  // sigstore_bundle.proto: exactly one DSSE signature, and the hint equals its keyid.
  if (signature?.keyid === undefined || more.length > 0) {
    throw new IronError('E_SCHEMA', 'a Sigstore bundle has exactly one signature, with a keyid');
  }
  return compactJson({
    mediaType: SIGSTORE_BUNDLE_TYPE,
    verificationMaterial: { publicKey: { hint: signature.keyid }, tlogEntries: [] },
    dsseEnvelope: envelopeObject(envelope),
  });
}

/** Reads a bundle of the form that we write. `E_TOO_LARGE`, `E_JSON`, `E_SCHEMA`. */
export function parseSigstoreBundle(bytes: Uint8Array): Envelope {
  const node = new Node(parseJson(bytes, { length: EVIDENCE_LIMITS.envelope }), 'sigstore');
  node.get('mediaType').oneOf(SIGSTORE_BUNDLE_TYPE);
  const hint = node.get('verificationMaterial').get('publicKey').get('hint').string();
  const envelope = readEnvelope(node.get('dsseEnvelope'));
  // sigstore_bundle.proto: the same two rules that hold for what we write.
  if (envelope.signatures.length !== 1) throw node.error('exactly one signature is expected');
  if (envelope.signatures[0]?.keyid !== hint)
    throw node.error('the hint is not the keyid of the signature');
  return envelope;
}
