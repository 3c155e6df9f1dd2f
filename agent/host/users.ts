/** Numbers of users that run nothing: a driver's user is its own. */

import { readdirSync, readFileSync } from 'node:fs';
import { IronError } from '../../shared/errors.ts';
import { isErrno } from '../../shared/node/errno.ts';

/** The lowest `wanted` of these users as whom nothing runs. The caller holds the agent's lock. */
export function freeUsers(
  { first, count }: { readonly first: number; readonly count: number },
  wanted: number,
  proc = '/proc',
): number[] {
  const busy = usersThatRun(proc);
  const free: number[] = [];
  for (let user = first; user < first + count && free.length < wanted; user++)
    if (!busy.has(user)) free.push(user);
  if (free.length === wanted) return free;
  throw new IronError('E_AGENT_REFUSED', 'there is no user left as whom a driver could run', {
    why: `of the users ${first} to ${first + count - 1}, all but ${free.length} run something`,
    hint: 'release a device whose driver runs, or let the fleet policy name more users',
    context: { reason: 'driver-users', first, count },
  });
}

/** Real, effective, saved and file system users of all processes (proc_pid_status(5)). */
function usersThatRun(proc: string): Set<number> {
  const found = new Set<number>();
  for (const name of readdirSync(proc)) {
    if (!/^[0-9]+$/.test(name)) continue;
    try {
      const line = /^Uid:(.*)$/m.exec(readFileSync(`${proc}/${name}/status`, 'utf8'))?.[1] ?? '';
      for (const id of line.trim().split(/\s+/)) found.add(Number(id));
    } catch (error) {
      // It ended meanwhile.
      if (!isErrno(error)) throw error;
    }
  }
  return found;
}
