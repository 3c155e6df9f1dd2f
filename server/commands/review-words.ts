/** Reviews in words: for lists, and for whoever decides. */

import type { CeilingDifference, ReviewReply, ReviewSummary } from '../../shared/api/review.ts';
import { formatBytes, table } from '../../shared/cli/table.ts';
import { shortKeyId } from '../../shared/tuf/key.ts';

const SIGN = { wider: '+', narrower: '-', other: '~' } as const;

/** `1 of 2 approved`. */
export function progressWords({
  approved_by,
  needed,
}: Pick<ReviewSummary, 'approved_by' | 'needed'>): string {
  return needed === null
    ? 'the signed targets name no reviewers'
    : `approved by ${approved_by} of the ${needed} who must agree`;
}

export function reviewRow(review: ReviewSummary): string[] {
  const { id, vendor, version, state, until } = review;
  return [
    id.slice(0, 12),
    `${vendor} ${version}`,
    state,
    progressWords(review),
    state === 'in-review' ? `until ${until}` : '',
  ];
}

/** All that a reviewer is to know before the bytes themselves. */
export function reviewText(review: ReviewReply): string {
  const { id, vendor, role, version, state, reasons, since, until, error } = review;
  return [
    table([
      ['submission', id],
      ['by', `${vendor}: ${role} ${version}`],
      ['state', state],
      ['waits', `since ${since}, until ${until}`],
      ['because', reasons.join('; ')],
      ['so far', progressWords(review)],
      ...review.statements.map(({ keyid, result, comment, at }) => [
        `the key ${shortKeyId(keyid)}`,
        `${result} it, ${at}${comment === null ? '' : `: ${comment}`}`,
      ]),
      ...(error === null ? [] : [['refused', error.why ?? error.message]]),
    ]),
    'the checks said:',
    ...review.verdicts.map(
      ({ check, ok, detail }) => `  ${ok ? 'ok' : 'REFUSED'} ${check}: ${detail}`,
    ),
    ...review.ceilings.flatMap(ceilingLines),
    'its files:',
    ...review.files.map(
      ({ path, sha256, length }) => `  ${sha256}  ${path} (${formatBytes(length)})`,
    ),
  ].join('\n');
}

function ceilingLines({ path, against, changes }: CeilingDifference): string[] {
  const than = against === null ? 'for the first time:' : `beyond ${against}:`;
  return [
    `${path} asks ${than}`,
    ...(changes.length === 0 ? ['  nothing'] : []),
    ...changes.map(({ effect, text }) => `  ${SIGN[effect]} ${text}`),
  ];
}
