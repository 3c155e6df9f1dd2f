/** Somebody who swaps a file, a link to one, or a folder for another one, as fast as a process can. */

import { equal } from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type SwapKind = 'file' | 'link' | 'folder link';

export interface Swapping {
  readonly kind: SwapKind;
  /** The file that is read; for `folder link` it is the folder that it is in which is swapped. */
  readonly file: string;
  readonly folder: string;
  /** What is to be found there every other time. */
  readonly evil: Uint8Array;
  /** An empty folder on the same file system. */
  readonly aside: string;
}

/** A link that is being taken away may be followed by the kernel as an empty one: to its folder, or nowhere. */
const NOWHERE = ['EISDIR', 'ENOENT', 'ENOTDIR'];

/** How the agent tells that what it seals is not what it accepted, or is not there just now. */
export const REFUSED_NOW = ['E_HASH', 'E_IO', 'E_NOT_FOUND'] as const;

/** What a path leads to at this moment, to somebody who does not ask what it is; `undefined` for no file. */
export function lookAt(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (NOWHERE.includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** In a process of its own: says that it began when both were there once. */
const SWAPPER = `
const { linkSync, renameSync, symlinkSync } = process.getBuiltinModule('node:fs');
const [, , kind, place, ...both] = process.argv;
const put = kind === 'file' ? linkSync : symlinkSync;
for (let i = 0; ; i++) {
  put(both[i % 2], place + '.new');
  renameSync(place + '.new', place);
  if (i === 1) console.log('begun');
}
`;

/** Swaps while `act` runs; afterwards what was there is there again. */
export async function whileSwapped(
  { kind, file, folder, evil, aside }: Swapping,
  act: () => Promise<void>,
): Promise<void> {
  const isFolder = kind === 'folder link';
  const place = isFolder ? folder : file;
  const [kept, other, script] = [
    join(aside, 'kept'),
    join(aside, 'other'),
    join(aside, 'swap.mjs'),
  ];
  renameSync(place, kept);
  cpSync(kept, other, { recursive: true });
  writeFileSync(isFolder ? join(other, file.slice(folder.length)) : other, evil);
  writeFileSync(script, SWAPPER);
  const words = [script, kind === 'file' ? 'file' : 'link', place, kept, other];
  const swapper: ChildProcess = spawn(process.execPath, words, {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await new Promise<void>((resolve, reject) => {
      swapper.stdout?.once('data', () => resolve());
      swapper.once('exit', () => reject(new Error('nothing is swapped')));
    });
    await act();
    equal(swapper.exitCode, null, 'it was swapped until the end');
  } finally {
    const ended = new Promise((resolve) => swapper.once('exit', resolve));
    if (swapper.exitCode === null && swapper.kill('SIGKILL')) await ended;
    rmSync(`${place}.new`, { recursive: true, force: true });
    rmSync(place, { recursive: true, force: true });
    rmSync(other, { recursive: true });
    renameSync(kept, place);
  }
}
