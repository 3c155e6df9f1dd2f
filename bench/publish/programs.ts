/** The vendor's program, as a process that says what it took. */

import { fileURLToPath } from 'node:url';
import { type Run, runToEnd } from '../support/measured.ts';
import type { Place } from './places.ts';

export const LIST_SCHEMA = 'ironport.artifact-list/v1';
const BIN = fileURLToPath(new URL('../../bin/ironport.js', import.meta.url));

function at({ vendor, root }: Place, url: string): string[] {
  return ['--repository', url, '--dir', vendor, '--root', root, '--json', '--quiet'];
}

export function publishList(place: Place, url: string, list: string): Promise<Run> {
  return runToEnd({ args: [BIN, 'publish-batch', list, ...at(place, url)] });
}

/** The vendor's role and all of its bins with a new date, published. */
export function renew(place: Place, url: string): Promise<Run> {
  return runToEnd({ args: [BIN, 'renew', '--adopt', ...at(place, url)] });
}
