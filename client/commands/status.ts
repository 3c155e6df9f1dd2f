/** `ironport-client ADDRESS status`: what is trusted, and how long it lasts. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { table } from '../../shared/cli/table.ts';
import { CODES } from '../../shared/errors.ts';
import { formatInstant, formatSpan, type Instant } from '../../shared/time.ts';
import { type RoleStatus, readStatus } from '../status.ts';
import { lifetime, parseThreshold } from '../threshold.ts';
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
    'is one of the life that such a role usually has; the age is since this machine has the file.',
  options: [
    ...REPOSITORY,
    { flags: '--warn <left>', description: 'warn below this: 25%, 12h, 3d', default: '25%' },
    { flags: '--critical <left>', description: 'critical below this', default: '10%' },
  ],
  examples: [
    'ironport-client 127.0.0.1:8080 status',
    'ironport-client 127.0.0.1:8080 status --warn 2d --critical 12h',
  ],
  schema: 'ironport-client/status/v1',
  run: (context) =>
    withRepository(context, async (repository) => {
      const [warn, critical] = [context.need('warn'), context.need('critical')].map(parseThreshold);
      const { roles: found, now, clockBehind } = await readStatus(repository);
      const judge = (role: RoleStatus): State => {
        if (role.expires <= now) return 'expired';
        if (critical?.(role, now) === true) return 'critical';
        return warn?.(role, now) === true ? 'warning' : 'ok';
      };
      const roles = found.map((role) => ({ ...role, state: judge(role) }));
      const worst = STATES.findLast((state) => roles.some((role) => role.state === state)) ?? 'ok';
      if (clockBehind > 0) {
        context.ui.warn(
          `the clock of this machine is ${formatSpan(clockBehind)} behind what it knows: expiry is judged by ${formatInstant(now)}`,
        );
      }
      return {
        exit: EXIT[worst],
        data: {
          state: worst,
          store: repository.store.folder,
          now: formatInstant(now),
          clock_behind_seconds: clockBehind,
          roles: roles.map((role) => roleData(role, role.state, now)),
        },
        text: table([
          ['role', 'version', 'age', 'expires', '', 'left', ''],
          ...roles.map((role) => [
            role.role,
            String(role.version),
            role.since === undefined ? '' : formatSpan(now - role.since),
            formatInstant(role.expires),
            left(role.expires, now),
            `${percentLeft(role, now)}%`,
            role.state,
          ]),
        ]),
      };
    }),
};

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
