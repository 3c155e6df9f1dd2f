/** What this process was started with by the service manager: sd_listen_fds_with_names(3). */

import { HOLDER_LIMITS } from '../../shared/limits.ts';

export interface Passed {
  /** -1 where there turned out to be none. */
  readonly fd: number;
  /** By which the manager keeps it. */
  readonly name: string;
}

/** SD_LISTEN_FDS_START */
const FIRST = 3;
/** What the manager calls what nobody named. */
const UNNAMED = 'unknown';

type Environment = Readonly<Record<string, string | undefined>>;

/** None unless it was meant for the process `pid`: the variables are inherited, the descriptors are not. */
export function parsePassed(env: Environment, pid: number): Passed[] {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES } = env;
  if (LISTEN_PID !== String(pid) || !/^[1-9][0-9]{0,4}$/.test(LISTEN_FDS ?? '')) return [];
  const count = Math.min(Number(LISTEN_FDS), HOLDER_LIMITS.passed);
  const names = LISTEN_FDNAMES?.split(':') ?? [];
  // A list of another length names nothing for sure.
  const isNamed = names.length === Number(LISTEN_FDS);
  return Array.from({ length: count }, (_, i) => ({
    fd: FIRST + i,
    name: (isNamed ? names[i] : undefined) ?? UNNAMED,
  }));
}

/** The environment for whoever is started from here: it speaks for us to no manager. */
export function withoutManager(env: Environment): Environment {
  const { NOTIFY_SOCKET: _, LISTEN_PID: __, LISTEN_FDS: ___, LISTEN_FDNAMES: ____, ...rest } = env;
  return rest;
}

/** The name by which the socket to the holder of a binding is kept: a domain number is used once. */
export function holderName(domain: number): string {
  return `holder-${domain}`;
}

/** The domain number in a name; undefined in what is none of ours. */
export function domainOf(name: string): number | undefined {
  const [, digits] = /^holder-([1-9][0-9]{0,15})$/.exec(name) ?? [];
  const domain = Number(digits);
  return Number.isSafeInteger(domain) ? domain : undefined;
}
