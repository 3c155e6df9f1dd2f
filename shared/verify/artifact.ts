/**
 * An artifact of ours, beyond TUF: whose it is, what vouches for it, and which hardware it may be
 * for. Client, agent and preflight judge by this one function, over what TUF verified before.
 */

import type { Crypto } from '../crypto/crypto.ts';
import { IronError } from '../errors.ts';
import { type EvidenceVerdict, NOT_JUDGED } from '../evidence/evidence.ts';
import { parseEvidenceKeys } from '../evidence/keys.ts';
import type { HostPolicy } from '../evidence/policy/host-policy.ts';
import { judgePolicy } from '../evidence/policy/judge.ts';
import { type PolicyVerdict, requirePolicy } from '../evidence/policy/verdict.ts';
import { type Sidecar, sidecarPath } from '../layout.ts';
import { type Ceiling, parseCeiling } from '../manifest/ceiling.ts';
import type { RevocationSubject } from '../revocation/judge.ts';
import type { Instant } from '../time.ts';
import { isBin } from '../tuf/delegations.ts';
import { formatHardwareId } from '../tuf/hardware-id.ts';
import { type ArtifactPath, parseArtifactPath } from '../tuf/names.ts';
import type { Targets } from '../tuf/targets.ts';
import { parseVendors, type Vendor, verifyHardware } from '../tuf/vendors.ts';
import type { Revocations } from './revocations.ts';
import { evidenceWithoutDenied, revocationSubject, verifyNotRevoked } from './revoked.ts';
import type { TrustedMetadata } from './trusted.ts';
import type { FoundTarget } from './workflow.ts';

export interface ArtifactInput {
  readonly trusted: TrustedMetadata;
  readonly artifact: FoundTarget;
  /** Sidecars as the walk found them, with their bytes. */
  readonly sidecars: ReadonlyMap<Sidecar, SidecarFile>;
  /** What is in force, loaded over the same metadata. */
  readonly revocations: Revocations;
  /** The policy of this host; without one, the default of every host holds. */
  readonly policy?: HostPolicy | undefined;
  /** Return a verdict that does not pass, for those who ask how the rules stand; false else. */
  readonly showsRefusals?: boolean;
}

export interface SidecarFile {
  readonly found: FoundTarget;
  readonly bytes: Uint8Array;
}

export interface ArtifactVerdict {
  readonly path: string;
  readonly length: number;
  readonly sha256: string;
  /** The roles by which it was reached, from `targets` to the one that lists it. */
  readonly chain: readonly string[];
  readonly name: ArtifactPath;
  readonly vendor: Vendor;
  readonly ceiling: Ceiling;
  readonly evidence: EvidenceVerdict;
  readonly policy: PolicyVerdict;
  /** Versions of every file that this rests on, by role. */
  readonly versions: ReadonlyMap<string, number>;
  /** When the first of them expires. */
  readonly freshUntil: Instant;
  /** What a later list of revocations is held against. */
  readonly subject: RevocationSubject;
  /** Epoch and version of the list by which it was judged; undefined when there is none. */
  readonly revocations: { readonly epoch: number; readonly version: number } | undefined;
}

/**
 * Judges everything about an artifact but its bytes: that those have the length and SHA-256 of
 * the verdict is for whoever reads them. Says each check to the report of `trusted`. Throws
 * `E_NAME`, `E_NOT_AUTHORISED`, `E_EVIDENCE`, `E_CEILING`, `E_REVOKED`, `E_SCHEMA`, `E_HASH`,
 * `E_POLICY`.
 */
export function verifyArtifact(crypto: Crypto, input: ArtifactInput): ArtifactVerdict {
  const { trusted, artifact } = input;
  const { path, length, hashes, custom } = artifact.entry;
  const name = parseArtifactPath(path);
  const sha256 = hashes.get('sha256');
  if (sha256 === undefined) {
    throw new IronError('E_HASH', `the entry of ${path} has no SHA-256`, {
      why: 'evidence names artifacts by their SHA-256',
    });
  }
  const vendorRole = ownRole(input, name.vendor);
  verifySameRole(input);
  const sha512 = hashes.get('sha512');
  const vendorKeys = parseEvidenceKeys(vendorRole.envelope.signed);
  const evidence = evidenceWithoutDenied(crypto, input.revocations, {
    artifact: { path, length, sha256, ...(sha512 === undefined ? {} : { sha512 }) },
    custom: custom?.maybe('ironport'),
    sidecars: Object.fromEntries([...input.sidecars].map(([key, { bytes }]) => [key, bytes])),
    evidenceKeys: vendorKeys,
    otherKeys: [...(input.policy?.keys.values() ?? [])],
  });
  for (const { rule, what, by } of evidence.checks) {
    trusted.report({ rule: `evidence: ${rule}`, what, ...(by === null ? {} : { keys: [by] }) });
  }
  const ceiling = parseCeiling(evidence.ceiling);
  verifyGeneration(ceiling, evidence);
  const subject = revocationSubject(crypto, input, name, evidence);
  verifyNotRevoked(input, subject);
  const vendor = verifyCeilingHardware(trusted, ceiling, name.vendor);
  const { list } = input.revocations;
  const revocations = list && { epoch: list.epoch, version: list.version };
  const asked = { crypto, evidence, sha256, length, vendorKeys, now: trusted.now };
  const policy = judgePolicy(input.policy, asked);
  if (input.showsRefusals !== true) requirePolicy(path, policy);
  for (const { rule, what, evidence: found } of policy.rules.filter(({ holds }) => holds)) {
    const how = found === '' ? what : `${what} (${found})`;
    trusted.report({ rule: `policy: ${rule}`, what: how });
  }
  return {
    ...{
      path,
      length,
      sha256,
      chain: artifact.chain,
      name,
      vendor,
      ceiling,
      subject,
      revocations,
      policy,
    },
    evidence: { ...evidence, notChecked: stillNotChecked(evidence, policy) },
    ...freshness(input),
  };
}

/** What the evidence alone leaves open, without what the policy judged. */
function stillNotChecked(evidence: EvidenceVerdict, policy: PolicyVerdict): string[] {
  const judgeable: readonly string[] = Object.values(NOT_JUDGED);
  return evidence.notChecked.filter(
    (what) => !judgeable.includes(what) || policy.notJudged.includes(what),
  );
}

/** Only a vendor's own branch speaks for paths that begin with its name. */
function ownRole({ artifact }: ArtifactInput, vendor: string): Targets {
  const role = artifact.chain[1] === vendor ? artifact.files[1] : undefined;
  if (role !== undefined) return role;
  throw new IronError('E_NOT_AUTHORISED', `${artifact.entry.path} is not ${vendor}'s own word`, {
    why: `it was reached by ${artifact.chain.join(' → ')}`,
    hint: 'nothing was changed; only a vendor speaks for paths that begin with its name',
    context: { vendor },
  });
}

/**
 * Sidecars are targets of the artifact's role, or of a bin beside it: nobody else adds evidence. Bins
 * of one description are one role in parts (TAP 15); a path's hash decides in which part it stands.
 */
function verifySameRole({ artifact, sidecars }: ArtifactInput): void {
  for (const [sidecar, { found }] of sidecars) {
    const isItsOwn = found.entry.path === sidecarPath(artifact.entry.path, sidecar);
    if (isItsOwn && (found.role === artifact.role || isBinBeside(artifact, found))) continue;
    throw new IronError('E_NOT_AUTHORISED', `${found.entry.path} is listed by ${found.role}`, {
      why: `the artifact is listed by ${artifact.role}, and its sidecars must be too`,
      hint: 'nothing was changed',
    });
  }
}

/** Whether the same verified file sends both to bins of its one description. */
function isBinBeside(artifact: FoundTarget, sidecar: FoundTarget): boolean {
  const delegator = artifact.files.at(-2);
  if (delegator === undefined || sidecar.files.at(-2) !== delegator) return false;
  const succinct = delegator.delegations?.succinct;
  return succinct !== undefined && isBin(succinct, artifact.role) && isBin(succinct, sidecar.role);
}

/** The generation stands in the entry and in the ceiling; two answers would let one choose. */
function verifyGeneration(ceiling: Ceiling, { custom, artifact }: EvidenceVerdict): void {
  if (ceiling.generation === custom.generation) return;
  throw new IronError('E_CEILING', `entry and ceiling of ${artifact} disagree on its generation`, {
    why: `the entry says ${custom.generation}, the ceiling ${ceiling.generation}`,
    hint: 'nothing was changed; the vendor must sign both with the same security generation',
    context: { reason: 'disagree', path: sidecarPath(artifact, 'ceiling') },
  });
}

/** The vendor may bind only hardware that the operators gave it (targets, `x-ironport`). */
function verifyCeilingHardware(trusted: TrustedMetadata, ceiling: Ceiling, name: string): Vendor {
  const targets = trusted.targets('targets') as Targets;
  const vendor = parseVendors(targets.envelope.signed).get(name);
  for (const match of ceiling.devices) verifyHardware(vendor, name, match);
  // A ceiling for no device at all was refused when it was read; this is for the types.
  if (vendor === undefined) throw new IronError('E_NOT_AUTHORISED', `${name} may bind no hardware`);
  const devices = ceiling.devices.map((match) =>
    formatHardwareId({ bus: 'PCI', vendor: match.vendor, device: match.device }),
  );
  trusted.report({
    rule: 'hardware',
    what: `the operators gave ${name} every device of the ceiling: ${devices.join(', ')}`,
    version: targets.version,
  });
  return vendor;
}

function freshness({ trusted, artifact, sidecars, revocations }: ArtifactInput): {
  readonly versions: ReadonlyMap<string, number>;
  readonly freshUntil: Instant;
} {
  const found = [artifact, ...[...sidecars.values()].map((sidecar) => sidecar.found)];
  // A verdict is good no longer than the list by which it was reached.
  if (revocations.found !== undefined) found.push(revocations.found);
  const files = new Map<string, { readonly version: number; readonly expires: Instant }>([
    ['root', trusted.root],
    ['timestamp', trusted.requireFreshTimestamp()],
    ['snapshot', trusted.snapshot()],
    ...found.flatMap(({ chain, files }) =>
      chain.map((role, i) => [role, files[i] as Targets] as const),
    ),
  ]);
  return {
    versions: new Map([...files].map(([role, { version }]) => [role, version])),
    freshUntil: Math.min(...[...files.values()].map(({ expires }) => expires)),
  };
}
