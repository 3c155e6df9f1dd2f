/** What the audit log has, counted as it grows: each line is read once. */

import { isIronError } from '../../shared/errors.ts';
import { Node } from '../../shared/json/decode.ts';
import { parseJson } from '../../shared/json/read.ts';
import { AGENT_LIMITS } from '../../shared/limits.ts';
import { openRegular } from '../../shared/node/files.ts';

/** Bytes that are read at once: some lines of the greatest length. */
const PIECE = 4 * AGENT_LIMITS.auditLine;
const LINE_FEED = 0x0a;

export interface LogCounts {
  readonly lines: number;
  readonly events: ReadonlyMap<string, number>;
  /** Gates that refused a binding, by their reason. */
  readonly refusals: ReadonlyMap<string, number>;
  /** What was seen of devices that are held, by its kind; each kind has one decision or few. */
  readonly watched: readonly Watched[];
}

export interface Watched {
  readonly kind: string;
  readonly decision: string;
  readonly count: number;
}

export class LogCounter {
  readonly #path: string;
  /** Up to where it was read; owned by `read`, which runs one at a time. */
  #at = 0;
  #lines = 0;
  readonly #events = new Map<string, number>();
  readonly #refusals = new Map<string, number>();
  /** By kind, then by decision. */
  readonly #watched = new Map<string, Map<string, number>>();
  #reading: Promise<void> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
  }

  /** Reads what was added since. A log that was cut off is no affair of figures: `audit verify` tells. */
  async read(): Promise<LogCounts> {
    this.#reading = this.#reading.catch(() => {}).then(() => this.#readOn());
    await this.#reading;
    const watched = [...this.#watched].flatMap(([kind, decisions]) =>
      Array.from(decisions, ([decision, count]) => ({ kind, decision, count })),
    );
    return { lines: this.#lines, events: this.#events, refusals: this.#refusals, watched };
  }

  async #readOn(): Promise<void> {
    const file = await openRegular(this.#path, { nofollow: true }).catch((error) => {
      if (isIronError(error, 'E_NOT_FOUND')) return undefined;
      throw error;
    });
    if (file === undefined) return;
    try {
      const buffer = Buffer.alloc(PIECE);
      for (;;) {
        const { bytesRead } = await file.read(buffer, 0, PIECE, this.#at);
        // Half a line is of an append that is under way.
        const whole = buffer.subarray(0, bytesRead).lastIndexOf(LINE_FEED) + 1;
        if (whole === 0) return;
        for (const line of buffer
          .subarray(0, whole - 1)
          .toString('utf8')
          .split('\n'))
          this.#take(line);
        this.#at += whole;
      }
    } finally {
      await file.close();
    }
  }

  #take(line: string): void {
    this.#lines++;
    try {
      const node = new Node(
        parseJson(Buffer.from(line), { length: AGENT_LIMITS.auditLine }),
        'line',
      );
      const event = node.get('event').string();
      add(this.#events, event);
      if (event === 'gate' && node.get('decision').string() === 'refuse')
        add(this.#refusals, node.get('gate').string());
      if (event === 'watch') {
        const [kind, decision] = [node.get('kind').string(), node.get('decision').string()];
        const decisions = this.#watched.get(kind) ?? new Map<string, number>();
        this.#watched.set(kind, decisions);
        add(decisions, decision);
      }
    } catch (error) {
      if (!isIronError(error)) throw error;
      add(this.#events, 'unreadable');
    }
  }
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
