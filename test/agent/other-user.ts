/**
 * Running something as a user without rights. Node itself may lie where that user cannot start it (below
 * /root, for one), so that it is started as we are, and gives its rights up before anything else.
 */

import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** What a script begins with that is to go on as `user`; only root can. */
export function becoming(user: number): string {
  return `process.setgroups([]);process.setgid(${user});process.setuid(${user});`;
}

/** Whether users without rights can read what lies at `path`: every folder on the way lets them. */
export function isForAnybody(path: string): boolean {
  const at = resolve(path);
  const up = dirname(at);
  const stats = statSync(at);
  const needed = stats.isDirectory() ? 0o005 : 0o004;
  const isOpen = (stats.mode & needed) === needed;
  return isOpen && (up === at || isForAnybody(up));
}
