/** `check`: any TUF repository from outside, over time. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { IronError } from '../../shared/errors.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { checkRepository } from '../jobs/check/check.ts';
import { openHttp } from '../jobs/check/http.ts';
import { emptyState, loadState, saveState } from '../jobs/check/state.ts';

/** Of our own repositories: the list of revocations, and the indexes of products. */
const MOVING = ['revocations/*', '*/*/index/*'] as const;

export const check: CommandSpec = {
  name: 'check',
  summary: 'check any TUF repository from outside, over time',
  description:
    'Reads URL as clients do: the chain of roots, snapshot and roles that are all there, expiry with a lead, some of the targets, CORS and cache headers. With --state it remembers what it saw, and finds at the next look versions that went back, names and targets with other bytes, and files and targets that are gone while readers may be sent to them. Without --root it begins at the root that the repository shows, which proves nothing about whose it is. Exit status 6 when something was found.',
  arguments: [{ name: 'url', description: 'the address below which metadata and targets lie' }],
  options: [
    {
      flags: '--state <file>',
      description: 'what was seen before, and what will be compared next',
    },
    { flags: '--root <file>', description: 'the root that you trust' },
    {
      flags: '--metadata <path>',
      description: 'where metadata lies below URL',
      default: 'metadata',
    },
    { flags: '--targets <path>', description: 'where targets lie below URL', default: 'targets' },
    { flags: '--lead-hours <n>', description: 'every role must hold for so long', default: '6' },
    {
      flags: '--sample <n>',
      description: 'targets that are fetched, others at each look',
      default: '20',
    },
    {
      flags: '--moving <pattern>',
      description: `targets whose bytes may change; without it ${MOVING.join(' and ')}`,
      repeatable: true,
    },
  ],
  examples: [
    'ironport-repo check https://drivers.example --state check.json --root 1.root.json',
    'ironport-repo check https://tuf.example/repo --metadata . --targets targets',
  ],
  schema: 'ironport-repo/check/v1',
  async run(context) {
    const url = context.args[0] as string;
    const place = context.text('state');
    const root = context.text('root');
    const state = place === undefined ? emptyState() : await loadState(place);
    const { get, close } = openHttp(url, context.signal);
    try {
      const report = await checkRepository({
        ...{ get, state, crypto: platformCrypto, now: systemClock() },
        root: root === undefined ? undefined : await readFileCapped(root, METADATA_LIMITS.root),
        metadata: folderOf(context.need('metadata')),
        targets: folderOf(context.need('targets')),
        lead: countOf(context.need('lead-hours')) * 3600,
        sample: countOf(context.need('sample')),
        moving: context.list('moving').length > 0 ? context.list('moving') : MOVING,
      });
      if (place !== undefined) await saveState(place, state);
      const { findings, files, forgotten, unread } = report;
      if (unread > 0)
        context.ui.note(
          `${unread} roles were not read at this look${place === undefined ? '; with --state they take turns' : ': they take turns'}`,
        );
      if (forgotten > 0)
        context.ui.note(
          `${forgotten} targets were not remembered: there are more than a look keeps in mind`,
        );
      const good = findings.length === 0;
      return {
        data: { url, pinned: root !== undefined, ...report },
        text: [
          `${files} files of ${url}: ${good ? 'all in order' : `${findings.length} findings`}`,
          ...findings.map(({ kind, at, what }) => `${kind}: ${at}: ${what}`),
        ].join('\n'),
        ...(good ? {} : { exit: 6 }),
      };
    } finally {
      await close();
    }
  },
};

/** `.` is the address itself. */
function folderOf(text: string): string {
  const folder = text.replace(/^\/+|\/+$/g, '');
  return folder === '.' ? '' : folder;
}

function countOf(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new IronError('E_USAGE', `not a number: ${text.slice(0, 40)}`);
}
