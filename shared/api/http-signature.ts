/**
 * HTTP message signatures (RFC 9421), the subset by which a vendor's requests to the service are
 * signed. One signature a request, over method, authority, path and query; over the digest of a
 * body that is read whole (RFC 9530), and over digest, offset and length of an upload. The bytes of
 * an upload need no digest here: its path names the one that they must have.
 */

import { equalBytes, fromBase64, toBase64, utf8 } from '../bytes.ts';
import type { Crypto } from '../crypto/crypto.ts';
import { isSigningKey, type PublicKey, type SigningScheme } from '../crypto/key.ts';
import type { Signer } from '../crypto/signer.ts';
import { IronError } from '../errors.ts';
import { SERVER_LIMITS } from '../limits.ts';
import type { Instant } from '../time.ts';
import { keyId } from '../tuf/key.ts';
import { derToRaw, rawToDer } from './ecdsa-form.ts';
import { parseSignature, type SignatureParameters, writeParameters } from './signature-fields.ts';
import { TUS_RESUMABLE, UPLOAD_METADATA } from './tus.ts';

/** What is signed of a request, as it stands in the message. */
export interface RequestHead {
  /** `GET`; upper case. */
  readonly method: string;
  /** Host and port in lower case, without the scheme's default port (RFC 9421 2.2.3). */
  readonly authority: string;
  /** Still percent-encoded; begins with `/` (RFC 9421 2.2.6). */
  readonly path: string;
  /** With its `?`; empty when there is none. */
  readonly query: string;
  /** By lower-case name; a field that came twice is joined with `, `. */
  readonly headers: Readonly<Record<string, string | undefined>>;
}

/** Marks our signatures, so that one made for another protocol is not one (RFC 9421 2.3, 7.2.7). */
export const TAG = 'ironport';

const ALWAYS = ['@method', '@authority', '@path', '@query'] as const;
const CONTENT_DIGEST = 'content-digest';

/**
 * What must be covered, by method: whatever the service acts upon (RFC 9421 7.2.1). Whether a
 * request is one of tus need not be covered: with that field taken away or added, others must be.
 */
function componentsFor({ method, headers }: RequestHead): readonly string[] {
  const isTus = headers[TUS_RESUMABLE] !== undefined;
  if (isTus && method === 'POST') return [...ALWAYS, 'upload-length', UPLOAD_METADATA];
  if (isTus && method === 'PATCH') return [...ALWAYS, 'upload-offset', 'content-length'];
  if (method === 'POST') return [...ALWAYS, CONTENT_DIGEST];
  if (method === 'PATCH') return [...ALWAYS, 'upload-offset', 'upload-length'];
  return ALWAYS;
}

/** RFC 9421 section 3.3: its names of the algorithms that the schemes of our keys are. */
const ALGORITHMS: Readonly<Record<SigningScheme, string>> = {
  ed25519: 'ed25519',
  'ecdsa-sha2-nistp256': 'ecdsa-p256-sha256',
  'ecdsa-sha2-nistp384': 'ecdsa-p384-sha384',
};
const FIELD_SIZE: Readonly<Record<Exclude<SigningScheme, 'ed25519'>, number>> = {
  'ecdsa-sha2-nistp256': 32,
  'ecdsa-sha2-nistp384': 48,
};

export interface SigningOptions {
  readonly signer: Signer;
  readonly created: Instant;
  /** 16 to 88 characters of base64, either alphabet; never used before with this key. */
  readonly nonce: string;
  /** How long the request is good, in seconds; a minute when absent. */
  readonly lifetime?: number;
}

/**
 * The header fields to add to a request: `signature-input`, `signature` and, when a `body` is
 * given, `content-digest`. A PATCH must have `upload-offset` and `upload-length` among its headers;
 * one of tus `content-length` instead of that, and a creation of tus length and metadata.
 */
export async function signRequest(
  crypto: Crypto,
  head: RequestHead,
  options: SigningOptions,
  body?: Uint8Array,
): Promise<Record<string, string>> {
  const { signer, created, nonce, lifetime = 60 } = options;
  const added: Record<string, string> =
    body === undefined ? {} : { [CONTENT_DIGEST]: contentDigest(crypto, body) };
  const parameters: SignatureParameters = {
    components: componentsFor(head),
    created,
    expires: created + lifetime,
    nonce,
    keyid: keyId(crypto, signer.key),
    alg: algorithmOf(signer.key),
    tag: TAG,
  };
  const input = writeParameters(parameters);
  const signed = { ...head, headers: { ...head.headers, ...added } };
  const signature = await signer.sign(signatureBase(signed, parameters.components, input));
  return {
    ...added,
    'signature-input': `sig1=${input}`,
    signature: `sig1=:${toBase64(toWire(signer.key, signature))}:`,
  };
}

export interface VerifiedRequest {
  readonly keyid: string;
  readonly nonce: string;
  readonly created: Instant;
  /** Until then the nonce must be remembered. */
  readonly expires: Instant;
}

/**
 * Who signed this request: one of `keys`, by key id. Throws `E_UNAUTHENTICATED`. That it was not
 * sent before is for the caller to see, by the nonce; that the body is the one with the signed
 * digest is `verifyBody`'s.
 */
export function verifyRequest(
  crypto: Crypto,
  head: RequestHead,
  keys: ReadonlyMap<string, PublicKey>,
  now: Instant,
): VerifiedRequest {
  const { parameters, input, signature } = parseSignature(head.headers);
  const { keyid, created, expires, nonce, tag } = parameters;
  if (tag !== TAG) throw refused(`the signature is tagged ${JSON.stringify(tag)}`);
  // RFC 9421 7.2.1: what is not covered could be changed by anybody on the way.
  const required = componentsFor(head);
  const missing = required.filter((name) => !parameters.components.includes(name));
  if (missing.length > 0) throw refused(`the signature does not cover ${missing.join(', ')}`);
  const unknown = parameters.components.filter((name) => !required.includes(name));
  if (unknown.length > 0) throw refused(`the signature covers ${unknown.join(', ')} too`);
  verifyTimes(created, expires, now);

  const key = keys.get(keyid);
  if (key === undefined) throw refused(`no vendor has the key ${keyid.slice(0, 12)}`);
  // RFC 9421 3.2, 6: the algorithm is the key's; one that is named differently is an attack.
  if (parameters.alg !== algorithmOf(key)) {
    throw refused(`the algorithm ${JSON.stringify(parameters.alg)} is not the key's`);
  }
  const message = signatureBase(head, parameters.components, input);
  const bytes = fromWire(key, signature);
  if (bytes === undefined || !crypto.verify(key, message, bytes)) {
    throw refused(`the signature by ${keyid.slice(0, 12)} does not verify`);
  }
  return { keyid, nonce, created, expires };
}

/** That `body` has the digest in the signed `content-digest` field (RFC 9530). `E_HASH`. */
export function verifyBody(crypto: Crypto, head: RequestHead, body: Uint8Array): void {
  const field = head.headers[CONTENT_DIGEST] ?? '';
  const match = /^sha-256=:([A-Za-z0-9+/]{43}=):$/.exec(field);
  if (match === null) throw refused('the content-digest is not one sha-256 digest');
  if (!equalBytes(fromBase64(match[1] as string), crypto.sha256(body))) {
    throw new IronError('E_HASH', 'the body does not have the digest that was signed', {
      hint: 'nothing was changed; something between you and the service alters bodies',
    });
  }
}

/** The value of `content-digest` for `body`. */
export function contentDigest(crypto: Crypto, body: Uint8Array): string {
  return `sha-256=:${toBase64(crypto.sha256(body))}:`;
}

/** RFC 9421 2.5: one line a component, then the parameters as they were written. */
function signatureBase(
  head: RequestHead,
  components: readonly string[],
  input: string,
): Uint8Array {
  const lines = components.map((name) => `"${name}": ${componentValue(head, name)}`);
  return utf8([...lines, `"@signature-params": ${input}`].join('\n'));
}

function componentValue(head: RequestHead, name: string): string {
  const value =
    name === '@method'
      ? head.method
      : name === '@authority'
        ? head.authority
        : name === '@path'
          ? head.path
          : name === '@query'
            ? // RFC 9421 2.2.7: an absent query is a question mark alone.
              head.query || '?'
            : head.headers[name]?.trim();
  if (value === undefined || value === '') throw refused(`the request has no ${name}`);
  // A line end would let one component pose as two (RFC 9421 7.5.3); no component of ours has any
  // character that is not visible, but digests and paths may not even have a space.
  // Metadata of tus is a key, one space and a value.
  const plain = name === UPLOAD_METADATA ? value.replace(' ', '') : value;
  if (!/^[\x21-\x7e]+$/.test(plain)) throw refused(`${name} has a character that is refused`);
  return value;
}

function verifyTimes(created: Instant, expires: Instant, now: Instant): void {
  const window = SERVER_LIMITS.requestWindowSeconds;
  // RFC 9421 7.2.2: old signatures are not good for ever, whatever they say themselves; this
  // bounds how long nonces are remembered, too.
  if (Math.abs(now - created) > window || expires <= now || expires <= created) {
    throw refused('the signed request is too old, or from the future', {
      hint: 'nothing was changed; compare the clock of this machine with the service',
      context: { created, expires, now },
    });
  }
  if (expires - created > window) throw refused(`a request is good for ${window} seconds at most`);
}

/** Schemes that RFC 9421 does not have sign no requests. */
function algorithmOf(key: PublicKey): string {
  if (isSigningKey(key)) return ALGORITHMS[key.scheme];
  throw refused(`a key of the scheme ${key.scheme} signs no requests`);
}

function toWire(key: PublicKey, signature: Uint8Array): Uint8Array {
  if (!isSigningKey(key) || key.scheme === 'ed25519') return signature;
  return derToRaw(signature, FIELD_SIZE[key.scheme]);
}

function fromWire(key: PublicKey, signature: Uint8Array): Uint8Array | undefined {
  if (!isSigningKey(key) || key.scheme === 'ed25519') return signature;
  const size = FIELD_SIZE[key.scheme];
  return signature.length === 2 * size ? rawToDer(signature, size) : undefined;
}

function refused(
  why: string,
  details: { hint?: string; context?: Record<string, number> } = {},
): IronError {
  return new IronError('E_UNAUTHENTICATED', 'the request is not signed as it must be', {
    why,
    hint: 'nothing was changed; sign it with an API key that the signed targets list for you',
    ...details,
  });
}
