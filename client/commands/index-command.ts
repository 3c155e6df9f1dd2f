/** `ironport-client ADDRESS index`: what there is, verified. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { formatBytes, table } from '../../shared/cli/table.ts';
import { revocations, sidecarOf } from '../../shared/layout.ts';
import { type IndexEntry, productOfIndex } from '../../shared/product/index-file.ts';
import type { FoundTarget } from '../../shared/verify/workflow.ts';
import { MIRROR, OFFLINE, REPOSITORY, ROOT, withPinned } from './options.ts';

export const indexCommand: CommandSpec = {
  name: 'index',
  summary: 'list the artifacts of all vendors, each as the role that may speak for it has it',
  options: [
    ...REPOSITORY,
    MIRROR,
    ROOT,
    ...OFFLINE,
    {
      flags: '--all',
      description: 'list the sidecars of artifacts and the indexes of products too',
    },
  ],
  examples: ['ironport-client 127.0.0.1:8080 index', 'ironport-client 127.0.0.1:8080 index --json'],
  schema: 'ironport-client/index/v1',
  run: (context) =>
    withPinned(context, async (repository) => {
      const { list, indexes, failed } = await repository.contents();
      for (const [role, error] of failed) {
        context.ui.warn(`${role} is left out: ${error.message}`);
      }
      const releases = new Map(
        indexes.flatMap(({ entries }) => entries.map((entry) => [entry.path, entry] as const)),
      );
      const paths = new Set(list.targets.map(({ entry }) => entry.path));
      const shown = list.targets.filter(
        ({ entry, role }) =>
          context.flag('all') ||
          (role !== revocations.role &&
            !paths.has(sidecarOf(entry.path)?.artifact ?? '') &&
            productOfIndex(entry.path) === undefined),
      );
      return {
        data: {
          targets: shown.map((found) => data(found, releases.get(found.entry.path))),
          withdrawn: [...releases.values()]
            .filter((entry) => entry.withdrawn !== undefined)
            .map(({ path, withdrawn }) => ({ path, reason: withdrawn?.reason })),
          failed: [...failed].map(([role, { code, message }]) => ({ role, code, message })),
        },
        text: table(
          shown.map(({ entry, role }) => [
            entry.path,
            formatBytes(entry.length),
            `by ${role}`,
            offered(releases.get(entry.path)),
          ]),
        ),
      };
    }),
};

/** `stable`, `testing, 10 %`, or nothing for what no index speaks of. */
function offered(release: IndexEntry | undefined): string {
  if (release === undefined) return '';
  const { channel, rolloutPercent } = release;
  return rolloutPercent === 100 ? channel : `${channel}, ${rolloutPercent} %`;
}

function data({ entry, role, targets }: FoundTarget, release: IndexEntry | undefined): object {
  return {
    path: entry.path,
    length: entry.length,
    hashes: Object.fromEntries(entry.hashes),
    role,
    version: targets.version,
    generation: entry.custom?.maybe('ironport')?.maybe('generation')?.integer(0) ?? null,
    channel: release?.channel ?? null,
    rollout_percent: release?.rolloutPercent ?? null,
  };
}
