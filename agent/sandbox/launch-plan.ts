/**
 * How a process confines itself and becomes the driver: system calls in order, as data. Whoever
 * reads this sees all that the launcher does; `host/launcher.ts` makes these calls and decides
 * nothing. Pure.
 */

import { utf8 } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import { compileFilter, encodeFilter, type Profile } from './filter.ts';
import { LANDLOCK, readableFile, rulesetAttr } from './landlock.ts';
import { DESCRIPTORS_MAX } from './profiles.ts';
import { PROGRAM_FD, runRegisters, runRule } from './run-once.ts';
import { SYSCALL } from './syscalls.ts';

/** Bytes whose address is handed over; `at` are places in them that hold addresses of others. */
export interface Bytes {
  readonly bytes: string;
  readonly at?: readonly (readonly [offset: number, Bytes])[];
}

/** A number, bytes, the result of an earlier call, or all 64 bits of a register in hex digits. */
export type Argument = number | Bytes | { readonly kept: string } | { readonly whole: string };

export interface Call {
  readonly step: string;
  readonly nr: number;
  readonly arguments: readonly Argument[];
  /** The one result that is right; without it, any that is not an error. */
  readonly expect?: number;
  readonly keep?: string;
}

export interface LaunchLimits {
  /** RLIMIT_DATA: private memory that can be written. */
  readonly dataBytes: number;
  /** RLIMIT_NPROC: processes and threads of the user, and of nobody else when it is its own. */
  readonly threads: number;
  readonly stackBytes: number;
}

export interface LaunchPlan {
  /** Process id of who starts it; the driver does not outlive that process. */
  readonly parent: number;
  readonly user: number;
  readonly group: number;
  /** The highest capability that this kernel knows: /proc/sys/kernel/cap_last_cap. */
  readonly lastCapability: number;
  readonly limits: LaunchLimits;
  readonly landlockAbi: number;
  readonly profile: Profile;
  /** `KEY_BYTES` that were never used before, and that nobody else is told. */
  readonly key: Uint8Array;
  /** Descriptors in the launcher: what is run, what may be read, `cgroup.procs` of its group. */
  readonly program: number;
  readonly files: readonly number[];
  readonly cgroup?: number | undefined;
  /** When somebody is to be told of calls: descriptors to say that they can be, and to wait at. */
  readonly listened?: { readonly report: number; readonly gate: number } | undefined;
  /** Descriptors below this one stay open in the driver. */
  readonly keepBelow: number;
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

const PR = { setDeathSignal: 1, dropBounding: 24, setNoNewPrivs: 38, ambient: 47, clearAll: 4 };
const SIGKILL = 9;
const RLIMIT = { data: 2, stack: 3, core: 4, processes: 6, files: 7, memlock: 8, messages: 12 };
const SECCOMP_SET_MODE_FILTER = 1;
/** SECCOMP_FILTER_FLAG_NEW_LISTENER: the result is a descriptor, close-on-exec. */
const SECCOMP_NEW_LISTENER = 8;
const CLOSE_RANGE_CLOEXEC = 4;
const F_SETFD = 2;
const O_CLOEXEC = 0o2000000;
/**
 * setresuid(2) takes the highest number, -1, for "as it is"; the one below it is `nobody` on hosts that
 * count users in 32 bits.
 */
const USER_END = 0xffff_fffe;

export function planLaunch(plan: LaunchPlan): Call[] {
  const { user, group, limits, parent, program, files, keepBelow, cgroup } = plan;
  for (const id of [user, group])
    if (!Number.isSafeInteger(id) || id < 1 || id >= USER_END)
      throw new IronError('E_AGENT_REFUSED', `a driver cannot run as user or group ${id}`, {
        why: 'it must be a user of its own, and not root',
        hint: 'name another number',
        context: { reason: 'driver-user' },
      });
  if (keepBelow > DESCRIPTORS_MAX)
    throw new IronError('E_AGENT_REFUSED', 'a driver is not given that many descriptors', {
      hint: `at most ${DESCRIPTORS_MAX}`,
      context: { reason: 'driver-descriptors' },
    });
  const registers = runRegisters(plan.key);
  return [
    // First, so that it counts from here on; entering it takes rights that the next steps give up.
    ...(cgroup === undefined
      ? []
      : [call('cgroup', SYSCALL.write, [cgroup, text('0'), 1], { expect: 1 })]),
    ...range(plan.lastCapability + 1).map((capability) =>
      call('bounding-set', SYSCALL.prctl, [PR.dropBounding, capability, 0, 0, 0]),
    ),
    call('ambient-set', SYSCALL.prctl, [PR.ambient, PR.clearAll, 0, 0, 0]),
    call('groups', SYSCALL.setgroups, [0, 0]),
    call('group', SYSCALL.setresgid, [group, group, group]),
    call('user', SYSCALL.setresuid, [user, user, user]),
    // Set after the change of user, which forgets it; asked after it is set, so that a parent that
    // died in between is noticed.
    call('death-signal', SYSCALL.prctl, [PR.setDeathSignal, SIGKILL, 0, 0, 0]),
    call('parent', SYSCALL.getppid, [], { expect: parent }),
    call('program', SYSCALL.dup3, [program, PROGRAM_FD, O_CLOEXEC]),
    // fs/coredump.c: where memory goes to a program, a limit of 0 is not looked at, and 1 means none;
    // as a file it would have to be a page.
    limit('limit-core', RLIMIT.core, 1),
    limit('limit-memlock', RLIMIT.memlock, 0),
    limit('limit-messages', RLIMIT.messages, 0),
    limit('limit-data', RLIMIT.data, limits.dataBytes),
    limit('limit-stack', RLIMIT.stack, limits.stackBytes),
    limit('limit-threads', RLIMIT.processes, limits.threads),
    ...landlock(plan.landlockAbi, files),
    // After Landlock, which needed the files; closed by running, not here: this process uses some.
    call('descriptors', SYSCALL.close_range, [keepBelow, 0xffffffff, CLOSE_RANGE_CLOEXEC]),
    // A Node process marks the descriptors that it finds at its start.
    ...range(keepBelow).map((fd) => call('keep', SYSCALL.fcntl, [fd, F_SETFD, 0])),
    limit('limit-files', RLIMIT.files, DESCRIPTORS_MAX),
    call('no-new-privs', SYSCALL.prctl, [PR.setNoNewPrivs, 1, 0, 0, 0]),
    call('landlock', SYSCALL.landlock_restrict_self, [{ kept: 'ruleset' }, 0]),
    call('seccomp', SYSCALL.seccomp, [
      SECCOMP_SET_MODE_FILTER,
      plan.listened === undefined ? 0 : SECCOMP_NEW_LISTENER,
      filter(plan),
    ]),
    ...listened(plan),
    call('run', SYSCALL.execveat, [
      whole(registers.descriptor),
      text(''),
      strings(plan.arguments),
      strings(Object.entries(plan.environment).map(([name, value]) => `${name}=${value}`)),
      whole(registers.flags),
      whole(registers.sixth),
    ]),
  ];
}

function landlock(abi: number, files: readonly number[]): Call[] {
  const attr = rulesetAttr(abi);
  return [
    call('ruleset', SYSCALL.landlock_create_ruleset, [raw(attr), attr.length, 0], {
      keep: 'ruleset',
    }),
    ...files.map((fd) =>
      call('readable-file', SYSCALL.landlock_add_rule, [
        { kept: 'ruleset' },
        LANDLOCK.pathBeneath,
        raw(readableFile(fd)),
        0,
      ]),
    ),
  ];
}

/** What is written when the filter is there, and a descriptor of it can be taken. */
export const LISTENING = '\n';

/** The program runs when somebody listens, and not before. */
function listened({ listened: by }: LaunchPlan): Call[] {
  if (by === undefined) return [];
  return [
    call('listening', SYSCALL.write, [by.report, text(LISTENING), 1], { expect: 1 }),
    call('listened', SYSCALL.read, [by.gate, raw(Buffer.alloc(1)), 1], { expect: 1 }),
  ];
}

function call(
  step: string,
  nr: number,
  args: readonly Argument[],
  more: Pick<Call, 'expect' | 'keep'> = {},
): Call {
  return { step, nr, arguments: args, ...more };
}

/** struct rlimit64, soft and hard alike. */
function limit(step: string, resource: number, value: number): Call {
  const bytes = Buffer.alloc(16);
  bytes.writeBigUInt64LE(BigInt(value), 0);
  bytes.writeBigUInt64LE(BigInt(value), 8);
  return call(step, SYSCALL.prlimit64, [0, resource, raw(bytes), 0]);
}

/** struct sock_fprog: the count, and where the instructions are. */
function filter({ profile, key }: LaunchPlan): Bytes {
  const rules = [...profile.rules, runRule(key)];
  const program = encodeFilter(compileFilter({ ...profile, rules }));
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(program.length / 8, 0);
  return { ...raw(bytes), at: [[8, raw(program)]] };
}

/** What execve(2) takes: addresses of strings, and a null at the end. */
function strings(values: readonly string[]): Bytes {
  return {
    ...raw(Buffer.alloc(8 * (values.length + 1))),
    at: values.map((value, i) => [8 * i, text(value)] as const),
  };
}

function text(value: string): Bytes {
  if (value.includes('\0')) throw new IronError('E_INTERNAL', 'a string ends before its end');
  return raw(Buffer.from(utf8(`${value}\0`)));
}

function raw(bytes: Buffer): Bytes {
  return { bytes: bytes.toString('base64') };
}

function whole(value: bigint): Argument {
  return { whole: value.toString(16) };
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
