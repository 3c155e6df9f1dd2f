/**
 * A file system whose power may be cut: it works on a real folder and notes, call by call, what
 * has reached the disk for certain. Contents do so by the sync of the file, names by the sync of
 * the folder; everything else may have, or not, in any mixture. A folder counts as there once it
 * was made: the file systems in use write a new folder's name out with the first sync inside it.
 */

import { constants } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { concatBytes } from '../../shared/bytes.ts';
import { type FileSystem, type OpenFile, systemFiles } from '../../shared/node/file-system.ts';

interface Content {
  now: Uint8Array;
  synced: Uint8Array;
}

interface Names {
  readonly now: Map<string, Content>;
  readonly synced: Map<string, Content>;
}

/** Decides, for one thing that was not synced, whether it reached the disk. */
export type Luck = () => boolean;

export class PowerCutFiles implements FileSystem {
  calls = 0;
  readonly #root: string;
  readonly #folders = new Map<string, Names>();
  /** Called before each call; may throw, as the cut itself. */
  readonly #before: (call: number) => void;

  private constructor(root: string, before: (call: number) => void) {
    this.#root = root;
    this.#before = before;
  }

  /** Takes everything that is in `root` for synced. */
  static async over(root: string, before: (call: number) => void): Promise<PowerCutFiles> {
    const files = new PowerCutFiles(root, before);
    for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const bytes = new Uint8Array(await readFile(join(entry.parentPath, entry.name)));
      const content = { now: bytes, synced: bytes };
      const names = files.#names(entry.parentPath);
      names.now.set(entry.name, content);
      names.synced.set(entry.name, content);
    }
    return files;
  }

  /** Writes a state to `target` in which the disk may be after a cut at this moment. */
  async afterCut(target: string, luck: Luck): Promise<void> {
    await mkdir(target, { recursive: true, mode: 0o700 });
    for (const [folder, names] of this.#folders) {
      const place = join(target, relative(this.#root, folder));
      await mkdir(place, { recursive: true, mode: 0o700 });
      for (const name of new Set([...names.now.keys(), ...names.synced.keys()])) {
        const [now, synced] = [names.now.get(name), names.synced.get(name)];
        const content = now === synced || luck() ? now : synced;
        if (content === undefined) continue;
        await writeFile(join(place, name), survivor(content, luck), { mode: 0o600 });
      }
    }
  }

  async open(path: string, flags: number, mode?: number): Promise<OpenFile> {
    this.#call();
    const file = await systemFiles.open(path, flags, mode);
    const names = this.#names(dirname(path));
    if ((flags & constants.O_CREAT) !== 0) {
      names.now.set(basename(path), { now: new Uint8Array(), synced: new Uint8Array() });
    }
    const content = names.now.get(basename(path));
    return {
      read: (buffer, offset, length, position) => file.read(buffer, offset, length, position),
      write: async (buffer, offset, length) => {
        this.#call();
        const written = await file.write(buffer, offset, length);
        const piece = Uint8Array.from(buffer.subarray(offset, offset + written.bytesWritten));
        if (content !== undefined) content.now = concatBytes(content.now, piece);
        return written;
      },
      sync: async () => {
        this.#call();
        if ((flags & constants.O_DIRECTORY) !== 0) this.#syncNames(path);
        else if (content !== undefined) content.synced = content.now;
      },
      stat: () => file.stat(),
      close: () => file.close(),
    };
  }

  async rename(from: string, to: string): Promise<void> {
    this.#call();
    await systemFiles.rename(from, to);
    const content = this.#names(dirname(from)).now.get(basename(from));
    this.#names(dirname(from)).now.delete(basename(from));
    if (content !== undefined) this.#names(dirname(to)).now.set(basename(to), content);
  }

  async link(existing: string, added: string): Promise<void> {
    this.#call();
    await systemFiles.link(existing, added);
    const content = this.#names(dirname(existing)).now.get(basename(existing));
    if (content !== undefined) this.#names(dirname(added)).now.set(basename(added), content);
  }

  async unlink(path: string): Promise<void> {
    this.#call();
    await systemFiles.unlink(path);
    this.#names(dirname(path)).now.delete(basename(path));
  }

  makeFolders(path: string, mode: number): Promise<void> {
    this.#names(path);
    return systemFiles.makeFolders(path, mode);
  }
  chmod(path: string, mode: number): Promise<void> {
    return systemFiles.chmod(path, mode);
  }
  lstat(path: string): ReturnType<FileSystem['lstat']> {
    return systemFiles.lstat(path);
  }
  realpath(path: string): Promise<string> {
    return systemFiles.realpath(path);
  }

  #call(): void {
    this.#before(++this.calls);
  }

  #names(folder: string): Names {
    let names = this.#folders.get(folder);
    if (names === undefined) {
      names = { now: new Map(), synced: new Map() };
      this.#folders.set(folder, names);
    }
    return names;
  }

  #syncNames(folder: string): void {
    const { now, synced } = this.#names(folder);
    synced.clear();
    for (const [name, content] of now) synced.set(name, content);
  }
}

/** Of what was not synced: all of it, the beginning, zeros of its length, or what was there. */
function survivor({ now, synced }: Content, luck: Luck): Uint8Array {
  if (now === synced || luck()) return now;
  if (luck()) return now.subarray(0, now.length >> 1);
  return luck() ? new Uint8Array(now.length) : synced;
}
