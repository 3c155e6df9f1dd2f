/**
 * One publication, a transaction: `staged → signed → preflighted → committed`. Until it is
 * preflighted a crash drops it; by then all of it is durable, and from then on it is finished. Only one runs at a time, in the one process that holds the
 * writer's lock; jobs/ sees to both.
 */

import { isIronError } from '../../shared/errors.ts';
import { tree } from '../../shared/layout.ts';
import type { Published } from '../storage/published.ts';
import type { Change } from './change.ts';
import { demandFree } from './commit.ts';
import { type PublishParts, stagingOf } from './parts.ts';
import { type PreflightInput, preflight } from './preflight.ts';
import { broughtBy, commit } from './recovery.ts';
import { signOnline, type Versions } from './sign.ts';
import { settleStaged, stage, unstage } from './stage.ts';

/**
 * Publishes `change` on top of `published`. When it throws before preflight has passed, nothing
 * was published and nothing is left of it; afterwards `recover` finishes it.
 * @param onCommitted told when it is visible and noted: those who wait need not wait for the rest
 */
export async function publish(
  parts: PublishParts,
  published: Published | undefined,
  change: Change,
  onCommitted?: () => void,
): Promise<Versions> {
  const { journal, observe } = parts;
  const id = await stage(parts, published, change);
  let rootLast: boolean;
  try {
    await observe('staged');
    await signOnline(parts, id, published, change);
    journal.signed(id);
    await observe('signed');
    rootLast = await check(parts, id, published, change);
    await demandFree(parts, id);
    await settleStaged(parts, id);
    journal.preflighted(id, rootLast);
  } catch (error) {
    journal.discard(id);
    await unstage(parts, id);
    throw error;
  }
  await observe('preflighted');
  const publication = {
    id,
    state: 'preflighted',
    base: baseOf(parts, published),
    rootLast,
    members: change.members,
  } as const;
  return await commit(parts, publication, broughtBy(change), onCommitted);
}

function baseOf({ crypto }: PublishParts, published: Published | undefined): string {
  const bytes = published?.files.get('timestamp');
  return bytes === undefined ? '' : Buffer.from(crypto.sha256(bytes)).toString('hex');
}

/**
 * Preflight of what will stand, and of the instant before a new root is seen. Returns whether the
 * rest holds under the old root already: then the root may come last, and no reader ever meets a
 * root whose timestamp is not there yet.
 */
async function check(
  parts: PublishParts,
  id: string,
  published: Published | undefined,
  change: Change,
): Promise<boolean> {
  const input: PreflightInput = {
    crypto: parts.crypto,
    clock: parts.clock,
    layers: [stagingOf(parts, id), parts.current.folder],
    published,
    roles: change.roles,
    renewsRevocations: change.revocations?.role !== undefined,
    readSnapshot: parts.current.readSnapshot,
  };
  await preflight(input);
  if (change.roots.length === 0 || published === undefined) return false;
  const hidden = new Set(change.roots.map(({ version }) => tree.metadata('root', version)));
  try {
    await preflight({ ...input, hidden });
    return true;
  } catch (error) {
    if (!isIronError(error) || error.code === 'E_INTERNAL') throw error;
    return false;
  }
}
