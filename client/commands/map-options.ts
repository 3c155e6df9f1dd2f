/** `--map`: several repositories in place of one address (TAP 4). */

import { join } from 'node:path';
import type { CommandContext, OptionSpec } from '../../shared/cli/command.ts';
import { table } from '../../shared/cli/table.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { MAP_LIMITS } from '../../shared/limits.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { parseMapFile } from '../../shared/tuf/map-file.ts';
import { type Agreement, inWords } from '../../shared/verify/agreement.ts';
import { type MappedRepositories, openMapped } from '../map/mapped.ts';
import { loadRootFile } from '../open-repository.ts';
import { limitRate, staleness } from './options.ts';

export const MAP: readonly OptionSpec[] = [
  {
    flags: '--map <file>',
    description: 'ask the repositories of this map file instead of one, and demand that they agree',
  },
  {
    flags: '--roots <dir>',
    description: 'with --map: pin DIR/NAME.json, once, for each of its repositories that has none',
  },
];

/**
 * Opens the repositories that `--map` names, pins what `--roots` has, and closes them afterwards. `act`
 * is given the file as it was read, too.
 */
export async function withMapped<T>(
  context: CommandContext,
  act: (mapped: MappedRepositories, map: Uint8Array) => Promise<T>,
): Promise<T> {
  if (context.address !== undefined)
    throw notTogether('an address', 'leave the address out: the map has those of all of them');
  if (context.text('root') !== undefined)
    throw notTogether(
      '--root',
      'each repository has a root of its own: --roots DIR with a file NAME.json for each',
    );
  if (context.list('mirror').length > 0)
    context.ui.note('--mirror is of one address: a map names those of each repository itself');
  const file = await readFileCapped(context.need('map'), MAP_LIMITS.file);
  const mapped = await openMapped({
    map: parseMapFile(file),
    store: context.text('store'),
    limitRate: limitRate(context),
    ...staleness(context),
    env: context.env,
    signal: context.signal,
    onNotice: (text) => context.ui.warn(text),
  });
  try {
    await pinAll(context, mapped);
    return await act(mapped, file);
  } finally {
    await mapped.close();
  }
}

/** What makes no sense beside `--map`, and what to do instead. */
function notTogether(what: string, hint: string): IronError {
  return new IronError('E_USAGE', `${what} and --map`, { hint });
}

/** `--roots` without `--map`. `E_USAGE`. */
export function refuseRoots(context: CommandContext): void {
  if (context.text('roots') !== undefined)
    throw new IronError('E_USAGE', '--roots is for --map', {
      hint: 'one repository has one root: --root FILE',
    });
}

async function pinAll(context: CommandContext, mapped: MappedRepositories): Promise<void> {
  const folder = context.text('roots');
  if (folder === undefined) return;
  for (const name of mapped.map.repositories.keys()) {
    const file = join(folder, `${name}.json`);
    const bytes = await loadRootFile(file).catch((error) => {
      // It may be pinned already; if it is not, its word will be that.
      if (isIronError(error, 'E_NOT_FOUND')) return undefined;
      throw error;
    });
    if (bytes === undefined) continue;
    if ((await mapped.pin(name, bytes)) === 'written')
      context.ui.note(`pinned the root of ${name} in ${file}`);
  }
}

/** What `--json` says of an agreement. */
export function agreementData({ mapping, agreed, words }: Agreement): object {
  return {
    threshold: mapping.threshold,
    agreed,
    repositories: [...words].map(([name, word]) => ({
      name,
      word: word.kind,
      what: inWords(word),
    })),
  };
}

/** A line for each repository. */
export function agreementText({ agreed, words }: Agreement): string {
  return table(
    [...words].map(([name, word]) => [
      agreed.includes(name) ? '  agrees' : '  does not count',
      name,
      inWords(word),
    ]),
  );
}
