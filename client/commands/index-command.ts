/** `ironport-client ADDRESS index`: what there is, verified. */

import type { CommandContext, CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { formatBytes, table } from '../../shared/cli/table.ts';
import { CODES } from '../../shared/errors.ts';
import { revocations, sidecarOf } from '../../shared/layout.ts';
import {
  type IndexEntry,
  type ProductIndex,
  productOfIndex,
} from '../../shared/product/index-file.ts';
import { isContradicted } from '../../shared/verify/agreement.ts';
import type { FoundTarget } from '../../shared/verify/workflow.ts';
import type { Decision } from '../map/catalogs.ts';
import { gravest } from '../map/worst.ts';
import {
  agreementData,
  decisionData,
  decisionText,
  failuresOf,
  isUnsettled,
  MAP,
  refuseRoots,
  withMapped,
  wordRows,
} from './map-options.ts';
import { MIRROR, OFFLINE, REPOSITORY, ROOT, withPinned } from './options.ts';

export const indexCommand: CommandSpec = {
  name: 'index',
  summary: 'list the artifacts of all vendors, each as the role that may speak for it has it',
  description:
    'With --map, what enough repositories list alike, and apart from it on what they do not agree, ' +
    'with the word of each; the exit status is 14 when they contradict one another, and that of the ' +
    'gravest failure when one could not be read.',
  options: [
    ...REPOSITORY,
    MIRROR,
    ROOT,
    ...OFFLINE,
    {
      flags: '--all',
      description: 'list the sidecars of artifacts and the indexes of products too',
    },
    ...MAP,
  ],
  examples: [
    'ironport-client 127.0.0.1:8080 index',
    'ironport-client 127.0.0.1:8080 index --json',
    'ironport-client index --map map.json',
  ],
  schema: 'ironport-client/index/v1',
  run: (context) => (context.text('map') === undefined ? ofOne(context) : ofMap(context)),
};

function ofOne(context: CommandContext): Promise<CommandResult> {
  refuseRoots(context);
  return withPinned(context, async (repository) => {
    const { list, indexes, failed } = await repository.contents();
    for (const [role, error] of failed) context.ui.warn(`${role} is left out: ${error.message}`);
    const releases = releasesOf(indexes);
    const isShown = shownAmong(context, new Set(list.targets.map(({ entry }) => entry.path)));
    const shown = list.targets.filter(({ entry, role }) => isShown(entry.path, role));
    return {
      data: {
        targets: shown.map((found) => ({
          ...data(found, releases.get(found.entry.path)),
          agreement: null,
        })),
        withdrawn: withdrawnData(releases),
        failed: [...failed].map(([role, { code, message }]) => ({ role, code, message })),
        not_agreed: null,
      },
      text: table(shown.map((found) => row(found, releases.get(found.entry.path)))),
    };
  });
}

/** What enough repositories list alike, and what they do not. */
function ofMap(context: CommandContext): Promise<CommandResult> {
  return withMapped(context, async (mapped) => {
    const catalogs = await mapped.catalogs();
    const failed = failuresOf(catalogs);
    for (const { name, error } of failed) context.ui.warn(`${name}: ${error.message}`);
    const decisions = catalogs.paths.map((path) => catalogs.decide(path));
    const agreed = decisions.flatMap((decision) => {
      const found = catalogs.target(decision);
      return found === undefined ? [] : [{ decision, found }];
    });
    const indexes = catalogs.indexPaths.map((path) => catalogs.index(catalogs.decide(path)));
    const releases = releasesOf(indexes.filter((index) => index !== undefined));
    const isShown = shownAmong(context, new Set(catalogs.paths));
    const shown = agreed.filter(({ found }) => isShown(found.entry.path, found.role));
    const notAgreed = decisions.filter(
      ({ agreement, path }) => agreement === undefined && isShown(path, undefined),
    );
    const isDisputed = decisions.some(
      ({ agreement, words }) => agreement === undefined && isContradicted(words),
    );
    const worst = gravest(catalogs.unread.map(({ error }) => error));
    const disputes = notAgreed.filter(isUnsettled);
    return {
      exit: isDisputed ? CODES.E_NOT_AGREED.exit : (worst?.exit ?? 0),
      data: {
        targets: shown.map(({ decision, found }) => ({
          ...data(found, releases.get(found.entry.path)),
          agreement: decision.agreement === undefined ? null : agreementData(decision.agreement),
        })),
        withdrawn: withdrawnData(releases),
        failed: failed.map(({ name, error: { code, message } }) => ({ role: name, code, message })),
        not_agreed: notAgreed.map(decisionData),
      },
      text: [
        table(
          shown.map(({ decision, found }) => [
            ...row(found, releases.get(found.entry.path)),
            counted(decision),
          ]),
        ),
        ...shown.flatMap(({ decision }) => dissentText(decision)),
        ...disputes.map(decisionText),
        ...unmapped(notAgreed.length - disputes.length),
      ]
        .filter((text) => text !== '')
        .join('\n'),
    };
  });
}

/** `2 of 3 agree`. */
function counted({ agreement }: Decision): string {
  if (agreement === undefined) return '';
  return `${agreement.agreed.length} of ${agreement.mapping.repositories.length} agree`;
}

/** Enough agree, and somebody says otherwise: that is said, too. */
function dissentText({ path, agreement, words }: Decision): string[] {
  if (agreement === undefined || !isContradicted(words)) return [];
  return [`${path}: not all say the same`, table(wordRows(words, agreement.agreed))];
}

function unmapped(count: number): string[] {
  if (count === 0) return [];
  return [`${count} more that no mapping is for, or none of its repositories lists`];
}

function releasesOf(indexes: readonly ProductIndex[]): ReadonlyMap<string, IndexEntry> {
  return new Map(
    indexes.flatMap(({ entries }) => entries.map((entry) => [entry.path, entry] as const)),
  );
}

function withdrawnData(releases: ReadonlyMap<string, IndexEntry>): object[] {
  return [...releases.values()]
    .filter((entry) => entry.withdrawn !== undefined)
    .map(({ path, withdrawn }) => ({ path, reason: withdrawn?.reason }));
}

/** Sidecars, indexes and the list of revocations are shown with `--all` only. */
function shownAmong(
  context: CommandContext,
  paths: ReadonlySet<string>,
): (path: string, role: string | undefined) => boolean {
  const isAll = context.flag('all');
  return (path, role) =>
    isAll ||
    (role !== revocations.role &&
      !paths.has(sidecarOf(path)?.artifact ?? '') &&
      productOfIndex(path) === undefined);
}

function row({ entry, role }: FoundTarget, release: IndexEntry | undefined): string[] {
  return [entry.path, formatBytes(entry.length), `by ${role}`, offered(release)];
}

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
