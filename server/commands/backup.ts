/** `backup`: the whole repository in one file or folder, while the service runs. */

import { resolve } from 'node:path';
import type { CommandSpec } from '../../shared/cli/command.ts';
import { formatBytes } from '../../shared/cli/table.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { makeBackup } from '../backup/write.ts';
import { DIR_OPTION, homeOf } from '../config.ts';

export const backup: CommandSpec = {
  name: 'backup',
  summary: 'copy the whole repository, while the service runs and publishes',
  description:
    'One published state, everything before it, and the history of submissions. Not in it: the online keys, and what was not published yet. Nothing is overwritten.',
  options: [
    DIR_OPTION,
    {
      flags: '--out <path>',
      description: 'the file that will be made, or with a / at its end the folder',
      required: true,
    },
  ],
  examples: [
    'ironport-repo backup --dir repo-data --out /mnt/backup/monday',
    'ironport-repo backup --dir repo-data --out /mnt/backup/monday/',
  ],
  schema: 'ironport-repo/backup/v1',
  async run(context) {
    const out = context.need('out');
    const progress = context.ui.progress('backup');
    const report = await makeBackup({
      home: homeOf(context),
      out: resolve(out) + (out.endsWith('/') ? '/' : ''),
      crypto: platformCrypto,
      clock: systemClock,
      signal: context.signal,
      onBytes: (count) => progress.advance(count),
    });
    progress.done();
    const [first, ...others] = report.missing;
    if (first !== undefined)
      context.ui.warn(
        `${first}${others.length > 0 ? ` and ${others.length} others lack` : ' lacks'} in the tree: \`restore\` takes no such backup; \`ironport-repo mend\` puts back what a copy has, and \`ironport-repo lost declare\` says what none has`,
      );
    const { schema: _schema, ...data } = report;
    return {
      data,
      text: [
        `${report.out}: root ${report.root}, snapshot ${report.snapshot}, timestamp ${report.timestamp}; ${report.files} files, ${formatBytes(report.bytes)}`,
        `sha256  ${report.sha256}`,
        'keep the digest apart from the backup, and the online keys, which are not in it, too',
      ].join('\n'),
    };
  },
};
