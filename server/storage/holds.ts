/**
 * Legal holds: what is not collected whatever the window says, until somebody lifts it. A file in
 * the service's private folder, for whom a hold is about may not be told of it.
 */

import { join } from 'node:path';
import { utf8 } from '../../shared/bytes.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { Node } from '../../shared/json/decode.ts';
import { data } from '../../shared/layout.ts';
import { RETENTION_LIMITS } from '../../shared/limits.ts';
import { readJsonFile, writeFileAtomic } from '../../shared/node/files.ts';
import { ensurePrivateFolder } from '../../shared/node/folders.ts';
import { type LockOptions, withLock } from '../../shared/node/lock.ts';
import { formatInstant, type Instant, parseInstant } from '../../shared/time.ts';
import { parseTargetPath } from '../../shared/tuf/names.ts';

export interface Hold {
  /** A target path, with all that ever had it; or a folder of them, which ends with `/`. */
  readonly path: string;
  readonly reason: string;
  readonly since: Instant;
}

const SCHEMA = 'ironport.holds/v1';
const FILE = 4 * 1024 * 1024;

/** Every hold, by path. A file that is damaged is an error, never "no holds". */
export async function loadHolds(home: string): Promise<Hold[]> {
  const path = join(home, data.holds);
  try {
    const node = new Node(await readJsonFile(path, FILE), path).only('schema', 'holds');
    node.get('schema').oneOf(SCHEMA);
    return node
      .get('holds')
      .items(RETENTION_LIMITS.holds)
      .map((item) => {
        item.only('path', 'reason', 'since');
        return {
          path: parseHeldPath(item.get('path').string()),
          reason: item.get('reason').string(),
          since: parseInstant(item.get('since').string()),
        };
      });
  } catch (error) {
    if (isIronError(error, 'E_NOT_FOUND')) return [];
    throw error;
  }
}

/** Writes them as they are; where others may change them, `changeHolds` is the way. */
export async function saveHolds(home: string, holds: readonly Hold[]): Promise<void> {
  await ensurePrivateFolder(join(home, data.private));
  await writeFileAtomic(join(home, data.holds), formatHolds(holds), { mode: 0o600 });
}

/**
 * Runs `act` with the holds of this moment, which nobody changes until it has ended. `E_LOCKED` when
 * others do not let go in time.
 */
export async function underHolds<T>(
  home: string,
  act: (holds: readonly Hold[]) => Promise<T>,
  options: LockOptions = {},
): Promise<T> {
  await ensurePrivateFolder(join(home, data.private));
  return await withLock(join(home, data.holdsLock), async () => await act(await loadHolds(home)), {
    ...{ waitMs: RETENTION_LIMITS.holdWaitMs, purpose: 'a collection, or a change of the holds' },
    ...options,
  });
}

/** Replaces the holds by what `change` makes of them; returns how many there are now. */
export function changeHolds(
  home: string,
  change: (holds: readonly Hold[]) => readonly Hold[],
  options: LockOptions = {},
): Promise<number> {
  const act = async (holds: readonly Hold[]): Promise<number> => {
    const changed = change(holds);
    await saveHolds(home, changed);
    return changed.length;
  };
  return underHolds(home, act, options);
}

export function formatHolds(holds: readonly Hold[]): Uint8Array {
  const sorted = [...holds].sort((a, b) => (a.path < b.path ? -1 : 1));
  const rows = sorted.map(({ path, reason, since }) => ({
    ...{ path, reason },
    since: formatInstant(since),
  }));
  return utf8(`${JSON.stringify({ schema: SCHEMA, holds: rows })}\n`);
}

/** A target path, or one with a `/` after it. `E_NAME`. */
export function parseHeldPath(text: string): string {
  const isFolder = text.endsWith('/');
  const path = parseTargetPath(isFolder ? text.slice(0, -1) : text);
  return isFolder ? `${path}/` : path;
}

/** The hold that keeps a target path; undefined for none. A hold on an artifact keeps its sidecars. */
export function holdOn(holds: readonly Hold[], path: string): Hold | undefined {
  return holds.find((hold) =>
    hold.path.endsWith('/')
      ? path.startsWith(hold.path)
      : path === hold.path || path.startsWith(`${hold.path}.`),
  );
}

/** `E_NOTHING_TO_DO` when that path is held already, `E_QUOTA`. */
export function withHold(holds: readonly Hold[], hold: Hold): Hold[] {
  if (holds.some(({ path }) => path === hold.path))
    throw new IronError('E_NOTHING_TO_DO', `${hold.path} is held already`);
  if (holds.length >= RETENTION_LIMITS.holds)
    throw new IronError('E_QUOTA', `there are ${holds.length} holds already`, {
      hint: 'nothing was changed; hold a folder (with a / at its end) instead of single paths',
    });
  return [...holds, hold];
}

/** `E_NOT_FOUND` when nothing holds just that path. */
export function withoutHold(holds: readonly Hold[], path: string): Hold[] {
  const left = holds.filter((hold) => hold.path !== path);
  if (left.length < holds.length) return left;
  throw new IronError('E_NOT_FOUND', `nothing holds ${path}`, {
    hint: 'nothing was changed; `ironport-repo hold list` shows the holds',
  });
}
