/**
 * Metadata that is asked for again and again, in memory: files with a version in their name, and
 * the timestamp. The tree decides, not an event: whatever is answered from here was compared with
 * what the tree has under that name. So what somebody moved away, put back or replaced, by whatever
 * means, is never given out any more, and a timestamp is the new one from the rename on.
 */

import { lstatSync, type Stats } from 'node:fs';
import { parseMetadataPath, tree } from '../../shared/layout.ts';
import { HOT_LIMITS } from '../../shared/limits.ts';
import type { Body, Representation } from './reply.ts';

export interface HotFile {
  /** Where it lies, absolute. */
  readonly place: string;
  readonly identity: Identity;
  readonly body: Body;
  readonly plain: Representation;
  /** Whether there may be compressed forms of it. */
  readonly isCompressible: boolean;
}

/** Which file it is, and in which state: no two files have the same at one place. */
export type Identity = Pick<Stats, 'dev' | 'ino' | 'size' | 'mtimeMs' | 'ctimeMs'>;

interface Kept extends HotFile {
  /** Asked for since it was last passed over. */
  isWanted: boolean;
  /** When it was last compared with the tree. */
  turn: number;
}

/** What an entry takes beside its bytes: its fields, its names, its place in the list. */
const OVERHEAD = 2048;

/** Whether a file of this name and size is one to keep. */
export function isHot(path: string, size: number): boolean {
  if (size > HOT_LIMITS.file) return false;
  return path === tree.timestamp || parseMetadataPath(path)?.version !== undefined;
}

export class HotFiles {
  readonly #limit: number;
  /** Oldest first, by path in the tree. Only `keep` adds to it, and nothing in it is awaited. */
  readonly #kept = new Map<string, Kept>();
  #held = 0;
  #turn = 0;
  #isTurnEnding = false;

  /** @param limit bytes that are kept together; 0 for none */
  constructor(limit: number = HOT_LIMITS.kept) {
    this.#limit = limit;
  }

  /** Bytes that are held now, the entries' own weight among them. */
  get held(): number {
    return this.#held;
  }

  /** The file at `path`, if it is kept and the tree still has that very file there. */
  get(path: string): HotFile | undefined {
    const file = this.#kept.get(path);
    if (file === undefined) return undefined;
    if (!this.#isThere(path, file)) {
      this.#forget(path, file);
      return undefined;
    }
    file.isWanted = true;
    return file;
  }

  /** Keeps a file that was read; `file.identity` is from before the reading. */
  keep(path: string, file: HotFile): void {
    const before = this.#kept.get(path);
    if (before !== undefined) this.#forget(path, before);
    const weight = weightOf(path, file);
    if (weight > this.#limit) return;
    this.#kept.set(path, { ...file, isWanted: false, turn: -1 });
    this.#held += weight;
    this.#makeRoom();
  }

  /** The oldest go, save those that were asked for since they were last passed over. */
  #makeRoom(): void {
    for (const [path, file] of this.#kept) {
      if (this.#held <= this.#limit) return;
      if (file.isWanted) {
        file.isWanted = false;
        this.#kept.delete(path);
        // At the end, where this loop comes to it again.
        this.#kept.set(path, file);
      } else this.#forget(path, file);
    }
  }

  #forget(path: string, file: HotFile): void {
    this.#kept.delete(path);
    this.#held -= weightOf(path, file);
  }

  /**
   * A look at the tree, without a thread: a hop to one and back costs more than all the rest of an
   * answer. What is not the timestamp is looked at once in a turn of the event loop: all requests
   * of a turn were there before it ended.
   */
  #isThere(path: string, file: Kept): boolean {
    if (file.turn === this.#turn && path !== tree.timestamp) return true;
    const found = lookAt(file.place);
    if (found === undefined || !isSame(found, file.identity)) return false;
    file.turn = this.#turn;
    if (!this.#isTurnEnding) {
      this.#isTurnEnding = true;
      setImmediate(() => {
        this.#turn += 1;
        this.#isTurnEnding = false;
      });
    }
    return true;
  }
}

/** A link is not followed, and is no file. What cannot be looked at is not there. */
function lookAt(place: string): Stats | undefined {
  try {
    const found = lstatSync(place, { throwIfNoEntry: false });
    return found?.isFile() === true ? found : undefined;
  } catch {
    return undefined;
  }
}

function isSame(a: Identity, b: Identity): boolean {
  return (
    a.ino === b.ino &&
    a.dev === b.dev &&
    a.size === b.size &&
    a.mtimeMs === b.mtimeMs &&
    a.ctimeMs === b.ctimeMs
  );
}

function weightOf(path: string, { body, place }: HotFile): number {
  return body.length + OVERHEAD + 2 * (path.length + place.length);
}
