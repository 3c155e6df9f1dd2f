/** Everything that is known of an artifact before its bytes come: metadata, evidence, hardware. */

import type { Crypto } from '../shared/crypto/crypto.ts';
import { IronError } from '../shared/errors.ts';
import type { HostPolicy } from '../shared/evidence/policy/host-policy.ts';
import { SIDECARS, type Sidecar, sidecarPath } from '../shared/layout.ts';
import { EVIDENCE_LIMITS } from '../shared/limits.ts';
import type { Instant } from '../shared/time.ts';
import {
  type ArtifactVerdict,
  type SidecarFile,
  verifyArtifact,
} from '../shared/verify/artifact.ts';
import type { Check } from '../shared/verify/check.ts';
import { learnVendorFloors } from '../shared/verify/revocations.ts';
import { notRevocable } from '../shared/verify/revoked.ts';
import type { StaleFile } from '../shared/verify/trusted.ts';
import type { FoundTarget } from '../shared/verify/workflow.ts';
import { fetchTarget } from './download.ts';
import type { Source } from './fetch/source.ts';
import { refuseWithdrawn } from './find/indexes.ts';
import { inParallel } from './parallel.ts';
import { type TargetFile, targetFile } from './target-file.ts';
import type { Updater } from './updater.ts';

export interface VerifyTargetOptions {
  readonly crypto: Crypto;
  /** Its report goes to `checks`. */
  readonly updater: Updater;
  readonly fetcher: Source;
  readonly path: string;
  readonly checks: Check[];
  readonly signal?: AbortSignal | undefined;
  /** The policy of this host, when it has one. */
  readonly policy?: HostPolicy | undefined;
  readonly showsRefusals?: boolean;
}

export interface VerifiedTarget {
  readonly verdict: ArtifactVerdict;
  readonly target: TargetFile;
  readonly sidecars: ReadonlyMap<Sidecar, SidecarFile>;
  /** What was checked, in order; whoever checks more adds to it. */
  readonly checks: Check[];
  readonly notChecked: readonly string[];
  /** What was built on although it expired, by `--max-stale`. */
  readonly stale: readonly StaleFile[];
  /** The present that everything was judged by. */
  readonly time: Instant;
  /** Has the files that this rests on, for whoever passes them on. */
  readonly updater: Updater;
}

/** One whose evidence is held back until whoever asked for it believes in all of it. */
export interface KeepableTarget extends VerifiedTarget {
  /** Keeps the evidence that was read, for the same verdict without the network (ADR 0068). */
  readonly keep: () => Promise<void>;
}

const CAPS: Readonly<Record<Sidecar, number>> = {
  ceiling: EVIDENCE_LIMITS.ceiling,
  statements: EVIDENCE_LIMITS.bundle,
  sbom: EVIDENCE_LIMITS.sbom,
  bundle: EVIDENCE_LIMITS.envelope,
};

/** Not parts of this verification, said so that nobody takes them for done. */
const NOT_PART: readonly string[] = ['whether a transparency log has it: no log is asked'];

/** Refreshes when nobody did, finds the artifact and its sidecars, and judges them. */
export async function verifyTarget(options: VerifyTargetOptions): Promise<VerifiedTarget> {
  const { crypto, updater, fetcher, path, checks, signal, policy } = options;
  const showsRefusals = options.showsRefusals === true;
  const trusted = await updater.trusted();
  // Before anything that it could deny: no list, or a stale one, ends it here.
  const revocations = await updater.revocations();
  const { consistentSnapshot } = trusted.root;
  const artifact = await updater.find(path);
  if (artifact === undefined) {
    await refuseWithdrawn({ updater, fetcher, consistentSnapshot, signal }, path);
    throw new IronError('E_TARGET_UNKNOWN', `no role that may speak for ${path} lists it`, {
      hint: 'nothing was changed; `ironport-client ADDRESS index` shows what there is',
      context: { path },
    });
  }
  await updater.run(() => learnVendorFloors(trusted, artifact));
  const wanted: (readonly [Sidecar, FoundTarget])[] = [];
  for (const sidecar of Object.keys(SIDECARS) as Sidecar[]) {
    const found = await updater.find(sidecarPath(path, sidecar));
    // Whether it must be there is the evidence policy's to say.
    if (found === undefined) continue;
    wanted.push([sidecar, found]);
  }
  // Who speaks for them was searched one after another; their bytes come side by side.
  const fetched = await inParallel(
    wanted,
    async ([sidecar, found], stop): Promise<[Sidecar, SidecarFile]> => {
      const file = targetFile(found.entry, consistentSnapshot);
      const bytes = await fetchTarget(fetcher, file, CAPS[sidecar], { signal: stop });
      return [sidecar, { found, bytes }];
    },
    signal,
  );
  const sidecars = new Map(fetched);
  const verdict = verifyArtifact(crypto, {
    ...{ trusted, artifact, sidecars, revocations, policy, showsRefusals },
  });
  return {
    verdict,
    target: targetFile(artifact.entry, consistentSnapshot),
    sidecars,
    checks,
    notChecked: [...verdict.evidence.notChecked, ...notRevocable(revocations), ...NOT_PART],
    stale: trusted.stale,
    time: trusted.now,
    updater,
  };
}
