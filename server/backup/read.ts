/** Reads a backup, from a file or a folder, and believes nothing of it that its list does not say. */

import { createHash } from 'node:crypto';
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { BACKUP_LIMITS } from '../../shared/limits.ts';
import { type OpenFile, onPath } from '../../shared/node/file-system.ts';
import { openRegular } from '../../shared/node/files.ts';
import { pieces } from '../../shared/node/hash.ts';
import {
  type BackupAbout,
  type BackupFile,
  parseAbout,
  parseFile,
  parseHead,
  refused,
} from './manifest.ts';

/** The lines of a stream, without their ends; each a copy. A last one without its end is refused. */
export async function* linesOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest: Uint8Array = new Uint8Array();
  for await (const piece of source) {
    let from = 0;
    for (let at = piece.indexOf(10); at >= 0; at = piece.indexOf(10, from)) {
      yield Buffer.concat([rest, piece.subarray(from, at)]);
      rest = new Uint8Array();
      from = at + 1;
    }
    rest = Buffer.concat([rest, piece.subarray(from)]);
    if (rest.length > BACKUP_LIMITS.line) throw refused('a line of its list is too long');
  }
  if (rest.length > 0) throw refused('its list ends in the middle of a line');
}

export interface OpenBackup {
  readonly about: BackupAbout;
  /** Of its list. */
  readonly sha256: string;
  /** Every file with its bytes, in their order; each one's bytes must be used up or left whole. */
  files(): AsyncGenerator<{ readonly file: BackupFile; readonly bytes: AsyncIterable<Uint8Array> }>;
  close(): Promise<void>;
}

/** Opens what `makeBackup` made, and verifies its list. `E_NOT_FOUND`, `E_STORE`, `E_SCHEMA`. */
export async function openBackup(path: string): Promise<OpenBackup> {
  const found = await onPath(path, () => lstat(path), 'E_NOT_FOUND');
  const isFolder = found.isDirectory();
  const manifest = await openRegular(isFolder ? join(path, 'manifest') : path, { nofollow: true });
  try {
    const { size } = await manifest.stat();
    const head = parseHead(await readAt(manifest, 0, Math.min(size, BACKUP_LIMITS.head)));
    const end = head.size + head.length;
    if (size < end || (isFolder && size !== end)) throw refused('its list is not all there');
    const hash = createHash('sha256');
    for await (const piece of span(manifest, head.size, end)) hash.update(piece);
    if (hash.digest('hex') !== head.sha256)
      throw refused('its list does not have the digest that its first line names');
    const about = await firstLine(manifest, head.size, end);
    // All the bytes that there will be, and none besides.
    if (!isFolder && size !== end + about.bytes)
      throw refused(`it has ${size} bytes where there should be ${end + about.bytes}`);
    return {
      about,
      sha256: head.sha256,
      files: () => filesIn(path, manifest, { isFolder, begin: head.size, end, about }),
      close: () => manifest.close(),
    };
  } catch (error) {
    await manifest.close();
    throw error;
  }
}

interface Place {
  readonly isFolder: boolean;
  /** Where the list begins and ends. */
  readonly begin: number;
  readonly end: number;
  readonly about: BackupAbout;
}

async function* filesIn(
  path: string,
  manifest: OpenFile,
  { isFolder, begin, end, about }: Place,
): AsyncGenerator<{ file: BackupFile; bytes: AsyncIterable<Uint8Array> }> {
  let at = end;
  let [number, total] = [-1, 0];
  for await (const line of linesOf(span(manifest, begin, end))) {
    number += 1;
    if (number === 0) continue;
    const file = parseFile(line);
    total += file.length;
    if (number > about.files || total > about.bytes) throw refused('it lists more than it says');
    if (isFolder) yield { file, bytes: ownFile(join(path, 'files', file.path)) };
    else yield { file, bytes: span(manifest, at, at + file.length) };
    at += file.length;
  }
  if (number !== about.files || total !== about.bytes) throw refused('it lists less than it says');
}

async function* ownFile(path: string): AsyncGenerator<Uint8Array> {
  const file = await openRegular(path, { nofollow: true });
  try {
    yield* pieces(file);
  } finally {
    await file.close();
  }
}

async function firstLine(file: OpenFile, from: number, to: number): Promise<BackupAbout> {
  for await (const line of linesOf(span(file, from, to))) return parseAbout(line);
  throw refused('its list is empty');
}

/** The bytes between two places of a file, which must be there. */
async function* span(file: OpenFile, from: number, to: number): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(Math.max(1, Math.min(BACKUP_LIMITS.piece, to - from)));
  for (let at = from; at < to; ) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, to - at), at);
    if (bytesRead === 0) throw refused('it became shorter while it was read');
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

async function readAt(file: OpenFile, at: number, length: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const piece of span(file, at, at + length)) parts.push(piece.slice());
  return Buffer.concat(parts);
}
