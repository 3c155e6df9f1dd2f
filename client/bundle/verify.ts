/**
 * Verifies a bundle from this machine's root, or from a given one, and never from its own. It is a
 * mirror like any other: the whole workflow runs over it, then the evidence, then every byte.
 */

import type { Crypto } from '../../shared/crypto/crypto.ts';
import { IronError } from '../../shared/errors.ts';
import type { Clock } from '../../shared/time.ts';
import type { Check } from '../../shared/verify/check.ts';
import type { StaleFile } from '../../shared/verify/trusted.ts';
import { HashingWriter } from '../hashing-writer.ts';
import type { Store } from '../store/store.ts';
import { type TargetFile, verifyMeasured } from '../target-file.ts';
import { Updater } from '../updater.ts';
import { type VerifiedTarget, verifyTarget } from '../verify-target.ts';
import type { Bundle } from './bundle.ts';
import { isMetadata } from './format.ts';

export interface BundleTrust {
  readonly crypto: Crypto;
  readonly clock: Clock;
  /** Root and floors to begin with. What verifies is written to it. */
  readonly store: Store;
  /** The leave for an expired timestamp or snapshot, in seconds. */
  readonly maxStale: number;
  readonly signal?: AbortSignal | undefined;
}

export interface VerifiedBundle {
  readonly artifacts: readonly VerifiedTarget[];
  readonly checks: readonly Check[];
  readonly notChecked: readonly string[];
  readonly stale: readonly StaleFile[];
}

/** Everything but the bytes of the artifacts. */
export async function verifyBundleMetadata(
  bundle: Bundle,
  trust: BundleTrust,
): Promise<VerifiedBundle> {
  const { crypto, clock, store, maxStale, signal } = trust;
  const checks: Check[] = [];
  const report = (check: Check): void => void checks.push(check);
  const updater = new Updater({ crypto, clock, store, fetcher: bundle, maxStale, signal, report });
  const artifacts: VerifiedTarget[] = [];
  for (const path of bundle.index.artifacts) {
    artifacts.push(await verifyTarget({ crypto, updater, fetcher: bundle, path, checks, signal }));
  }
  const list = updater.files.revocations?.place;
  const needed = [...artifacts.map(({ target }) => target.place), ...(list ? [list] : [])];
  for (const place of needed) bundle.demand(place);
  demandNothingElse(bundle, needed);
  const trusted = await updater.trusted();
  const notChecked = new Set(artifacts.flatMap((artifact) => artifact.notChecked));
  return { artifacts, checks, notChecked: [...notChecked], stale: trusted.stale };
}

/** The whole of it. `onBytes` hears of the artifacts' bytes as they are hashed. */
export async function verifyBundle(
  bundle: Bundle,
  trust: BundleTrust,
  onBytes?: (bytes: number) => void,
): Promise<VerifiedBundle> {
  const verified = await verifyBundleMetadata(bundle, trust);
  const checks = [...verified.checks];
  for (const { target } of verified.artifacts) {
    await verifyBytes(bundle, target, trust.signal, onBytes);
    checks.push(bytesCheck(target));
  }
  return { ...verified, checks };
}

export function bytesCheck({ path, length }: TargetFile): Check {
  return {
    rule: 'TUF 5.7.2',
    what: `the bytes of ${path} have the length and every digest that was signed: ${length} bytes`,
  };
}

async function verifyBytes(
  bundle: Bundle,
  target: TargetFile,
  signal: AbortSignal | undefined,
  onBytes: ((bytes: number) => void) | undefined,
): Promise<void> {
  const { pieces } = await bundle.openFile(target.place, target.length, undefined, { signal });
  const measured = new HashingWriter(target.hashes.keys());
  for await (const piece of pieces) {
    measured.measure(piece);
    onBytes?.(piece.length);
  }
  verifyMeasured(target, measured.length, await measured.finish());
}

/** A target that no verification read was verified by nobody, whatever its name says. */
function demandNothingElse({ index, asked }: Bundle, needed: readonly string[]): void {
  const known = new Set([...asked, ...needed]);
  const stranger = index.files.find(({ path }) => !isMetadata(path) && !known.has(path));
  if (stranger === undefined) return;
  throw new IronError('E_SCHEMA', `the bundle carries ${stranger.path}, which nothing needs`, {
    why: 'a target that belongs to none of its artifacts was not verified',
    hint: 'nothing was changed; have the bundle made anew',
    context: { path: stranger.path },
  });
}
