/** Which repositories one `watch` is for: those of a map, or of a list of its own. */

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { CommandContext, OptionSpec } from '../../shared/cli/command.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { MAP_LIMITS } from '../../shared/limits.ts';
import { isErrno } from '../../shared/node/errno.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { mappedFolder } from '../map/mapped.ts';
import { loadRootFile, openRepository } from '../open-repository.ts';
import type { Repository } from '../repository.ts';
import { type Policies, turn } from '../watch/cycle.ts';
import { type ListedRepository, parseEvery, parseWatchList, placed } from '../watch/list-file.ts';
import type { WatchedRepository } from '../watch/several.ts';
import { loadProductPolicy } from './host-options.ts';
import { withMapped } from './map-options.ts';
import { hostPolicy } from './options.ts';

export const WATCH_LIST: OptionSpec = {
  flags: '--watch-list <file>',
  description: 'watch the repositories of this file, each by its own root, store and schedule',
};

/** Runs `act` with every repository of `--map`, which are held against the map whatever they renew. */
export function withWatchedMap<T>(
  context: CommandContext,
  act: (watched: readonly WatchedRepository[]) => Promise<T>,
): Promise<T> {
  const every = parseEvery(context.need('every'));
  return withMapped(context, async (mapped) => {
    const names = [...mapped.map.repositories.keys()];
    await warnOfStrangers(context, names);
    const watched = [...mapped.repositories].map(
      ([name, repository]): WatchedRepository => ({
        ...{ name, every },
        turn: async () => {
          const policies = await loadPolicies(context);
          // A record that is renewed can be accepted anew: no longer by the word of one of them alone.
          const agreed = (path: string) => mapped.verify(path, { policy: policies.host });
          return turn(repository, await folderOf(context, name), { ...policies, agreed });
        },
      }),
    );
    return act(watched);
  });
}

/** The same with those of `--watch-list`. */
export async function withWatchList<T>(
  context: CommandContext,
  act: (watched: readonly WatchedRepository[]) => Promise<T>,
): Promise<T> {
  const named = context.text('repository');
  const isNamed = named !== undefined && named !== context.env.IRONPORT_REPOSITORY;
  if (context.address !== undefined || isNamed || context.text('root') !== undefined) {
    throw new IronError('E_USAGE', 'an address or --root, and --watch-list', {
      hint: 'leave it out: the list has the addresses of all of them, and --roots DIR a root for each',
    });
  }
  const every = parseEvery(context.need('every'));
  const list = parseWatchList(await readFileCapped(context.need('watch-list'), MAP_LIMITS.file));
  await warnOfStrangers(
    context,
    list.filter(({ handoff }) => handoff === undefined).map(({ name }) => name),
  );
  const [stores, handoffs] = [context.text('store'), context.text('handoff')];
  const all = placed(list, {
    store: stores === undefined ? undefined : (name) => mappedFolder(stores, name),
    handoff: handoffs === undefined ? undefined : (name) => join(handoffs, name),
  });
  const opened: Repository[] = [];
  try {
    const watched: WatchedRepository[] = [];
    for (const [at, one] of all.entries()) {
      const own = list[at]?.handoff;
      const repository = await openListed(context, one);
      opened.push(repository);
      await pinFrom(context, repository, one.name);
      watched.push({
        name: one.name,
        every: one.every ?? every,
        turn: async () =>
          turn(repository, own ?? (await folderOf(context, one.name)), await loadPolicies(context)),
      });
    }
    return await act(watched);
  } finally {
    await Promise.all(opened.map((repository) => repository.close()));
  }
}

/** Read anew in each turn: a policy that is replaced holds from the next one on. */
export async function loadPolicies(context: CommandContext): Promise<Policies> {
  return {
    host: (await hostPolicy(context))?.policy,
    product: await loadProductPolicy(context),
  };
}

function openListed(context: CommandContext, one: ListedRepository): Promise<Repository> {
  const [address, ...mirrors] = one.addresses;
  const prefixed = (say: (text: string) => void) => (text: string) => say(`${one.name}: ${text}`);
  return openRepository({
    ...{ address, mirrors, env: context.env, signal: context.signal },
    store: one.store,
    onNotice: prefixed((text) => context.ui.warn(text)),
    onMirrorLeft: prefixed((text) => context.ui.note(text)),
  });
}

/** Pins what `--roots` has for it; what it has not may be pinned already. */
async function pinFrom(
  context: CommandContext,
  repository: Repository,
  name: string,
): Promise<void> {
  const folder = context.text('roots');
  if (folder === undefined) return;
  const file = join(folder, `${name}.json`);
  const bytes = await loadRootFile(file).catch((error) => {
    if (isIronError(error, 'E_NOT_FOUND')) return undefined;
    throw error;
  });
  if (bytes !== undefined && (await repository.pin(bytes)) === 'written')
    context.ui.note(`pinned the root of ${name} in ${file}`);
}

/** The hand-overs of one repository, below those of all. Undefined where there are none yet. */
async function folderOf(context: CommandContext, name: string): Promise<string | undefined> {
  const base = context.text('handoff');
  if (base === undefined) return undefined;
  return (await namesIn(base)).includes(name) ? join(base, name) : undefined;
}

/** What lies in the folder and is no repository's is watched by nobody: that is said. */
async function warnOfStrangers(context: CommandContext, names: readonly string[]): Promise<void> {
  const base = context.text('handoff');
  if (base === undefined) return;
  for (const name of await namesIn(base))
    if (!names.includes(name))
      context.ui.warn(
        `${join(base, name)} is not watched: hand-overs lie below the name of their repository, as in ${join(base, names[0] ?? 'NAME', name)}`,
      );
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map(({ name }) => name)
      .sort();
  } catch (error) {
    if (!isErrno(error)) throw error;
    throw new IronError('E_NOT_FOUND', `the folder of hand-overs ${folder} cannot be read`, {
      why: error.message,
      hint: 'nothing was changed; make it, with a folder for each repository in it',
      cause: error,
      context: { path: folder },
    });
  }
}
