/**
 * The control group of this very process. A group with processes in it gives no controllers on to groups
 * below it (Documentation/admin-guide/cgroup-v2.rst, "No Internal Process Constraint"); so whoever makes
 * groups for drivers must not sit in the one that was delegated to it.
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { IronError } from '../../shared/errors.ts';
import { isErrno } from '../../shared/node/errno.ts';

/**
 * Goes into the group `name` below `parent`, when this process is in `parent` itself; says whether it was.
 * `E_AGENT_REFUSED` where that cannot be done.
 */
export function leaveGroup(parent: string, name: string, pid = process.pid): boolean {
  try {
    const within = readFileSync(join(parent, 'cgroup.procs'), 'utf8').split('\n');
    if (!within.includes(String(pid))) return false;
    mkdirSync(join(parent, name), { recursive: true });
    writeFileSync(join(parent, name, 'cgroup.procs'), String(pid));
    return true;
  } catch (error) {
    if (!isErrno(error)) throw error;
    throw new IronError('E_AGENT_REFUSED', `${parent} is no control group for drivers`, {
      why: `${error.syscall} gave ${error.code}`,
      hint: 'nothing was changed; name a group of cgroup v2 that is delegated (Delegate= of the unit)',
      cause: error,
      context: { reason: 'cgroup', path: parent },
    });
  }
}
