/** Which version of this package runs. */

import { readFileSync } from 'node:fs';
import { IronError } from '../errors.ts';

/** From the package.json of this package: two folders up in a checkout, three in `dist/`. */
export function packageVersion(): string {
  for (const place of ['../../package.json', '../../../package.json']) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8'));
      if (name === 'ironport') return version;
    } catch {
      // Not here; the next place is tried.
    }
  }
  throw new IronError('E_INTERNAL', 'the package.json of ironport is not where it should be');
}
