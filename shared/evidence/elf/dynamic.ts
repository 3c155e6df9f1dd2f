/** What the loader must find before the file runs: DT_NEEDED, found as the loader finds it. */

import { ELF_LIMITS } from '../../limits.ts';
import type { Headers } from './headers.ts';
import type { Names } from './names.ts';
import { malformed } from './view.ts';

const PT = { load: 1, dynamic: 2 } as const;
const DT = { none: 0n, needed: 1n, strings: 5n, stringsSize: 10n } as const;

/** By the segments and not the sections, which no loader reads. */
export function readNeeded({ view, segments }: Headers, names: Names): string[] {
  const dynamic = segments.find(({ type }) => type === PT.dynamic);
  if (dynamic === undefined) return [];
  const table = view.view(dynamic.offset, dynamic.size, 'the dynamic table');
  const word = view.is64 ? 8 : 4;
  const needed: bigint[] = [];
  let [strings, size]: (bigint | undefined)[] = [];
  for (let at = 0; at + 2 * word <= table.bytes.length; at += 2 * word) {
    const [tag, value] = [table.address(at), table.address(at + word)];
    if (tag === DT.none) break;
    if (tag === DT.strings) strings = value;
    else if (tag === DT.stringsSize) size = value;
    else if (tag === DT.needed) needed.push(value);
    if (needed.length > ELF_LIMITS.headers) throw malformed('too many needed libraries');
  }
  if (needed.length === 0) return [];
  if (strings === undefined || size === undefined)
    throw malformed('needed libraries without names');
  const text = mapped({ view, segments } as Headers, strings, size);
  return needed.map((at) => {
    if (at >= BigInt(text.length)) throw malformed('the name of a library begins beyond its table');
    return names.at(text, Number(at), 'the name of a library');
  });
}

/** The bytes of the file that will stand at an address. */
function mapped({ view, segments }: Headers, address: bigint, size: bigint): Uint8Array {
  const home = segments.find(
    (one) =>
      one.type === PT.load &&
      address >= one.address &&
      address + size <= one.address + BigInt(one.size),
  );
  if (home === undefined) throw malformed('the names of libraries are loaded by no segment');
  const at = BigInt(home.offset) + (address - home.address);
  if (at + size > BigInt(view.bytes.length))
    throw malformed('the names of libraries lie beyond the end of the file');
  return view.part(Number(at), Number(size), 'the names of libraries');
}
