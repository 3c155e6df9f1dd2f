/** The files by which this host trusts: the pin and the floors, which nothing can replace, and the
 * cached metadata, which everything can. */

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { toHex } from '../../shared/bytes.ts';
import { type IronError, isIronError } from '../../shared/errors.ts';
import { store as layout } from '../../shared/layout.ts';
import { parseRoot } from '../../shared/tuf/root.ts';
import { listTargets } from '../../shared/verify/list.ts';
import { StoredFetcher } from '../fetch/stored.ts';
import type { Repository } from '../repository.ts';
import { TimelessStore } from '../status.ts';
import { FolderStore } from '../store/folder.ts';
import { Updater } from '../updater.ts';
import { type Finding, fromError, ok } from './finding.ts';

export async function lookAtTrust(repository: Repository): Promise<Finding[]> {
  const pin = await lookAtPin(repository);
  const floors = await lookAtFloors(repository);
  const found = [pin, floors];
  // Without either, nothing can be said of what rests on them.
  if (found.some(({ state }) => state === 'broken')) return found;
  return [...found, ...(await lookAtCache(repository))];
}

async function lookAtPin({ store, crypto }: Repository): Promise<Finding> {
  try {
    const bytes = await store.pinnedRoot();
    const { version } = parseRoot(bytes);
    return ok('pinned root', `root ${version}, sha256 ${toHex(crypto.sha256(bytes))}`);
  } catch (error) {
    if (!isIronError(error)) throw error;
    return fromError('broken', 'pinned root', error);
  }
}

async function lookAtFloors({ store }: Repository): Promise<Finding> {
  try {
    const { root, timestamp, snapshot, roles } = await store.floors();
    const versions = `root ${root}, timestamp ${timestamp}, snapshot ${snapshot}`;
    return ok('version floors', `${versions}, and ${roles.size} roles`);
  } catch (error) {
    if (!isIronError(error)) throw error;
    return fromError('broken', 'version floors', error);
  }
}

/** Verifies all that is stored, at no time in particular: age is `status`'s matter. */
async function lookAtCache({ store, crypto }: Repository): Promise<Finding[]> {
  const damaged = new Map<string, { error: IronError; repair: () => Promise<void> }>();
  const at = (path: string): string => join(store.folder, path);
  const note = (path: string, error: IronError): void => {
    damaged.set(path, { error, repair: () => rm(at(path), { recursive: true, force: true }) });
  };
  const looking = new FolderStore(store.folder, {
    onUnreadable: (path, error) => note(path.slice(store.folder.length + 1), error),
  });
  const updater = new Updater({
    crypto,
    clock: () => 0,
    store: new TimelessStore(looking),
    fetcher: new StoredFetcher(looking),
    maxStale: 0,
    onUnusable: (role, error, version) =>
      note(role === 'root' ? layout.rootHistory(version ?? 0) : layout.metadata(role), error),
  });
  const found: Finding[] = [];
  try {
    const { targets, failed } = await updater.run(listTargets);
    const stored = new Set(await looking.storedRoles());
    for (const [role, error] of failed) {
      // A role that nobody asked for was never fetched.
      if (stored.has(role)) note(layout.metadata(role), error);
    }
    found.push(ok('metadata', `verifies, and lists ${targets.length} targets`));
  } catch (error) {
    if (!isIronError(error)) throw error;
    const isMissing = isIronError(error, 'E_NOT_FOUND');
    found.push(fromError(isMissing ? 'note' : 'heals', 'metadata', error));
  }
  for (const [path, { error, repair }] of damaged) {
    const what = `does not verify (${error.code}): ${error.message}`;
    const advice = 'the next refresh replaces it from the pinned root; --repair removes it now';
    found.push({ state: 'heals', subject: path, what, advice, repair });
  }
  return found;
}
