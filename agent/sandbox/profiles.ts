/**
 * What a driver may ask of the kernel. Two lists, each as short as works: what a static program
 * needs to compute, to wait and to use descriptors that it was given, and what a runtime with a
 * compiler and threads of its own needs on top. Found by leaving out one call at a time. Neither can
 * run anything; the launcher adds the one call by which it ends (`run-once.ts`). Pure.
 */

import type { Condition, Profile, Rule } from './filter.ts';
import type { SyscallName } from './syscalls.ts';

/** RLIMIT_NOFILE: numbers below this. */
export const DESCRIPTORS_MAX = 256;

const ALL = 0xffffffff;

const MAP_SHARED = 0x01;
const MAP_ANONYMOUS = 0x20;
const MAP_GROWSDOWN = 0x100;
const MAP_HUGETLB = 0x40000;
const PROT_EXEC = 4;

const exactly = (argument: Condition['argument'], value: number): Condition => ({
  argument,
  mask: ALL,
  value,
});
const oneOf = (argument: Condition['argument'], values: readonly number[]): Condition[][] =>
  values.map((value) => [exactly(argument, value)]);
const always = (...calls: SyscallName[]): Rule[] => calls.map((call) => ({ call }));

/**
 * Memory that is not counted by RLIMIT_DATA is not to be had: shared anonymous memory, and stacks
 * that grow by themselves; nor huge pages, which a control group may not count (cgroup-v2.rst,
 * memory_hugetlb_accounting) and of which a host has few.
 */
function mapping(prot: number): Rule {
  const protection: Condition[] = [{ argument: 2, mask: prot, value: 0 }];
  const free = (mask: number, value: number): Condition[] => [
    ...(prot === 0 ? [] : protection),
    { argument: 3, mask: mask | MAP_GROWSDOWN | MAP_HUGETLB, value },
  ];
  return {
    call: 'mmap',
    when: [free(MAP_SHARED, 0), free(MAP_SHARED | MAP_ANONYMOUS, MAP_SHARED)],
  };
}

/** include/uapi/asm-generic/mman-common.h; MADV_REMOVE (9) punches holes and is not among them. */
const MADV_DONTNEED = 4;
const MADV_FREE = 8;

export const STATIC_PROFILE: Profile = {
  name: 'static',
  rules: [
    ...always('read', 'write', 'pread64', 'pwrite64', 'close', 'fstat'),
    ...always('poll', 'ppoll', 'futex', 'nanosleep', 'clock_nanosleep', 'clock_gettime'),
    ...always('munmap', 'brk', 'getrandom', 'getpid', 'gettid'),
    ...always('rt_sigaction', 'rt_sigprocmask', 'rt_sigreturn', 'restart_syscall'),
    ...always('arch_prctl', 'set_tid_address', 'set_robust_list', 'rseq'),
    ...always('exit', 'exit_group'),
    mapping(PROT_EXEC),
    { call: 'mprotect', when: [[{ argument: 2, mask: PROT_EXEC, value: 0 }]] },
    { call: 'madvise', when: oneOf(2, [MADV_DONTNEED, MADV_FREE]) },
  ],
  absent: [],
};

const CLONE_VM = 0x100;
const CLONE_SIGHAND = 0x800;
const CLONE_THREAD = 0x10000;
/** Time, mount, cgroup, UTS, IPC, user, PID and network namespaces. */
const CLONE_NEW = 0x7e020080;
/** CLONE_PIDFD, CLONE_PTRACE and CLONE_VFORK. */
const CLONE_OTHER = 0x1000 | 0x2000 | 0x4000;
const A_THREAD = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;

/** F_GETFD, F_SETFD, F_GETFL, F_SETFL: no copies, owners, leases or seals. */
const FCNTL = [1, 2, 3, 4];
const PR_SET_NAME = 15;
const FIONBIO = 0x5421;

export const RUNTIME_PROFILE: Profile = {
  name: 'runtime',
  rules: [
    ...STATIC_PROFILE.rules.filter(({ call }) => !['mmap', 'mprotect'].includes(call)),
    // Its compiler makes code, and takes back what it made.
    mapping(0),
    ...always('mprotect'),
    // Landlock says which files. Names are looked up more than they are opened.
    ...always('openat', 'newfstatat', 'statx', 'getcwd'),
    ...always('readv', 'writev'),
    // The event loop.
    ...always('epoll_create1', 'epoll_ctl', 'epoll_pwait', 'eventfd2', 'pipe2'),
    { call: 'ioctl', when: oneOf(1, [FIONBIO]) },
    { call: 'fcntl', when: oneOf(1, FCNTL) },
    // Threads, and never processes.
    {
      call: 'clone',
      when: [[{ argument: 0, mask: A_THREAD | CLONE_NEW | CLONE_OTHER, value: A_THREAD }]],
    },
    { call: 'prctl', when: oneOf(0, [PR_SET_NAME]) },
    ...always('sched_yield', 'mremap', 'uname'),
  ],
  // Its flags are in memory, where a filter cannot look; the C library then uses `clone`.
  absent: ['clone3'],
};
