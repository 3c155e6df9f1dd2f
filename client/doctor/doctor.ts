/** Looks a store over, mends what can be mended, and says what cannot. */

import { isIronError } from '../../shared/errors.ts';
import { store as layout } from '../../shared/layout.ts';
import type { Repository } from '../repository.ts';
import { type Finding, fromError, ok } from './finding.ts';
import { lookAtKinds } from './kinds.ts';
import { lookAtFolder, lookAtLock, lookAtRepository, lookAtTime } from './machine.ts';
import { lookAtTrust } from './trust.ts';

/** Everything that is to be said of a repository's store, the gravest things first. */
export async function examine(repository: Repository): Promise<readonly Finding[]> {
  const findings = await lookAtFolder(repository);
  if (!findings.some(({ subject, state }) => subject === 'folder' && state === 'broken')) {
    const kinds = await lookAtKinds(repository);
    const known = new Set(kinds.map(({ subject }) => subject));
    // What is no file is said once, as that.
    const trust = (await lookAtTrust(repository)).filter(({ subject }) => !known.has(subject));
    const lock = known.has(layout.lock) ? [] : [await lookAtLock(repository)];
    findings.push(...kinds, ...lock, ...trust);
    const isWhole = trust.every(({ state }) => state !== 'broken');
    if (isWhole) findings.push(...(await lookAtTime(repository)));
  }
  if (repository.fetcher.isOffline !== true) findings.push(await lookAtRepository(repository));
  const order = ['broken', 'heals', 'note', 'ok'];
  return findings.toSorted((a, b) => order.indexOf(a.state) - order.indexOf(b.state));
}

/**
 * Mends what `examine` found to be mendable, and refreshes where there is a network. Pin and floors
 * are never made up: without them, what was trusted is not known.
 */
export async function repair(
  repository: Repository,
  findings: readonly Finding[],
): Promise<readonly Finding[]> {
  const done: Finding[] = [];
  const mendAll = async (which: (subject: string) => boolean): Promise<void> => {
    for (const { subject, repair: mend } of findings) {
      if (mend === undefined || !which(subject)) continue;
      await mend();
      done.push(ok(subject, 'repaired'));
    }
  };
  // What is no lock is held by nobody, and has to go before the lock can be taken.
  await mendAll((subject) => subject === layout.lock);
  // One that is not ours to open cannot be taken: nothing is mended beside who may hold it.
  const isTaken = (one: Finding): boolean => one.subject === layout.lock && one.state === 'broken';
  if (findings.some(isTaken)) return done;
  await repository.store.exclusively(() => mendAll((subject) => subject !== layout.lock));
  const isWhole = !findings.some(({ state }) => state === 'broken');
  if (!isWhole || repository.fetcher.isOffline === true) return done;
  try {
    await repository.refresh();
    done.push(ok('metadata', 'refreshed from the pinned root'));
  } catch (error) {
    if (!isIronError(error)) throw error;
    done.push(fromError('note', 'metadata', error));
  }
  return done;
}
