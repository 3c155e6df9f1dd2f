/**
 * syncfs(2), which Node has not: the program `sync` makes the call. It is started by a shell that this
 * process starts once. To start a program for each call would mark all memory of this process as shared with it
 * each time, and every page that is written afterwards would be faulted in again: of a service that holds
 * uploads in memory that is more work than what is synced.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { resolve } from 'node:path';

/** Says `0` for each folder that was synced, and `1` for another. It ends with its input. */
const LOOP =
  'while IFS= read -r folder; do if sync -f -- "$folder" >/dev/null 2>&1; then printf 0; else printf 1; fi; done';

class Helper {
  readonly #child: ChildProcess;
  /** Who waits for an answer, in the order of the questions. */
  readonly #waiting: ((isSynced: boolean) => void)[] = [];
  isOver = false;

  constructor() {
    this.#child = spawn('sh', ['-c', LOOP], { stdio: ['pipe', 'pipe', 'ignore'] });
    const { stdin, stdout } = this.#child;
    // That it ended is told by the child itself.
    stdin?.on('error', () => {});
    stdout?.on('data', (answers: Buffer) => {
      for (const answer of answers.toString('latin1')) this.#answer(answer === '0');
    });
    for (const event of ['error', 'close']) this.#child.on(event, () => this.#end());
    this.#hold(false);
  }

  sync(folder: string): Promise<boolean> {
    return new Promise((answer) => {
      this.#waiting.push(answer);
      this.#hold(true);
      this.#child.stdin?.write(`${folder}\n`);
    });
  }

  #answer(isSynced: boolean): void {
    this.#waiting.shift()?.(isSynced);
    if (this.#waiting.length === 0) this.#hold(false);
  }

  #end(): void {
    this.isOver = true;
    for (const answer of this.#waiting.splice(0)) answer(false);
  }

  /** Whether this process waits for it before it ends. */
  #hold(isWanted: boolean): void {
    const { stdin, stdout } = this.#child;
    // Pipes of a child are sockets, whatever their types say.
    for (const one of [this.#child, stdin as Socket | null, stdout as Socket | null])
      if (isWanted) one?.ref();
      else one?.unref();
  }
}

/** Started by the first question. Owned by `syncFileSystem`. */
let helper: Helper | undefined;

/** Syncs the file system of `folder`; false when that did not work, and nothing is known. */
export async function syncFileSystem(folder: string): Promise<boolean> {
  const place = resolve(folder);
  // A line of its own is all that the shell reads of it.
  if (place.includes('\n')) return false;
  if (helper === undefined || helper.isOver) helper = new Helper();
  return await helper.sync(place);
}
