/**
 * The one call that runs a program, which nobody can make a second time. Pure.
 *
 * execveat(2) takes five arguments, and looks at the lower half only of two of them; a filter sees
 * all six registers whole. What the kernel does not look at holds a key, drawn for this launch: it is
 * in the memory of the launcher, which ends when the program runs, and in the filter, which nobody
 * reads without CAP_SYS_ADMIN (ptrace(2), PTRACE_SECCOMP_GET_FILTER). So neither the program nor a
 * thread of it runs anything, whatever it may open: not itself, no window, no listed file.
 */

import { IronError } from '../../shared/errors.ts';
import type { Rule } from './filter.ts';

/** Bytes of the key: out of reach of guessing, at some ten million calls a second. */
export const KEY_BYTES = 16;

/**
 * The program is run from this descriptor. It is above every descriptor that the process may make,
 * so that once the program runs and it is closed, nothing can be put there.
 */
export const PROGRAM_FD = 1023;

const AT_EMPTY_PATH = 0x1000n;

/** What the registers of the call hold, by the index of the argument. */
export interface RunRegisters {
  readonly descriptor: bigint;
  readonly flags: bigint;
  /** The one that the kernel does not look at. */
  readonly sixth: bigint;
}

export function runRegisters(key: Uint8Array): RunRegisters {
  if (key.length !== KEY_BYTES)
    throw new IronError('E_INTERNAL', `a key of ${key.length} bytes does not guard a launch`);
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  const upper = (at: number): bigint => BigInt(view.getUint32(at)) << 32n;
  return {
    descriptor: upper(0) | BigInt(PROGRAM_FD),
    flags: upper(4) | AT_EMPTY_PATH,
    sixth: view.getBigUint64(8),
  };
}

/** Allows that call, and no other of its name. */
export function runRule(key: Uint8Array): Rule {
  const { descriptor, flags, sixth } = runRegisters(key);
  return {
    call: 'execveat',
    whole: [
      { argument: 0, value: descriptor },
      { argument: 4, value: flags },
      { argument: 5, value: sixth },
    ],
  };
}
