/** `fsck`: verifies the whole of a published tree again, and makes its index anew. */

import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { CommandSpec } from '../../shared/cli/command.ts';
import { isIronError } from '../../shared/errors.ts';
import { data } from '../../shared/layout.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { withLock } from '../../shared/node/lock.ts';
import { DIR_OPTION, homeOf } from '../config.ts';
import { BlobIndex } from '../db/blob-index.ts';
import { type Db, openDatabase } from '../db/open.ts';
import { checkTree } from '../publish/fsck.ts';
import { loadPublished } from '../storage/published.ts';
import { reindex } from '../storage/reindex.ts';

export const fsck: CommandSpec = {
  name: 'fsck',
  summary: 'verify every published file again, by hash, signature and history',
  description:
    'Reads only, and may run beside the service. With --rebuild, while no service runs, the index in the database is made again from the tree; a database that cannot be opened is put aside.',
  options: [
    DIR_OPTION,
    { flags: '--rebuild', description: 'make the index in the database again from the tree' },
  ],
  examples: ['ironport-repo fsck --dir repo-data', 'ironport-repo fsck --rebuild'],
  schema: 'ironport-repo/fsck/v1',
  async run(context) {
    const home = homeOf(context);
    const folder = join(home, data.tree);
    const progress = context.ui.progress('targets');
    const report = await checkTree(folder, {
      crypto: platformCrypto,
      clock: systemClock,
      signal: context.signal,
      onBytes: (count) => progress.advance(count),
    });
    progress.done();
    for (const { at, what } of report.findings) context.ui.warn(`${at}: ${what}`);
    const indexed = context.flag('rebuild') ? await rebuild(home, folder) : null;
    const whole = report.findings.length === 0;
    return {
      data: { ...report, indexed },
      text: [
        `${report.metadata} metadata files and ${report.targets} targets${report.collected > 0 ? `, ${report.collected} collected` : ''}${report.lost.length > 0 ? `, ${report.lost.length} lost, as the operators said` : ''}: ${whole ? 'all in order' : `${report.findings.length} findings`}`,
        ...report.findings.map(({ at, what }) => `${at}: ${what}`),
        ...(indexed === null ? [] : [`the index has ${indexed} entries`]),
      ].join('\n'),
      ...(whole ? {} : { exit: 6 }),
    };
  },
};

async function rebuild(home: string, folder: string): Promise<number> {
  const path = join(home, data.database);
  const act = async (): Promise<number> => {
    const db = await openOrReplace(path);
    try {
      const published = await loadPublished(folder, platformCrypto).catch(() => undefined);
      const standing = published?.timestamp.version ?? 0;
      // What cannot be read was among the findings.
      return await reindex(new BlobIndex(db), folder, standing, true);
    } finally {
      db.close();
    }
  };
  return await withLock(join(home, data.writerLock), act, { purpose: 'ironport-repo fsck' });
}

async function openOrReplace(path: string): Promise<Db> {
  try {
    return openDatabase(path);
  } catch (error) {
    if (!isIronError(error, 'E_STORE')) throw error;
    const aside = `${path}.damaged-${systemClock()}`;
    await onPath(path, () => rename(path, aside));
    // The log of a database that is not there any more would be played into the new one.
    for (const suffix of ['-wal', '-shm'])
      await rename(path + suffix, aside + suffix).catch(() => {});
    return openDatabase(path);
  }
}
