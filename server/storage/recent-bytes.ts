/**
 * Small files that just came in and will be read again at once: sidecars are judged, and roles. A
 * copy of what was measured, so that thousands of them need not be opened one by one.
 */

/** What is larger is read from the disk: one wait is little beside its length. */
const LARGEST = 32 * 1024;
/** Bytes in all; the oldest are forgotten. */
const ROOM = 32 * 1024 * 1024;

export class RecentBytes {
  /** Oldest first. Nothing in it is awaited. */
  readonly #kept = new Map<string, Uint8Array>();
  #held = 0;

  get(name: string): Uint8Array | undefined {
    return this.#kept.get(name);
  }

  /** Keeps a copy: the bytes are mostly a part of a large request. */
  keep(name: string, bytes: Uint8Array): void {
    if (bytes.length > LARGEST || this.#kept.has(name)) return;
    this.#kept.set(name, bytes.slice());
    this.#held += bytes.length;
    for (const oldest of this.#kept.keys()) {
      if (this.#held <= ROOM) return;
      this.forget(oldest);
    }
  }

  forget(name: string): void {
    this.#held -= this.#kept.get(name)?.length ?? 0;
    this.#kept.delete(name);
  }
}
