/**
 * `verdicts`: what was handed in and what each check said of it, for operators and whoever audits them. What
 * its vendor is shown, they are shown, also of what was refused, and long after it was published.
 */

import { join } from 'node:path';
import type { CommandContext, CommandSpec } from '../../shared/cli/command.ts';
import { table } from '../../shared/cli/table.ts';
import { IronError } from '../../shared/errors.ts';
import { data } from '../../shared/layout.ts';
import { formatInstant } from '../../shared/time.ts';
import { parseVendorName } from '../../shared/tuf/names.ts';
import { DIR_OPTION, homeOf } from '../config.ts';
import { demandThisVersion, readingOnly } from '../db/open.ts';
import { Queue } from '../db/queue.ts';

/** Reads the database beside whoever writes it. */
function reading<T>(context: CommandContext, read: (queue: Queue) => T): T {
  return readingOnly(join(homeOf(context), data.database), (db) => {
    demandThisVersion(db);
    return read(new Queue(db));
  });
}

export const verdictsList: CommandSpec = {
  name: 'verdicts list',
  summary: 'show what was handed in, newest first, and what became of it',
  description:
    'Also what was refused: the last 256 of each vendor, for 90 days; and what `scanner rescan` said of what is published (rescanned). Reads only, on the machine of the service, which may run.',
  options: [
    DIR_OPTION,
    { flags: '--vendor <name>', description: 'of this vendor only' },
    { flags: '--limit <n>', description: 'so many at the most', default: '50' },
  ],
  examples: ['ironport-repo verdicts list --vendor acme --dir repo-data'],
  schema: 'ironport-repo/verdicts-list/v1',
  async run(context) {
    const name = context.text('vendor');
    const vendor = name === undefined ? undefined : parseVendorName(name);
    const rows = reading(context, (queue) => queue.list(context.number('limit', 1) ?? 50, vendor));
    const submissions = rows.map(({ created, ...row }) => ({
      ...row,
      handed_in: formatInstant(created),
    }));
    return {
      data: { submissions },
      text:
        submissions.length === 0
          ? 'nothing was handed in'
          : table([
              ['SUBMISSION', 'HANDED IN', 'WHAT', 'STATE', 'CHECKS'],
              ...submissions.map((row) => [
                row.id,
                row.handed_in,
                `${row.role} ${row.version}`,
                row.rescan ? 'rescanned' : row.state,
                row.refused.length === 0
                  ? `${row.checks} hold`
                  : `refused by ${row.refused.slice(0, 3).join(', ')}`,
              ]),
            ]),
    };
  },
};

export const verdictsShow: CommandSpec = {
  name: 'verdicts show',
  summary: 'show what each check said of a submission',
  description: 'What the vendor is shown by `ironport submission`. Reads only.',
  arguments: [{ name: 'submission', description: 'its id, as `verdicts list` has it' }],
  options: [DIR_OPTION],
  examples: ['ironport-repo verdicts show 5f0c9a31d2b84e6f8a7c0d9e1f2a3b4c --dir repo-data'],
  schema: 'ironport-repo/verdicts-show/v1',
  async run(context) {
    const id = context.args[0] as string;
    const found = reading(context, (queue) => {
      const reply = queue.get(id);
      const created = queue.handedIn(id);
      return reply === undefined || created === undefined ? undefined : { reply, created };
    });
    if (found === undefined)
      throw new IronError('E_NOT_FOUND', 'there is no such submission', {
        hint: 'nothing was changed; `ironport-repo verdicts list` has those that are kept',
      });
    const { vendor, role, version, state, verdicts, error, published, rescan } = found.reply;
    return {
      data: {
        ...{ id, vendor, role, version, state, verdicts },
        handed_in: formatInstant(found.created),
        error: error ?? null,
        published: published ?? null,
        rescan: rescan === true,
      },
      text: [
        `${role} ${version} of ${vendor ?? 'the operators'}, ${rescan ? 'looked at again' : 'handed in'} at ${formatInstant(found.created)}: ${state}${published === undefined ? '' : ` in snapshot ${published.snapshot}`}`,
        ...verdicts.map(
          ({ check, ok, detail }) => `  ${ok ? 'ok     ' : 'REFUSED'} ${check}: ${detail}`,
        ),
      ].join('\n'),
    };
  },
};
