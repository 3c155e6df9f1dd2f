/**
 * ECDSA signatures between their two forms: DER, which TUF metadata and `Crypto` have, and the
 * two integers one after the other, which HTTP message signatures have (RFC 9421 3.3.4, 3.3.5).
 */

import { concatBytes } from '../bytes.ts';
import { IronError } from '../errors.ts';

const SEQUENCE = 0x30;
const INTEGER = 0x02;

/** r and s of `size` bytes each, as DER (RFC 3279 2.2.3). `E_SIGNATURE` on another length. */
export function rawToDer(raw: Uint8Array, size: number): Uint8Array {
  if (raw.length !== 2 * size) throw malformed();
  const body = concatBytes(derInteger(raw.subarray(0, size)), derInteger(raw.subarray(size)));
  return concatBytes(Uint8Array.of(SEQUENCE, body.length), body);
}

/** The other way. `E_SIGNATURE` on what is not the one DER form of two integers of that size. */
export function derToRaw(der: Uint8Array, size: number): Uint8Array {
  // Two integers of at most 49 bytes: the length is always of the short form.
  if (der[0] !== SEQUENCE || der[1] !== der.length - 2 || der.length > 129) throw malformed();
  const raw = new Uint8Array(2 * size);
  let at = 2;
  for (const end of [size, 2 * size]) {
    const length = der[at + 1] ?? 0;
    if (der[at] !== INTEGER || length === 0 || at + 2 + length > der.length) throw malformed();
    let value = der.subarray(at + 2, at + 2 + length);
    at += 2 + length;
    // DER 8.3: no negative numbers here, and a leading zero only where it is needed.
    if ((value[0] as number) >= 0x80) throw malformed();
    if (value[0] === 0 && value.length > 1) {
      if ((value[1] as number) < 0x80) throw malformed();
      value = value.subarray(1);
    }
    if (value.length > size) throw malformed();
    raw.set(value, end - value.length);
  }
  if (at !== der.length) throw malformed();
  return raw;
}

function derInteger(fixed: Uint8Array): Uint8Array {
  let start = 0;
  while (start < fixed.length - 1 && fixed[start] === 0) start++;
  const value = fixed.subarray(start);
  const pad = (value[0] as number) >= 0x80 ? 1 : 0;
  return concatBytes(Uint8Array.of(INTEGER, value.length + pad), new Uint8Array(pad), value);
}

function malformed(): IronError {
  return new IronError('E_SIGNATURE', 'not an ECDSA signature of the size of its curve');
}
