/**
 * The journal of one change of one device: what is about to be done is on the disk before it is
 * done, and that it was done before the next thing begins. A journal that is there is a change that
 * did not end; it says from where to where, so that it can be undone from whatever is found.
 */

import { constants } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fromUtf8, utf8 } from '../shared/bytes.ts';
import { IronError } from '../shared/errors.ts';
import { Node } from '../shared/json/decode.ts';
import { parseJson } from '../shared/json/read.ts';
import type { JsonObject } from '../shared/json/value.ts';
import { AGENT_LIMITS } from '../shared/limits.ts';
import { onPath, systemFiles } from '../shared/node/file-system.ts';
import { readFileCapped, syncFolder, writeAll, writeFileAtomic } from '../shared/node/files.ts';
import { type BindingState, parseState, stateJson } from './binding-state.ts';

export const PURPOSES = ['bind', 'release', 'vfs create', 'vfs remove'] as const;
export type Purpose = (typeof PURPOSES)[number];

/** The first line of a journal. */
export interface JournalHead {
  readonly purpose: Purpose;
  readonly device: string;
  /** The boot in which it began: what it says about sysfs is good in that boot only. */
  readonly boot: string;
  /** Domain number of the grant, which names the binding on this host; or number of a set of virtual functions. */
  readonly domain: number;
  readonly from: BindingState;
  readonly to: BindingState;
  /** `before` of every step, in order: the stations of the way back. */
  readonly stations: readonly BindingState[];
}

/** What happened, in order. */
export interface JournalEntry {
  readonly event: 'intent' | 'done' | 'failed' | 'undo' | 'undone' | 'stuck';
  /** Number of the step. */
  readonly step: number;
  readonly detail: string;
}

export interface FoundJournal {
  readonly head: JournalHead;
  readonly entries: readonly JournalEntry[];
}

const SCHEMA = 'ironport-agent.journal/v1';

export class Journal {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** Begins a journal, durably. There must be none: recovery comes first. `E_CONFLICT`. */
  static async begin(path: string, head: JournalHead): Promise<Journal> {
    const found = await loadJournal(path);
    if (found !== undefined) {
      throw new IronError('E_CONFLICT', `an earlier change of ${head.device} did not end`, {
        hint: 'nothing was changed; run `ironport-agent recover`',
        context: { device: head.device },
      });
    }
    await writeFileAtomic(path, utf8(`${JSON.stringify(headJson(head))}\n`), { mode: 0o600 });
    return new Journal(path);
  }

  /** A journal that an earlier run left. */
  static resume(path: string): Journal {
    return new Journal(path);
  }

  /** Durable when it returns. */
  async append(entry: JournalEntry): Promise<void> {
    const { O_WRONLY, O_APPEND, O_NOFOLLOW } = constants;
    await onPath(this.path, async () => {
      const file = await systemFiles.open(this.path, O_WRONLY | O_APPEND | O_NOFOLLOW);
      try {
        await writeAll(file, utf8(`${JSON.stringify(entry)}\n`));
        await file.sync();
      } finally {
        await file.close();
      }
    });
  }

  /** The change ended, one way or the other. */
  async end(): Promise<void> {
    await onPath(this.path, async () => {
      await unlink(this.path);
      await syncFolder(dirname(this.path));
    });
  }
}

/** The journal at `path`, or undefined. `E_STORE` when it is damaged beyond a torn last line. */
export async function loadJournal(path: string): Promise<FoundJournal | undefined> {
  const bytes = await readFileCapped(path, AGENT_LIMITS.state, { nofollow: true }).catch(
    (error) => {
      if (error instanceof IronError && error.code === 'E_NOT_FOUND') return undefined;
      throw error;
    },
  );
  if (bytes === undefined) return undefined;
  try {
    return parseJournal(bytes);
  } catch (cause) {
    throw new IronError('E_STORE', `the journal ${path} is damaged`, {
      why: cause instanceof Error ? cause.message : String(cause),
      hint: 'nothing was changed; look at the device, set it right by hand, then remove the file',
      cause,
      context: { path },
    });
  }
}

export function parseJournal(bytes: Uint8Array): FoundJournal {
  const lines = fromUtf8(bytes).split('\n');
  // A crash tears the line that was being written: what it said had not begun, or is seen in sysfs.
  lines.pop();
  const [first, ...rest] = lines.map(
    (line, i) =>
      new Node(parseJson(utf8(line), { length: AGENT_LIMITS.auditLine }), `line ${i + 1}`),
  );
  if (first === undefined) throw new IronError('E_SCHEMA', 'the journal has no first line');
  return { head: parseHead(first), entries: rest.map(parseEntry) };
}

function parseHead(node: Node): JournalHead {
  node.only('schema', 'purpose', 'device', 'boot', 'domain', 'from', 'to', 'stations');
  node.get('schema').oneOf(SCHEMA);
  return {
    purpose: node.get('purpose').oneOf(...PURPOSES),
    device: node.get('device').string(),
    boot: node.get('boot').string(),
    domain: node.get('domain').integer(1),
    from: parseState(node.get('from')),
    to: parseState(node.get('to')),
    stations: node.get('stations').items(64).map(parseState),
  };
}

function parseEntry(node: Node): JournalEntry {
  node.only('event', 'step', 'detail');
  return {
    event: node.get('event').oneOf('intent', 'done', 'failed', 'undo', 'undone', 'stuck'),
    step: node.get('step').integer(0),
    detail: node.get('detail').string(),
  };
}

function headJson(head: JournalHead): JsonObject {
  return {
    schema: SCHEMA,
    purpose: head.purpose,
    device: head.device,
    boot: head.boot,
    domain: head.domain,
    from: stateJson(head.from),
    to: stateJson(head.to),
    stations: head.stations.map(stateJson),
  };
}
