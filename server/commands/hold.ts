/** `hold add`, `hold list` and `hold remove`: what is kept whatever the window says. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { table } from '../../shared/cli/table.ts';
import { IronError } from '../../shared/errors.ts';
import { RETENTION_LIMITS } from '../../shared/limits.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { formatInstant } from '../../shared/time.ts';
import { DIR_OPTION, homeOf } from '../config.ts';
import { changeHolds, loadHolds, parseHeldPath, withHold, withoutHold } from '../storage/holds.ts';

const PATH = {
  name: 'path',
  description: 'a target path, held with its sidecars; or a folder, with a / at its end',
} as const;

export const holdAdd: CommandSpec = {
  name: 'hold add',
  summary: 'keep the bytes of a target or a folder whatever the window says (legal hold)',
  description:
    'It is written into the private folder and holds at once, also for a collection that runs, which goes on without it; nobody outside is told of it, and a backup has it.',
  arguments: [PATH],
  options: [
    DIR_OPTION,
    { flags: '--reason <text>', description: 'one line, for those who look later', required: true },
  ],
  examples: ['ironport-repo hold add acme/edu/1.0.0/ --reason "case 4711" --dir repo-data'],
  schema: 'ironport-repo/hold-add/v1',
  async run(context) {
    const home = homeOf(context);
    const path = parseHeldPath(context.args[0] as string);
    const reason = context.need('reason');
    if (reason === '' || reason.length > RETENTION_LIMITS.reason || /[\r\n]/.test(reason))
      throw new IronError('E_USAGE', 'the reason is one line of at most 500 characters', {
        hint: 'nothing was changed',
      });
    const hold = { path, reason, since: systemClock() };
    const holds = await changeHolds(home, (before) => withHold(before, hold), {
      signal: context.signal,
    });
    return { data: { path, holds }, text: `held: ${path}` };
  },
};

export const holdList: CommandSpec = {
  name: 'hold list',
  summary: 'show what is held, since when and why',
  description: 'Reads only.',
  options: [DIR_OPTION],
  examples: ['ironport-repo hold list --dir repo-data'],
  schema: 'ironport-repo/hold-list/v1',
  async run(context) {
    const rows = (await loadHolds(homeOf(context))).map(({ path, reason, since }) => ({
      ...{ path, reason },
      since: formatInstant(since),
    }));
    const lines = rows.map(({ path, since, reason }) => [path, since, reason]);
    return {
      data: { holds: rows },
      text: rows.length === 0 ? 'nothing is held' : table(lines),
    };
  },
};

export const holdRemove: CommandSpec = {
  name: 'hold remove',
  summary: 'lift a hold: what is due goes with the next collection',
  description: 'Takes the path as `hold list` shows it.',
  arguments: [PATH],
  options: [DIR_OPTION],
  examples: ['ironport-repo hold remove acme/edu/1.0.0/ --dir repo-data'],
  schema: 'ironport-repo/hold-remove/v1',
  async run(context) {
    const home = homeOf(context);
    const path = parseHeldPath(context.args[0] as string);
    const holds = await changeHolds(home, (before) => withoutHold(before, path), {
      signal: context.signal,
    });
    return { data: { path, holds }, text: `no longer held: ${path}` };
  },
};
