/** Which run of the machine this is: what a process wrote outlives it, until the power goes. */

import { readFileSync } from 'node:fs';

/** Random, another one at each boot (random(4)); undefined where nobody says. */
export function bootId(): string | undefined {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return undefined;
  }
}
