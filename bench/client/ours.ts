/** Our library on the same task as tuf-js: refresh, and one target when one is named. */

import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openFetcher, parseAddress } from '../../client/fetch/open.ts';
import { FolderStore } from '../../client/store/folder.ts';
import { Updater } from '../../client/updater.ts';
import { tree } from '../../shared/layout.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { writeFileAtomic } from '../../shared/node/files.ts';

/** As tuf-js gets them here: a hundred thousand targets in one file are 14.5 MB. */
const LIMITS = { snapshot: 2_000_000, targets: 64_000_000 };

export async function main(args: readonly string[]): Promise<number> {
  const [store, url, target, targets] = args;
  if (store === undefined || url === undefined) throw new Error('STORE REPOSITORY_URL');
  const fetcher = await openFetcher(parseAddress(url, process.cwd()), {
    env: {},
    random: Math.random,
  });
  const updater = new Updater({
    crypto: platformCrypto,
    clock: systemClock,
    store: new FolderStore(store, { limits: LIMITS }),
    fetcher,
    limits: LIMITS,
    mayLeaveUnread: target === undefined,
  });
  await updater.refresh();
  if (target === undefined || targets === undefined) return 0;
  const { entry } = (await updater.find(target)) ?? {};
  const sha256 = entry?.hashes.get('sha256');
  if (entry === undefined || sha256 === undefined) throw new Error(`${target} is not listed`);
  const { pieces } = await fetcher.openFile(tree.target(target, sha256), entry.length);
  const hash = createHash('sha256');
  const received: Uint8Array[] = [];
  for await (const piece of pieces) {
    hash.update(piece);
    received.push(piece);
  }
  if (hash.digest('hex') !== sha256) throw new Error(`${target} is not what was signed`);
  await mkdir(targets, { recursive: true });
  await writeFileAtomic(join(targets, encodeURIComponent(target)), Buffer.concat(received));
  return 0;
}
