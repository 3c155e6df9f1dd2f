/**
 * The store of descriptors of a service manager, played: a real socket that takes descriptors, from the one
 * process that it started, and starts it again with them (sd_notify(3), FDSTORE; sd_listen_fds(3)).
 */

import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { closeSync, existsSync, unlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { libc } from '../../agent/host/libc.ts';

const SOL_SOCKET = 1;
const SO_PASSCRED = 16;
const SCM_RIGHTS = 1;
const SCM_CREDENTIALS = 2;
const MSG_DONTWAIT = 0x40;
const MSG_CMSG_CLOEXEC = 0x4000_0000;
const POLLIN = 1;
const HANGUP = 0x18;

const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');

interface Calls {
  bind(fd: number, address: Uint8Array, length: number): number;
  setsockopt(fd: number, level: number, name: number, value: Uint8Array, length: number): number;
  recvmsg(fd: number, header: Uint8Array, flags: number): number;
  poll(fds: Uint8Array, count: number, timeout: number): number;
}

function load(): Calls {
  const library = koffi.load(null);
  return {
    bind: library.func('int bind(int fd, void *address, unsigned int length)'),
    setsockopt: library.func(
      'int setsockopt(int fd, int level, int name, void *value, unsigned int length)',
    ),
    recvmsg: library.func('int64_t recvmsg(int fd, void *message, int flags)'),
    poll: library.func('int poll(void *fds, unsigned long count, int timeout)'),
  };
}

export interface Message {
  readonly pid: number;
  readonly text: string;
  readonly fds: readonly number[];
}

/** The name and a descriptor of its own for each; a name may be there twice. */
export interface Kept {
  readonly name: string;
  readonly fd: number;
}

export class PlayedStore {
  readonly socket: string;
  /** What is kept; a test may change it, as a store that is wrong would. */
  kept: Kept[] = [];
  /** Messages of whom it did not start. */
  readonly ignored: Message[] = [];
  main: ChildProcess | undefined;
  /** Takes messages of whomever. */
  anybody = false;
  readonly #fd: number;
  readonly #calls = load();
  readonly #unwatch: () => void;

  constructor(socket: string) {
    this.socket = socket;
    if (existsSync(socket)) unlinkSync(socket);
    this.#fd = libc().datagrams();
    const address = Buffer.concat([Buffer.from([1, 0]), Buffer.from(`${socket}\0`)]);
    if (this.#calls.bind(this.#fd, address, address.length) !== 0) throw new Error('not bound');
    const yes = Buffer.from([1, 0, 0, 0]);
    this.#calls.setsockopt(this.#fd, SOL_SOCKET, SO_PASSCRED, yes, 4);
    this.#unwatch = libc().watch(this.#fd, () => this.take());
  }

  names(): string[] {
    return this.kept.map(({ name }) => name).sort();
  }

  /** Takes all that was sent by now. */
  take(): void {
    for (let message = this.#receive(); message !== undefined; message = this.#receive()) {
      const { pid, text, fds } = message;
      if (!this.anybody && pid !== this.main?.pid) {
        this.ignored.push(message);
        for (const fd of fds) closeSync(fd);
        continue;
      }
      const said = Object.fromEntries(text.split('\n').map((line) => line.split('=', 2)));
      const name: string = said.FDNAME ?? 'stored';
      if (said.FDSTORE === '1') this.kept.push(...fds.map((fd) => ({ name, fd })));
      else for (const fd of fds) closeSync(fd);
      if (said.FDSTOREREMOVE === '1') this.drop(name);
    }
  }

  drop(name: string): void {
    for (const one of this.kept) if (one.name === name) closeSync(one.fd);
    this.kept = this.kept.filter((one) => one.name !== name);
  }

  /** FDPOLL=1, which is what holds unless somebody says otherwise. */
  #dropDead(): void {
    for (const one of this.kept) {
      const asked = Buffer.alloc(8);
      asked.writeInt32LE(one.fd, 0);
      if (this.#calls.poll(asked, 1, 0) !== 1) continue;
      if ((asked.readInt16LE(6) & HANGUP) === 0) continue;
      closeSync(one.fd);
      this.kept = this.kept.filter((other) => other !== one);
    }
  }

  /** Starts the program with all that is kept, as its main process. */
  start(words: readonly string[], env: Readonly<Record<string, string | undefined>>): ChildProcess {
    this.take();
    this.#dropDead();
    const passed =
      this.kept.length === 0
        ? {}
        : {
            LISTEN_FDS: String(this.kept.length),
            LISTEN_FDNAMES: this.kept.map(({ name }) => name).join(':'),
          };
    const stdio: StdioOptions = ['ignore', 'pipe', 'pipe', ...this.kept.map(({ fd }) => fd)];
    // The number that it will have is known in it alone.
    this.main = spawn('/bin/sh', ['-c', 'LISTEN_PID=$$ exec "$@"', 'sh', ...words], {
      env: { ...env, ...passed, LISTEN_PID: '', NOTIFY_SOCKET: this.socket },
      stdio,
    });
    return this.main;
  }

  /** Stopped for good: what is kept is closed. */
  close(): void {
    this.#unwatch();
    closeSync(this.#fd);
    for (const { fd } of this.kept) closeSync(fd);
    this.kept = [];
  }

  /** recvmsg(2), cmsg(3) */
  #receive(): Message | undefined {
    const [text, control] = [Buffer.alloc(4096), Buffer.alloc(2048)];
    const piece = Buffer.alloc(16);
    piece.writeBigUInt64LE(libc().addressOf(text), 0);
    piece.writeBigUInt64LE(BigInt(text.length), 8);
    const header = Buffer.alloc(56);
    header.writeBigUInt64LE(libc().addressOf(piece), 16);
    header.writeBigUInt64LE(1n, 24);
    header.writeBigUInt64LE(libc().addressOf(control), 32);
    header.writeBigUInt64LE(BigInt(control.length), 40);
    const length = Number(this.#calls.recvmsg(this.#fd, header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
    if (length < 0) return undefined;
    const end = Number(header.readBigUInt64LE(40));
    const fds: number[] = [];
    let pid = 0;
    for (let at = 0; at + 16 <= end; ) {
      const size = Number(control.readBigUInt64LE(at));
      const kind = control.readInt32LE(at + 12);
      if (kind === SCM_CREDENTIALS) pid = control.readInt32LE(at + 16);
      if (kind === SCM_RIGHTS)
        for (let fd = at + 16; fd < at + size; fd += 4) fds.push(control.readInt32LE(fd));
      at += 8 * Math.ceil(size / 8);
    }
    return { pid, text: text.toString('utf8', 0, length), fds };
  }
}

/** Whether something is there to be read, or its other end is gone. */
export function hasNews(fd: number): boolean {
  const asked = Buffer.alloc(8);
  asked.writeInt32LE(fd, 0);
  asked.writeInt16LE(POLLIN, 4);
  return load().poll(asked, 1, 0) === 1;
}
