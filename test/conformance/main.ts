/**
 * The client under test of black-box suites for TUF clients.
 *
 *     client --metadata-dir D init ROOT
 *     client --metadata-dir D --metadata-url U refresh
 *     client --metadata-dir D --metadata-url U --target-name P [--target-name P2 …]
 *            --target-base-url B --target-dir T download
 *
 * Exits with 0 or 1 and nothing else. It is the real updater, fetcher and download with another
 * command line and another layout of the store; it knows no time floor, no revocations and no log,
 * and asks for each file once and directly: a suite counts the requests.
 */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { toHex, utf8 } from '../../shared/bytes.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { encodePathAsSegment } from '../../shared/tuf/names.ts';
import { parseArguments, type Task } from './arguments.ts';
import { FlatStore } from './store.ts';

export async function main(argv: readonly string[]): Promise<number> {
  try {
    await run(parseArguments(argv));
    return 0;
  } catch (error) {
    console.error(isIronError(error) ? explain(error) : error);
    return 1;
  }
}

async function run(task: Task): Promise<void> {
  const store = new FlatStore(task.folder);
  if (task.command === 'init') {
    const root = await readFileCapped(task.root, METADATA_LIMITS.root);
    return await store.init(root, platformCrypto);
  }
  // `init` works without either.
  const { HttpFetcher } = await import('../../client/fetch/http.ts');
  const { Updater } = await import('../../client/updater.ts');
  const fetcher = new HttpFetcher({
    metadata: task.metadataUrl,
    targets: task.command === 'download' ? task.targetUrl : task.metadataUrl,
    random: Math.random,
    retries: 0,
  });
  const updater = new Updater({ crypto: platformCrypto, clock: systemClock, store, fetcher });
  try {
    const trusted = await updater.refresh().finally(async () => {
      const newest = updater.files.roots.at(-1);
      if (newest !== undefined) await store.showRoot(newest);
    });
    if (task.command === 'refresh') return;
    const { downloadTarget } = await import('../../client/download.ts');
    const { targetFile } = await import('../../client/target-file.ts');
    await mkdir(task.targetFolder, { recursive: true });
    for (const path of task.targets) {
      const found = await updater.find(path);
      if (found === undefined) {
        throw new IronError('E_NOT_FOUND', `nobody who may speak for ${path} lists it`);
      }
      const target = targetFile(found.entry, trusted.root.consistentSnapshot);
      const out = join(task.targetFolder, fileName(path));
      // A suite may look into the folder: no beginning that is not verified stays there.
      const lockFolder = store.state.folder;
      await downloadTarget({ fetcher, target, out, lockFolder, resumable: false });
    }
  } finally {
    await fetcher.close();
  }
}

/** The whole path as one name, which stays when the content changes. */
function fileName(path: string): string {
  try {
    return encodePathAsSegment(path);
  } catch (error) {
    if (!isIronError(error, 'E_NAME')) throw error;
    // Longer than a disk can hold. No path is encoded so: `%` is followed by two digits there.
    return `%long-${toHex(platformCrypto.sha256(utf8(path)))}`;
  }
}

function explain({ code, message, why, hint }: IronError): string {
  return [`${code}: ${message}`, why, hint].filter((line) => line !== undefined).join('\n');
}
