/**
 * Takes a bundle into the store of this machine, for use without the network.
 *
 * All of its metadata and evidence is verified before anything is written, then the targets are
 * stored while they are hashed, and what is trusted changes last: a bundle that is refused, or a
 * disk that is full, leaves trust as it was.
 */

import { IronError } from '../../shared/errors.ts';
import { EVIDENCE_LIMITS } from '../../shared/limits.ts';
import { writeFileAtomic } from '../../shared/node/files.ts';
import { downloadTarget } from '../download.ts';
import type { Repository } from '../repository.ts';
import { OverlayStore } from '../store/overlay.ts';
import { clearForFile } from '../store/places.ts';
import type { Bundle } from './bundle.ts';
import { isMetadata } from './format.ts';
import { bytesCheck, type VerifiedBundle, verifyBundleMetadata } from './verify.ts';

/** Imports a bundle that was opened. `onBytes` hears of the artifacts' bytes. */
export async function importBundle(
  bundle: Bundle,
  repository: Repository,
  onBytes?: (bytes: number) => void,
): Promise<VerifiedBundle> {
  const { crypto, clock, store, signal, maxStale } = repository;
  const trust = { crypto, clock, maxStale, signal };
  const tried = await verifyBundleMetadata(bundle, { ...trust, store: new OverlayStore(store) });
  await store.prepareTargets();
  const artifacts = new Map(tried.artifacts.map(({ target }) => [target.place, target]));
  for (const { path, length } of bundle.index.files) {
    if (isMetadata(path)) continue;
    const target = artifacts.get(path);
    const out = store.targetPath(path);
    // What is no file in the place of one is damage of a cache.
    await clearForFile(out);
    if (target === undefined) await writeFileAtomic(out, await small(bundle, path, length));
    else {
      await downloadTarget({
        fetcher: bundle,
        target,
        out,
        resumable: false,
        lockFolder: store.folder,
        signal,
        onBytes,
      });
    }
  }
  // Once more, now for good; under the store's lock, and judged by what it holds by now.
  const verified = await verifyBundleMetadata(bundle, { ...trust, store });
  const checks = [...verified.checks, ...[...artifacts.values()].map(bytesCheck)];
  return { ...verified, checks };
}

/** A sidecar or a list; its digest was verified a moment ago, and is again whenever it is used. */
async function small(bundle: Bundle, path: string, length: number): Promise<Uint8Array> {
  if (length > EVIDENCE_LIMITS.bundle) {
    throw new IronError('E_TOO_LARGE', `${path} is too large for what stands beside an artifact`);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for await (const piece of (await bundle.openFile(path, length)).pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
