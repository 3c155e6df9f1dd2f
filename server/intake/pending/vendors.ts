/** A vendor's role that lacks signatures. */

import { IronError } from '../../../shared/errors.ts';
import type { Instant } from '../../../shared/time.ts';
import { parseTargets } from '../../../shared/tuf/targets.ts';
import type { Published } from '../../storage/published.ts';
import { examine, type RoleSubmission, type Shelves } from '../examine.ts';
import type { Wanted } from './wanted.ts';

/**
 * What the role needs. Refuses at once what no signature can help: every check of the role itself
 * but the number of signatures must hold. Its artifacts and their evidence are judged in the end.
 */
export async function wantedOfVendor(
  shelves: Shelves,
  published: Published,
  submission: RoleSubmission & { readonly bytes: Uint8Array },
  now: Instant,
): Promise<Wanted> {
  const { vendor, role, bytes } = submission;
  const file = parseTargets(bytes, role);
  const delegation = published.delegation(role);
  const keys = published.delegations?.keys;
  if (role !== vendor || delegation === undefined || keys === undefined)
    throw new IronError('E_NOT_AUTHORISED', `${vendor} has no role of this name`, {
      hint: 'nothing was changed',
    });
  demandNextOf(role, file.version, published.version(role));
  const { verdicts } = await examine(shelves, published, submission, now);
  const failed = verdicts.find(({ ok, check }) => !ok && check !== 'threshold');
  if (failed !== undefined) {
    throw new IronError(failed.code ?? 'E_POLICY', failed.detail, {
      why: `the check "${failed.check}" refused`,
      hint: 'nothing was changed; no further signature would help it',
    });
  }
  const demand = { by: `the keys of ${vendor}`, keys, role: delegation };
  const { version, expires, envelope } = file;
  return { role, version, expires, bytes, envelope, demands: [demand], also: [], standing: demand };
}

function demandNextOf(role: string, submitted: number, current: number): void {
  if (submitted === current + 1) return;
  throw new IronError(
    'E_CONFLICT',
    `version ${submitted} of ${role} was drafted, and version ${current} stands`,
    {
      why: `the next one must be version ${current + 1}, based on what is published`,
      hint: 'nothing was changed; let it be made again on top of what is published',
      context: { submitted, current },
    },
  );
}
