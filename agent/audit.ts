/**
 * The audit log: one JSON line an event, each with the SHA-256 of the line before it, so that no
 * line can be changed, taken out or put in without breaking the chain from there on. Durable before
 * what it records goes on. Only the holder of the state's lock appends.
 *
 * What a chain alone cannot show is that its newest lines were cut off; `verify` says where it ends.
 */

import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { concatBytes, utf8 } from '../shared/bytes.ts';
import { IronError } from '../shared/errors.ts';
import { Node } from '../shared/json/decode.ts';
import { parseJson } from '../shared/json/read.ts';
import type { JsonObject } from '../shared/json/value.ts';
import { AGENT_LIMITS } from '../shared/limits.ts';
import { onPath } from '../shared/node/file-system.ts';
import { openRegular, syncFolder, writeAll } from '../shared/node/files.ts';
import { pieces } from '../shared/node/hash.ts';
import { type Clock, formatInstant } from '../shared/time.ts';

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

/** `prev` of the first line. */
const GENESIS = '0'.repeat(64);
const LINE_FEED = 0x0a;

export class Audit {
  readonly path: string;
  readonly #clock: Clock;
  /** The end of the chain; read at the first append. Owned by the holder of the state's lock. */
  #head: { seq: number; hash: string } | undefined;

  constructor(path: string, clock: Clock) {
    this.path = path;
    this.#clock = clock;
  }

  /** Forgets where the chain ended: another process may have gone on with it. */
  lookAgain(): void {
    this.#head = undefined;
  }

  /** Appends events, durably, in one write. `E_IO`, `E_NO_SPACE`, `E_STORE`. */
  async append(...events: readonly AuditEvent[]): Promise<void> {
    if (events.length === 0) return;
    await onPath(this.path, async () => {
      const { O_RDWR, O_APPEND, O_CREAT, O_NOFOLLOW } = constants;
      const file = await open(this.path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
      try {
        let head = this.#head;
        const isNew = head === undefined;
        head ??= await this.#findHead(file);
        const lines: Uint8Array[] = [];
        for (const event of events) {
          const line = this.#format(head, event);
          lines.push(line, Uint8Array.of(LINE_FEED));
          head = { seq: head.seq + 1, hash: sha256(line) };
        }
        await writeAll(file, concatBytes(...lines));
        await file.sync();
        if (isNew) await syncFolder(dirname(this.path));
        this.#head = head;
      } catch (error) {
        // What was written of it is unknown: the next append looks again.
        this.#head = undefined;
        throw error;
      } finally {
        await file.close();
      }
    });
  }

  #format(head: { seq: number; hash: string }, event: AuditEvent): Uint8Array {
    const at = formatInstant(this.#clock());
    const line = utf8(JSON.stringify({ seq: head.seq + 1, at, prev: head.hash, ...event }));
    if (line.length > AGENT_LIMITS.auditLine)
      throw new IronError('E_TOO_LARGE', `an audit line of ${line.length} bytes`);
    return line;
  }

  async #findHead(file: Awaited<ReturnType<typeof open>>): Promise<{ seq: number; hash: string }> {
    const { size } = await file.stat();
    const from = Math.max(0, size - 2 * AGENT_LIMITS.auditLine);
    const tail = Buffer.alloc(size - from);
    await file.read(tail, 0, tail.length, from);
    const end = tail.lastIndexOf(LINE_FEED);
    // A crash in the middle of a write leaves half a line, about something that had not begun.
    if (end + 1 < tail.length) await file.truncate(from + end + 1);
    if (end === -1) return { seq: 0, hash: GENESIS };
    const begin = tail.lastIndexOf(LINE_FEED, end - 1) + 1;
    const line = tail.subarray(begin, end);
    return { seq: parseAuditLine(line, this.path).seq, hash: sha256(line) };
  }
}

export interface AuditVerdict {
  readonly lines: number;
  /** SHA-256 of the newest line: whoever noted it elsewhere can tell whether lines were cut off. */
  readonly head: string;
}

/**
 * Reads the log from its first line on. `E_STORE` at the first line that does not follow from the
 * one before it; `E_NOT_FOUND` when there is no log. Memory does not grow with the log.
 */
export async function* readAudit(path: string): AsyncGenerator<AuditLine, AuditVerdict> {
  let head = { seq: 0, hash: GENESIS };
  for await (const bytes of linesOf(path)) {
    const line = parseAuditLine(bytes, path);
    if (line.seq !== head.seq + 1 || line.prev !== head.hash) {
      throw new IronError('E_STORE', `the audit log is broken at line ${head.seq + 1}`, {
        why:
          line.seq === head.seq + 1
            ? 'it does not carry the hash of the line before it'
            : `it carries the number ${line.seq}`,
        hint: 'this line or the one before was changed, taken out or put in; compare with a copy',
        context: { path, line: head.seq + 1 },
      });
    }
    head = { seq: line.seq, hash: sha256(bytes) };
    yield line;
  }
  return { lines: head.seq, head: head.hash };
}

/** The lines of the log, without their line feeds. */
async function* linesOf(path: string): AsyncGenerator<Uint8Array> {
  const file = await openRegular(path, { nofollow: true });
  try {
    let rest: Uint8Array = new Uint8Array();
    for await (const piece of pieces(file)) {
      let buffer = concatBytes(rest, piece);
      for (let end = buffer.indexOf(LINE_FEED); end !== -1; end = buffer.indexOf(LINE_FEED)) {
        yield buffer.subarray(0, end);
        buffer = buffer.subarray(end + 1);
      }
      if (buffer.length > AGENT_LIMITS.auditLine)
        throw new IronError('E_STORE', `${path} has a line that is too long`);
      rest = buffer;
    }
    // Half a line: of an append that is under way, or that a crash cut short.
  } finally {
    await file.close();
  }
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

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
