/**
 * `pkcs11:` URIs (RFC 7512): which key of which token is meant, and which module reaches it.
 *
 *   pkcs11:token=ops;object=root-1?module-path=/usr/lib/softhsm/libsofthsm2.so
 *
 * An attribute that this program does not know is refused and not passed over: it was written to
 * narrow down which key is meant.
 */

import { fromUtf8, toHex, utf8 } from '../../bytes.ts';
import { IronError } from '../../errors.ts';

/** Attributes of the path that are compared with what the token says of itself. */
export const TOKEN_ATTRIBUTES = ['token', 'manufacturer', 'model', 'serial'] as const;
type TokenAttribute = (typeof TOKEN_ATTRIBUTES)[number];

export interface Pkcs11Uri {
  readonly token: Readonly<Partial<Record<TokenAttribute, string>>>;
  readonly slotId: number | undefined;
  /** CKA_LABEL of the key. */
  readonly object: string | undefined;
  /** CKA_ID of the key. */
  readonly id: Uint8Array | undefined;
  /** An absolute path of the module. */
  readonly modulePath: string | undefined;
  /** A file with the PIN. */
  readonly pinSource: string | undefined;
}

const PATH_ATTRIBUTES: ReadonlySet<string> = new Set([
  ...TOKEN_ATTRIBUTES,
  'slot-id',
  'object',
  'id',
  'type',
]);
const QUERY_ATTRIBUTES: ReadonlySet<string> = new Set(['module-path', 'pin-source', 'pin-value']);
const LONGEST = 4096;

/** Reads what stands after `pkcs11:`. `E_USAGE` on what RFC 7512 2.3 does not allow, or we do not. */
export function parsePkcs11Uri(rest: string): Pkcs11Uri {
  if (rest.length > LONGEST) throw bad('it is too long');
  const at = rest.indexOf('?');
  const path = attributes(at < 0 ? rest : rest.slice(0, at), ';', PATH_ATTRIBUTES);
  const query = attributes(at < 0 ? '' : rest.slice(at + 1), '&', QUERY_ATTRIBUTES);
  // A secret in a command line stands in everybody's process list.
  if (query.has('pin-value'))
    throw bad(
      'pin-value is refused',
      'give the PIN with pin-source=file:PATH or --passphrase-file',
    );
  const type = text(path, 'type');
  if (type !== undefined && type !== 'private') throw bad('type is private, for a key that signs');
  const token: Partial<Record<TokenAttribute, string>> = {};
  for (const name of TOKEN_ATTRIBUTES) {
    const value = text(path, name);
    if (value !== undefined) token[name] = value;
  }
  const [object, id] = [text(path, 'object'), path.get('id')];
  if (object === undefined && id === undefined)
    throw bad('it names no key', 'say which with object=LABEL or id=%01');
  const modulePath = text(query, 'module-path');
  if (modulePath !== undefined && !modulePath.startsWith('/'))
    throw bad('module-path is an absolute path');
  return {
    token,
    slotId: slotId(text(path, 'slot-id')),
    object,
    id,
    modulePath,
    pinSource: pinSource(text(query, 'pin-source')),
  };
}

/** The same URI, with the module that was found by other means written into it. */
export function withModulePath(rest: string, modulePath: string): string {
  if (parsePkcs11Uri(rest).modulePath !== undefined) return rest;
  return `${rest}${rest.includes('?') ? '&' : '?'}module-path=${encodeURI(modulePath)}`;
}

/** What is meant, for messages. */
export function pkcs11Words({ token, object, id }: Pkcs11Uri): string {
  const key = object ?? `with the id ${toHex(id ?? new Uint8Array())}`;
  return `the key ${key} of ${token.token === undefined ? 'the token' : `the token ${token.token}`}`;
}

function attributes(
  list: string,
  separator: string,
  known: ReadonlySet<string>,
): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  if (list === '') return found;
  for (const part of list.split(separator)) {
    const at = part.indexOf('=');
    const name = at < 0 ? part : part.slice(0, at);
    if (at < 0 || !known.has(name)) throw bad(`${JSON.stringify(name)} is no attribute known here`);
    // RFC 7512 2.3: no attribute twice.
    if (found.has(name)) throw bad(`${name} stands twice`);
    found.set(name, percentDecoded(part.slice(at + 1)));
  }
  return found;
}

/** Characters that stand for themselves (RFC 7512 2.3, pk11-pchar and pk11-qchar), and `%41`. */
function percentDecoded(value: string): Uint8Array {
  const bytes: number[] = [];
  for (let i = 0; i < value.length; i++) {
    const char = value[i] as string;
    if (char === '%') {
      const hex = value.slice(i + 1, i + 3);
      if (!/^[0-9A-Fa-f]{2}$/.test(hex)) throw bad('a % without two hexadecimal digits');
      bytes.push(Number.parseInt(hex, 16));
      i += 2;
    } else if (/^[A-Za-z0-9\-._~:[\]@!$'()*+,=&/?|]$/.test(char)) {
      bytes.push(char.charCodeAt(0));
    } else {
      throw bad(`${JSON.stringify(char)} has to be written as %${toHex(utf8(char)).slice(0, 2)}`);
    }
  }
  return Uint8Array.from(bytes);
}

function text(found: ReadonlyMap<string, Uint8Array>, name: string): string | undefined {
  const bytes = found.get(name);
  if (bytes === undefined) return undefined;
  try {
    return fromUtf8(bytes);
  } catch (cause) {
    throw new IronError('E_USAGE', `not a PKCS#11 URI: ${name} is not UTF-8`, { cause });
  }
}

function slotId(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (!/^\d{1,15}$/.test(value)) throw bad('slot-id is a decimal number');
  return Number(value);
}

/** RFC 7512 2.4: a file. A command to run (`|…`) is not taken: a URI is no program. */
function pinSource(value: string | undefined): string | undefined {
  const path = value?.replace(/^file:(\/\/(?=\/))?/, '');
  if (path?.startsWith('|') === true) throw bad('pin-source is a file here, and no command');
  return path;
}

function bad(what: string, hint?: string): IronError {
  return new IronError('E_USAGE', `not a PKCS#11 URI: ${what}`, {
    hint: hint ?? 'write it as pkcs11:token=LABEL;object=LABEL?module-path=/PATH/OF/MODULE.so',
  });
}
