/** Verification without the network: of a hand-over folder, or of a file that is here already. */

import { join } from 'node:path';
import { IronError, isIronError } from '../shared/errors.ts';
import type { HostPolicy } from '../shared/evidence/policy/host-policy.ts';
import { type HandoffFile, parseRecord, verifyRecord } from '../shared/handoff/record.ts';
import { handoff, SIDECARS, type Sidecar, sidecarOf } from '../shared/layout.ts';
import { EVIDENCE_LIMITS, HANDOFF_LIMITS } from '../shared/limits.ts';
import { readFileCapped } from '../shared/node/files.ts';
import { hashFile } from '../shared/node/hash.ts';
import {
  type ArtifactVerdict,
  type SidecarFile,
  verifyArtifact,
} from '../shared/verify/artifact.ts';
import type { Check } from '../shared/verify/check.ts';
import { learnVendorFloors } from '../shared/verify/revocations.ts';
import { bareSubject, notRevocable, verifyNotRevoked } from '../shared/verify/revoked.ts';
import type { StaleFile, TrustedMetadata } from '../shared/verify/trusted.ts';
import type { FoundTarget } from '../shared/verify/workflow.ts';
import { fetchTarget } from './download.ts';
import { StoredFetcher } from './fetch/stored.ts';
import type { Repository } from './repository.ts';
import type { Store } from './store/store.ts';
import { targetFile, verifyMeasured } from './target-file.ts';
import type { Updater } from './updater.ts';

export interface OfflineVerdict {
  readonly path: string;
  readonly length: number;
  readonly sha256: string;
  readonly checks: readonly Check[];
  readonly notChecked: readonly string[];
  /** What was built on although it expired, by `--max-stale`. */
  readonly stale: readonly StaleFile[];
  /** Absent when there was no evidence to judge. */
  readonly artifact: ArtifactVerdict | undefined;
}

/**
 * Verifies a hand-over folder from this host's own root and floors, which it leaves as they are.
 * Throws the coded error of the check that failed.
 */
export async function verifyFolder(
  repository: Repository,
  folder: string,
  policy?: HostPolicy,
): Promise<OfflineVerdict> {
  const { crypto, store, clock, maxStale } = repository;
  const record = parseRecord(
    await readFileCapped(join(folder, handoff.record), HANDOFF_LIMITS.record),
  );
  const checks: Check[] = [];
  const known = await storedRoots(store);
  const verified = verifyRecord(record, {
    crypto,
    now: clock(),
    maxStale,
    root: await store.pinnedRoot(),
    knownRoots: (version) => known.get(version),
    floors: await store.floors(),
    report: (check) => checks.push(check),
  });
  const sidecars = new Map<Sidecar, SidecarFile>();
  for (const [i, file] of record.sidecars.entries()) {
    const sidecar = sidecarOf(file.path)?.sidecar;
    if (sidecar === undefined) {
      throw new IronError('E_SCHEMA', `${file.path} is no sidecar of ${record.artifact.path}`);
    }
    const bytes = await readFileCapped(
      join(folder, handoff.target(file.path)),
      EVIDENCE_LIMITS.bundle,
    );
    // The evidence policy holds these bytes against the digest in the artifact's entry.
    sidecars.set(sidecar, { found: verified.sidecars[i] as FoundTarget, bytes });
  }
  const { trusted, artifact, revocations } = verified;
  const verdict = verifyArtifact(crypto, { trusted, artifact, sidecars, revocations, policy });
  await verifyBytes(artifact, record.artifact, join(folder, handoff.target(verdict.path)), checks);
  return {
    ...record.artifact,
    checks,
    notChecked: [...verdict.evidence.notChecked, ...notRevocable(revocations)],
    stale: trusted.stale,
    artifact: verdict,
  };
}

/** A verdict with what it rests on. */
export interface FileVerdict extends OfflineVerdict {
  readonly found: FoundTarget;
  readonly updater: Updater;
}

/**
 * Verifies a file as the target `path`, by the metadata that is stored here. Its evidence is
 * judged when it lies beside it (`FILE.ceiling.json` and so on), or was kept when it was verified
 * with the network. A host with a policy refuses a file without evidence.
 */
export async function verifyFile(
  repository: Repository,
  file: string,
  path: string,
  policy?: HostPolicy,
): Promise<FileVerdict> {
  const { crypto, store } = repository;
  const checks: Check[] = [];
  const stored = new StoredFetcher(store);
  const updater = repository.updater(checks, stored);
  const trusted = await updater.refresh();
  const revocations = await updater.revocations();
  const artifact = await updater.find(path);
  if (artifact === undefined) {
    throw new IronError('E_TARGET_UNKNOWN', `no role that may speak for ${path} lists it`, {
      context: { path },
    });
  }
  const sidecars = new Map<Sidecar, SidecarFile>();
  for (const [sidecar, suffix] of Object.entries(SIDECARS)) {
    const found = await updater.find(path + suffix);
    if (found === undefined) continue;
    const bytes = (await readBeside(file + suffix)) ?? (await kept(stored, trusted, found));
    if (bytes !== undefined) sidecars.set(sidecar as Sidecar, { found, bytes });
  }
  await updater.run(() => learnVendorFloors(trusted, artifact));
  // Also without evidence: what is denied by its digest or by its signer is no good file.
  verifyNotRevoked({ trusted, revocations }, bareSubject(crypto, trusted, artifact));
  // A policy judges evidence: where there is none, it is refused as missing.
  const verdict =
    sidecars.size === 0 && policy === undefined
      ? undefined
      : verifyArtifact(crypto, { trusted, artifact, sidecars, revocations, policy });
  const { length, hashes } = artifact.entry;
  const described = { path, length, sha256: hashes.get('sha256') ?? '' };
  await verifyBytes(artifact, described, file, checks);
  return {
    ...described,
    checks,
    notChecked: [
      ...(verdict?.evidence.notChecked ?? [
        `evidence and hardware: no sidecars lie beside ${file}, and none were kept`,
      ]),
      ...notRevocable(revocations),
    ],
    stale: trusted.stale,
    artifact: verdict,
    found: artifact,
    updater,
  };
}

/** TUF 5.7.2, over a file that is here. */
async function verifyBytes(
  artifact: FoundTarget,
  file: HandoffFile,
  place: string,
  checks: Check[],
): Promise<void> {
  const measured = await hashFile(place);
  const target = targetFile(artifact.entry, true);
  try {
    // Of the digests that were signed, the one that is measured here; it is always among them.
    verifyMeasured(
      { ...target, hashes: new Map([['sha256', file.sha256]]) },
      measured.length,
      new Map([['sha256', measured.sha256]]),
    );
  } catch (error) {
    if (!isIronError(error, 'E_LENGTH', 'E_HASH')) throw error;
    // It was not fetched just now: no mirror is to blame.
    throw new IronError(error.code, `${place} is not ${file.path}: ${error.message}`, {
      hint: 'nothing was changed; it is another file, another version of it, or was altered: bring it anew with get-verified',
      cause: error,
      context: { ...error.context, file: place },
    });
  }
  checks.push({
    rule: 'TUF 5.7.2',
    what: `the bytes have the length and SHA-256 that were signed: ${measured.length} bytes`,
  });
}

async function storedRoots(store: Store): Promise<ReadonlyMap<number, Uint8Array>> {
  const roots = new Map<number, Uint8Array>();
  const { root: newest } = await store.floors();
  for (let version = 1; version <= newest; version++) {
    const bytes = await store.root(version);
    if (bytes !== undefined) roots.set(version, bytes);
  }
  return roots;
}

/** What an earlier verification kept of a sidecar, held against its signed digests again. */
async function kept(
  stored: StoredFetcher,
  { root }: TrustedMetadata,
  { entry }: FoundTarget,
): Promise<Uint8Array | undefined> {
  try {
    const target = targetFile(entry, root.consistentSnapshot);
    return await fetchTarget(stored, target, EVIDENCE_LIMITS.bundle);
  } catch (error) {
    // A cache: what is damaged counts as absent.
    if (isIronError(error, 'E_NOT_FOUND', 'E_HASH', 'E_LENGTH', 'E_STORE')) return undefined;
    throw error;
  }
}

async function readBeside(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFileCapped(path, EVIDENCE_LIMITS.bundle);
  } catch (error) {
    if (isIronError(error, 'E_NOT_FOUND')) return undefined;
    throw error;
  }
}
