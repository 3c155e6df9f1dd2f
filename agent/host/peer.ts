/** Who is at the other end of a socket. */

import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Peer } from '../wire/serve.ts';
import { libc } from './libc.ts';

/** The process that connected, by the kernel's word; undefined where there is no telling. */
export function peerOf(socket: Socket): Peer | undefined {
  const fd = descriptorOf(socket);
  if (fd === undefined) return undefined;
  const { pid, uid } = libc().peer(fd);
  return { pid, user: uid };
}

/** The number of a socket's descriptor; undefined once it is closed. */
export function descriptorOf(socket: Duplex): number | undefined {
  // Node says it only here.
  const { _handle: handle } = socket as { readonly _handle?: { readonly fd?: number } | null };
  return handle?.fd === undefined || handle.fd < 0 ? undefined : handle.fd;
}
