/** Bytes and their textual forms. Everything that decodes is strict: one text, one value. */

import { IronError } from './errors.ts';

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const BASE64_CODE = Uint8Array.from(BASE64, (char) => char.charCodeAt(0));
const PAD = 61;
/** By character; more than 63 is no digit. Both alphabets. */
const BASE64_VALUE = new Uint8Array(256).fill(255);
for (const [value, code] of BASE64_CODE.entries()) BASE64_VALUE[code] = value;
BASE64_VALUE[45] = 62;
BASE64_VALUE[95] = 63;

const encoder = new TextEncoder();
/** Of ASCII that was made here, which leaves no state in it. */
const asciiDecoder = new TextDecoder();

/** UTF-8 bytes of `text`. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Text of UTF-8 `bytes`; throws `E_JSON` on bytes that are not UTF-8. A byte order mark stays. */
export function fromUtf8(bytes: Uint8Array): string {
  try {
    // A decoder is not reused: a failed decode may leave one with state.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new IronError('E_JSON', 'the bytes are not valid UTF-8', { cause });
  }
}

/** Lower-case hexadecimal of `bytes`. */
export function toHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += HEX[byte];
  return text;
}

/** Bytes of lower-case hexadecimal; upper case, odd length and anything else is `E_SCHEMA`. */
export function fromHex(text: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/.test(text)) {
    throw new IronError('E_SCHEMA', 'not lower-case hexadecimal of whole bytes');
  }
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++)
    bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/** Standard, padded base64 (RFC 4648 section 4). */
export function toBase64(bytes: Uint8Array): string {
  const { length } = bytes;
  // Whole roles go this way: characters are put into memory, and become a text at once.
  const text = new Uint8Array(Math.ceil(length / 3) * 4);
  let at = 0;
  for (let i = 0; i < length; i += 3) {
    const a = bytes[i] as number;
    const b = i + 1 < length ? (bytes[i + 1] as number) : 0;
    const c = i + 2 < length ? (bytes[i + 2] as number) : 0;
    text[at++] = BASE64_CODE[a >> 2] as number;
    text[at++] = BASE64_CODE[((a & 3) << 4) | (b >> 4)] as number;
    text[at++] = BASE64_CODE[((b & 15) << 2) | (c >> 6)] as number;
    text[at++] = BASE64_CODE[c & 63] as number;
  }
  const left = length % 3;
  if (left !== 0) text[at - 1] = PAD;
  if (left === 1) text[at - 2] = PAD;
  return asciiDecoder.decode(text);
}

/**
 * Bytes of base64, standard or URL-safe alphabet but not a mixture, padding whole or absent
 * (DSSE 1.0: verifiers must accept either). Stray bits and white space are `E_SCHEMA`, so that
 * one value has no second spelling within an alphabet.
 */
export function fromBase64(text: string): Uint8Array {
  const bad = (): IronError => new IronError('E_SCHEMA', 'not base64');
  const body = text.endsWith('==')
    ? text.slice(0, -2)
    : text.endsWith('=')
      ? text.slice(0, -1)
      : text;
  const padded = text.length !== body.length;
  if (body.length % 4 === 1 || (padded && text.length % 4 !== 0)) throw bad();
  if (/[-_]/.test(body) && /[+/]/.test(body)) throw bad();
  const bytes = new Uint8Array(Math.floor((body.length * 3) / 4));
  /** Of the character at `i`; 0 behind the end. */
  const value = (i: number): number => {
    if (i >= body.length) return 0;
    const code = body.charCodeAt(i);
    const found = code < 256 ? (BASE64_VALUE[code] as number) : 255;
    if (found > 63) throw bad();
    return found;
  };
  let at = 0;
  for (let i = 0; i < body.length; i += 4) {
    const group = (value(i) << 18) | (value(i + 1) << 12) | (value(i + 2) << 6) | value(i + 3);
    // Behind the end a typed array takes nothing.
    bytes[at] = group >> 16;
    bytes[at + 1] = group >> 8;
    bytes[at + 2] = group;
    at += 3;
    // The last group may be a part: bits that make no whole byte are 0.
    const spare = body.length - i;
    if (spare < 4 && (group & (spare === 2 ? 0xffff : 0xff)) !== 0) throw bad();
  }
  return bytes;
}

/** `parts`, one after the other. */
export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Whether both hold the same bytes. Not constant-time: for public values only. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
