/** Whether a submission that passed every check waits for reviewers, and what they are shown of it. */

import type { CeilingDifference, ReviewedFile } from '../../../shared/api/review.ts';
import { toHex } from '../../../shared/bytes.ts';
import { IronError } from '../../../shared/errors.ts';
import { tree } from '../../../shared/layout.ts';
import { REVIEW_LIMITS } from '../../../shared/limits.ts';
import type { Ceiling } from '../../../shared/manifest/ceiling.ts';
import type { Instant } from '../../../shared/time.ts';
import type { NewReview } from '../../db/reviews.ts';
import type { Published } from '../../storage/published.ts';
import type { ReviewPolicy } from '../../storage/review-policy.ts';
import { some } from '../check.ts';
import type { Examined, ExaminedRole, RoleSubmission, Shelves } from '../examine.ts';
import { CeilingHistory } from './ceiling-history.ts';

/** An artifact that is new, with the ceiling that its evidence binds to it. */
export interface NewCeiling {
  readonly path: string;
  readonly ceiling: Ceiling;
}

/**
 * What reviewers are to look at; undefined when nobody has to. `E_TOO_LARGE` when it is more than
 * people look through.
 */
export async function reviewNeeded(
  policy: ReviewPolicy,
  shelves: Shelves,
  published: Published,
  submission: Pick<RoleSubmission, 'vendor'>,
  examined: Examined,
  added: readonly NewCeiling[],
  now: Instant,
): Promise<NewReview | undefined> {
  const { vendor } = submission;
  const bytes = examined.roles.reduce((sum, { fresh }) => sum + fresh.length, 0);
  if (policy === 'off' || (bytes === 0 && added.length === 0)) return undefined;
  const isFirst = !shelves.index.has(vendor);
  if (policy === 'first' && !isFirst) return undefined;
  demandFew(examined.roles.length + bytes, added.length);
  const history = new CeilingHistory(shelves, published, vendor);
  const ceilings: CeilingDifference[] = [];
  for (const { path, ceiling } of added) ceilings.push(await history.difference(path, ceiling));
  const wider = ceilings
    .filter(isWider)
    .map(({ path, against }) =>
      against === null
        ? `${path} is the first of its product`
        : `the ceiling of ${path} is wider than that of ${against}`,
    );
  if (policy === 'widens' && wider.length === 0) return undefined;
  const reasons = [
    ...(isFirst ? [`${vendor} published nothing before`] : []),
    ...wider,
    ...(policy === 'all' ? ['every submission that brings bytes waits'] : []),
  ];
  const until = now + REVIEW_LIMITS.seconds;
  return { since: now, until, reasons, ceilings, files: filesOf(shelves, examined.roles) };
}

const isWider = ({ against, changes }: CeilingDifference): boolean =>
  against === null || changes.some(({ effect }) => effect === 'wider');

function demandFew(files: number, artifacts: number): void {
  if (files <= REVIEW_LIMITS.files && artifacts <= REVIEW_LIMITS.artifacts) return;
  throw new IronError(
    'E_TOO_LARGE',
    'more than people look through at once would wait for review',
    {
      why: `${some(artifacts, 'artifact')} in ${some(files, 'file')}, where ${REVIEW_LIMITS.artifacts} and ${REVIEW_LIMITS.files} are the most`,
      hint: 'nothing was changed; publish it in smaller parts',
      context: { artifacts, files },
    },
  );
}

/** Every file by its digest: that of a role says which path is which bytes. */
function filesOf({ crypto }: Shelves, roles: readonly ExaminedRole[]): ReviewedFile[] {
  const own = roles.map(({ role, version, source }) => {
    const path = tree.metadata(role, version);
    if (!('bytes' in source)) return { path, sha256: source.sha256, length: source.length };
    return { path, sha256: toHex(crypto.sha256(source.bytes)), length: source.bytes.length };
  });
  const targets = roles.flatMap(({ fresh }) =>
    fresh.map(({ path, sha256, length }) => ({ path, sha256, length })),
  );
  return [...own, ...targets];
}
