/** What a targets file changes about how long bytes stay that nothing lists any more. */

import { formatSpan } from '../../time.ts';
import { parseRetention } from '../retention.ts';
import type { Targets } from '../targets.ts';
import { changes, type TrustChange, warns } from './change.ts';

export function retentionDiff(before: Targets | undefined, after: Targets): TrustChange[] {
  const then = before === undefined ? undefined : parseRetention(before.envelope.signed);
  const now = parseRetention(after.envelope.signed);
  if (now?.window === then?.window && now?.grace === then?.grace) return [];
  if (now === undefined) return [changes('bytes that nothing lists any more are kept for ever')];
  const words = `bytes that nothing lists any more are kept for ${formatSpan(now.window)} after the last snapshot, and ${formatSpan(now.grace)} of grace`;
  const isShorter = then !== undefined && now.window < then.window;
  return [
    changes(words),
    ...(isShorter ? [warns(`that is less than the ${formatSpan(then.window)} before`)] : []),
  ];
}
