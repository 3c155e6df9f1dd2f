/** `ironport-client ADDRESS watch`: keeps what is trusted, and what is handed over, up to date. */

import type { CommandContext, CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { table } from '../../shared/cli/table.ts';
import { CODES, IronError } from '../../shared/errors.ts';
import { formatInstant } from '../../shared/time.ts';
import { gravest } from '../map/worst.ts';
import { type Turn, turn, type Watched } from '../watch/cycle.ts';
import { parseEvery } from '../watch/list-file.ts';
import { type Turned, turnAll, type WatchedRepository, watchAll } from '../watch/several.ts';
import { PRODUCT_POLICY } from './host-options.ts';
import { failureData, failureText, MAP, refuseRoots } from './map-options.ts';
import { MIRROR, POLICY, REPOSITORY, ROOT, withPinned } from './options.ts';
import { rolesOf } from './show.ts';
import { loadPolicies, WATCH_LIST, withWatchedMap, withWatchList } from './watch-several.ts';

const [MAP_FILE, ROOTS] = MAP;
const WATCH_MAP = [
  {
    ...MAP_FILE,
    description:
      'watch every repository of this map file; a record is renewed only while the map agrees',
  },
  { ...ROOTS, description: `${ROOTS.description}; with --watch-list likewise` },
] as const;

export const watchCommand: CommandSpec = {
  name: 'watch',
  summary: 'refresh again and again, and keep hand-overs current for the agent',
  description:
    'With --handoff, every hand-over in that folder gets a record of the newest metadata, and ' +
    'every product a notice of what was withdrawn; the hand-over of something withdrawn is taken ' +
    'away. What the policies refuse is not renewed, and left as it is. `ironport-agent accept` and `ironport-agent notice` take them. --once is for timers: ' +
    'it ends with 14 when something that lay there was withdrawn now, and with the status of its ' +
    'error when something could not be renewed.',
  options: [
    ...REPOSITORY,
    MIRROR,
    ROOT,
    ...POLICY,
    PRODUCT_POLICY,
    {
      flags: '--handoff <dir>',
      description:
        'a folder of hand-overs: DIR/NAME, each by `handoff`; of several repositories, DIR/REPOSITORY/NAME',
    },
    { flags: '--once', description: 'one turn, then end' },
    {
      flags: '--every <span>',
      description: 'wait so long between turns, give or take',
      default: '1h',
    },
    WATCH_LIST,
    ...WATCH_MAP,
  ],
  examples: [
    'ironport-client 127.0.0.1:8080 watch --once --handoff /run/ironport/handoff',
    'ironport-client 127.0.0.1:8080 watch --every 6h',
    'ironport-client watch --map map.json --handoff /run/ironport/handoff',
    'ironport-client watch --watch-list watch.json --once',
  ],
  schema: 'ironport-client/watch/v1',
  run: (context) => {
    const [map, list] = [context.text('map'), context.text('watch-list')];
    if (map !== undefined && list !== undefined) {
      throw new IronError('E_USAGE', '--map and --watch-list', {
        hint: 'the repositories of a map are those that it names; leave one of the two out',
      });
    }
    if (map !== undefined) return withWatchedMap(context, (all) => watchThem(context, all));
    if (list !== undefined) return withWatchList(context, (all) => watchThem(context, all));
    refuseRoots(context);
    return withPinned(context, (repository) => {
      const one: WatchedRepository = {
        name: undefined,
        every: parseEvery(context.need('every')),
        turn: async () => turn(repository, context.text('handoff'), await loadPolicies(context)),
      };
      return watchThem(context, [one]);
    });
  },
};

async function watchThem(
  context: CommandContext,
  watched: readonly WatchedRepository[],
): Promise<CommandResult> {
  if (context.flag('once')) return resultOf(await turnAll(watched, context.signal));
  const onTurn = (turned: Turned): void => say(context, turned);
  return watchAll(watched, { signal: context.signal, random: Math.random, onTurn });
}

/** A turn that fails is said, and the next one tries again. */
function say({ ui }: CommandContext, { name, turn: done, error }: Turned): void {
  const of = name === undefined ? '' : `${name}: `;
  if (done === undefined) {
    if (error !== undefined)
      ui.warn(`${of}${error.code}: ${error.message}; the next turn tries again`);
    return;
  }
  ui.stage(`${of}timestamp ${done.trusted.requireFreshTimestamp().version} is trusted`);
  for (const one of done.watched.filter(({ state }) => state !== 'current')) {
    const words = `${of}${row(one).join('  ')}`;
    if (one.error === undefined) ui.stage(words);
    else ui.warn(words);
  }
}

function resultOf(all: readonly Turned[]): CommandResult {
  const [only] = all;
  if (all.length === 1 && only?.name === undefined) {
    if (only?.turn === undefined) throw only?.error;
    const { roles, watched } = turnData(only.turn);
    return {
      exit: exitOf(all),
      data: { roles, watched, repositories: null },
      text: table(turnRows(only.turn)),
    };
  }
  return {
    exit: exitOf(all),
    data: {
      roles: null,
      watched: null,
      repositories: all.map(({ name, turn: done, error }) => ({
        name,
        ...(done === undefined ? { roles: null, watched: null } : turnData(done)),
        error: failureData(error),
      })),
    },
    text: table(
      all.flatMap(({ name = '', turn: done, error }) => [
        ...(error === undefined ? [] : [[name, ...failureText(error)]]),
        ...(done === undefined ? [] : turnRows(done).map((cells) => [name, ...cells])),
      ]),
    ),
  };
}

function turnData({ trusted, watched }: Turn): { roles: object[]; watched: object[] } {
  return {
    roles: rolesOf(trusted).map((role) => ({ ...role, expires: formatInstant(role.expires) })),
    watched: watched.map(({ name, path, kind, state, error }) => ({
      name,
      path: path ?? null,
      kind,
      state,
      code: error?.code ?? null,
      why: error === undefined ? null : (error.why ?? error.message),
    })),
  };
}

function turnRows({ trusted, watched }: Turn): string[][] {
  return [
    ...rolesOf(trusted).map(({ role, version, expires }) => [
      role,
      `version ${version}`,
      `valid until ${formatInstant(expires)}`,
    ]),
    ...watched.map(row),
  ];
}

/** Withdrawn first: that is what somebody has to know. */
function exitOf(all: readonly Turned[]): number {
  const watched = all.flatMap(({ turn: done }) => done?.watched ?? []);
  if (watched.some(({ state }) => state === 'withdrawn')) return CODES.E_WITHDRAWN.exit;
  const errors = [...all, ...watched].flatMap(({ error }) => error ?? []);
  return gravest(errors)?.exit ?? 0;
}

function row({ name, path, state, error }: Watched): string[] {
  return [path ?? name, state, error === undefined ? '' : (error.why ?? error.message)];
}
