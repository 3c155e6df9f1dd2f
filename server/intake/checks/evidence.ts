/** The evidence of a new artifact is there and true (shared/evidence). */

import type { PublicKey } from '../../../shared/crypto/key.ts';
import { IronError } from '../../../shared/errors.ts';
import type { EvidenceVerdict } from '../../../shared/evidence/evidence.ts';
import { parseEvidenceKeys } from '../../../shared/evidence/keys.ts';
import type { Targets } from '../../../shared/tuf/targets.ts';
import { evidenceWithoutDenied } from '../../../shared/verify/revoked.ts';
import type { NewArtifact } from '../check.ts';
import type { EvidenceOwner } from '../judge-submission.ts';

/** Throws what `verifyEvidence` throws. The artifact's digest was measured when it was received. */
export function verifyNewArtifact(
  { crypto, own, vendor, revocations }: EvidenceOwner,
  artifact: NewArtifact,
): EvidenceVerdict {
  const { entry, sidecars } = artifact;
  if (own === undefined) throw new IronError('E_INTERNAL', `no role of ${vendor} to stand`);
  const active = activeKeysOf(own);
  // With the keys that are not denied; what needs a denied one is refused for that, after this.
  return evidenceWithoutDenied(
    crypto,
    { list: revocations },
    {
      artifact: {
        path: entry.path,
        length: entry.length,
        sha256: entry.hashes.get('sha256') ?? '',
      },
      custom: entry.custom?.maybe('ironport'),
      sidecars,
      // A retired key signs nothing new.
      evidenceKeys: { active, retired: [] },
    },
  );
}

/** By role file, which nobody changes: its keys are read once, and not for each of its artifacts. */
const activeKeys = new WeakMap<Targets, readonly PublicKey[]>();

function activeKeysOf(own: Targets): readonly PublicKey[] {
  const known = activeKeys.get(own);
  if (known !== undefined) return known;
  const { active } = parseEvidenceKeys(own.envelope.signed);
  activeKeys.set(own, active);
  return active;
}

/** What a verdict says in one line. */
export function describeEvidence({ checks }: EvidenceVerdict): string {
  const rules = [...new Set(checks.map(({ rule }) => rule))];
  if (rules.length === 0) throw new IronError('E_INTERNAL', 'evidence without a check');
  return `${checks.length} checks hold: ${rules.join(', ')}`;
}
