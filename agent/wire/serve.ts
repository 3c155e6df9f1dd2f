/**
 * A socket that takes one request a connection and answers it. Nothing of what comes is believed: a message
 * has a bound, must arrive whole in its time, and a user has so many connections and no more. One that is
 * slow, half or huge costs a connection of its own, and nobody else's.
 */

import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { asIronError, IronError } from '../../shared/errors.ts';
import { WIRE_LIMITS } from '../../shared/limits.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { FrameReader, frameOf } from './frame.ts';

/** Who sits at the other end; `user` is what bounds are counted by. */
export interface Peer {
  readonly pid: number;
  readonly user: number;
}

export interface Serving {
  readonly path: string;
  /** Permission bits of the socket; who may really ask is `admit`'s. */
  readonly mode: number;
  /** Whose connection it is; undefined for somebody who is told nothing. */
  admit(socket: Socket): Peer | undefined;
  /** The answer to a whole message. `isThere` says whether somebody waits for it still. */
  answer(message: Uint8Array, peer: Peer, isThere: () => boolean): Promise<Uint8Array>;
  /** A connection that came to nothing: whose, and why. */
  dropped?(peer: Peer, why: IronError): void;
  readonly seconds?: number;
}

export interface Served {
  /** Takes no more connections, and ends those that are there. */
  close(): Promise<void>;
}

/** Listens. `E_EXISTS` when something else than a socket that nobody serves any more is at the path. */
export async function serve(serving: Serving): Promise<Served> {
  removeStale(serving.path);
  const sockets = new Map<Socket, Peer>();
  const server: Server = createServer({ pauseOnConnect: true }, (socket) => {
    socket.on('error', () => {});
    const peer = serving.admit(socket);
    if (peer === undefined) return void socket.destroy();
    const ofUser = [...sockets.values()].filter(({ user }) => user === peer.user).length;
    if (ofUser >= WIRE_LIMITS.connectionsOfUser || sockets.size >= WIRE_LIMITS.connections) {
      serving.dropped?.(peer, new IronError('E_QUOTA', 'too many connections at once'));
      return void socket.destroy();
    }
    sockets.set(socket, peer);
    socket.once('close', () => sockets.delete(socket));
    void converse(serving, socket, peer);
  });
  await onPath(
    serving.path,
    () =>
      new Promise<void>((resolve, reject) => {
        // It stays: a connection that the kernel cannot give ends no server.
        server.on('error', reject);
        server.listen(serving.path, resolve);
      }),
  );
  chmodSync(serving.path, serving.mode);
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets.keys()) socket.destroy();
      }),
  };
}

/** A socket that an earlier start left; whether that one lives is told by a lock, where it matters. */
export function removeStale(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new IronError('E_EXISTS', `${path} is there, and is no socket`, {
      hint: 'nothing was changed; name another path, or remove it',
      context: { path },
    });
  }
  unlinkSync(path);
}

async function converse(serving: Serving, socket: Socket, peer: Peer): Promise<void> {
  const { seconds = WIRE_LIMITS.seconds } = serving;
  try {
    const message = await inTime(socket, seconds, readMessage(socket));
    const answer = await serving.answer(message, peer, () => !socket.destroyed);
    if (socket.destroyed) return;
    await inTime(socket, seconds, writeAll(socket, frameOf(answer)));
  } catch (error) {
    serving.dropped?.(peer, asIronError(error));
  } finally {
    socket.destroy();
  }
}

/** For as long as somebody may take who does not want to be waited for. */
async function inTime<T>(socket: Socket, seconds: number, work: Promise<T>): Promise<T> {
  const timer = setTimeout(
    () => socket.destroy(new IronError('E_SLOW', 'the other side is too slow')),
    1000 * seconds,
  );
  try {
    return await work;
  } finally {
    clearTimeout(timer);
  }
}

/** The one message of a connection. `E_NETWORK` when it ends before; `E_TOO_LARGE`, `E_SCHEMA`, `E_SLOW`. */
function readMessage(socket: Socket): Promise<Uint8Array> {
  const reader = new FrameReader(WIRE_LIMITS.request);
  return new Promise((resolve, reject) => {
    const broken = (): void => reject(new IronError('E_NETWORK', 'it ended within its message'));
    socket.on('data', (piece) => {
      try {
        const message = reader.push(piece);
        if (message !== undefined) resolve(message);
      } catch (error) {
        reject(error);
        // Also for bytes after the message, while its answer is worked on.
        socket.destroy();
      }
    });
    // Whoever closes its end waits for nothing any more.
    socket.once('end', () => socket.destroy());
    socket.once('error', reject);
    socket.once('close', broken);
    socket.resume();
  });
}

function writeAll(socket: Socket, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('close', () => reject(new IronError('E_NETWORK', 'it ended within its answer')));
    // Called once the kernel has taken all of it.
    socket.end(bytes, () => resolve());
  });
}
