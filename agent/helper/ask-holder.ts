/**
 * Asking who is at the other end of a socket what it holds: the descriptor says where it leads to as
 * little as its name does. A line with a number that was just drawn, and a line back with the same.
 */

import type { Socket } from 'node:net';
import { toHex, utf8 } from '../../shared/bytes.ts';
import { Node } from '../../shared/json/decode.ts';
import { parseJson } from '../../shared/json/read.ts';
import { HOLDER_LIMITS } from '../../shared/limits.ts';
import type { Random } from '../../shared/node/random.ts';

/** What a holder holds. */
export interface HolderSays {
  readonly device: string;
  readonly grantSha256: string;
  readonly pid: number;
}

const WHO = /^[0-9a-f]{32}$/;

/**
 * What is said, or undefined: nothing came in time, or what came was no answer. An answer to another
 * question is passed over: a helper that died after it had asked left it unread.
 */
export async function askHolder(
  socket: Socket,
  random: Random,
  seconds: number = HOLDER_LIMITS.answerSeconds,
): Promise<HolderSays | undefined> {
  const who = toHex(random(16));
  const answer = firstAnswer(socket, who, seconds);
  socket.write(`${JSON.stringify({ who })}\n`);
  return await answer;
}

function parseAnswer(text: string): HolderSays & { readonly who: string } {
  const node = new Node(parseJson(utf8(text), { length: HOLDER_LIMITS.line }), 'answer');
  node.only('who', 'device', 'grant_sha256', 'process');
  return {
    who: node.get('who').matching(WHO, 'a number'),
    device: node.get('device').string(),
    grantSha256: node.get('grant_sha256').string(),
    pid: node.get('process').integer(1),
  };
}

/** What a holder answers to a line; undefined for what asks nothing. */
export function answerTo(
  line: string,
  { device, grantSha256, pid }: HolderSays,
): string | undefined {
  try {
    const node = new Node(parseJson(utf8(line), { length: HOLDER_LIMITS.line }), 'question');
    const who = node.only('who').get('who').matching(WHO, 'a number');
    return JSON.stringify({ who, device, grant_sha256: grantSha256, process: pid });
  } catch {
    return undefined;
  }
}

/** The lines that come, one after the other; what is too long for one is none. */
export function onLines(socket: Socket, then: (line: string) => void): () => void {
  let held = '';
  const take = (piece: Buffer | string): void => {
    held += String(piece);
    for (let end = held.indexOf('\n'); end !== -1; end = held.indexOf('\n')) {
      const line = held.slice(0, end);
      held = held.slice(end + 1);
      if (line.length <= HOLDER_LIMITS.line) then(line);
    }
    if (held.length > HOLDER_LIMITS.line) held = held.slice(0, HOLDER_LIMITS.line + 1);
  };
  socket.on('data', take);
  return () => void socket.off('data', take);
}

function firstAnswer(
  socket: Socket,
  who: string,
  seconds: number,
): Promise<HolderSays | undefined> {
  return new Promise((resolve) => {
    const finish = (says?: HolderSays): void => {
      clearTimeout(timer);
      stop();
      socket.off('end', ended).off('close', ended).off('error', ended);
      // What else is said is for nobody; without a reader its end would not be heard.
      socket.resume();
      resolve(says);
    };
    const ended = (): void => finish();
    const timer = setTimeout(ended, 1000 * seconds);
    const stop = onLines(socket, (line) => {
      try {
        const { who: asked, ...says } = parseAnswer(line);
        if (asked === who) finish(says);
      } catch {
        finish();
      }
    });
    socket.once('end', ended).once('close', ended).once('error', ended);
  });
}
