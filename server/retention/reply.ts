/** A collection in the words of the wire and of `--json`. */

import type { CollectReply } from '../../shared/api/retention.ts';
import { formatInstant } from '../../shared/time.ts';
import type { Candidate, Collection } from './collect.ts';

/** Rows that an answer shows of what is held. */
const SHOWN = 1000;

export function collectionReply(
  { retention, collected, due, held, waiting }: Collection,
  dryRun: boolean,
): CollectReply {
  const next = waiting.find((one) => Number.isFinite(one.due));
  return {
    dry_run: dryRun,
    window: retention.window,
    grace: retention.grace,
    collected: collected.map(row),
    bytes: collected.reduce((sum, { length }) => sum + length, 0),
    left: due.length - collected.length,
    held: held.slice(0, SHOWN).map(row),
    waiting: waiting.length,
    next: next === undefined ? null : formatInstant(next.due),
  };
}

function row({ path, sha256, length, listed, due }: Candidate): CollectReply['collected'][number] {
  return { path, sha256, length, listed_until: formatInstant(listed), due: formatInstant(due) };
}
