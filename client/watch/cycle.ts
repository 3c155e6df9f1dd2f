/**
 * One turn of the watch: the trusted metadata is brought up to date, and with it a folder of
 * hand-overs, from which an agent without a network learns what is new. Of each artifact that lies
 * there the record is renewed; of each product a notice, its signed index handed over like an
 * artifact, says what was withdrawn. New roots are in every record. The agent believes none of it
 * and verifies all of it.
 */

import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { equalBytes } from '../../shared/bytes.ts';
import { asIronError, IronError, isIronError } from '../../shared/errors.ts';
import type { HostPolicy } from '../../shared/evidence/policy/host-policy.ts';
import { type HandoffRecord, parseRecord } from '../../shared/handoff/record.ts';
import { handoff, indexPath } from '../../shared/layout.ts';
import { HANDOFF_LIMITS } from '../../shared/limits.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { productOfIndex } from '../../shared/product/index-file.ts';
import type { ProductPolicy } from '../../shared/product/product-policy.ts';
import { parseArtifactPath } from '../../shared/tuf/names.ts';
import type { TargetEntry } from '../../shared/tuf/targets.ts';
import { isSameTarget } from '../../shared/verify/agreement.ts';
import type { TrustedMetadata } from '../../shared/verify/trusted.ts';
import type { Source } from '../fetch/source.ts';
import { localSource, writeHandoff } from '../handoff/write.ts';
import type { Repository } from '../repository.ts';
import { noticeFolder, writeNotice } from './notice.ts';
import { verifyRenewal } from './renewal.ts';

export type State = 'current' | 'renewed' | 'withdrawn' | 'failed';

/** What became of one hand-over in the folder. */
export interface Watched {
  /** Name of its folder. */
  readonly name: string;
  /** Target path, when its record could be read. */
  readonly path: string | undefined;
  readonly kind: 'artifact' | 'notice';
  readonly state: State;
  /** Why it was withdrawn, or could not be renewed. */
  readonly error: IronError | undefined;
}

/** What this host takes; without either, what every host takes. */
export interface Policies {
  /** About evidence. */
  readonly host?: HostPolicy | undefined;
  /** About versions. */
  readonly product?: ProductPolicy | undefined;
  /**
   * What others give an artifact that must be the same before its record is renewed; throws what speaks
   * against it.
   */
  readonly agreed?: ((path: string) => Promise<{ readonly target: Listed }>) | undefined;
}

type Listed = Pick<TargetEntry, 'length' | 'hashes'>;

export interface Turn {
  readonly trusted: TrustedMetadata;
  readonly watched: readonly Watched[];
}

/** Refreshes; with a folder, keeps what lies in it current. Throws when the refresh fails. */
export async function turn(
  repository: Repository,
  folder: string | undefined,
  policies: Policies = {},
): Promise<Turn> {
  const trusted = await repository.refresh();
  if (folder === undefined) return { trusted, watched: [] };
  const watched: Watched[] = [];
  const products = new Set<string>();
  for (const name of await subfolders(folder)) {
    const held = await readHeld(join(folder, name));
    if (held instanceof IronError) {
      watched.push({ name, path: undefined, kind: 'artifact', state: 'failed', error: held });
      continue;
    }
    const { path } = held.artifact;
    const { vendor, product } = parseArtifactPath(path);
    products.add(`${vendor}/${product}`);
    // Notices are written anew below, for each product once.
    if (productOfIndex(path) === undefined) {
      watched.push({
        name,
        path,
        kind: 'artifact',
        ...(await renew(repository, join(folder, name), held, policies)),
      });
    }
  }
  for (const product of products) {
    const notice = await noticeOf(repository, folder, product);
    if (notice !== undefined) watched.push(notice);
  }
  return { trusted, watched };
}

/** Folders in it, but not drafts and what is older than a replacement. */
async function subfolders(folder: string): Promise<string[]> {
  const entries = await onPath(
    folder,
    () => readdir(folder, { withFileTypes: true }),
    'E_NOT_FOUND',
  );
  return entries
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .sort();
}

async function readHeld(place: string): Promise<HandoffRecord | IronError> {
  try {
    const bytes = await readFileCapped(join(place, handoff.record), HANDOFF_LIMITS.record, {
      nofollow: true,
    });
    const record = parseRecord(bytes);
    parseArtifactPath(record.artifact.path);
    return record;
  } catch (thrown) {
    return foreseen(thrown);
  }
}

/** An error of ours that one hand-over may have without stopping the others. */
function foreseen(thrown: unknown): IronError {
  const error = asIronError(thrown);
  if (error.code === 'E_INTERNAL' || error.code === 'E_CANCELLED') throw thrown;
  return error;
}

async function renew(
  repository: Repository,
  place: string,
  held: HandoffRecord,
  policies: Policies,
): Promise<Pick<Watched, 'state' | 'error'>> {
  const { path } = held.artifact;
  try {
    const agreed = await policies.agreed?.(path);
    const verified = await repository.verify(path, { policy: policies.host });
    // The others may agree on something else than this one lists, and outvote it.
    if (agreed !== undefined && !isSameTarget(agreed.target, verified.target)) throw outvoted(path);
    await repository.fromMirrors((mirror) => verifyRenewal(mirror, verified, policies.product));
    await verified.keep();
    const { roots, roles } = verified.updater.files;
    const isSame =
      roots.length === held.roots.length &&
      equalBytes(roles.get('timestamp') ?? new Uint8Array(), held.timestamp);
    if (isSame) return { state: 'current', error: undefined };
    const bytes = join(place, handoff.target(path));
    const isHere = await lstat(bytes).then(
      (found) => found.isFile(),
      () => false,
    );
    const from = (source: Source): Promise<unknown> =>
      writeHandoff({
        ...{ verified, source, folder: place, replace: true },
        lockFolder: repository.store.folder,
      });
    // What lies there is hashed again; only when it is gone the bytes are fetched.
    if (isHere) await from(localSource(bytes));
    else await repository.fromMirrors(({ fetcher }) => from(fetcher));
    return { state: 'renewed', error: undefined };
  } catch (thrown) {
    const error = foreseen(thrown);
    if (!isIronError(error, 'E_WITHDRAWN')) return { state: 'failed', error };
    // Nobody is to take it over any more; the notice of its product says so, and goes on to.
    await onPath(place, () => rm(place, { recursive: true, force: true }));
    return { state: 'withdrawn', error };
  }
}

function outvoted(path: string): IronError {
  return new IronError('E_NOT_AGREED', `the map agrees on another ${path} than is listed here`, {
    why: 'its length or hashes are other ones than enough repositories of the map give it',
    hint: 'nothing was changed; ask those who run the repositories which of them is right',
    context: { path },
  });
}

async function noticeOf(
  repository: Repository,
  folder: string,
  product: string,
): Promise<Watched | undefined> {
  const [vendor = '', name = ''] = product.split('/');
  const path = indexPath(vendor, name);
  const facts = { name: noticeFolder(product), path, kind: 'notice' as const };
  try {
    const state = await repository.fromMirrors((mirror) => writeNotice(mirror, folder, product));
    return state === undefined ? undefined : { ...facts, state, error: undefined };
  } catch (thrown) {
    return { ...facts, state: 'failed', error: foreseen(thrown) };
  }
}
