/**
 * The few calls that Node has no form of: ioctl, mmap, memfd_create, eventfd, seals, sendmsg, pidfd.
 * koffi is loaded when the first is needed, so that a host without VFIO never loads native code.
 *
 * koffi reads errno on the main thread only: every call here is made there and returns at once.
 */

import { closeSync, fchmodSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import { type Errno, errnoName, isErrno } from '../../shared/node/errno.ts';
import { LANDLOCK } from '../sandbox/landlock.ts';
import { SYSCALL } from '../sandbox/syscalls.ts';

export interface Libc {
  /** The result, which is never negative; throws an `Errno`. `what` names the request. */
  ioctl(fd: number, request: number, argument: Uint8Array | number, what: string): number;
  /** The address of `length` bytes of `fd`, shared and writable. */
  map(fd: number, length: number): bigint;
  unmap(address: bigint, length: number): void;
  /**
   * Memory behind a descriptor, close-on-exec, which can be sealed. Only its owner can open it a second
   * time, and nobody can run it; with `run`, everybody can read and run it, and nobody write it.
   */
  memory(name: string, use?: 'run'): number;
  /** Adds seals (fcntl(2), F_ADD_SEALS). */
  seal(fd: number, seals: number): void;
  seals(fd: number): number;
  /** An event counter, close-on-exec and not blocking. */
  eventfd(): number;
  /** The end to read and the end to write of a pipe, close-on-exec. */
  pipe(): [read: number, write: number];
  /** Calls `then` whenever `fd` can be read, until the function that it returns is called. */
  watch(fd: number, then: () => void): () => void;
  /** Whether `fd` can be read now. */
  isReadable(fd: number): boolean;
  /** A copy, close-on-exec, of what `pid`, a process that may be traced, has at `fd`. */
  takeDescriptor(pid: number, fd: number): number;
  /** Has `fd` closed in what this process starts. */
  closeOnExec(fd: number): void;
  /** A Unix socket for datagrams, close-on-exec. */
  datagrams(): number;
  /** Sends what `header`, a struct msghdr, leads to; never waits (`EAGAIN`). */
  sendMessage(fd: number, header: Uint8Array): void;
  /**
   * Tells the other end of a socket that nothing more comes (shutdown(2), SHUT_WR), by whatever copy of
   * it; waits for nothing, and is no news where the other end is gone.
   */
  endWriting(fd: number): void;
  /** Whether `fd` is one end of a Unix socket for streams. */
  isStream(fd: number): boolean;
  /**
   * A descriptor of a process, close-on-exec, that can be read once the process ended (pidfd_open(2)):
   * the number can be another's by then, this is not. `ESRCH`.
   */
  openProcess(pid: number): number;
  /** Signals the process of such a descriptor; false when it is gone. */
  signalProcess(process: number, signal: number): boolean;
  /** Which version of Landlock this kernel has; 0 for none. */
  landlockAbi(): number;
  /** Who is at the other end of a Unix socket, as the kernel noted it when it connected. */
  peer(fd: number): { readonly pid: number; readonly uid: number; readonly gid: number };
  /** Where bytes are, for structures that point to others. They must not be moved meanwhile. */
  addressOf(bytes: Uint8Array): bigint;
}

/** include/uapi/linux/fcntl.h */
export const SEALS = { seal: 1, shrink: 2, grow: 4, write: 8, exec: 32 } as const;

const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
/** Linux 6.3; before, all such memory could be run, and the flags are not known. */
const MFD_NOEXEC_SEAL = 8;
const MFD_EXEC = 16;
const O_CLOEXEC = 0o2000000;
const POLLIN = 1;
const EFD_CLOEXEC = 0o2000000;
const EFD_NONBLOCK = 0o4000;
// include/uapi/asm-generic/socket.h
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SO_TYPE = 3;
const SO_ACCEPTCONN = 30;
const SO_DOMAIN = 39;
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const SHUT_WR = 1;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const F_ADD_SEALS = 1033;
const F_GET_SEALS = 1034;

let loaded: Libc | undefined;

/** `E_IO` is not thrown here: a host on which koffi does not load throws what loading threw. */
export function libc(): Libc {
  loaded ??= load();
  return loaded;
}

function load(): Libc {
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
  const library = koffi.load(null);
  const ioctl = library.func('int ioctl(int fd, unsigned long request, ...)');
  const mmap = library.func(
    'uintptr_t mmap(uintptr_t addr, size_t length, int prot, int flags, int fd, int64_t offset)',
  );
  const munmap = library.func('int munmap(uintptr_t addr, size_t length)');
  const memfd = library.func('int memfd_create(const char *name, unsigned int flags)');
  const fcntl = library.func('int fcntl(int fd, int command, ...)');
  const syscall = library.func(
    'int64_t syscall(int64_t number, uintptr_t, size_t, uintptr_t, uintptr_t)',
  );
  const poll = library.func('int poll(void *fds, unsigned long count, int timeout)');
  const pipe2 = library.func('int pipe2(void *ends, int flags)');
  const getsockopt = library.func(
    'int getsockopt(int fd, int level, int name, void *value, void *length)',
  );
  const eventfd = library.func('int eventfd(unsigned int initial, int flags)');
  const socket = library.func('int socket(int domain, int type, int protocol)');
  const sendmsg = library.func('int64_t sendmsg(int fd, void *message, int flags)');
  const shutdown = library.func('int shutdown(int fd, int how)');

  const checked = (result: number, syscall: string): number => {
    if (result < 0) throw errnoError(koffi.errno(), syscall);
    return result;
  };
  const openProcess = (pid: number): number =>
    checked(Number(syscall(SYSCALL.pidfd_open, pid, 0, 0, 0)), 'pidfd_open');
  const option = (fd: number, name: number): number => {
    const value = Buffer.alloc(4);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(value.length);
    checked(getsockopt(fd, SOL_SOCKET, name, value, length), 'getsockopt');
    return value.readInt32LE();
  };
  return {
    ioctl: (fd, request, argument, what) =>
      checked(
        typeof argument === 'number'
          ? ioctl(fd, request, 'int', argument)
          : ioctl(fd, request, 'void *', argument),
        what,
      ),
    map(fd, length) {
      const address = BigInt(mmap(0, length, PROT_READ_WRITE, MAP_SHARED, fd, 0));
      // mmap(2): MAP_FAILED is (void *) -1
      if (BigInt.asIntN(64, address) === -1n) throw errnoError(koffi.errno(), 'mmap');
      return address;
    },
    unmap: (address, length) => void checked(munmap(address, length), 'munmap'),
    memory(name, use) {
      const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
      let fd = memfd(name, flags | (use === 'run' ? MFD_EXEC : MFD_NOEXEC_SEAL));
      if (fd < 0 && koffi.errno() === os.constants.errno.EINVAL) fd = memfd(name, flags);
      checked(fd, 'memfd_create');
      // Made for everybody to read, write and, before 6.3, run: by way of /proc/self/fd too.
      fchmodSync(fd, use === 'run' ? 0o555 : 0o600);
      return fd;
    },
    seal: (fd, seals) => void checked(fcntl(fd, F_ADD_SEALS, 'int', seals), 'fcntl F_ADD_SEALS'),
    seals: (fd) => checked(fcntl(fd, F_GET_SEALS, 'int', 0), 'fcntl F_GET_SEALS'),
    eventfd: () => checked(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), 'eventfd'),
    pipe() {
      const ends = Buffer.alloc(8);
      checked(pipe2(ends, O_CLOEXEC), 'pipe2');
      return [ends.readInt32LE(0), ends.readInt32LE(4)];
    },
    watch(fd, then) {
      const handle = koffi.node.poll(fd, { readable: true }, then);
      return () => handle.close();
    },
    isReadable(fd) {
      // struct pollfd: the descriptor, what is asked, what was found.
      const asked = Buffer.alloc(8);
      asked.writeInt32LE(fd, 0);
      asked.writeInt16LE(POLLIN, 4);
      return checked(poll(asked, 1, 0), 'poll') === 1 && (asked.readInt16LE(6) & POLLIN) !== 0;
    },
    takeDescriptor(pid, fd) {
      // No thread is meant by it, and the child was not waited for: the number is its own.
      const handle = openProcess(pid);
      try {
        return checked(Number(syscall(SYSCALL.pidfd_getfd, handle, fd, 0, 0)), 'pidfd_getfd');
      } finally {
        closeSync(handle);
      }
    },
    closeOnExec: (fd) => void checked(fcntl(fd, F_SETFD, 'int', FD_CLOEXEC), 'fcntl F_SETFD'),
    datagrams: () => checked(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), 'socket'),
    sendMessage: (fd, header) =>
      void checked(Number(sendmsg(fd, header, MSG_DONTWAIT | MSG_NOSIGNAL)), 'sendmsg'),
    endWriting(fd) {
      if (shutdown(fd, SHUT_WR) === 0 || koffi.errno() === os.constants.errno.ENOTCONN) return;
      throw errnoError(koffi.errno(), 'shutdown');
    },
    isStream(fd) {
      try {
        const [domain, type] = [option(fd, SO_DOMAIN), option(fd, SO_TYPE)];
        return domain === AF_UNIX && type === SOCK_STREAM && option(fd, SO_ACCEPTCONN) === 0;
      } catch (error) {
        if (isErrno(error)) return false;
        throw error;
      }
    },
    openProcess,
    signalProcess(process, signal) {
      if (Number(syscall(SYSCALL.pidfd_send_signal, process, signal, 0, 0)) === 0) return true;
      if (koffi.errno() === os.constants.errno.ESRCH) return false;
      throw errnoError(koffi.errno(), 'pidfd_send_signal');
    },
    // landlock_create_ruleset(2) without a ruleset, and the flag that asks for the version
    landlockAbi: () =>
      Math.max(0, Number(syscall(SYSCALL.landlock_create_ruleset, 0, 0, LANDLOCK.version, 0))),
    peer(fd) {
      // unix(7): struct ucred { pid_t pid; uid_t uid; gid_t gid; }
      const value = Buffer.alloc(12);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(value.length);
      checked(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, value, length), 'getsockopt SO_PEERCRED');
      return { pid: value.readInt32LE(0), uid: value.readUInt32LE(4), gid: value.readUInt32LE(8) };
    },
    addressOf: (bytes) => BigInt(koffi.address(bytes)),
  };
}

/** As Node's own: with the name of the error and of the call. */
function errnoError(number: number, syscall: string): Errno {
  const code = errnoName(number) ?? `errno ${number}`;
  return Object.assign(new Error(`${syscall}: ${code}`), { code, errno: -number, syscall });
}
