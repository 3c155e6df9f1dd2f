/** Bytes and their textual forms. Everything that decodes is strict: one text, one value. */

import { IronError } from './errors.ts';

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const BASE64_VALUE = new Map(Array.from(BASE64, (char, value) => [char.charCodeAt(0), value]));

const encoder = new TextEncoder();

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
  const parts: string[] = [];
  for (let i = 0; i < bytes.length; i += 3) {
    const [a, b, c] = [bytes[i] as number, bytes[i + 1], bytes[i + 2]];
    const group = (a << 16) | ((b ?? 0) << 8) | (c ?? 0);
    parts.push(
      BASE64.charAt(group >> 18) +
        BASE64.charAt((group >> 12) & 63) +
        (b === undefined ? '=' : BASE64.charAt((group >> 6) & 63)) +
        (c === undefined ? '=' : BASE64.charAt(group & 63)),
    );
  }
  return parts.join('');
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
  let bits = 0;
  let held = 0;
  let at = 0;
  for (let i = 0; i < body.length; i++) {
    const char = body.charCodeAt(i);
    const value = BASE64_VALUE.get(char === 45 ? 43 : char === 95 ? 47 : char);
    if (value === undefined) throw bad();
    bits = ((bits << 6) | value) & 0xffffff;
    held += 6;
    if (held >= 8) {
      held -= 8;
      bytes[at++] = (bits >> held) & 0xff;
    }
  }
  if ((bits & ((1 << held) - 1)) !== 0) throw bad();
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
