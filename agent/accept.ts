/**
 * Accepting a hand-over: the agent verifies again, from its own root and floors, what the client
 * says it verified. What decides is its own copy; nothing of the agent changes before the last
 * check passed, but for the floor of the host's policy, and nothing that was copied stays when one
 * fails.
 */

import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { toHex } from '../shared/bytes.ts';
import { asIronError, IronError } from '../shared/errors.ts';
import type { SidecarBytes } from '../shared/evidence/sidecars.ts';
import { type HandoffRecord, parseRecord } from '../shared/handoff/record.ts';
import { acceptedFile, agentState, type Sidecar, sidecarOf } from '../shared/layout.ts';
import { EVIDENCE_LIMITS, HANDOFF_LIMITS } from '../shared/limits.ts';
import { readFileCapped, syncFolder, writeFileAtomic } from '../shared/node/files.ts';
import type { StreamOptions } from '../shared/node/hash.ts';
import type { LoadedPolicy } from '../shared/node/host-policy.ts';
import { raisePolicyFloor } from '../shared/node/policy-floor.ts';
import type { Check, Report } from '../shared/verify/check.ts';
import type { Agent } from './agent.ts';
import { type Accepted, formatAccepted, loadAccepted } from './entry.ts';
import { HandedOver } from './handed-over.ts';
import { judgeArtifact, judgeMetadata } from './judge.ts';
import { type Hit, reportHits } from './revocations.ts';
import { cutText } from './sound-text.ts';
import { loadTrust, storeTrust } from './trust.ts';

export interface AcceptOptions extends StreamOptions {
  /** A root file, for an agent that has none pinned. */
  readonly root?: string;
  readonly onStage?: (text: string) => void;
  /** The policy of this host, when it has one; the default of every host holds anyhow. */
  readonly policy?: LoadedPolicy | undefined;
}

export interface Acceptance {
  readonly entry: Accepted;
  readonly checks: readonly Check[];
  readonly notChecked: readonly string[];
  /** SHA-256 of the record that was verified. */
  readonly recordSha256: string;
  /** Whether the same artifact had been accepted before. */
  readonly again: boolean;
  /** What is bound now and revoked by what came along; nothing was done about it. */
  readonly hits: readonly Hit[];
}

/** Invariant: a verdict says what was not checked. */
const NOT_CHECKED: readonly string[] = [
  'whether a transparency log has it: the record carries no proof',
];

/** Accepts what lies in the hand-over folder; throws the coded error of the check that failed. */
export function accept(
  agent: Agent,
  folder: string,
  options: AcceptOptions = {},
): Promise<Acceptance> {
  return agent.alone(async () => {
    const spool = join(agent.place(agentState.spool), toHex(agent.random(12)));
    await emptySpool(agent);
    await mkdir(spool, { mode: 0o700 });
    try {
      // First of all, and also when it then refuses: that the fleet signed it needs no hand-over.
      await raisePolicyFloor(agent.place(agentState.policyFloor), options.policy);
      return await acceptInto(agent, folder, spool, options);
    } catch (thrown) {
      const error = asIronError(thrown);
      const message = cutText(error.message, 1000);
      // Nothing changed, so that a log that takes no more must not hide why.
      await agent.audit
        .append({ event: 'accept-refused', code: error.code, message })
        .catch(() => {});
      throw thrown;
    } finally {
      await rm(spool, { recursive: true, force: true });
    }
  });
}

/** Copies that a crash left: nobody decided anything about them. */
async function emptySpool(agent: Agent): Promise<void> {
  const place = agent.place(agentState.spool);
  await rm(place, { recursive: true, force: true });
  await mkdir(place, { mode: 0o700 });
}

async function acceptInto(
  agent: Agent,
  folder: string,
  spool: string,
  options: AcceptOptions,
): Promise<Acceptance> {
  const trust = await loadTrust(agent, options.root);
  const checks: Check[] = [];
  // A role that serves several files is verified for each; once is enough to read.
  const report: Report = (check) => {
    if (!checks.some(({ rule, what }) => rule === check.rule && what === check.what))
      checks.push(check);
  };
  const handedOver = await HandedOver.open(folder);
  try {
    options.onStage?.('copying the record');
    const copy = join(spool, 'record.json');
    const { sha256: recordSha256 } = await handedOver.copyRecord(copy);
    const record = parseRecord(await readFileCapped(copy, HANDOFF_LIMITS.record));

    options.onStage?.('verifying the metadata from the pinned root');
    const verified = judgeMetadata(agent, record, trust, report);
    const again = await acceptedBefore(agent, record);

    options.onStage?.('verifying the evidence');
    const sidecars = await copySidecars(handedOver, record, spool);
    const judged = judgeArtifact(agent, record, verified, {
      ...{ bytes: sidecars, policy: options.policy?.policy, trust, report },
    });
    const { entry } = judged;

    options.onStage?.('copying the artifact');
    await handedOver.copyTarget(record.artifact, join(spool, acceptedFile.artifact), options);
    report({
      rule: 'TUF 5.7.2',
      what: `${record.artifact.path} has the length and SHA-256 signed`,
    });

    await agent.audit.append({
      event: 'accepted',
      path: entry.artifact.path,
      sha256: entry.artifact.sha256,
      record_sha256: recordSha256,
      generation: entry.generation,
      versions: Object.fromEntries(entry.versions),
    });
    await storeTrust(agent, trust, { ...verified, generations: judged.generations });
    await storeFiles(agent, entry, spool);
    const hits = await reportHits(agent);
    const notChecked = [...judged.notChecked, ...NOT_CHECKED];
    return { entry, checks, notChecked, recordSha256, again, hits };
  } finally {
    await handedOver.close();
  }
}

/** Whether this artifact was accepted before. `E_EXISTS` when the same path held other bytes. */
async function acceptedBefore(agent: Agent, record: HandoffRecord): Promise<boolean> {
  const { path, sha256 } = record.artifact;
  const before = await loadAccepted(agent, path).catch((error) => {
    if (error instanceof IronError && error.code === 'E_NOT_FOUND') return undefined;
    throw error;
  });
  // invariant 6: a target path of an artifact never changes its bytes, whoever signs the change.
  if (before !== undefined && before.artifact.sha256 !== sha256) {
    throw new IronError('E_EXISTS', `${path} was accepted before, with other bytes`, {
      why: `SHA-256 ${before.artifact.sha256} then, ${sha256} now; a path never changes its bytes`,
      hint: 'nothing was changed; the vendor must publish it as another version',
      context: { path },
    });
  }
  return before !== undefined;
}

/** Copies the sidecars that the record names, and reads the copies. */
async function copySidecars(
  handedOver: HandedOver,
  record: HandoffRecord,
  spool: string,
): Promise<Partial<SidecarBytes>> {
  const bytes: Partial<Record<Sidecar, Uint8Array>> = {};
  for (const file of record.sidecars) {
    const known = sidecarOf(file.path);
    // The folder and the record are somebody else's: what has no meaning here is not taken over.
    if (known === undefined || known.artifact !== record.artifact.path) {
      throw new IronError('E_SCHEMA', `${file.path} is no sidecar of ${record.artifact.path}`);
    }
    const place = join(spool, acceptedFile.sidecar(known.sidecar));
    if (file.length > EVIDENCE_LIMITS.bundle)
      throw new IronError(
        'E_TOO_LARGE',
        `${file.path} has more than ${EVIDENCE_LIMITS.bundle} bytes`,
      );
    await handedOver.copyTarget(file, place);
    bytes[known.sidecar] = await readFileCapped(place, EVIDENCE_LIMITS.bundle);
  }
  return bytes;
}

/** Moves the copies to their place; the entry, by which they count, comes last. */
async function storeFiles(agent: Agent, entry: Accepted, spool: string): Promise<void> {
  const folder = agent.place(agentState.accepted(entry.artifact.path));
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const name of [
    ...[...entry.sidecars.keys()].map((sidecar) => acceptedFile.sidecar(sidecar)),
    acceptedFile.artifact,
  ]) {
    await rename(join(spool, name), join(folder, name));
  }
  await syncFolder(folder);
  await writeFileAtomic(join(folder, acceptedFile.entry), formatAccepted(entry), { mode: 0o600 });
  await syncFolder(agent.place(agentState.acceptedFolder));
}
