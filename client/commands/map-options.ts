/** `--map`: several repositories in place of one address (TAP 4). */

import { join } from 'node:path';
import type { CommandContext, OptionSpec } from '../../shared/cli/command.ts';
import { table } from '../../shared/cli/table.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { MAP_LIMITS } from '../../shared/limits.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { parseMapFile } from '../../shared/tuf/map-file.ts';
import { type Agreement, inWords } from '../../shared/verify/agreement.ts';
import { parseProductName } from '../find/resolve.ts';
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

/** What makes no sense beside `--map`, and what to write instead. */
const OTHERWISE: readonly (readonly [option: string, hint: string])[] = [
  ['root', 'each repository has a root of its own: --roots DIR with a file NAME.json for each'],
  ['vsa', 'a summary names one repository: write it from one of them, by its address'],
];

/** Opens the repositories that `--map` names, pins what `--roots` has, and closes them afterwards. */
export async function withMapped<T>(
  context: CommandContext,
  name: string,
  act: (mapped: MappedRepositories) => Promise<T>,
): Promise<T> {
  const usage = (what: string, hint: string): IronError => new IronError('E_USAGE', what, { hint });
  if (context.address !== undefined)
    throw usage('an address and --map', 'leave the address out: the map has those of all of them');
  for (const [option, hint] of OTHERWISE) {
    if (context.text(option) !== undefined) throw usage(`--${option} and --map`, hint);
  }
  if (parseProductName(name) !== undefined) {
    throw usage(
      'a map takes whole paths',
      'indexes of several repositories are not compared: `find` in one of them has the path',
    );
  }
  if (context.list('mirror').length > 0)
    context.ui.note('--mirror is of one address: a map names those of each repository itself');
  const map = parseMapFile(await readFileCapped(context.need('map'), MAP_LIMITS.file));
  const mapped = await openMapped({
    map,
    store: context.text('store'),
    limitRate: limitRate(context),
    ...staleness(context),
    env: context.env,
    signal: context.signal,
    onNotice: (text) => context.ui.warn(text),
  });
  try {
    await pinAll(context, mapped);
    return await act(mapped);
  } finally {
    await mapped.close();
  }
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
