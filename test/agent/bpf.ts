/** A seccomp filter as a kernel would run it. */

import { AUDIT_ARCH_X86_64 } from '../../agent/sandbox/filter.ts';

/** Classic BPF over struct seccomp_data, from the encoded bytes, as Documentation/networking/filter.rst has it. */
export function judge(
  program: Buffer,
  nr: number,
  args: readonly (number | bigint)[] = [],
  arch = AUDIT_ARCH_X86_64,
): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(nr >>> 0, 0);
  data.writeUInt32LE(arch >>> 0, 4);
  for (const [i, value] of args.entries())
    data.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), 16 + 8 * i);
  let [a, x] = [0, 0];
  for (let pc = 0; pc < program.length / 8; pc++) {
    const code = program.readUInt16LE(8 * pc);
    const [jt, jf] = [program.readUInt8(8 * pc + 2), program.readUInt8(8 * pc + 3)];
    const k = program.readUInt32LE(8 * pc + 4);
    if (code === 0x06) return k;
    if (code === 0x20) a = data.readUInt32LE(k);
    else if (code === 0x54) a = (a & k) >>> 0;
    else if (code === 0xa4) a = (a ^ k) >>> 0;
    else if (code === 0x4c) a = (a | x) >>> 0;
    else if (code === 0x07) x = a;
    else if (code === 0x15) pc += a === k ? jt : jf;
    else if (code === 0x35) pc += a >= k ? jt : jf;
    else if (code === 0x25) pc += a > k ? jt : jf;
    else if (code === 0x05) pc += k;
    else throw new Error(`code ${code}`);
  }
  throw new Error('fell off the end');
}
