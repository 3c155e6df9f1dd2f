/** The targets that a repository lists: under which names they may lie, and whether they have a place here. */

import { IronError } from '../../shared/errors.ts';
import { tree } from '../../shared/layout.ts';
import { NAME_LIMITS } from '../../shared/limits.ts';
import type { Measured, StreamOptions } from '../../shared/node/hash.ts';
import { parseTargetPath, quoted } from '../../shared/tuf/names.ts';
import type { TargetEntry, Targets } from '../../shared/tuf/targets.ts';
import type { Obstacles } from './obstacles.ts';
import type { OpenTarget, Source } from './source.ts';

export interface WantedTarget {
  readonly path: string;
  /** Its place in our tree. */
  readonly place: string;
  readonly sha256: string;
  readonly length: number;
}

/** Each file once, however many roles list it. */
export function wantedTargets(
  listing: ReadonlyMap<string, Targets>,
  obstacles: Obstacles,
): WantedTarget[] {
  const wanted = new Map<string, WantedTarget>();
  for (const role of listing.values()) {
    for (const path of role.paths()) {
      try {
        const target = wantedOf(role.entry(path) as TargetEntry);
        const other = wanted.get(target.place);
        if (other !== undefined && other.length !== target.length)
          throw new IronError('E_LENGTH', 'two roles list it with different lengths');
        wanted.set(target.place, target);
      } catch (error) {
        if (!(error instanceof IronError)) throw error;
        obstacles.found(path.slice(0, NAME_LIMITS.segment), error.message);
      }
    }
  }
  return [...wanted.values()];
}

function wantedOf({ path, length, hashes }: TargetEntry): WantedTarget {
  const segments = parseTargetPath(path).split('/');
  const sha256 = hashes.get('sha256');
  // Readers of other kinds ask for the file by the first digest of its entry.
  if (sha256 === undefined || [...hashes.keys()][0] !== 'sha256')
    throw new IronError(
      'E_HASH',
      'its entry does not begin with a SHA-256, by which files lie here',
    );
  // Whatever begins with a dot is served to nobody.
  if (segments.slice(0, -1).some((one) => one.startsWith('.')))
    throw new IronError('E_NAME', `the path ${quoted(path)} has a folder that begins with a dot`);
  const place = tree.target(path, sha256);
  if (place.split('/').some((one) => Buffer.byteLength(one) > NAME_LIMITS.segment))
    throw new IronError('E_NAME', `the path ${quoted(path)} has a name too long for a file`);
  return { path, place, sha256, length };
}

/**
 * The bytes of a target, from where the specification puts them (TUF 5.7.3), or from where tough
 * does: the digest before the whole path, and not before its last segment. Undefined when neither
 * is there.
 */
export async function openTarget(
  source: Source,
  { path, place, sha256 }: WantedTarget,
): Promise<OpenTarget | undefined> {
  const own = place.slice(tree.targetsFolder.length + 1);
  return (await source.target(own)) ?? (await source.target(`${sha256}.${path}`));
}

/** Reads a target to its end through `read`, which gets options with its length as the cap. */
export async function takeTarget(
  source: Source,
  target: WantedTarget,
  read: (
    pieces: AsyncIterable<Uint8Array>,
    options: Pick<StreamOptions, 'cap'>,
  ) => Promise<Measured>,
): Promise<void> {
  const { length, sha256 } = target;
  const file = await openTarget(source, target);
  if (file === undefined)
    throw new IronError('E_NOT_FOUND', 'it is listed, and its bytes are not there');
  try {
    const measured = await read(file.pieces, { cap: length });
    if (measured.length !== length)
      throw new IronError(
        'E_LENGTH',
        `it has ${measured.length} bytes where ${length} were signed`,
      );
    if (measured.sha256 !== sha256)
      throw new IronError('E_HASH', `its bytes have the SHA-256 ${measured.sha256}`);
  } finally {
    await file.close();
  }
}
