/** `restore`: a repository again, from a backup, where nothing is. */

import { resolve } from 'node:path';
import type { CommandSpec } from '../../shared/cli/command.ts';
import { IronError } from '../../shared/errors.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { restoreBackup } from '../backup/restore.ts';
import { DIR_OPTION, homeOf } from '../config.ts';

export const restore: CommandSpec = {
  name: 'restore',
  summary: 'put a backup into a new folder, after verifying all of it',
  description:
    "Verifies every file by the repository's own signatures, as fsck and as a client from root 1 do, before anything appears. The history of submissions and the suspensions are signed by nobody: they are taken only with --sha256.",
  options: [
    { ...DIR_OPTION, description: "the service's folder that will be; absent, or empty" },
    { flags: '--in <path>', description: 'the backup: a file or a folder', required: true },
    { flags: '--sha256 <digest>', description: 'what `backup` printed when it was made' },
    {
      flags: '--root <file>',
      description:
        'root 1 as you trust it, beside --sha256 one of any version: the backup must contain it',
    },
  ],
  examples: ['ironport-repo restore --in /mnt/backup/monday --dir repo-data --root 1.root.json'],
  schema: 'ironport-repo/restore/v1',
  async run(context) {
    const sha256 = context.text('sha256');
    if (sha256 !== undefined && !/^[0-9a-f]{64}$/.test(sha256))
      throw new IronError('E_USAGE', '--sha256 takes 64 lower-case hexadecimal digits');
    const root = context.text('root');
    const progress = context.ui.progress('restore');
    const report = await restoreBackup({
      from: resolve(context.need('in')),
      home: homeOf(context),
      crypto: platformCrypto,
      sha256,
      root: root === undefined ? undefined : await readFileCapped(root, METADATA_LIMITS.root),
      signal: context.signal,
      onBytes: (count) => progress.advance(count),
    });
    progress.done();
    if (!report.complete)
      context.ui.note(
        'without --sha256 only what is signed was taken: no history of submissions, no suspensions or holds, no rule for reviews, no scanner',
      );
    for (const one of report.expired) context.ui.note(`expired already when it was made: ${one}`);
    const { schema: _schema, ...data } = report;
    return {
      data,
      text: [
        `${report.home} is as it was at ${report.created}: root ${report.root}, snapshot ${report.snapshot}, timestamp ${report.timestamp}; all of it verified`,
        `put the online keys into ${report.home}/private/keys before it is served`,
      ].join('\n'),
    };
  },
};
