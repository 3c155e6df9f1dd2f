/** What a targets file changes about published files that are said to be lost. */

import { parseLost } from '../lost.ts';
import type { Targets } from '../targets.ts';
import { changes, type TrustChange } from './change.ts';

export function lostDiff(before: Targets | undefined, after: Targets): TrustChange[] {
  const then = before === undefined ? new Set<string>() : parseLost(before.envelope.signed);
  const now = parseLost(after.envelope.signed);
  return [
    ...[...now]
      .filter((place) => !then.has(place))
      .map((place) => changes(`${place} is lost, and nobody has it`)),
    ...[...then]
      .filter((place) => !now.has(place))
      .map((place) => changes(`${place} is not called lost any more`)),
  ];
}
