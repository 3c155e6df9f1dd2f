/** What the three bundle commands say of a bundle. */

import { formatBytes, table } from '../../shared/cli/table.ts';
import { formatInstant } from '../../shared/time.ts';
import type { Bundle } from '../bundle/bundle.ts';
import type { VerifiedBundle } from '../bundle/verify.ts';
import { checkData, checkRow, staleData, staleText } from './show.ts';

/** The part that `bundle verify` and `bundle import` have in common under `--json`. */
export function bundleData(bundle: Bundle, verified: VerifiedBundle): object {
  return {
    verified: true,
    length: bundle.size,
    claimed_created: formatInstant(bundle.index.created),
    artifacts: verified.artifacts.map(({ verdict }) => ({
      path: verdict.path,
      length: verdict.length,
      sha256: verdict.sha256,
      versions: Object.fromEntries(verdict.versions),
      fresh_until: formatInstant(verdict.freshUntil),
    })),
    stale: staleData(verified.stale),
    checks: verified.checks.map(checkData),
    not_checked: verified.notChecked,
  };
}

export function bundleText(bundle: Bundle, verified: VerifiedBundle, done: string): string {
  return [
    table(verified.checks.map(checkRow)),
    ...verified.notChecked.map((what) => `not checked: ${what}`),
    ...verified.stale.map((file) => `by leave: ${staleText(file)}`),
    ...verified.artifacts.map(
      ({ verdict }) => `verified: ${verdict.path}, ${verdict.length} bytes`,
    ),
    `${done}, ${formatBytes(bundle.size)}`,
    `  it says that it was made ${formatInstant(bundle.index.created)}; nobody vouches for that`,
  ].join('\n');
}
