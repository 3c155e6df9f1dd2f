/** `mend`: puts back files that lack in the published tree, from a backup or another copy. */

import { join, resolve } from 'node:path';
import type { CommandSpec } from '../../shared/cli/command.ts';
import { data } from '../../shared/layout.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { withLock } from '../../shared/node/lock.ts';
import { mendTree } from '../backup/mend.ts';
import { DIR_OPTION, homeOf } from '../config.ts';

export const mend: CommandSpec = {
  name: 'mend',
  summary: 'put back files that lack in the published tree, from a backup or another copy',
  description:
    'For what `fsck` says is not there: versions of roles, and targets. A file is put back only when it is what was published, by its name, its signatures and all that fsck asks; nothing that is there is touched. While no service runs. What no copy has is lost: it is made again by nobody, for a version that was published stands for its bytes for ever, and it stays a finding until the operators say that it is lost (`lost declare`).',
  options: [
    DIR_OPTION,
    {
      flags: '--from <path>',
      description: "a backup, a service's folder, or a copy of the tree (a mirror)",
      required: true,
    },
  ],
  examples: ['ironport-repo mend --from /mnt/backup/monday --dir repo-data'],
  schema: 'ironport-repo/mend/v1',
  async run(context) {
    const home = homeOf(context);
    const options = {
      folder: join(home, data.tree),
      from: resolve(context.need('from')),
      crypto: platformCrypto,
      clock: systemClock,
      signal: context.signal,
    };
    const report = await withLock(join(home, data.writerLock), () => mendTree(options), {
      purpose: 'ironport-repo mend',
      signal: context.signal,
    });
    for (const { at, why } of report.refused) context.ui.warn(`not taken: ${at}: ${why}`);
    const whole = report.findings.length === 0;
    return {
      data: report,
      text: [
        ...report.restored.map((path) => `${path} is back`),
        whole
          ? 'all in order'
          : `${report.findings.length} findings are left; what no copy has is lost, and \`ironport-repo lost declare\` says so`,
        ...report.findings.map(({ at, what }) => `${at}: ${what}`),
      ].join('\n'),
      ...(whole ? {} : { exit: 6 }),
    };
  },
};
