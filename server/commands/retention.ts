/** `retention show` and `retention collect`: what may go, and letting it go. */

import { join } from 'node:path';
import { type CollectReply, collectReply } from '../../shared/api/retention.ts';
import type { CommandContext, CommandSpec } from '../../shared/cli/command.ts';
import { formatBytes } from '../../shared/cli/table.ts';
import { IronError } from '../../shared/errors.ts';
import { api, data } from '../../shared/layout.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { formatSpan } from '../../shared/time.ts';
import { parseRetention } from '../../shared/tuf/retention.ts';
import { DIR_OPTION, homeOf } from '../config.ts';
import { planCollection } from '../retention/collect.ts';
import { collectionReply } from '../retention/reply.ts';
import { Wanted } from '../retention/wanted.ts';
import { loadHolds } from '../storage/holds.ts';
import { collectedNames } from '../storage/marks.ts';
import { loadPublished } from '../storage/published.ts';
import { askService, isRefusedConnection } from './ask-service.ts';
import { runningService } from './hand-in.ts';
import { openHere } from './run-service.ts';

export const retentionShow: CommandSpec = {
  name: 'retention show',
  summary: 'show how long bytes stay that nothing lists any more, and what of them there is',
  description: 'Reads only, and may run beside the service.',
  options: [DIR_OPTION],
  examples: ['ironport-repo retention show --dir repo-data'],
  schema: 'ironport-repo/retention-show/v1',
  async run(context) {
    const home = homeOf(context);
    const published = await loadPublished(join(home, data.tree), platformCrypto);
    if (published === undefined)
      throw new IronError('E_NOT_FOUND', 'nothing is published here yet', {
        hint: 'nothing was changed; look at --dir',
      });
    const holds = await loadHolds(home);
    const collected = (await collectedNames(published.folder)).length;
    const retention = parseRetention(published.targets.envelope.signed);
    if (retention === undefined) {
      const none = { due: 0, bytes: 0, held: 0, waiting: 0, next: null };
      return {
        data: { window: null, grace: null, holds: holds.length, collected, ...none },
        text: 'the signed targets name no window: nothing is collected',
      };
    }
    const plan = await planCollection(published, systemClock(), holds, new Wanted());
    const { window, grace, bytes, waiting, next } = collectionReply(
      { ...plan, collected: plan.due },
      true,
    );
    const [due, held] = [plan.due.length, plan.held.length];
    return {
      data: { window, grace, holds: holds.length, collected, due, bytes, held, waiting, next },
      text: [
        `bytes stay for ${formatSpan(window)} after the last snapshot that listed them, and ${formatSpan(grace)} of grace`,
        `${due} targets are due (${formatBytes(bytes)}), ${held} are due and held, ${waiting} not due yet${next === null ? '' : `, the next at ${next}`}`,
        `${collected} were collected`,
      ].join('\n'),
    };
  },
};

export const retentionCollect: CommandSpec = {
  name: 'retention collect',
  summary: 'collect bytes that nothing lists any more, when their published window is over',
  description:
    'Through the service when one runs, else by itself. Metadata stays for ever. Nothing goes that a live snapshot lists, that is in its window or its grace, that is held, or that a waiting submission lists. Time in which the service stood still, or by which its clock was ahead, ends no window. Up to 10000 targets go in one run; --dry-run says which and changes nothing.',
  options: [DIR_OPTION, { flags: '--dry-run', description: 'say what would go, and keep it' }],
  examples: [
    'ironport-repo retention collect --dry-run',
    'ironport-repo retention collect --dir repo-data',
  ],
  schema: 'ironport-repo/retention-collect/v1',
  async run(context) {
    const home = homeOf(context);
    const dryRun = context.flag('dry-run');
    const reply =
      (await throughService(context, home, dryRun)) ?? (await byItself(context, home, dryRun));
    return { data: reply, text: words(reply) };
  },
};

/** Undefined when no service runs, also where one was killed that had said where it is. */
async function throughService(
  context: CommandContext,
  home: string,
  dryRun: boolean,
): Promise<CollectReply | undefined> {
  const reach = await runningService(home);
  if (reach === undefined) return undefined;
  try {
    return await askService(context, reach, {
      method: 'POST',
      path: api.retention,
      body: { dry_run: dryRun },
      answer: collectReply,
    });
  } catch (error) {
    if (isRefusedConnection(error)) return undefined;
    throw error;
  }
}

async function byItself(
  context: CommandContext,
  home: string,
  dryRun: boolean,
): Promise<CollectReply> {
  const repository = await openHere(context, home, 'ironport-repo retention collect');
  try {
    return collectionReply(await repository.worker.collect(dryRun), dryRun);
  } finally {
    await repository.close();
  }
}

function words(reply: CollectReply): string {
  const { dry_run, collected, bytes, left, held, waiting, next } = reply;
  const verb = dry_run ? 'would be collected' : 'collected';
  return [
    ...collected.map(
      ({ path, sha256, due }) => `${path} (${sha256.slice(0, 12)}), due since ${due}`,
    ),
    `${collected.length} targets ${verb}, ${formatBytes(bytes)}${left === 0 ? '' : `; ${left} more are due: run it again`}`,
    ...held.map(({ path }) => `held: ${path}`),
    `${waiting} not due yet${next === null ? '' : `, the next at ${next}`}`,
  ].join('\n');
}
