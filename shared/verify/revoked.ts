/** An artifact, as far as revocations know it: by digest, generation and the keys it rests on. */

import type { Crypto } from '../crypto/crypto.ts';
import type { PublicKey } from '../crypto/key.ts';
import { isIronError } from '../errors.ts';
import { type EvidenceInput, type EvidenceVerdict, verifyEvidence } from '../evidence/evidence.ts';
import {
  isDeniedKey,
  type Quorum,
  type RevocationSubject,
  requireNotRevoked,
} from '../revocation/judge.ts';
import { keyId } from '../tuf/key.ts';
import type { ArtifactPath } from '../tuf/names.ts';
import type { TargetEntry } from '../tuf/targets.ts';
import type { Revocations } from './revocations.ts';
import type { TrustedMetadata } from './trusted.ts';
import type { FoundTarget } from './workflow.ts';

/**
 * Verifies the evidence with the keys that are not denied, and, when it does not hold so, with all:
 * what holds only with a denied key is refused later, for that key and not for a signature.
 */
export function evidenceWithoutDenied(
  crypto: Crypto,
  { list }: Pick<Revocations, 'list'>,
  input: EvidenceInput,
): EvidenceVerdict {
  const { active, retired } = input.evidenceKeys;
  const isGood = (key: PublicKey): boolean =>
    !isDeniedKey(list, keyId(crypto, key), input.artifact.sha256);
  // A denied key counts nowhere: also not as that of somebody whom a policy asks.
  const otherKeys = (input.otherKeys ?? []).filter(isGood);
  const evidenceKeys = { active: active.filter(isGood), retired: retired.filter(isGood) };
  const isWhole =
    evidenceKeys.active.length === active.length && evidenceKeys.retired.length === retired.length;
  if (isWhole) return verifyEvidence(crypto, { ...input, otherKeys });
  try {
    return verifyEvidence(crypto, { ...input, evidenceKeys, otherKeys });
  } catch (error) {
    if (!isIronError(error, 'E_EVIDENCE', 'E_CEILING')) throw error;
    return verifyEvidence(crypto, { ...input, otherKeys });
  }
}

/** What is to be held against a list, of an artifact whose evidence holds. */
export function revocationSubject(
  crypto: Crypto,
  { trusted, artifact }: { readonly trusted: TrustedMetadata; readonly artifact: FoundTarget },
  name: ArtifactPath,
  evidence: EvidenceVerdict,
): RevocationSubject {
  return evidenceSubject(artifact.entry, name, evidence, roleQuorums(crypto, trusted, artifact));
}

/** The same where somebody else knows who vouched for the roles on the way. */
export function evidenceSubject(
  { path, hashes }: TargetEntry,
  { vendor, product }: Pick<ArtifactPath, 'vendor' | 'product'>,
  { custom, checks }: EvidenceVerdict,
  roles: readonly Quorum[],
): RevocationSubject {
  const bySigners = checks
    .filter(({ keyids }) => keyids.length > 0)
    .map(({ rule, keyids }) => ({ what: `the ${rule}`, keyids, threshold: 1 }));
  return {
    path,
    sha256: hashes.get('sha256') ?? '',
    component: `${vendor}/${product}`,
    generation: custom.generation,
    beside: Object.values(custom.sidecars).map(({ sha256 }) => sha256),
    quorums: [...roles, ...bySigners],
  };
}

/** The same of a target of which only metadata is at hand: no evidence, so no generation either. */
export function bareSubject(
  crypto: Crypto,
  trusted: TrustedMetadata,
  artifact: FoundTarget,
): RevocationSubject {
  const { path, hashes, custom } = artifact.entry;
  const [vendor = '', product = ''] = path.split('/');
  const generation = custom?.maybe('ironport')?.maybe('generation')?.integer(0);
  return {
    path,
    sha256: hashes.get('sha256') ?? '',
    component: `${vendor}/${product}`,
    // What states no generation is below every floor.
    generation: generation ?? 0,
    beside: [],
    quorums: roleQuorums(crypto, trusted, artifact),
  };
}

/** Who vouched for each delegated file on the way. Root and targets are nobody's to deny. */
function roleQuorums(crypto: Crypto, trusted: TrustedMetadata, found: FoundTarget): Quorum[] {
  return found.files.slice(1).map((file, i) => {
    const { keys, threshold } = trusted.signersOf(file);
    const keyids = keys.map((key) => keyId(crypto, key));
    return { what: `the role ${found.chain[i + 1]}`, keyids, threshold };
  });
}

/** Says to the report of `trusted` that it is not; `E_REVOKED` when it is. */
export function verifyNotRevoked(
  input: { readonly trusted: TrustedMetadata; readonly revocations: Revocations },
  subject: RevocationSubject,
): void {
  const { trusted } = input;
  const { list } = input.revocations;
  requireNotRevoked({ list, floors: trusted.floors.revocations }, subject);
  if (list === undefined) return;
  trusted.report({
    rule: 'not revoked',
    what: `generation ${subject.generation} of ${subject.component}: not its bytes, nor a key that it rests on, nor so old a generation is revoked`,
    version: list.version,
  });
}

/** Invariant: a verdict says what was not checked. */
export function notRevocable({ list }: Pick<Revocations, 'list'>): string[] {
  return list === undefined
    ? ['revocations: this repository names no security team, and has no list of them']
    : [];
}
