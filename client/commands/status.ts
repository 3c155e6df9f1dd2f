/** `ironport-client ADDRESS status`: what is trusted, and how long it lasts. */

import type { CommandContext, CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { table } from '../../shared/cli/table.ts';
import { CODES } from '../../shared/errors.ts';
import { formatInstant, formatSpan, type Instant } from '../../shared/time.ts';
import type { Repository } from '../repository.ts';
import { type RoleStatus, readStatus } from '../status.ts';
import { lifetime, parseThreshold, type Threshold } from '../threshold.ts';
import { failureData, failureText, MAP, ofEach, refuseRoots, withMapped } from './map-options.ts';
import { REPOSITORY, withRepository } from './options.ts';

const STATES = ['ok', 'warning', 'critical', 'expired'] as const;
type State = (typeof STATES)[number];

/** Exit statuses by the worst state. */
const EXIT: Readonly<Record<State, number>> = {
  ok: 0,
  warning: 30,
  critical: 31,
  expired: CODES.E_EXPIRED.exit,
};

export const statusCommand: CommandSpec = {
  name: 'status',
  summary: 'show what this machine trusts of a repository, and how long it lasts',
  description:
    'Reads and verifies the store, without the network. Exit status for monitoring: 0 when all ' +
    'is well, 30 when a role has less than --warn left, 31 when less than --critical, 11 when ' +
    'one has expired: then nothing new is installed, and nothing that runs is stopped. A share ' +
    'is one of the life that such a role usually has; the age is since this machine has the file. ' +
    'With --map, of every repository of the map, each by its name; the exit status is that of the ' +
    'worst, and one of which nothing can be said is worse than any that can.',
  options: [
    ...REPOSITORY,
    { flags: '--warn <left>', description: 'warn below this: 25%, 12h, 3d', default: '25%' },
    { flags: '--critical <left>', description: 'critical below this', default: '10%' },
    ...MAP,
  ],
  examples: [
    'ironport-client 127.0.0.1:8080 status',
    'ironport-client 127.0.0.1:8080 status --warn 2d --critical 12h',
    'ironport-client status --map map.json',
  ],
  schema: 'ironport-client/status/v1',
  run: (context) => (context.text('map') === undefined ? ofOne(context) : ofMap(context)),
};

/** One repository, judged. */
interface Judged {
  readonly state: State;
  readonly store: string;
  readonly now: Instant;
  readonly clockBehind: number;
  readonly roles: readonly (RoleStatus & { readonly state: State })[];
}

function ofOne(context: CommandContext): Promise<CommandResult> {
  refuseRoots(context);
  return withRepository(context, async (repository) => {
    const judged = await judge(repository, thresholds(context));
    warnOfClock(context, judged);
    return {
      exit: EXIT[judged.state],
      data: { ...judgedData(judged), repositories: null },
      text: table([HEADING, ...judged.roles.map((role) => roleRow(role, judged.now))]),
    };
  });
}

function ofMap(context: CommandContext): Promise<CommandResult> {
  return withMapped(context, async (mapped) => {
    const limits = thresholds(context);
    const { values, failed, exit } = ofEach(await mapped.each((one) => judge(one, limits)));
    for (const [name, judged] of values) warnOfClock(context, judged, `${name}: `);
    const names = [...mapped.map.repositories.keys()];
    const worst = worstOf([...values.values()].map(({ state }) => state));
    return {
      // Nothing can be said of one that failed, which is worse than whatever is said of the others.
      exit: failed.size > 0 ? exit : EXIT[worst],
      data: {
        ...{ state: failed.size > 0 ? 'failed' : worst, store: mapped.folder },
        ...{ now: null, clock_behind_seconds: null, roles: null },
        repositories: names.map((name) => {
          const judged = values.get(name);
          const said = judged === undefined ? UNKNOWN : judgedData(judged);
          return { name, ...said, error: failureData(failed.get(name)) };
        }),
      },
      text: table([
        ['repository', ...HEADING],
        ...names.flatMap((name) => {
          const [judged, error] = [values.get(name), failed.get(name)];
          if (judged !== undefined)
            return judged.roles.map((role) => [name, ...roleRow(role, judged.now)]);
          return error === undefined ? [] : [[name, ...failureText(error)]];
        }),
      ]),
    };
  });
}

type Limits = readonly [warn: Threshold, critical: Threshold];

function thresholds(context: CommandContext): Limits {
  return [parseThreshold(context.need('warn')), parseThreshold(context.need('critical'))];
}

async function judge(repository: Repository, [warn, critical]: Limits): Promise<Judged> {
  const { roles: found, now, clockBehind } = await readStatus(repository);
  const stateOf = (role: RoleStatus): State => {
    if (role.expires <= now) return 'expired';
    if (critical(role, now)) return 'critical';
    return warn(role, now) ? 'warning' : 'ok';
  };
  const roles = found.map((role) => ({ ...role, state: stateOf(role) }));
  const state = worstOf(roles.map((role) => role.state));
  return { state, store: repository.store.folder, now, clockBehind, roles };
}

function worstOf(states: readonly State[]): State {
  return STATES.findLast((state) => states.includes(state)) ?? 'ok';
}

function warnOfClock(context: CommandContext, { clockBehind, now }: Judged, of = ''): void {
  if (clockBehind <= 0) return;
  context.ui.warn(
    `${of}the clock of this machine is ${formatSpan(clockBehind)} behind what it knows: expiry is judged by ${formatInstant(now)}`,
  );
}

const UNKNOWN = {
  state: 'failed',
  store: null,
  now: null,
  clock_behind_seconds: null,
  roles: null,
};

function judgedData({ state, store, now, clockBehind, roles }: Judged): object {
  return {
    ...{ state, store, now: formatInstant(now), clock_behind_seconds: clockBehind },
    roles: roles.map((role) => roleData(role, role.state, now)),
  };
}

const HEADING = ['role', 'version', 'age', 'expires', '', 'left', ''];

function roleRow(role: RoleStatus & { readonly state: State }, now: Instant): string[] {
  return [
    role.role,
    String(role.version),
    role.since === undefined ? '' : formatSpan(now - role.since),
    formatInstant(role.expires),
    left(role.expires, now),
    `${percentLeft(role, now)}%`,
    role.state,
  ];
}

function roleData(role: RoleStatus, state: State, now: Instant): object {
  const { version, expires, since } = role;
  return {
    role: role.role,
    version,
    age_seconds: since === undefined ? null : Math.max(0, now - since),
    expires: formatInstant(expires),
    seconds_left: expires - now,
    percent_left: percentLeft(role, now),
    state,
  };
}

function percentLeft(role: RoleStatus, now: Instant): number {
  const share = Math.floor(((role.expires - now) * 100) / lifetime(role));
  return Math.min(100, Math.max(0, share));
}

function left(expires: Instant, now: Instant): string {
  const span = formatSpan(expires - now);
  return expires > now ? `in ${span}` : `${span} ago`;
}
