/** `ironport-client ADDRESS watch`: keeps what is trusted, and what is handed over, up to date. */

import { setTimeout } from 'node:timers/promises';
import type { CommandContext, CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { table } from '../../shared/cli/table.ts';
import { asIronError, CODES, IronError } from '../../shared/errors.ts';
import { formatInstant, HOUR, parseSpan } from '../../shared/time.ts';
import { type Turn, turn, type Watched } from '../watch/cycle.ts';
import { loadProductPolicy, PRODUCT_POLICY } from './host-options.ts';
import { hostPolicy, MIRROR, POLICY, REPOSITORY, ROOT, withPinned } from './options.ts';
import { rolesOf } from './show.ts';

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
      description: 'a folder of hand-overs: DIR/NAME, each by `handoff`',
    },
    { flags: '--once', description: 'one turn, then end' },
    {
      flags: '--every <span>',
      description: 'wait so long between turns, give or take',
      default: '1h',
    },
  ],
  examples: [
    'ironport-client 127.0.0.1:8080 watch --once --handoff /run/ironport/handoff',
    'ironport-client 127.0.0.1:8080 watch --every 6h',
  ],
  schema: 'ironport-client/watch/v1',
  run: (context) =>
    withPinned(context, async (repository) => {
      const folder = context.text('handoff');
      const seconds = parseSpan(context.need('every'));
      if (seconds < HOUR) throw new IronError('E_USAGE', '--every is at least 1h');
      // Read anew in each turn: a policy that is replaced holds from the next one on.
      const once = async (): Promise<Turn> =>
        turn(repository, folder, {
          host: (await hostPolicy(context))?.policy,
          product: await loadProductPolicy(context),
        });
      if (context.flag('once')) return resultOf(await once());
      for (;;) {
        await said(context, once);
        await setTimeout(jittered(seconds, Math.random()) * 1000, undefined, {
          signal: context.signal,
        });
      }
    }),
};

/** Between nine and eleven tenths: hosts that started together do not ask together for ever. */
export function jittered(seconds: number, chance: number): number {
  return Math.round(seconds * (0.9 + 0.2 * chance));
}

/** A turn that fails is said, and the next one tries again: only its user ends a watch. */
async function said(context: CommandContext, act: () => Promise<Turn>): Promise<void> {
  try {
    const done = await act();
    context.ui.stage(`timestamp ${done.trusted.requireFreshTimestamp().version} is trusted`);
    for (const one of done.watched.filter(({ state }) => state !== 'current')) {
      const words = row(one).join('  ');
      if (one.error === undefined) context.ui.stage(words);
      else context.ui.warn(words);
    }
  } catch (thrown) {
    context.signal.throwIfAborted();
    const { code, message } = asIronError(thrown);
    context.ui.warn(`${code}: ${message}; the next turn tries again`);
  }
}

function resultOf({ trusted, watched }: Turn): CommandResult {
  const roles = rolesOf(trusted);
  return {
    exit: exitOf(watched),
    data: {
      roles: roles.map((role) => ({ ...role, expires: formatInstant(role.expires) })),
      watched: watched.map(({ name, path, kind, state, error }) => ({
        name,
        path: path ?? null,
        kind,
        state,
        code: error?.code ?? null,
        why: error === undefined ? null : (error.why ?? error.message),
      })),
    },
    text: table([
      ...roles.map(({ role, version, expires }) => [
        role,
        `version ${version}`,
        `valid until ${formatInstant(expires)}`,
      ]),
      ...watched.map(row),
    ]),
  };
}

/** Withdrawn first: that is what somebody has to know. */
function exitOf(watched: readonly Watched[]): number {
  if (watched.some(({ state }) => state === 'withdrawn')) return CODES.E_WITHDRAWN.exit;
  const failed = watched.find(({ error }) => error !== undefined);
  return failed?.error?.exit ?? 0;
}

function row({ name, path, state, error }: Watched): string[] {
  return [path ?? name, state, error === undefined ? '' : (error.why ?? error.message)];
}
