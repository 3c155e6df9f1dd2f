/**
 * The header fields `Signature-Input` and `Signature` (RFC 9421 section 4), of which exactly one
 * form is read: one label, the same in both; components without parameters; each of our six
 * parameters once. Structured fields (RFC 9651) allow far more, and every bit of it would be a
 * second spelling of the same request.
 */

import { fromBase64 } from '../bytes.ts';
import { IronError } from '../errors.ts';
import type { Instant } from '../time.ts';

export interface SignatureParameters {
  /** Names of the covered components, in the order in which they were signed. */
  readonly components: readonly string[];
  readonly created: Instant;
  readonly expires: Instant;
  readonly nonce: string;
  readonly keyid: string;
  readonly alg: string;
  readonly tag: string;
}

export interface ParsedSignature {
  readonly parameters: SignatureParameters;
  /** The parameters as they were written: the last line of what was signed. */
  readonly input: string;
  readonly signature: Uint8Array;
}

/** Longest field that is looked at; ours have some 300 characters. */
const LONGEST = 1024;

const INPUT = /^([a-z][a-z0-9_-]{0,31})=(\(([^()]*)\)((?:;[^;]+){6}))$/;
const SIGNATURE = /^([a-z][a-z0-9_-]{0,31})=:([A-Za-z0-9+/]{4,256}={0,2}):$/;
const COMPONENT = /^"(@?[a-z][a-z0-9-]{0,31})"$/;

/** What each parameter may be. Integers of RFC 9651 have up to 15 digits. */
const PARAMETERS: Readonly<Record<string, RegExp>> = Object.assign(Object.create(null), {
  created: /^(0|[1-9][0-9]{0,14})$/,
  expires: /^(0|[1-9][0-9]{0,14})$/,
  nonce: /^"([A-Za-z0-9+/=_-]{16,88})"$/,
  keyid: /^"([0-9a-f]{64})"$/,
  alg: /^"([a-z0-9-]{1,32})"$/,
  tag: /^"([a-z0-9-]{1,32})"$/,
});

/** Reads both fields. Throws `E_UNAUTHENTICATED` when there are none or they are of another form. */
export function parseSignature(
  headers: Readonly<Record<string, string | undefined>>,
): ParsedSignature {
  const fields = { input: headers['signature-input'], signature: headers.signature };
  if (fields.input === undefined || fields.signature === undefined) {
    throw refused('it has no signature and signature-input');
  }
  if (fields.input.length > LONGEST || fields.signature.length > LONGEST) {
    throw refused('its signature fields are too long');
  }
  const input = INPUT.exec(fields.input);
  const signature = SIGNATURE.exec(fields.signature);
  if (input === null || signature === null) {
    throw refused('its signature fields are not of the one form that is read');
  }
  if (input[1] !== signature[1]) throw refused('its signature fields have different labels');
  return {
    parameters: { components: parseComponents(input[3] as string), ...parse(input[4] as string) },
    input: input[2] as string,
    signature: signatureBytes(signature[2] as string),
  };
}

function parseComponents(list: string): string[] {
  const names = list.split(' ').map((item) => COMPONENT.exec(item)?.[1]);
  if (names.some((name) => name === undefined)) throw refused('a component is unreadable');
  // RFC 9421 2: each component once.
  if (new Set(names).size !== names.length) throw refused('a component stands twice');
  return names as string[];
}

function parse(list: string): Omit<SignatureParameters, 'components'> {
  const found = new Map<string, string>();
  for (const item of list.slice(1).split(';')) {
    const cut = item.indexOf('=');
    const name = item.slice(0, cut);
    const value = PARAMETERS[name]?.exec(item.slice(cut + 1))?.[1];
    if (cut < 1 || value === undefined) throw refused('a parameter is unknown or unreadable');
    if (found.has(name)) throw refused(`the parameter ${name} stands twice`);
    found.set(name, value);
  }
  // Six were found, none twice and none unknown: so each is there.
  const text = (name: string): string => found.get(name) as string;
  return {
    created: Number(text('created')),
    expires: Number(text('expires')),
    nonce: text('nonce'),
    keyid: text('keyid'),
    alg: text('alg'),
    tag: text('tag'),
  };
}

function signatureBytes(text: string): Uint8Array {
  // RFC 9651 3.3.5: padded; without this one signature would have two spellings.
  if (text.length % 4 !== 0) throw refused('its signature is not padded base64');
  try {
    return fromBase64(text);
  } catch {
    throw refused('its signature is not base64');
  }
}

/** The components and parameters as they are sent and signed. */
export function writeParameters(parameters: SignatureParameters): string {
  const { components, created, expires, nonce, keyid, alg, tag } = parameters;
  const list = components.map((name) => `"${name}"`).join(' ');
  return `(${list});created=${created};expires=${expires};nonce="${nonce}";keyid="${keyid}";alg="${alg}";tag="${tag}"`;
}

function refused(why: string): IronError {
  return new IronError('E_UNAUTHENTICATED', 'the request is not signed as it must be', {
    why,
    hint: 'nothing was changed; sign it with an API key that the signed targets list for you',
  });
}
