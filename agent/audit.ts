/**
 * The audit log: one JSON line an event, each with the SHA-256 of the line before it, so that no
 * line can be changed, taken out or put in without breaking the chain from there on. Durable before
 * what it records goes on. Only the holder of the state's lock appends.
 *
 * What a chain alone cannot show is that its newest lines were cut off, or all of it written anew:
 * that is what the signed heads of `audit-heads.ts` are for.
 */

import { createHash } from 'node:crypto';
import { utf8 } from '../shared/bytes.ts';
import { IronError, isIronError } from '../shared/errors.ts';
import { Node } from '../shared/json/decode.ts';
import { parseJson } from '../shared/json/read.ts';
import type { JsonObject } from '../shared/json/value.ts';
import { AGENT_LIMITS } from '../shared/limits.ts';
import { type Clock, formatInstant } from '../shared/time.ts';
import { appendLines, linesOf, readTail, type Tail } from './line-file.ts';
import { soundObject } from './sound-text.ts';

/** What was decided or done; `event` is its kind, the rest belongs to that kind. */
export interface AuditEvent {
  readonly event: string;
  readonly [field: string]: JsonObject[string];
}

export interface AuditLine {
  readonly seq: number;
  readonly at: string;
  readonly prev: string;
  readonly event: string;
  /** The whole line as it was read. */
  readonly fields: JsonObject;
}

/** A line by its number, and the SHA-256 by which the next one names it. */
export interface LineName {
  readonly seq: number;
  readonly sha256: string;
}

/** The end of the log. */
export interface AuditEnd extends LineName {
  /** Bytes of the log up to and with this line. */
  readonly bytes: number;
}

/** `prev` of the first line. */
export const GENESIS = '0'.repeat(64);

export class Audit {
  readonly path: string;
  readonly #clock: Clock;

  constructor(path: string, clock: Clock) {
    this.path = path;
    this.#clock = clock;
  }

  /**
   * Appends events, durably, in one write; returns their lines. `E_IO`, `E_NO_SPACE`, `E_STORE`; and
   * `E_TOO_LARGE`, `E_INTERNAL` for what could not be read again, of which nothing is written.
   */
  async append(...events: readonly AuditEvent[]): Promise<LineName[]> {
    const names: LineName[] = [];
    if (events.length === 0) return names;
    await appendLines(this.path, AGENT_LIMITS.auditLine, (tail) => {
      let head: LineName = this.#endOf(tail);
      return events.map((event) => {
        const line = this.#format(head, event);
        head = { seq: head.seq + 1, sha256: sha256(line) };
        names.push(head);
        return line;
      });
    });
    return names;
  }

  /** Where it ends now. */
  async end(): Promise<AuditEnd> {
    return this.#endOf(await readTail(this.path, AGENT_LIMITS.auditLine));
  }

  #endOf({ line, bytes }: Tail): AuditEnd {
    if (line === undefined) return { seq: 0, sha256: GENESIS, bytes };
    return { seq: parseAuditLine(line, this.path).seq, sha256: sha256(line), bytes };
  }

  #format(head: LineName, event: AuditEvent): Uint8Array {
    const at = formatInstant(this.#clock());
    const own = { seq: head.seq + 1, at, prev: head.sha256 };
    const line = utf8(JSON.stringify({ ...own, ...soundObject(event) }));
    if (line.length > AGENT_LIMITS.auditLine)
      throw new IronError('E_TOO_LARGE', `an audit line of ${line.length} bytes`);
    requireReadable(line, own);
    return line;
  }
}

/**
 * One line that cannot be read ends the log for good: everything after it, and whether it was cut
 * off, could be told by nobody. So it is read before it is written.
 */
function requireReadable(line: Uint8Array, own: { seq: number; prev: string }): void {
  let why = 'it has fields that are those of the chain';
  try {
    const read = parseAuditLine(line, 'the audit log');
    if (read.seq === own.seq && read.prev === own.prev) return;
  } catch (cause) {
    why = isIronError(cause) ? (cause.why ?? cause.message) : String(cause);
  }
  throw new IronError('E_INTERNAL', 'an event was not written into the audit log', {
    why,
    hint: 'nothing was written; this is a defect: report it with what you did',
    context: { line: own.seq },
  });
}

export interface AuditVerdict {
  readonly lines: number;
  /** SHA-256 of the newest line: whoever noted it elsewhere can tell whether lines were cut off. */
  readonly head: string;
}

/** A line together with its SHA-256. */
export type ReadLine = AuditLine & { readonly sha256: string };

/**
 * Reads the log from its first line on. `E_STORE` at the first line that does not follow from the
 * one before it; `E_NOT_FOUND` when there is no log. Memory does not grow with the log.
 */
export async function* readAudit(path: string): AsyncGenerator<ReadLine, AuditVerdict> {
  let head: LineName = { seq: 0, sha256: GENESIS };
  for await (const bytes of linesOf(path, AGENT_LIMITS.auditLine)) {
    const line = parseAuditLine(bytes, path);
    if (line.seq !== head.seq + 1 || line.prev !== head.sha256) {
      throw new IronError('E_STORE', `the audit log is broken at line ${head.seq + 1}`, {
        why:
          line.seq === head.seq + 1
            ? 'it does not carry the hash of the line before it'
            : `it carries the number ${line.seq}`,
        hint: 'this line or the one before was changed, taken out or put in; compare with a copy',
        context: { reason: 'broken-chain', path, line: head.seq + 1 },
      });
    }
    head = { seq: line.seq, sha256: sha256(bytes) };
    yield { ...line, sha256: head.sha256 };
  }
  return { lines: head.seq, head: head.sha256 };
}

function parseAuditLine(bytes: Uint8Array, path: string): AuditLine {
  try {
    const node = new Node(parseJson(bytes, { length: AGENT_LIMITS.auditLine }), 'line');
    return {
      seq: node.get('seq').integer(1),
      at: node.get('at').string(),
      prev: node.get('prev').matching(/^[0-9a-f]{64}$/, 'a SHA-256'),
      event: node.get('event').string(),
      fields: node.object(),
    };
  } catch (cause) {
    throw new IronError('E_STORE', `a line of ${path} is no audit line`, {
      why: cause instanceof Error ? cause.message : String(cause),
      cause,
      context: { path },
    });
  }
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
