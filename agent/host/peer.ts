/** Who is at the other end of a socket. */

import type { Socket } from 'node:net';
import type { Peer } from '../wire/serve.ts';
import { libc } from './libc.ts';

/** The process that connected, by the kernel's word; undefined where there is no telling. */
export function peerOf(socket: Socket): Peer | undefined {
  // Node says the number of a descriptor only here.
  const { _handle: handle } = socket as { readonly _handle?: { readonly fd?: number } | null };
  if (handle?.fd === undefined || handle.fd < 0) return undefined;
  const { pid, uid } = libc().peer(handle.fd);
  return { pid, user: uid };
}
