/** A user by name or number. */

import { readFileSync } from 'node:fs';
import { IronError } from '../../shared/errors.ts';

/** The number of the user that is meant. `E_USAGE` when this host knows none of that name. */
export function userNamed(text: string, passwd = '/etc/passwd'): number {
  if (/^[0-9]{1,10}$/.test(text) && Number(text) < 0xffff_ffff) return Number(text);
  // passwd(5): name:password:UID:GID:…
  const lines = readFileSync(passwd, 'utf8').split('\n');
  const found = lines.map((line) => line.split(':')).find(([name]) => name === text);
  const uid = Number(found?.[2] ?? Number.NaN);
  if (Number.isSafeInteger(uid)) return uid;
  throw new IronError('E_USAGE', `this host has no user ${JSON.stringify(text)}`, {
    hint: `nothing was changed; make the user, or give its number; only ${passwd} is looked at`,
  });
}
