/**
 * Sources as text without losing a byte: one character stands for one byte, so that offsets are
 * those of the file and what nobody renamed comes out as it went in, valid UTF-8 or not.
 */

import { IronError } from '../../shared/errors.ts';

/** Bytes as text, a character each (U+0000 to U+00FF). `E_SCHEMA` when there is a zero byte. */
export function bytesToText(bytes: Uint8Array): string {
  const zero = bytes.indexOf(0);
  if (zero !== -1) {
    // Compilers disagree on what a zero byte in a source means.
    throw new IronError('E_SCHEMA', `byte ${zero} of the source is zero: this is not text`, {
      hint: 'nothing was written; sources are .c, .h and .ll, other files are patched as bytes',
      context: { offset: zero },
    });
  }
  const parts: string[] = [];
  for (let at = 0; at < bytes.length; at += 8192)
    parts.push(String.fromCharCode(...bytes.subarray(at, at + 8192)));
  return parts.join('');
}

/** The inverse of `bytesToText`. */
export function textToBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** Replaces parts of a text, all of them places of the old text. */
export function splice(text: string, edits: readonly Edit[]): string {
  const parts: string[] = [];
  let at = 0;
  for (const { start, end, text: added } of [...edits].sort((a, b) => a.start - b.start)) {
    if (start < at) throw new Error('two edits touch each other');
    parts.push(text.slice(at, start), added);
    at = end;
  }
  parts.push(text.slice(at));
  return parts.join('');
}

export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** The line, counted from 1, that holds an offset. */
export type LineOf = (offset: number) => number;

export function lineCounter(text: string): LineOf {
  const starts = [0];
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return (offset) => {
    let [low, high] = [0, starts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((starts[middle] as number) <= offset) low = middle;
      else high = middle;
    }
    return low + 1;
  };
}
