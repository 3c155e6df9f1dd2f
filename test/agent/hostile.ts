/** What a hostile driver tries, one system call each, and what it is answered when it is confined. */

import { ftruncateSync } from 'node:fs';
import process from 'node:process';
import { libc } from '../../agent/host/libc.ts';
import type { Syscall } from './elf.ts';

const EPERM = -1;
const EACCES = -13;
const ZEROS = new Uint8Array(128);
const u32 = (...values: number[]) => new Uint8Array(new Uint32Array(values).buffer);
const BASE = 0x10000000;
const AT_FDCWD = -100;
const FALLOC_PUNCH = 3;

/** Descriptor 3 is a window, sealed as the agent seals it; 4 is memory without seals. */
export const ATTEMPTS: readonly (readonly [what: string, ...Syscall])[] = [
  ['open a file', 257, AT_FDCWD, '/etc/passwd', 0],
  ['open a folder', 257, AT_FDCWD, '/', 0],
  ['memory of the agent', 257, AT_FDCWD, `/proc/${process.pid}/mem`, 0],
  ['its own memory', 257, AT_FDCWD, '/proc/self/mem', 0],
  ['a UNIX socket', 41, 1, 1, 0],
  ['an internet socket', 41, 2, 1, 0],
  ['a netlink socket', 41, 16, 3, 0],
  ['a socket pair', 53, 1, 1, 0, ZEROS],
  ['signal the agent', 62, process.pid, 0],
  ['signal process 1', 62, 1, 0],
  ['a descriptor of the agent', 434, process.pid, 0],
  ['trace the agent', 101, 0x4206, process.pid, 1, 0],
  ['memory of the agent, read', 310, process.pid, 0, 0, 0, 0, 0],
  ['io_uring', 425, 1, ZEROS],
  ['userfaultfd', 323, 0],
  ['bpf', 321, 0, u32(2, 4, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 72],
  ['mount', 165, 'none', '/nowhere-at-all', 'tmpfs', 0, 0],
  ['a file system', 430, 'tmpfs', 0],
  ['pivot_root', 155, '/nowhere-at-all', '/nowhere-at-all'],
  ['another root', 161, '/'],
  ['namespaces', 272, 0x20000],
  ['memory of its own', 319, 'name', 0],
  ['punch a hole into a window', 285, 3, FALLOC_PUNCH, 0, 4096],
  ['change the size of memory', 77, 4, 4096],
  ['become root', 105, 0],
  ['groups', 116, 0, ZEROS],
  ['a session', 112],
  ['no death signal', 157, 1, 0],
  ['be dumped', 157, 4, 1],
  ['a filter of its own', 317, 1, 8, 0],
  ['keys', 250, 0, -3, 1],
  ['count events', 298, u32(1, 128, 0, 0, ...Array.from({ length: 28 }, () => 0)), 0, -1, -1, 0],
  ['another personality', 135, 0xffffffff],
  ['run by name', 59, '/nowhere-at-all', 0, 0],
  ['run by descriptor', 322, 4, '', 0, 0, 0x1000],
  ['run a window by its path', 322, 1023, '/proc/self/fd/3', 0, 0, 0x1000],
  ['run memory by its path', 322, 1023, '/proc/self/fd/4', 0, 0, 0x1000],
  ['run what the launcher ran', 322, 1023, '', 0, 0, 0x1000],
  ['priority', 141, 0, 0, -5],
  ['memory that nobody counts', 9, 0, 4096, 3, 0x21, -1, 0],
  ['a stack that grows', 9, 0, 4096, 3, 0x122, -1, 0],
  ['huge pages', 9, 0, 1 << 21, 3, 0x40022, -1, 0],
  ['huge pages of a window', 9, 0, 1 << 21, 3, 0x40001, 3, 0],
  ['the window, mapped', 9, BASE, 4096, 3, 0x11, 3, 0],
  ['take the pages of a window away', 28, BASE, 4096, 9],
  ['a gibibyte and more', 9, 0, (1 << 30) + 4096, 3, 0x22, -1, 0],
  ['a process', 56, 17, 0, 0, 0, 0],
];
/** Allowed, and the ground for the attempt after it. */
const MAPPED = 'the window, mapped';
/** Refused by a limit, and so with an error of its own. */
const ENOMEM = -12;
const HOG = 'a gibibyte and more';
/** Unconfined, these fail for what they name; that they get so far is the control. */
export const CONTROL: Readonly<Record<string, number>> = {
  mount: -2,
  // PTRACE_SEIZE with an address.
  'trace the agent': -5,
  pivot_root: -2,
  'a filter of its own': -14,
  'run by name': -2,
  'run by descriptor': -13,
  // Nobody may run it, not even who owns it.
  'run a window by its path': -13,
  'run memory by its path': -13,
  // There is none.
  'run what the launcher ran': -9,
  // ENOMEM where none are set aside, and what is no file of huge pages.
  'huge pages': -12,
  'huge pages of a window': -22,
};

/** The calls alone, for a program that makes them in order. */
export const CALLS: readonly Syscall[] = ATTEMPTS.map(([, nr, ...operands]) => [nr, ...operands]);

/** As long as it takes to look at it. */
export const PAUSE: Syscall = [35, new Uint8Array(new BigInt64Array([300n, 0n]).buffer), 0];

/** Whether an attempt was answered as it must be. */
export function isRefused(what: string, result: number): boolean {
  if (what === MAPPED) return result === BASE;
  if (what === HOG) return result === ENOMEM;
  return result === EPERM || result === EACCES;
}

/** Memory whose size may be changed, but for the filter. */
export function unsealed(): number {
  const fd = libc().memory('ironport-test-memory');
  ftruncateSync(fd, 65_536);
  return fd;
}
