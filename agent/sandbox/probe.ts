/** The smallest driver there is: a static ELF program for x86-64 that waits for ever. Pure. */

import { fromHex } from '../../shared/bytes.ts';

/** elf(5): the header of the file, then of its one segment, to be read and run. */
const HEADERS = [
  '7f454c46020101000000000000000000',
  '02003e00010000007800400000000000',
  '40000000000000000000000000000000',
  '00000000400038000100000000000000',
  '01000000050000000000000000000000',
  '00004000000000000000400000000000',
  '8a000000000000008a00000000000000',
  '0010000000000000',
];
/** poll(NULL, 0, -1), and again. */
const CODE = '31ff31f6baffffffffb8070000000f05ebee';

export const PROBE: Uint8Array = fromHex(HEADERS.join('') + CODE);
