/** A host on which the kernel refuses a call, as a filter around a service does: `EPERM`, from now on. */

import { createRequire } from 'node:module';
import { libc } from '../../agent/host/libc.ts';

const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');

// include/uapi/linux/filter.h, seccomp.h and prctl.h
const LOAD = 0x20;
const JUMP_EQUAL = 0x15;
const RETURN = 0x06;
const ERRNO_EPERM = 0x0005_0001;
const ALLOW = 0x7fff_0000;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_SET_SECCOMP = 22;
const MODE_FILTER = 2;

/** In this thread, which is where the agent makes its calls. */
export function refuseCall(number: number): void {
  const program = [
    [LOAD, 0, 0, 0],
    [JUMP_EQUAL, 0, 1, number],
    [RETURN, 0, 0, ERRNO_EPERM],
    [RETURN, 0, 0, ALLOW],
  ] as const;
  const code = Buffer.alloc(8 * program.length);
  for (const [i, [what, yes, no, value]] of program.entries()) {
    code.writeUInt16LE(what, 8 * i);
    code.writeUInt8(yes, 8 * i + 2);
    code.writeUInt8(no, 8 * i + 3);
    code.writeUInt32LE(value, 8 * i + 4);
  }
  const head = Buffer.alloc(16);
  head.writeUInt16LE(program.length);
  head.writeBigUInt64LE(libc().addressOf(code), 8);
  const prctl = koffi
    .load(null)
    .func('int prctl(int what, unsigned long, uintptr_t, unsigned long, unsigned long)');
  if (
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) !== 0 ||
    prctl(PR_SET_SECCOMP, MODE_FILTER, libc().addressOf(head), 0, 0) !== 0
  )
    throw new Error('no filter was set');
}
