/** From submissions that wait to what a publication brings, judged again against what stands now. */

import { asIronError, IronError, isIronError } from '../../shared/errors.ts';
import type { QueuedSubmission } from '../db/queue.ts';
import { examine } from '../intake/examine.ts';
import { verifyOperatorFiles } from '../intake/operator-files.ts';
import type { Published } from '../storage/published.ts';
import type { Change, RoleChange } from './change.ts';
import type { PublishParts } from './parts.ts';

/** What became of the submissions of a batch. */
export interface Composed {
  /** Undefined when all were refused. */
  readonly change: Change | undefined;
  readonly refused: readonly { readonly id: string; readonly error: IronError }[];
}

/** One hand-in of the operators. It is published alone: everything else is judged under it. */
export async function composeOperators(
  parts: PublishParts,
  published: Published | undefined,
  submission: QueuedSubmission,
): Promise<Composed> {
  try {
    const { clock, keys } = parts;
    // Whoever queued it was allowed to bring a first root, if it is one; only the lock's holder
    // writes the queue.
    const change = await verifyOperatorFiles(parts, published, submission.files, clock(), true);
    await keys.load();
    // Before anything is staged: a root that names keys we do not hold would stop the service.
    for (const role of ['snapshot', 'timestamp'] as const) keys.need(change.root, role);
    const { roots, targets, revocations } = change;
    const roles = change.roles.map((role) => ({ ...role, fresh: [] }));
    const members = [submission.id];
    return {
      change: { roots, targets, revocations, roles, snapshot: true, members },
      refused: [],
    };
  } catch (error) {
    return { change: undefined, refused: [{ id: submission.id, error: onlyRefusals(error) }] };
  }
}

/** Submissions of vendors, of each role the first: they become one snapshot. */
export async function composeVendors(
  parts: PublishParts,
  published: Published,
  submissions: readonly QueuedSubmission[],
): Promise<Composed> {
  const roles: RoleChange[] = [];
  const vendors = new Set<string>();
  const members: string[] = [];
  const refused: { id: string; error: IronError }[] = [];
  for (const { id, vendor, role, files, below } of submissions) {
    const [bytes] = files;
    // The second one of a vendor waits for the first: it is judged by what that one made current.
    if (vendor === null || vendors.has(vendor)) continue;
    try {
      if (bytes === undefined && below.length === 0)
        throw new IronError('E_NOT_FOUND', 'the submitted file is gone');
      // Since it was queued, somebody may have had a reason to stop.
      await parts.suspended.refuse(vendor);
      await parts.desk.demandApproved(published, id);
      const submission = { vendor, role, bytes, below };
      const now = parts.clock();
      const judged =
        parts.judged.take(id, published, now) ?? (await examine(parts, published, submission, now));
      if (judged.error !== undefined) throw judged.error;
      for (const one of judged.roles) roles.push({ ...one, vendor });
      vendors.add(vendor);
      members.push(id);
    } catch (error) {
      refused.push({ id, error: onlyRefusals(error) });
    }
  }
  if (members.length === 0) return { change: undefined, refused };
  const change = {
    roots: [],
    targets: undefined,
    roles,
    snapshot: true,
    members,
  };
  return { change, refused };
}

/** What says something about the submission, and not about this machine, refuses it. */
export function isRefusal(error: unknown): error is IronError {
  return (
    isIronError(error) &&
    !isIronError(error, 'E_INTERNAL', 'E_IO', 'E_NO_SPACE', 'E_STORE', 'E_LOCKED', 'E_CANCELLED')
  );
}

function onlyRefusals(error: unknown): IronError {
  if (isRefusal(error)) return error;
  throw asIronError(error);
}
