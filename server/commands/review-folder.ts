/**
 * A folder for a reviewer: what was handed in, and its bytes. It can be carried to another machine;
 * what is decided there is decided about the bytes in it.
 */

import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { type ReviewReply, reviewReply } from '../../shared/api/review.ts';
import { utf8 } from '../../shared/bytes.ts';
import type { CommandContext } from '../../shared/cli/command.ts';
import { IronError } from '../../shared/errors.ts';
import { api, reviewFolder } from '../../shared/layout.ts';
import { SERVER_LIMITS } from '../../shared/limits.ts';
import { fromErrno, isErrno } from '../../shared/node/errno.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { readJsonFile, writeFileExclusive } from '../../shared/node/files.ts';
import { hashFile } from '../../shared/node/hash.ts';
import { fetchFrom, type Reach } from './ask-service.ts';

/** Writes all of it into a new folder, whose owner alone may read it: what waits is embargoed. */
export async function writeReviewFolder(
  context: CommandContext,
  reach: Reach,
  review: ReviewReply,
  folder: string,
): Promise<void> {
  await makeFolder(folder);
  for (const { path, sha256, length } of review.files) {
    const place = join(folder, reviewFolder.file(path));
    const progress = context.ui.progress(`fetching ${path}`, length);
    const body = await fetchFrom(context, reach, api.reviewFile(review.id, sha256));
    const source = Readable.fromWeb(body as ReadableStream<Uint8Array>);
    source.on('data', (part: Uint8Array) => progress.advance(part.length));
    await onPath(place, () =>
      pipeline(source, createWriteStream(place, { flags: 'wx', mode: 0o600 })),
    );
    progress.done();
  }
  // Last: a folder without it was not written to its end.
  const bytes = utf8(`${JSON.stringify(review, undefined, 2)}\n`);
  await writeFileExclusive(join(folder, reviewFolder.review), bytes);
  await verifyFolder(folder, review);
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    if (!isErrno(error)) throw error;
    if (error.code !== 'EEXIST') throw fromErrno(error, folder);
    throw new IronError('E_EXISTS', `${folder} is there already`, {
      hint: 'nothing was written; give --out a name that is free',
    });
  }
  await mkdir(join(folder, reviewFolder.filesFolder), { mode: 0o700 });
}

/** The review that a folder holds, whose bytes are those that it names. `E_SCHEMA`, `E_HASH`. */
export async function readReviewFolder(folder: string): Promise<ReviewReply> {
  const path = join(folder, reviewFolder.review);
  const read = reviewReply.safeParse(await readJsonFile(path, SERVER_LIMITS.body));
  if (!read.success)
    throw new IronError('E_SCHEMA', `${path} is not what \`review show --out\` writes`, {
      hint: 'nothing was signed',
    });
  await verifyFolder(folder, read.data);
  return read.data;
}

async function verifyFolder(folder: string, { files }: ReviewReply): Promise<void> {
  for (const { path, sha256, length } of files) {
    const place = join(folder, reviewFolder.file(path));
    const found = await hashFile(place);
    if (found.length === length && found.sha256 === sha256) continue;
    throw new IronError('E_HASH', `${place} is not the file that was handed in`, {
      why: `expected SHA-256 ${sha256}, found ${found.sha256}`,
      hint: 'nothing was signed; write the folder again with `ironport-repo review show --out`',
      context: { path },
    });
  }
}
