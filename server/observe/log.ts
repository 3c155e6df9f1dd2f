/**
 * The service's log for machines: one JSON object a line. What is written is chosen field by field:
 * no header, no query and no body of a request is ever part of it.
 */

import { type Clock, formatInstant } from '../../shared/time.ts';

export type LogLevel = 'info' | 'warn' | 'error';

/** Fields of one event, beside `time`, `level` and `event`. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** Characters of one text: what a stranger sends must not make a line of any length. */
const LONGEST = 512;

export class Log {
  readonly #write: (line: string) => void;
  readonly #clock: Clock;

  /** @param write takes one line, without its end */
  constructor(write: (line: string) => void, clock: Clock) {
    this.#write = write;
    this.#clock = clock;
  }

  say(level: LogLevel, event: string, fields: LogFields): void {
    const cut = Object.fromEntries(
      Object.entries(fields).map(([name, value]) => [
        name,
        typeof value === 'string' && value.length > LONGEST ? `${value.slice(0, LONGEST)}…` : value,
      ]),
    );
    // JSON.stringify escapes line ends and control characters: a line stays a line.
    this.#write(JSON.stringify({ time: formatInstant(this.#clock()), level, event, ...cut }));
  }
}
