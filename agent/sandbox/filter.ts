/**
 * A seccomp filter, from a list of what is allowed to the instructions of classic BPF
 * (include/uapi/linux/seccomp.h, bpf_common.h). Everything that is not on the list is answered with
 * EPERM; a call of another architecture or of the x32 table ends the process. Pure.
 */

import { IronError } from '../../shared/errors.ts';
import { SYSCALL, type SyscallName } from './syscalls.ts';

/**
 * `argument & mask` must be `value`, or with `differs` must not be. Only the low 32 bits are looked at,
 * or with `half` the high ones. The low ones are all that the kernel looks at where the argument is an
 * int (ioctl, fcntl, prctl, madvise) or is cut to one (`clone`: kernel/fork.c, lower_32_bits). The
 * protection and the flags of `mmap` and `mprotect` are longs, in which no bit above the 32nd means
 * anything: a bit that a rule forbids is one of the lower ones.
 */
export interface Condition {
  readonly argument: 0 | 1 | 2 | 3 | 4 | 5;
  readonly mask: number;
  readonly value: number;
  readonly differs?: true;
  readonly half?: 'high';
}

/** All 64 bits of `argument`, as a number without a sign, must be at least this, or below it. */
export type Bound = { readonly argument: Condition['argument'] } & (
  | { readonly atLeast: bigint }
  | { readonly below: bigint }
);

/** All of them must hold. */
export type Conditions = readonly (Condition | Bound)[];

/** All 64 bits of `argument` must be `value`. */
export interface Whole {
  readonly argument: Condition['argument'];
  readonly value: bigint;
}

/** A call that is allowed: always, or when all conditions of one of `when` hold, or all of `whole`. */
export interface Rule {
  readonly call: SyscallName;
  readonly when?: readonly Conditions[];
  /** Where it is not allowed and one of these holds, whoever listens is told, and answers. */
  readonly tell?: readonly Conditions[];
  readonly whole?: readonly Whole[];
}

export interface Profile {
  readonly name: string;
  readonly rules: readonly Rule[];
  /** Calls answered as if the kernel were too old for them, so that libraries take the older way. */
  readonly absent: readonly SyscallName[];
  /** Whoever listens is told of whatever is not allowed, and answers. */
  readonly tells?: true;
}

export interface Instruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

/** include/uapi/linux/audit.h: EM_X86_64 | __AUDIT_ARCH_64BIT | __AUDIT_ARCH_LE */
export const AUDIT_ARCH_X86_64 = 0xc000003e;
/** arch/x86/include/uapi/asm/unistd.h: __X32_SYSCALL_BIT */
const X32_BIT = 0x40000000;

export const ACTION = {
  allow: 0x7fff0000,
  killProcess: 0x80000000,
  /** SECCOMP_RET_USER_NOTIF */
  tell: 0x7fc00000,
  eperm: 0x00050000 | 1,
  enosys: 0x00050000 | 38,
} as const;

/** BPF_LD | BPF_W | BPF_ABS and the like. */
export const OPCODE = {
  load: 0x20,
  and: 0x54,
  xor: 0xa4,
  /** With the second register, which `keep` copies the first to. */
  or: 0x4c,
  keep: 0x07,
  equal: 0x15,
  atLeast: 0x35,
  above: 0x25,
  jump: 0x05,
  return: 0x06,
} as const;

/** struct seccomp_data: nr, arch, instruction pointer, six arguments. */
export const DATA = { nr: 0, arch: 4, arguments: 16, size: 64 } as const;

/** BPF_MAXINSNS */
const LONGEST = 4096;

export function compileFilter({ name, rules, absent, tells }: Profile): Instruction[] {
  const refused = tells === true ? ACTION.tell : ACTION.eperm;
  const calls = [...rules.map(({ call }) => call), ...absent];
  if (new Set(calls).size !== calls.length)
    throw new IronError('E_INTERNAL', `the profile ${name} names a call twice`);
  const program = [
    load(DATA.arch),
    { code: OPCODE.equal, jt: 1, jf: 0, k: AUDIT_ARCH_X86_64 },
    result(ACTION.killProcess),
    load(DATA.nr),
    { code: OPCODE.atLeast, jt: 0, jf: 1, k: X32_BIT },
    result(ACTION.killProcess),
    ...rules.flatMap((rule) => onCall(rule.call, blockOf(rule, refused))),
    ...absent.flatMap((call) => onCall(call, [result(ACTION.enosys)])),
    result(refused),
  ];
  if (program.length > LONGEST)
    throw new IronError('E_INTERNAL', `the profile ${name} is too long for a filter`);
  return program;
}

/** struct sock_filter: 8 bytes each. */
export function encodeFilter(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(8 * program.length);
  for (const [i, { code, jt, jf, k }] of program.entries()) {
    bytes.writeUInt16LE(code, 8 * i);
    bytes.writeUInt8(jt, 8 * i + 2);
    bytes.writeUInt8(jf, 8 * i + 3);
    bytes.writeUInt32LE(k, 8 * i + 4);
  }
  return bytes;
}

/** `block` for this call; the number is in the accumulator before it, and after it too. */
function onCall(call: SyscallName, block: readonly Instruction[]): Instruction[] {
  const isCall = { code: OPCODE.equal, k: SYSCALL[call] };
  if (block.length <= LONGEST_JUMP) return [{ ...isCall, jt: 0, jf: block.length }, ...block];
  // Of all jumps, this one alone is wider than 8 bits.
  const past = { code: OPCODE.jump, jt: 0, jf: 0, k: block.length };
  return [{ ...isCall, jt: 1, jf: 0 }, past, ...block];
}

/** Never falls through: the accumulator may hold an argument by then. */
function blockOf({ when, whole, tell = [] }: Rule, refused: number): Instruction[] {
  if (whole !== undefined) return together(whole, refused);
  if (when === undefined) return [result(ACTION.allow)];
  return [
    ...when.flatMap((conditions) => alternative(conditions, ACTION.allow)),
    ...tell.flatMap((conditions) => alternative(conditions, ACTION.tell)),
    result(refused),
  ];
}

/**
 * The differences of all words, gathered before one look at them: how long it takes says nothing of
 * which word was wrong, so that a key is not found a word at a time.
 */
function together(whole: readonly Whole[], refused: number): Instruction[] {
  const words = whole.flatMap(({ argument, value }) => [
    [DATA.arguments + 8 * argument, Number(value & 0xffff_ffffn)] as const,
    [DATA.arguments + 8 * argument + 4, Number(value >> 32n)] as const,
  ]);
  return [
    ...words.flatMap(([at, wanted], i) => [
      load(at),
      { code: OPCODE.xor, jt: 0, jf: 0, k: wanted },
      ...(i === 0 ? [] : [{ code: OPCODE.or, jt: 0, jf: 0, k: 0 }]),
      { code: OPCODE.keep, jt: 0, jf: 0, k: 0 },
    ]),
    { code: OPCODE.equal, jt: 0, jf: 1, k: 0 },
    result(ACTION.allow),
    result(refused),
  ];
}

function alternative(conditions: Conditions, action: number): Instruction[] {
  let block = [result(action)];
  for (const condition of conditions.toReversed()) {
    const past = skip(block);
    block = [
      'mask' in condition ? masked(condition, past) : bounded(condition, past),
      block,
    ].flat();
  }
  return block;
}

/** Goes on when it holds, else jumps over the `past` instructions behind it. */
function masked({ argument, mask, value, differs, half }: Condition, past: number): Instruction[] {
  return [
    load(DATA.arguments + 8 * argument + (half === 'high' ? 4 : 0)),
    { code: OPCODE.and, jt: 0, jf: 0, k: mask >>> 0 },
    {
      ...{ code: OPCODE.equal, k: value >>> 0 },
      ...(differs === true ? { jt: past, jf: 0 } : { jt: 0, jf: past }),
    },
  ];
}

/** The same. The high half decides, and where it is equal, the low one. */
function bounded(bound: Bound, past: number): Instruction[] {
  const isLeast = 'atLeast' in bound;
  const value = isLeast ? bound.atLeast : bound.below;
  const [high, low] = [Number(value >> 32n), Number(value & 0xffff_ffffn)];
  const at = DATA.arguments + 8 * bound.argument;
  return [
    load(at + 4),
    { code: OPCODE.above, jt: isLeast ? 3 : past + 3, jf: 0, k: high },
    { code: OPCODE.equal, jt: 0, jf: isLeast ? past + 2 : 2, k: high },
    load(at),
    { code: OPCODE.atLeast, ...(isLeast ? { jt: 0, jf: past } : { jt: past, jf: 0 }), k: low },
  ];
}

/** Jumps are 8 bits wide. */
const LONGEST_JUMP = 255;

function skip(block: readonly Instruction[]): number {
  // Three more are within a bound.
  if (block.length + 3 > LONGEST_JUMP)
    throw new IronError('E_INTERNAL', 'a rule is too long for a jump');
  return block.length;
}

function load(k: number): Instruction {
  return { code: OPCODE.load, jt: 0, jf: 0, k };
}

function result(k: number): Instruction {
  return { code: OPCODE.return, jt: 0, jf: 0, k };
}
