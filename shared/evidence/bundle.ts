/**
 * `.intoto.jsonl`: in-toto attestation bundles, DSSE envelopes one a line. The whole is not
 * signed, so lines may be missing or repeated; that a host sees the vendor's own file is the work
 * of the targets entry that lists its digest.
 */

import { concatBytes, utf8 } from '../bytes.ts';
import { asIronError, IronError } from '../errors.ts';
import { EVIDENCE_LIMITS } from '../limits.ts';
import { type Envelope, parseEnvelope } from './dsse.ts';

/** A line with an envelope, or one that is JSON but no envelope and why. Lines count from 1. */
export type BundleLine =
  | { readonly line: number; readonly envelope: Envelope }
  | { readonly line: number; readonly ignored: string };

const NEWLINE = 0x0a;

/**
 * Reads a bundle. Lines that are no envelopes are ignored, as in-toto's bundle.md asks, but kept
 * in the answer with the reason; a line that is not even JSON (`E_JSON`) means that the file was
 * cut or damaged, and refuses the whole. `E_TOO_LARGE` over the caps.
 */
export function parseBundle(bytes: Uint8Array): BundleLine[] {
  if (bytes.length > EVIDENCE_LIMITS.bundle) {
    throw new IronError(
      'E_TOO_LARGE',
      `${bytes.length} bytes of statements, at most ${EVIDENCE_LIMITS.bundle} are read`,
    );
  }
  const lines: BundleLine[] = [];
  let number = 0;
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(NEWLINE, start);
    const end = newline === -1 ? bytes.length : newline;
    const line = bytes.subarray(start, end);
    start = end + 1;
    number++;
    // jsonlines.org allows an empty last line; elsewhere they carry nothing either.
    if (line.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d)) continue;
    if (lines.length === EVIDENCE_LIMITS.lines) {
      throw new IronError('E_TOO_LARGE', `more than ${EVIDENCE_LIMITS.lines} lines of statements`);
    }
    lines.push(readLine(line, number));
  }
  return lines;
}

function readLine(bytes: Uint8Array, line: number): BundleLine {
  try {
    return { line, envelope: parseEnvelope(bytes, `line ${line}`) };
  } catch (cause) {
    const error = asIronError(cause);
    if (error.code === 'E_SCHEMA') return { line, ignored: error.message };
    throw new IronError(error.code, `line ${line}: ${error.message}`, { cause });
  }
}

/** Writes a bundle from envelopes as `signEnvelope` gives them. */
export function buildBundle(envelopes: readonly Uint8Array[]): Uint8Array {
  return concatBytes(...envelopes.flatMap((envelope) => [envelope, utf8('\n')]));
}
