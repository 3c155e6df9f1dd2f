/** `--supervised FD`: a device is held for another process, for as long as that one is there. */

import { Socket } from 'node:net';
import process from 'node:process';
import type { CommandContext, OptionSpec } from '../../shared/cli/command.ts';
import { IronError } from '../../shared/errors.ts';
import { answerTo, type HolderSays, onLines } from '../helper/ask-holder.ts';

export const SUPERVISED: OptionSpec = {
  flags: '--supervised <fd>',
  description:
    'a socket: gets a line with the result once the device is bound, or held; the device is let go when its other end is closed. No --policy counts then',
};

export interface Supervisor {
  /** From now on, whoever asks there is answered that this process holds this. */
  holds(what: Omit<HolderSays, 'pid'>): void;
  /** Says that it is done so far: one line of JSON. */
  say(document: unknown): void;
  /** Aborted when `signal` is, or when nobody is at the other end any more. */
  orGone(signal: AbortSignal): AbortSignal;
}

/** Whoever supervises this command, if anybody does. `E_USAGE` when there is no such socket. */
export function supervisorOf(context: CommandContext): Supervisor | undefined {
  const fd = context.number('supervised', 3);
  if (fd === undefined) return undefined;
  const gone = new AbortController();
  const socket = openSocket(fd);
  const end = (): void =>
    gone.abort(new IronError('E_CANCELLED', 'nobody supervises this any more'));
  socket.on('error', end);
  socket.on('close', end);
  let held: HolderSays | undefined;
  // What is said from there is a question, or nothing. Its end is what is listened for; it keeps nobody
  // from ending.
  onLines(socket, (line) => {
    const answer = held && answerTo(line, held);
    if (answer !== undefined) socket.write(`${answer}\n`);
  });
  socket.unref();
  return {
    holds(what) {
      held = { ...what, pid: process.pid };
    },
    say: (document) => void socket.write(`${JSON.stringify(document)}\n`),
    orGone: (signal) => AbortSignal.any([signal, gone.signal]),
  };
}

function openSocket(fd: number): Socket {
  try {
    return new Socket({ fd, readable: true, writable: true });
  } catch (cause) {
    throw new IronError('E_USAGE', `descriptor ${fd} is no socket`, {
      hint: 'nothing was changed; --supervised is for programs that start this one',
      cause,
    });
  }
}
