/** What a vendor says of a version beside its bytes: channel, share of the hosts, notes, fixes. */

import type { CommandContext, OptionSpec } from '../shared/cli/command.ts';
import { systemClock } from '../shared/node/clock.ts';
import type { IndexEntry } from '../shared/product/index-file.ts';
import type { FileMeta } from '../shared/tuf/build.ts';
import { parseArtifactPath } from '../shared/tuf/names.ts';
import { loadSaying, readChannel, readPercent, SAYING_OPTIONS } from './channel-options.ts';
import type { Claim } from './evidence.ts';

export const RELEASE_OPTIONS: readonly OptionSpec[] = [
  {
    flags: '--channel <name>',
    description: 'testing or stable; `ironport promote` brings it from one to the other',
    default: 'testing',
  },
  { flags: '--rollout <percent>', description: 'share of the hosts: 10%', default: '100%' },
  ...SAYING_OPTIONS,
  {
    flags: '--raise-floor',
    description:
      'have every host refuse builds of the product that are of a lower generation than this one, for ever',
  },
];

export type Released = Pick<IndexEntry, 'channel' | 'rolloutPercent' | 'notes' | 'fixes'>;

/** As the options say. */
export async function loadRelease(context: CommandContext): Promise<Released> {
  return {
    channel: readChannel(context.need('channel')),
    rolloutPercent: readPercent(context.need('rollout')),
    notes: '',
    fixes: [],
    ...(await loadSaying(context)),
  };
}

/** What the index says of the artifact; hardware, ABI and generation are those of its ceiling. */
export function indexEntry(
  { path, ceiling }: Claim,
  measured: FileMeta,
  released: Released,
): IndexEntry {
  const { devices, abi, generation } = ceiling;
  const { version } = parseArtifactPath(path);
  return {
    path,
    version,
    ...measured,
    devices,
    abi,
    generation,
    released: systemClock(),
    ...released,
  };
}

/** The generation floors that come with the artifacts, by product, when that was asked for. */
export function floorsOf(
  context: CommandContext,
  claims: readonly Claim[],
): ReadonlyMap<string, number> {
  const floors = new Map<string, number>();
  if (!context.flag('raise-floor')) return floors;
  for (const { path, ceiling } of claims) {
    const { product } = parseArtifactPath(path);
    floors.set(product, Math.max(floors.get(product) ?? 0, ceiling.generation));
  }
  return floors;
}
