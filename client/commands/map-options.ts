/** `--map`: several repositories in place of one address (TAP 4). */

import { join } from 'node:path';
import type { CommandContext, OptionSpec } from '../../shared/cli/command.ts';
import { table } from '../../shared/cli/table.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { MAP_LIMITS } from '../../shared/limits.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { parseMapFile } from '../../shared/tuf/map-file.ts';
import {
  type Agreement,
  inWords,
  isContradicted,
  type Word,
} from '../../shared/verify/agreement.ts';
import type { Catalogs, Decision } from '../map/catalogs.ts';
import { type MappedRepositories, openMapped } from '../map/mapped.ts';
import { gravest } from '../map/worst.ts';
import { loadRootFile } from '../open-repository.ts';
import { limitRate, type OpenedFor, staleness } from './options.ts';

export const MAP_FILE: OptionSpec = {
  flags: '--map <file>',
  description: 'ask the repositories of this map file instead of one, and demand that they agree',
};

export const MAP: readonly [OptionSpec, OptionSpec] = [
  MAP_FILE,
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
  opened: OpenedFor = {},
): Promise<T> {
  if (context.address !== undefined)
    throw notTogether('an address', 'leave the address out: the map has those of all of them');
  const named = context.text('repository');
  // The variable may be set for every command of this host; a flag beside --map is somebody's mistake.
  if (named !== undefined && named !== context.env.IRONPORT_REPOSITORY)
    throw notTogether('--repository', 'leave it out: the map has the addresses of all of them');
  if (context.has('root') && context.text('root') !== undefined)
    throw notTogether(
      '--root',
      'each repository has a root of its own: --roots DIR with a file NAME.json for each',
    );
  if (context.has('mirror') && context.list('mirror').length > 0)
    context.ui.note('--mirror is of one address: a map names those of each repository itself');
  const file = await readFileCapped(context.need('map'), MAP_LIMITS.file);
  const mapped = await openMapped({
    map: parseMapFile(file),
    store: context.text('store'),
    limitRate: limitRate(context),
    ...staleness(context, opened),
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

/** What came of each repository of a map, apart: what it answered, and what it failed with. */
export interface OfEach<T> {
  readonly values: ReadonlyMap<string, T>;
  readonly failed: ReadonlyMap<string, IronError>;
  /** That of the gravest failure; 0 without one. */
  readonly exit: number;
}

export function ofEach<T>(answers: ReadonlyMap<string, T | IronError>): OfEach<T> {
  const values = new Map<string, T>();
  const failed = new Map<string, IronError>();
  for (const [name, answer] of answers) {
    if (answer instanceof IronError) failed.set(name, answer);
    else values.set(name, answer);
  }
  return { values, failed, exit: gravest(failed.values())?.exit ?? 0 };
}

/** What `--json` says of a failure that is one repository's. */
export function failureData(error: IronError | undefined): object | null {
  if (error === undefined) return null;
  const { code, message, why = null, hint = null } = error;
  return { code, message, why, hint };
}

/** The same as cells of a table. */
export function failureText({ code, message, why }: IronError): string[] {
  return [code, why === undefined ? message : `${message}: ${why}`];
}

/** What `--json` says of an agreement. */
export function agreementData({ mapping, agreed, words }: Agreement): object {
  return { threshold: mapping.threshold, agreed, repositories: wordsData(words) };
}

/** What each repository said, also where that came to nothing. */
export function wordsData(words: ReadonlyMap<string, Word>): object[] {
  return [...words].map(([name, word]) => ({ name, word: word.kind, what: inWords(word) }));
}

/** What could not be read: of a repository all of it, or a role or index that it lists. */
export interface Failure {
  /** `fleet`, or `fleet: acme`. */
  readonly name: string;
  readonly error: IronError;
}

export function failuresOf(catalogs: Catalogs): Failure[] {
  return [...catalogs.all].flatMap(([name, catalog]): Failure[] => {
    if (catalog instanceof IronError) return [{ name, error: catalog }];
    return [...catalog.failed].map(([what, error]) => ({ name: `${name}: ${what}`, error }));
  });
}

/** Whether it is about something that those who are asked for it list: not a path of no mapping. */
export function isUnsettled({ error }: Decision): boolean {
  return error !== undefined && error.code !== 'E_TARGET_UNKNOWN';
}

/** What `--json` says of a path on which there is no agreement. */
export function decisionData({ path, error, words }: Decision): object {
  return {
    path,
    code: error?.code ?? null,
    why: error?.why ?? error?.message ?? null,
    contradicted: isContradicted(words),
    repositories: wordsData(words),
  };
}

export function decisionText({ path, error, words }: Decision): string {
  return [`${path}: ${error?.code}`, table(wordRows(words))].join('\n');
}

/** A line for each repository. */
export function agreementText({ agreed, words }: Agreement): string {
  return table(wordRows(words, agreed));
}

/** A row for each repository that was asked. */
export function wordRows(
  words: ReadonlyMap<string, Word>,
  agreed: readonly string[] = [],
): string[][] {
  return [...words].map(([name, word]) => [
    agreed.includes(name) ? '  agrees' : '  does not count',
    name,
    inWords(word),
  ]);
}
