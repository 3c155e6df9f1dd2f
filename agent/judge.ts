/**
 * What a hand-over is judged by, once its parts are copied: the metadata from the agent's own
 * root and floors, the evidence and the vendor's hardware by the same function as everywhere, and
 * the generation floor of this host.
 */

import type { HostPolicy } from '../shared/evidence/policy/host-policy.ts';
import type { SidecarBytes } from '../shared/evidence/sidecars.ts';
import { type HandoffRecord, type VerifiedRecord, verifyRecord } from '../shared/handoff/record.ts';
import { type Sidecar, sidecarOf } from '../shared/layout.ts';
import { type SidecarFile, verifyArtifact } from '../shared/verify/artifact.ts';
import type { Report } from '../shared/verify/check.ts';
import { notRevocable } from '../shared/verify/revoked.ts';
import type { Agent } from './agent.ts';
import type { Accepted } from './entry.ts';
import { raiseGeneration, type Trust } from './trust.ts';

/** The metadata alone, before anything is copied for its sake. */
export function judgeMetadata(
  agent: Agent,
  record: HandoffRecord,
  trust: Trust,
  report: Report,
): VerifiedRecord {
  return verifyRecord(record, {
    crypto: agent.crypto,
    now: agent.clock(),
    root: trust.root,
    knownRoots: (version) => trust.knownRoots.get(version),
    floors: trust.floors,
    report,
  });
}

export interface Judged {
  readonly entry: Accepted;
  /** The generation floors with this artifact's. */
  readonly generations: Trust['generations'];
  readonly notChecked: readonly string[];
}

export interface JudgedBy {
  readonly bytes: Partial<SidecarBytes>;
  readonly policy: HostPolicy | undefined;
  readonly trust: Trust;
  readonly report: Report;
}

/** Evidence, ceiling, hardware and generation. The artifact itself is copied and held to it last. */
export function judgeArtifact(
  agent: Agent,
  record: HandoffRecord,
  verified: VerifiedRecord,
  by: JudgedBy,
): Judged {
  const { bytes, policy, trust, report } = by;
  const { trusted, artifact, revocations } = verified;
  const sidecars = new Map<Sidecar, SidecarFile>();
  for (const found of verified.sidecars) {
    const sidecar = sidecarOf(found.entry.path)?.sidecar as Sidecar;
    sidecars.set(sidecar, { found, bytes: bytes[sidecar] as Uint8Array });
  }
  const verdict = verifyArtifact(agent.crypto, {
    ...{ trusted, artifact, sidecars, revocations, policy },
  });
  const { generation } = verdict.evidence.custom;
  const product = `${verdict.name.vendor}/${verdict.name.product}`;
  const generations = raiseGeneration(trust.generations, product, generation);
  report({
    rule: 'generation floor',
    what: `security generation ${generation} of ${product} is not below the floor of this host`,
  });
  const entry: Accepted = {
    artifact: record.artifact,
    sidecars: new Map(
      record.sidecars.map((file) => [sidecarOf(file.path)?.sidecar as Sidecar, file]),
    ),
    ceiling: verdict.ceiling,
    ceilingSource: verdict.evidence.ceiling.object(),
    hardwareIds: verdict.vendor.hardwareIds,
    product,
    generation,
    acceptedAt: agent.clock(),
    freshUntil: verdict.freshUntil,
    versions: verdict.versions,
    quorums: verdict.subject.quorums,
    revocations: verdict.revocations,
  };
  const notChecked = [...verdict.evidence.notChecked, ...notRevocable(revocations)];
  return { entry, generations, notChecked };
}
