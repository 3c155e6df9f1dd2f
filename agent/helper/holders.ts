/**
 * Devices that are held: each by a process of its own, `apply --hold`, so that nothing that is asked of the
 * helper delays a brake. A holder lets go when nobody has the other end of its socket: when the helper is
 * gone, and nobody keeps that end for the next one.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { IronError } from '../../shared/errors.ts';
import { Node } from '../../shared/json/decode.ts';
import { parseJson } from '../../shared/json/read.ts';
import type { JsonValue } from '../../shared/json/value.ts';
import { WIRE_LIMITS } from '../../shared/limits.ts';
import { descriptorOf } from '../host/peer.ts';
import { type Answer, readError } from '../wire/answer.ts';
import type { Keeping } from './keeping.ts';

export interface HoldersOptions {
  /** How this very program is started: the runtime and its first arguments. */
  readonly program: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What a holder says, and how it ended. */
  readonly onSaid: (device: string, text: string) => void;
  /** A holder ended, whatever it was by: nothing holds its device anew before this is done. */
  readonly onGone?: (device: string) => Promise<void>;
  /** Where there is a place for what is to outlive the helper. */
  readonly keeping?: Keeping | undefined;
  readonly seconds?: number;
}

export interface Holder {
  readonly device: string;
  readonly pid: number;
}

/** A process that holds a device, as far as it can be told from here. */
export interface Held {
  readonly pid: number | undefined;
  /** Has it let go of its device, and end. */
  letGo(): void;
  readonly closed: Promise<void>;
}

const FD = 3;

export class Holders {
  readonly #options: HoldersOptions;
  /** By device; a holder is here from its start to its end. */
  readonly #held = new Map<string, Held>();

  constructor(options: HoldersOptions) {
    this.#options = options;
  }

  list(): Holder[] {
    return [...this.#held].flatMap(([device, { pid }]) =>
      pid === undefined ? [] : [{ device, pid }],
    );
  }

  /**
   * Starts `apply` with these words, and answers once the device is held, or with what refused it. `E_SLOW`
   * when neither comes in time: the holder goes on, and others have their turn.
   */
  async hold(schema: string, device: string, words: readonly string[]): Promise<Answer> {
    if (this.#held.has(device)) {
      throw new IronError('E_CONFLICT', `${device} is held already`, {
        hint: 'nothing was changed; release it first',
        context: { device },
      });
    }
    const child = this.#start(words);
    // Before anything else: one that cannot be started says so by this event alone.
    const ended = new Promise<number>((resolve) => {
      child.once('error', () => resolve(1));
      child.once('close', (status) => resolve(status ?? 1));
    });
    const stream = child.stdio?.[FD] as Duplex | undefined;
    // Node gives it no streams where the descriptors of this process are used up.
    if (stream === undefined) return refusal(schema, await ended, '');
    this.#keep(device, child);
    const said = lineOf(stream).then(async (line) => {
      // Before it is told that it is held: from then on a helper that dies is to change nothing.
      await this.#keepSocket(device, child, stream);
      return line;
    });
    const stdout = textOf(child.stdout);
    const { seconds = WIRE_LIMITS.holdSeconds } = this.#options;
    const line = await soon<string | number>(1000 * seconds, said, ended);
    if (line === undefined) {
      throw new IronError('E_SLOW', `${device} is not held yet`, {
        why: `its holder said nothing within ${seconds} seconds: the kernel may not let go of it`,
        hint: 'it goes on by itself; `ironport-agent status` shows what became of it',
        context: { device },
      });
    }
    if (typeof line === 'string')
      return { exit: 0, schema, outcome: { data: parsed(line), text: `held     ${device}` } };
    return refusal(schema, line, await stdout);
  }

  /** Lets go of everything; ends when every holder did. */
  async end(): Promise<void> {
    const held = [...this.#held.values()];
    for (const one of held) one.letGo();
    await Promise.all(held.map(({ closed }) => closed));
    await this.#options.keeping?.settled();
  }

  /** A holder that an earlier helper started. */
  adopt(device: string, held: Held): void {
    const { onSaid } = this.#options;
    const closed = held.closed.then(async () => {
      await this.#gone(device);
      onSaid(device, 'its holder ended');
    });
    this.#held.set(device, { ...held, letGo: () => held.letGo(), closed });
  }

  async #gone(device: string): Promise<void> {
    await this.#options.onGone?.(device);
    this.#held.delete(device);
    this.#options.keeping?.forget(device);
  }

  async #keepSocket(device: string, child: ChildProcess, stream: Duplex): Promise<void> {
    const socket = (): number | undefined =>
      child.exitCode === null && child.signalCode === null ? descriptorOf(stream) : undefined;
    if (child.pid !== undefined) await this.#options.keeping?.keep(device, child.pid, socket);
  }

  #start(words: readonly string[]): ChildProcess {
    const { program, env } = this.#options;
    const [runtime, ...first] = program;
    return spawn(
      runtime,
      [...first, 'apply', ...words, '--hold', '--supervised', String(FD), '--json', '--no-color'],
      { env, stdio: ['ignore', 'pipe', 'pipe', 'pipe'] },
    );
  }

  #keep(device: string, child: ChildProcess): void {
    const { onSaid } = this.#options;
    const closed = new Promise<void>((resolve) => {
      child.once('close', async (status, signal) => {
        await this.#gone(device);
        onSaid(device, `its holder ended with ${signal ?? `status ${status}`}`);
        resolve();
      });
    });
    const letGo = (): void => void (child.stdio[FD] as Socket).end();
    this.#held.set(device, { pid: child.pid, letGo, closed });
    if (child.stderr !== null)
      createInterface({ input: child.stderr }).on('line', (text) => onSaid(device, text));
    child.stdio[FD]?.on('error', () => {});
  }
}

/** What comes first of these, or nothing when none comes in time. */
async function soon<T>(ms: number, ...coming: readonly Promise<T>[]): Promise<T | undefined> {
  const over = new AbortController();
  const late = setTimeout(ms, undefined, { signal: over.signal }).catch(() => undefined);
  try {
    return await Promise.race([...coming, late]);
  } finally {
    over.abort();
  }
}

/** The first line, whole; never, when there is none. */
function lineOf(stream: Duplex): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    // A character may come in two pieces.
    stream.setEncoding('utf8');
    stream.on('data', (piece: string) => {
      if (text.length < WIRE_LIMITS.answer) text += piece;
      const end = text.indexOf('\n');
      if (end !== -1) resolve(text.slice(0, end));
    });
  });
}

function textOf(stream: NodeJS.ReadableStream | null): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    stream?.setEncoding('utf8');
    stream?.on('data', (piece: string) => {
      if (text.length < WIRE_LIMITS.answer) text += piece;
    });
    stream?.once('close', () => resolve(text));
    stream?.once('end', () => resolve(text));
  });
}

function parsed(text: string): JsonValue {
  return parseJson(Buffer.from(text), { length: WIRE_LIMITS.answer });
}

/** It ended before it held anything. */
function refusal(schema: string, exit: number, stdout: string): Answer {
  try {
    const document = new Node(parsed(stdout), 'document');
    return { exit, schema, outcome: { error: readError(document.get('error')) } };
  } catch (cause) {
    throw new IronError('E_INTERNAL', 'what was to hold the device ended without a word', {
      why: `its exit status is ${exit}`,
      hint: 'the journal of the helper has what it said; `ironport-agent status` shows what is bound',
      cause,
    });
  }
}
