/** Telling the service manager something, with descriptors: sd_notify(3), as a datagram of our own. */

import { closeSync } from 'node:fs';
import { utf8 } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import { fromErrno, isErrno } from '../../shared/node/errno.ts';
import { libc } from './libc.ts';

/** unix(7): sun_path. */
const LONGEST_PATH = 107;
const AF_UNIX = 1;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;

/**
 * Sends `text` to the manager that listens at `socket` (an absolute path, or `@` and an abstract name),
 * and copies of `fds` with it. Waits for nobody. `E_IO`.
 */
export function notify(socket: string, text: string, fds: readonly number[] = []): void {
  const address = addressOf(socket);
  try {
    const own = libc().datagrams();
    try {
      send(own, address, utf8(text), fds);
    } finally {
      closeSync(own);
    }
  } catch (error) {
    throw isErrno(error) ? fromErrno(error, socket) : error;
  }
}

/** struct sockaddr_un: a family, then the path, or a zero and the abstract name. */
function addressOf(socket: string): Buffer {
  const path = Buffer.from(socket.replace(/^@/, '\0'));
  if (!/^[/@]./.test(socket) || path.length > LONGEST_PATH)
    throw new IronError('E_CONFIG', 'there is no service manager at this socket', {
      why: JSON.stringify(socket.slice(0, 200)),
      hint: 'NOTIFY_SOCKET is set by systemd, and by nobody else',
    });
  const address = Buffer.alloc(2 + path.length);
  address.writeUInt16LE(AF_UNIX);
  path.copy(address, 2);
  return address;
}

/** sendmsg(2), cmsg(3): the structures of a machine whose words are 64 bits, the low byte first. */
function send(own: number, address: Buffer, text: Uint8Array, fds: readonly number[]): void {
  const where = (bytes: Uint8Array): bigint => libc().addressOf(bytes);
  const bytes = Buffer.from(text);
  const piece = Buffer.alloc(16);
  piece.writeBigUInt64LE(where(bytes), 0);
  piece.writeBigUInt64LE(BigInt(bytes.length), 8);
  const length = 16 + 4 * fds.length;
  const control = Buffer.alloc(fds.length === 0 ? 0 : 8 * Math.ceil(length / 8));
  if (fds.length > 0) {
    control.writeBigUInt64LE(BigInt(length), 0);
    control.writeInt32LE(SOL_SOCKET, 8);
    control.writeInt32LE(SCM_RIGHTS, 12);
    for (const [i, fd] of fds.entries()) control.writeInt32LE(fd, 16 + 4 * i);
  }
  const header = Buffer.alloc(56);
  header.writeBigUInt64LE(where(address), 0);
  header.writeUInt32LE(address.length, 8);
  header.writeBigUInt64LE(where(piece), 16);
  header.writeBigUInt64LE(1n, 24);
  if (fds.length > 0) header.writeBigUInt64LE(where(control), 32);
  header.writeBigUInt64LE(BigInt(control.length), 40);
  libc().sendMessage(own, header);
}
