/**
 * Listening to a driver's filter (seccomp_unotify(2)): a call that the filter tells of waits until it
 * is answered here, and is always refused. What it asked for is in registers, and nothing of the
 * driver's memory is looked at: what a register points to may change, and is not what was refused.
 */

import { closeSync, readFileSync } from 'node:fs';
import { IronError } from '../../shared/errors.ts';
import { isErrno } from '../../shared/node/errno.ts';
import { libc } from './libc.ts';

/** A call as the kernel saw it: its number, and six registers without a sign. */
export interface RefusedCall {
  readonly nr: number;
  readonly arguments: readonly bigint[];
}

/** struct seccomp_notif: id, pid, flags, then struct seccomp_data; struct seccomp_notif_resp. */
const NOTIFICATION = { size: 80, id: 0, nr: 16, arguments: 32 } as const;
const ANSWER = { size: 24, id: 0, error: 16 } as const;
/** _IOWR('!', 0, struct seccomp_notif), _IOWR('!', 1, struct seccomp_notif_resp) */
const RECEIVE = 0xc0502100;
const SEND = 0xc0182101;
const EPERM = 1;

/**
 * Answers calls until `most` were told of, or the function that it returns is called; from then on the
 * kernel answers them by itself, with ENOSYS. Closes `listener` then. So a driver that asks without
 * end costs no more than that.
 */
export function watchRefused(
  listener: number,
  most: number,
  then: (call: RefusedCall) => void,
): () => void {
  let told = 0;
  let isOver = false;
  const stop = (): void => {
    if (isOver) return;
    isOver = true;
    unwatch();
    closeSync(listener);
  };
  const unwatch = libc().watch(listener, () => {
    // Receiving would wait when there is nothing, which is also how the end of the driver is told.
    if (isOver || !libc().isReadable(listener)) return;
    const call = answer(listener);
    if (call === undefined) return;
    told++;
    if (told === most) stop();
    then(call);
  });
  return stop;
}

/** Whether the filters of this kernel can tell of what they refuse. */
export function isListenable(proc = '/proc'): boolean {
  return missingActions(proc).length === 0;
}

/**
 * `E_AGENT_REFUSED` when this kernel could not refuse calls and tell of them: whoever has a device's
 * descriptor without that commands the device. The kernel lists what filters can do
 * (Documentation/userspace-api/seccomp_filter.rst, Sysctls).
 */
export function requireListenable(proc = '/proc'): void {
  const missing = missingActions(proc);
  if (missing.length === 0) return;
  throw new IronError(
    'E_AGENT_REFUSED',
    'a driver is not given the descriptor of its device here',
    {
      why: `the filters of this kernel (seccomp) have no ${missing.join(', no ')}`,
      hint: 'nothing was changed; use a kernel with CONFIG_SECCOMP_FILTER, or a version for brokers',
      context: { reason: 'direct-seccomp' },
    },
  );
}

function missingActions(proc: string): string[] {
  let available: string[] = [];
  try {
    const actions = `${proc}/sys/kernel/seccomp/actions_avail`;
    available = readFileSync(actions, 'utf8').split(/\s+/);
  } catch (error) {
    if (!isErrno(error)) throw error;
  }
  return ['kill_process', 'errno', 'user_notif'].filter((one) => !available.includes(one));
}

/** Undefined when whoever asked is gone. */
function answer(listener: number): RefusedCall | undefined {
  const bytes = Buffer.alloc(NOTIFICATION.size);
  const reply = Buffer.alloc(ANSWER.size);
  try {
    libc().ioctl(listener, RECEIVE, bytes, 'SECCOMP_IOCTL_NOTIF_RECV');
    reply.writeBigUInt64LE(bytes.readBigUInt64LE(NOTIFICATION.id), ANSWER.id);
    reply.writeInt32LE(-EPERM, ANSWER.error);
    libc().ioctl(listener, SEND, reply, 'SECCOMP_IOCTL_NOTIF_SEND');
  } catch (error) {
    if (isErrno(error) && (error.code === 'ENOENT' || error.code === 'EINTR')) return undefined;
    throw error;
  }
  return {
    nr: bytes.readInt32LE(NOTIFICATION.nr),
    arguments: Array.from({ length: 6 }, (_, i) =>
      bytes.readBigUInt64LE(NOTIFICATION.arguments + 8 * i),
    ),
  };
}
