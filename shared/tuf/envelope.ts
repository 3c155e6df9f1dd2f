/** A metadata file: what is signed, and the signatures (TUF 1.0.34 section 4.2.1). */

import { IronError } from '../errors.ts';
import { canonicalBytes } from '../json/canonical.ts';
import { Node } from '../json/decode.ts';
import { parseSigned } from '../json/read.ts';
import type { JsonObject } from '../json/value.ts';
import { METADATA_LIMITS } from '../limits.ts';
import type { Instant } from '../time.ts';

export class Envelope {
  /** The tree under `signed`, with every field that came, known or not. */
  readonly signed: Node;
  /** Signature texts by key id. */
  readonly signatures: ReadonlyMap<string, string>;
  /** Canonical form of `signed`: as it stands in the file, or made on demand and kept. */
  #signedBytes: Uint8Array | undefined;
  /** The object in `signed` that has the keys which whoever read the file guessed, if one has. */
  readonly guessed: JsonObject | undefined;

  constructor(
    signed: Node,
    signatures: ReadonlyMap<string, string>,
    canonical?: Uint8Array,
    guessed?: JsonObject,
  ) {
    this.signed = signed;
    this.signatures = signatures;
    this.#signedBytes = canonical;
    this.guessed = guessed;
  }

  /** The bytes that the signatures cover. */
  signedBytes(): Uint8Array {
    this.#signedBytes ??= canonicalBytes(this.signed.value);
    return this.#signedBytes;
  }

  get tree(): JsonObject {
    return this.signed.object();
  }
}

/**
 * Reads a metadata file of at most `length` bytes. Trusts nothing: no signature was looked at.
 * @param guess keys that an object in it may have (`parseSigned`)
 */
export function parseEnvelope(
  bytes: Uint8Array,
  length: number,
  name: string,
  guess?: readonly string[],
): Envelope {
  const { value, canonical, guessed } = parseSigned(bytes, { length }, 'signed', guess);
  const file = new Node(value, name);
  const signed = file.get('signed');
  signed.object();
  const signatures = new Map<string, string>();
  for (const item of file.get('signatures').items(METADATA_LIMITS.signatures)) {
    const keyid = item.get('keyid').string();
    // TUF 4.2.1: one signature a key id; a second one leaves open which is meant.
    if (signatures.has(keyid)) throw item.error('a second signature with the same key id');
    signatures.set(keyid, item.get('sig').string());
  }
  return new Envelope(signed, signatures, canonical, guessed);
}

/** What every role's file has. */
export interface SignedCommon {
  readonly version: number;
  readonly expires: Instant;
  readonly envelope: Envelope;
}

/** Reads the common fields, and refuses a file of another type or of another specification. */
export function parseCommon(envelope: Envelope, type: string): SignedCommon {
  const { signed } = envelope;
  const found = signed.get('_type').string();
  if (found !== type) {
    throw new IronError(
      'E_SCHEMA',
      `${signed.path}: the type is ${JSON.stringify(found.slice(0, 40))}, not ${type}`,
      {
        why: 'a file of one role was put in the place of another',
      },
    );
  }
  // TUF 4.2.1: within a major version a client reads on; another major version is another format.
  signed.get('spec_version').matching(/^1\.[0-9]+(\.[0-9]+)?$/, 'a specification version 1.x');
  return {
    version: signed.get('version').integer(1),
    expires: signed.get('expires').instant(),
    envelope,
  };
}
