/**
 * Makes a bundle: artifacts are verified as `get-verified` verifies them, and every file that this
 * took is carried, so that whoever has the bundle can do the same again.
 */

import { constants } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { IronError } from '../../shared/errors.ts';
import { tree } from '../../shared/layout.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { onPath, systemFiles, type WithFiles } from '../../shared/node/file-system.ts';
import { syncFolder } from '../../shared/node/files.ts';
import { parseRoot } from '../../shared/tuf/root.ts';
import type { Check } from '../../shared/verify/check.ts';
import { TrustedMetadata } from '../../shared/verify/trusted.ts';
import { HashingWriter } from '../hashing-writer.ts';
import type { Repository } from '../repository.ts';
import { type TargetFile, verifyMeasured } from '../target-file.ts';
import type { Updater } from '../updater.ts';
import { type VerifiedTarget, verifyTarget } from '../verify-target.ts';
import { type BundleIndex, formatBeginning, inOrder } from './format.ts';
import { RecordingFetcher } from './recording.ts';

export interface CreateOptions extends WithFiles {
  readonly repository: Repository;
  /** Target paths of artifacts, at least one. */
  readonly names: readonly string[];
  readonly out: string;
  /** Whether a file that stands at `out` may be replaced. */
  readonly replace?: boolean;
  /** Told once how many bytes of artifacts are about to be fetched. */
  readonly onStart?: (length: number) => void;
  readonly onBytes?: (bytes: number) => void;
}

export interface CreatedBundle {
  readonly index: BundleIndex;
  readonly length: number;
  readonly sha256: string;
  readonly verified: readonly VerifiedTarget[];
}

/** Writes the bundle. `E_EXISTS` when something stands at `out`; until it is whole, nothing does. */
export function createBundle(options: CreateOptions): Promise<CreatedBundle> {
  return options.repository.fromMirrors((repository) => createFrom({ ...options, repository }));
}

/** The same from one mirror, of which a bundle is an excerpt. */
async function createFrom(options: CreateOptions): Promise<CreatedBundle> {
  const { repository, out, files = systemFiles } = options;
  await demandFree(out, options.replace === true);
  const recorder = new RecordingFetcher(repository.fetcher);
  const verified = await verifyAll(repository, recorder, options.names);
  const small = new Map([...(await metadataFiles(repository, verified)), ...recorder.recorded]);
  const large = new Map<string, TargetFile>();
  for (const { target } of verified) if (!small.has(target.place)) large.set(target.place, target);
  const lengths = new Map<string, number>();
  for (const [path, bytes] of small) lengths.set(path, bytes.length);
  for (const [path, { length }] of large) lengths.set(path, length);
  const index: BundleIndex = {
    created: repository.clock(),
    artifacts: verified.map(({ target }) => target.path).sort(inOrder),
    files: [...lengths]
      .sort(([a], [b]) => inOrder(a, b))
      .map(([path, length]) => ({ path, length })),
  };
  options.onStart?.([...large.values()].reduce((sum, { length }) => sum + length, 0));
  const draft = join(dirname(resolve(out)), `.ironport-${basename(out)}.part`);
  await files.unlink(draft).catch(() => {});
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
  const file = await onPath(out, () => files.open(draft, flags, 0o644));
  const whole = new HashingWriter(['sha256'], file);
  try {
    const digests = await onPath(out, async () => {
      await whole.write(formatBeginning(index));
      for (const { path } of index.files) {
        const bytes = small.get(path);
        if (bytes !== undefined) await whole.write(bytes);
        else await writeTarget(options, large.get(path) as TargetFile, whole);
      }
      const computed = await whole.finish();
      await file.sync();
      await file.close();
      await files.rename(draft, out);
      await syncFolder(dirname(resolve(out)), files);
      return computed;
    });
    return { index, length: whole.length, sha256: digests.get('sha256') as string, verified };
  } catch (error) {
    await whole.settle();
    await file.close().catch(() => {});
    await files.unlink(draft).catch(() => {});
    throw error;
  }
}

/** One state of the repository for all of them. */
async function verifyAll(
  repository: Repository,
  fetcher: RecordingFetcher,
  names: readonly string[],
): Promise<VerifiedTarget[]> {
  const { crypto, signal } = repository;
  const checks: Check[] = [];
  const updater = repository.updater(checks, fetcher);
  const verified: VerifiedTarget[] = [];
  for (const path of new Set(names)) {
    verified.push(await verifyTarget({ crypto, updater, fetcher, path, checks, signal }));
  }
  if (verified.length === 0)
    throw new IronError('E_USAGE', 'a bundle is for at least one artifact');
  return verified;
}

/** What was verified, under the names that the workflow asks for it by. */
async function metadataFiles(
  repository: Repository,
  [first]: readonly VerifiedTarget[],
): Promise<ReadonlyMap<string, Uint8Array>> {
  const { updater } = first as VerifiedTarget;
  const trusted = await updater.trusted();
  const { roots, roles, revocations } = updater.files;
  const files = new Map<string, Uint8Array>();
  for (const bytes of [...(await earlierRoots(repository, updater)), ...roots]) {
    files.set(tree.metadata('root', parseRoot(bytes).version), bytes);
  }
  if (revocations !== undefined) files.set(revocations.place, revocations.bytes);
  for (const [role, bytes] of roles) {
    const version =
      role === 'snapshot'
        ? trusted.snapshot().version
        : trusted.snapshot().roles.get(role)?.version;
    const isVersioned = trusted.root.consistentSnapshot && role !== 'timestamp';
    const path = isVersioned
      ? tree.metadata(role, version as number)
      : `${tree.metadataFolder}/${tree.unversioned(role)}`;
    files.set(path, bytes);
  }
  return files;
}

/**
 * Roots before the one that is pinned here: another machine may have pinned one of them. They are
 * carried when they lead to ours; whoever reads them verifies them again.
 */
async function earlierRoots(repository: Repository, updater: Updater): Promise<Uint8Array[]> {
  const [pinned] = updater.files.roots;
  const { crypto, fetcher, signal } = repository;
  if (pinned === undefined) return [];
  const earlier: Uint8Array[] = [];
  for (let version = parseRoot(pinned).version - 1; version >= 1; version--) {
    const path = tree.metadata('root', version);
    const bytes = await fetcher.fetchFile(path, METADATA_LIMITS.root, { signal });
    if (bytes === undefined) break;
    const next = earlier[0] ?? pinned;
    new TrustedMetadata({ crypto, now: 0, root: bytes }).updateRoot(next);
    earlier.unshift(bytes);
  }
  return earlier;
}

/** Streams one artifact through, hashed by what was signed as well as for the whole. */
async function writeTarget(
  { repository, onBytes }: CreateOptions,
  target: TargetFile,
  whole: HashingWriter,
): Promise<void> {
  const { fetcher, signal } = repository;
  const measured = new HashingWriter(target.hashes.keys());
  const opened = await fetcher.openFile(target.place, target.length, undefined, { signal });
  for await (const piece of opened.pieces) {
    measured.measure(piece);
    await whole.write(piece);
    onBytes?.(piece.length);
  }
  verifyMeasured(target, measured.length, await measured.finish());
}

async function demandFree(out: string, replace: boolean): Promise<void> {
  const found = await lstat(out).catch(() => undefined);
  if (found === undefined || (replace && found.isFile())) return;
  throw new IronError('E_EXISTS', `${out} exists already`, {
    hint: 'nothing was changed; choose another name, or replace a file with --replace',
    context: { path: out },
  });
}
