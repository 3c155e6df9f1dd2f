/** Gathers what a vendor's submission is judged by, and has it judged. */

import { join } from 'node:path';
import type { UploadedRole } from '../../shared/api/upload.ts';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import type { SidecarBytes } from '../../shared/evidence/sidecars.ts';
import { indexPath, SIDECARS, type Sidecar, sidecarPath, tree } from '../../shared/layout.ts';
import {
  EVIDENCE_LIMITS,
  INDEX_LIMITS,
  METADATA_LIMITS,
  NESTED_LIMITS,
} from '../../shared/limits.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { promptFiles } from '../../shared/node/prompt-files.ts';
import type { RevocationList } from '../../shared/revocation/list.ts';
import type { Instant } from '../../shared/time.ts';
import { BranchWalk } from '../../shared/tuf/branch-walk.ts';
import { formatMetadata, withFields } from '../../shared/tuf/build.ts';
import { isBinName, rolesBelow, tooManyNested } from '../../shared/tuf/nested.ts';
import { parseTargets, type TargetEntry, type Targets } from '../../shared/tuf/targets.ts';
import type { BlobIndex } from '../db/blob-index.ts';
import type { Published } from '../storage/published.ts';
import type { Quarantine } from '../storage/quarantine.ts';
import { Branch, delegateAlike } from './branch.ts';
import { isPublished, judge, type NewArtifact, type Subject } from './check.ts';
import { evidenceBelow } from './checks/evidence-below.ts';
import type { TouchedProduct } from './checks/product-index.ts';
import { demandListable } from './checks/roles.ts';
import { sidecars } from './checks/sidecars.ts';
import { Delta } from './delta.ts';
import { judgeBelow } from './judge-below.ts';
import { isFinding, type Judgement, Judgements, type OnEvidence } from './judge-submission.ts';
import type { JudgedMemory } from './judged.ts';

/** What intake and publication both look into. */
export interface Shelves {
  readonly crypto: Crypto;
  readonly quarantine: Quarantine;
  readonly index: BlobIndex;
  readonly judged: JudgedMemory;
}

/** A role below a vendor's own; its bytes, where they were not uploaded. */
export interface RoleBelow extends UploadedRole {
  readonly bytes?: Uint8Array | undefined;
}

/** Role files of a vendor with what they claim to be: its own, roles below it, or both. */
export interface RoleSubmission {
  readonly vendor: string;
  readonly role: string;
  readonly bytes?: Uint8Array | undefined;
  /** Bins, or nested roles. */
  readonly below?: readonly RoleBelow[] | undefined;
}

/** A target whose bytes come into the tree. */
export interface FreshTarget {
  readonly path: string;
  readonly length: number;
  readonly sha256: string;
}

/** A role file that would be published. Its bytes are in the database, or among the blobs. */
export interface ExaminedRole {
  readonly role: string;
  readonly version: number;
  readonly expires: Instant;
  readonly source:
    | { readonly bytes: Uint8Array }
    | { readonly sha256: string; readonly length: number };
  readonly fresh: readonly FreshTarget[];
}

export interface Examined extends Judgement {
  /** Of the vendor's own role: submitted, or standing when only roles below it were. */
  readonly version: number;
  readonly roles: readonly ExaminedRole[];
}

/** What the checks of all files of one submission share. */
export interface Examination {
  readonly shelves: Shelves;
  readonly published: Published;
  readonly submission: RoleSubmission;
  readonly now: Instant;
  /** The published list; undefined without a security team. */
  readonly revocations: RevocationList | undefined;
  readonly branch: Branch;
  readonly delta: Delta;
  /** The branch as it will stand, as far as it delegates: of nothing else are these files. */
  readonly after: BranchWalk;
  /** Whether paths may move between roles: some role delegates otherwise than before. */
  readonly moved: boolean;
  /** Every path of the new files, when paths move. */
  readonly seen: Set<string>;
  /** The vendor's own role as it is published, and as it will stand. */
  readonly current: Targets | undefined;
  readonly own: Targets | undefined;
}

/**
 * Judges role files against what is published now. Called when they come in, and again when they
 * are published, because other things were published in between. Throws only what is no finding
 * about content: `E_JSON`, `E_SCHEMA` and `E_TOO_LARGE` when a file cannot be read as a role.
 * @param onEvidence told of each new artifact whose evidence holds
 */
export async function examine(
  shelves: Shelves,
  published: Published,
  submission: RoleSubmission,
  now: Instant,
  onEvidence?: OnEvidence,
): Promise<Examined> {
  const { vendor, role, bytes, below = [] } = submission;
  const file = bytes === undefined ? undefined : parseTargets(bytes, role);
  const current = (await published.role(role))?.targets;
  const branch = new Branch(shelves.crypto, published, vendor);
  const own = file ?? current;
  const delta = new Delta(branch);
  const planned = await plannedRoles(shelves, submission, file);
  const after = new BranchWalk(shelves.crypto, vendor, async (role) =>
    planned.has(role) ? planned.get(role) : await branch.read(role),
  );
  const moved = await isMoved(branch, planned);
  const seen = new Set<string>();
  const revocations = (await published.revocations())?.verified.list;
  const about = { shelves, published, submission, now, revocations };
  const examination = { ...about, branch, after, delta, moved, seen, current, own };
  const judgements = new Judgements(onEvidence);
  const roles: ExaminedRole[] = [];
  if (file !== undefined && bytes !== undefined) {
    const subject = await subjectOf(examination, role, file, bytes.length);
    judgements.ownRole(subject);
    roles.push(examinedRole(subject, { bytes }));
  }
  // What stands below a role is judged by what that says: not when that may not be said.
  const isShaped = !judgements.verdicts.some(({ check, ok }) => check === 'role' && !ok);
  if (isShaped && (below.length > 0 || (moved && rolesBelow(own).length > 0)))
    roles.push(...(await judgeBelow(examination, judgements)));
  if (judgements.error === undefined) {
    if (moved) await dropMissing(examination);
    const [listed, added] = [published.snapshot.roles.names, roles.map((one) => one.role)];
    judgements.add(judge('roles', () => demandListable(vendor, listed, added)));
    if (moved && judgements.error === undefined)
      await judgements.lookup('nested: number', () => demandFewNested(after));
    const keysBelow = evidenceBelow(after, file, current);
    if (keysBelow !== undefined) await judgements.lookup('evidence-keys: below', keysBelow);
    await judgements.lookup('sidecars', () => sidecars(delta));
    const record = published.vendors.get(vendor);
    const owner = { crypto: shelves.crypto, vendor, record, own, revocations };
    await judgements.artifacts(owner, () => newArtifacts(shelves, published, vendor, delta));
    await judgements.floors(owner, current, branch, delta);
    await judgements.products(owner, delta, () => touchedProducts(examination));
  }
  const { verdicts, error } = judgements;
  return { verdicts, error, version: own?.version ?? 0, roles };
}

/**
 * Roles that were submitted and may delegate, by name: those that do with what they delegate, the others
 * with nothing. What cannot be read is told when it is judged, and that they are too many as well.
 */
async function plannedRoles(
  shelves: Shelves,
  { vendor, below = [] }: RoleSubmission,
  own: Targets | undefined,
): Promise<Map<string, Targets | undefined>> {
  const planned = new Map<string, Targets | undefined>();
  if (own !== undefined) planned.set(vendor, own);
  const nested = below.filter(({ role }) => !isBinName(role));
  if (nested.length > NESTED_LIMITS.roles) return planned;
  /** One upload can be handed in under many names: it is read once. */
  const read = new Map<string, Targets | undefined>();
  for (const one of nested) {
    try {
      if (!read.has(one.sha256))
        read.set(one.sha256, delegating(await readRoleBlob(shelves, vendor, one), one.role));
      planned.set(one.role, read.get(one.sha256));
    } catch (error) {
      if (!isIronError(error) || !isFinding(error)) throw error;
    }
  }
  return planned;
}

/** A role without what it lists, which need not be in memory for all of them; undefined when it delegates nothing. */
function delegating(bytes: Uint8Array, role: string): Targets | undefined {
  const file = parseTargets(bytes, role);
  if (file.delegations === undefined) return undefined;
  const { tree, signatures } = file.envelope;
  return parseTargets(formatMetadata(withFields(tree, { targets: {} }), signatures), role);
}

async function isMoved(
  branch: Branch,
  planned: ReadonlyMap<string, Targets | undefined>,
): Promise<boolean> {
  for (const [role, file] of planned)
    if (!delegateAlike(file, await branch.reached(role))) return true;
  return false;
}

/** Everything that one file is judged by; its differences go into the delta. */
export async function subjectOf(
  examination: Examination,
  role: string,
  file: Targets,
  length: number,
): Promise<Subject> {
  const { shelves, published, now, revocations, branch, delta, moved, seen } = examination;
  const { vendor } = examination.submission;
  const current = (await published.role(role))?.targets;
  const entries: TargetEntry[] = [];
  const paths = file.paths();
  for (const path of paths) {
    const entry = file.entry(path) as TargetEntry;
    // Where paths move, a role of this name may have listed this one long ago, and not since.
    const before = moved ? await branch.entry(path) : current?.entry(path);
    if (delta.take(entry, before)) entries.push(entry);
  }
  if (moved) {
    for (const path of paths) seen.add(path);
  } else {
    const listed = new Set(paths);
    for (const path of current?.paths() ?? []) if (!listed.has(path)) delta.drop(path);
  }
  const lengths = await measure(shelves, vendor, entries);
  return {
    crypto: shelves.crypto,
    now,
    vendor,
    role,
    length,
    file,
    entries,
    delegation: published.delegation(role),
    delegationKeys: published.delegations?.keys ?? new Map(),
    record: published.vendors.get(vendor),
    current,
    currentVersion: published.version(role),
    revocations,
    digestsOf: (path) => shelves.index.digestsOf(path),
    lengthOf: (sha256) => lengths.get(sha256),
  };
}

/** Paths that were published under the delegations before and are in none of the new roles. */
async function dropMissing({
  submission: { vendor, bytes, below = [] },
  branch,
  after,
  delta,
  seen,
}: Examination): Promise<void> {
  const submitted = new Set(below.map(({ role }) => role));
  const stays = new Set<string>();
  for await (const role of after.names()) if (!submitted.has(role)) stays.add(role);
  const gone = (file: Targets | undefined): void => {
    for (const path of file?.paths() ?? []) if (!seen.has(path)) delta.drop(path);
  };
  if (bytes !== undefined) gone(await branch.read(vendor));
  for await (const role of branch.names()) if (!stays.has(role)) gone(await branch.read(role));
}

/** `E_QUOTA` when the vendor would have more nested roles than one may, however deep. */
async function demandFewNested(after: BranchWalk): Promise<string> {
  let count = 0;
  for await (const role of after.names()) if (!isBinName(role)) count += 1;
  const { vendor } = after;
  if (count > NESTED_LIMITS.roles)
    throw tooManyNested(vendor, `${count} nested roles`, NESTED_LIMITS.roles);
  return `${vendor} has ${count} nested roles of at most ${NESTED_LIMITS.roles}`;
}

export function examinedRole(
  { role, file, entries, current }: Subject,
  source: ExaminedRole['source'],
): ExaminedRole {
  const fresh = entries
    .filter((entry) => !isPublished(current, entry))
    .map(({ path, length, hashes }) => ({ path, length, sha256: hashes.get('sha256') ?? '' }));
  return { role, version: file.version, expires: file.expires, source, fresh };
}

/** Lengths of the blobs that entries name, of those that this vendor sent or published. */
async function measure(
  { quarantine, index }: Shelves,
  vendor: string,
  entries: readonly TargetEntry[],
): Promise<ReadonlyMap<string, number>> {
  const lengths = new Map<string, number>();
  for (const entry of entries) {
    const sha256 = entry.hashes.get('sha256');
    if (sha256 === undefined || lengths.has(sha256)) continue;
    const length = (await quarantine.length(vendor, sha256)) ?? index.find(vendor, sha256)?.length;
    if (length !== undefined) lengths.set(sha256, length);
  }
  return lengths;
}

/**
 * The artifacts that are new, each with its sidecars, which are dropped when the next is read. One
 * whose evidence is replaced is judged like a new one.
 */
async function* newArtifacts(
  shelves: Shelves,
  published: Published,
  vendor: string,
  delta: Delta,
): AsyncGenerator<NewArtifact> {
  for (const path of delta.artifacts()) {
    const entry = await delta.entry(path);
    if (entry === undefined) continue;
    const sidecars: Partial<Record<Sidecar, Uint8Array>> = {};
    for (const sidecar of Object.keys(SIDECARS) as Sidecar[]) {
      const target = await delta.entry(sidecarPath(path, sidecar));
      if (target !== undefined)
        sidecars[sidecar] = await readTarget(shelves, published, vendor, target);
    }
    yield { entry, sidecars: sidecars as Partial<SidecarBytes> };
  }
}

/** The products of which something is new, changed or gone, with their indexes. */
async function* touchedProducts({
  shelves,
  published,
  submission: { vendor },
  branch,
  delta,
}: Examination): AsyncGenerator<TouchedProduct> {
  const touched = [...delta.changed.keys(), ...delta.removed];
  const indexes = new Set(touched.map((path) => indexPath(vendor, path.split('/')[1] ?? '')));
  for (const path of indexes) {
    const read = async (target: TargetEntry | undefined): Promise<Uint8Array | undefined> =>
      target && (await readTarget(shelves, published, vendor, target, INDEX_LIMITS.file));
    yield {
      path,
      before: await read(await branch.entry(path)),
      after: await read(await delta.entry(path)),
    };
  }
}

export async function readTarget(
  shelves: Shelves,
  published: Published,
  vendor: string,
  target: TargetEntry,
  cap: number = EVIDENCE_LIMITS.bundle,
): Promise<Uint8Array> {
  const sha256 = target.hashes.get('sha256') ?? '';
  const recent = shelves.quarantine.recent(vendor, sha256);
  if (recent !== undefined && recent.length <= cap) return recent;
  const place = await findBlob(shelves, published, vendor, sha256);
  if (place === undefined)
    throw new IronError('E_NOT_FOUND', `the bytes of ${target.path} are gone`, {
      hint: 'nothing was changed; upload them again',
    });
  return await readFileCapped(place, cap, { nofollow: true, files: promptFiles });
}

/** The bytes of a role file: those that came along, or of this vendor's quarantine. `E_NOT_FOUND`. */
export async function readRoleBlob(
  { quarantine }: Shelves,
  vendor: string,
  { role, sha256, bytes }: RoleBelow,
): Promise<Uint8Array> {
  if (bytes !== undefined) return bytes;
  if ((await quarantine.length(vendor, sha256)) === undefined)
    throw new IronError('E_NOT_FOUND', `the file of ${role} was not uploaded`, {
      why: `there is no complete blob with the SHA-256 ${sha256}`,
      hint: 'nothing was changed; upload it first, and submit again',
      context: { role, sha256 },
    });
  const recent = quarantine.recent(vendor, sha256);
  if (recent !== undefined) return recent;
  return await readFileCapped(quarantine.path(vendor, sha256), METADATA_LIMITS.targets, {
    nofollow: true,
    files: promptFiles,
  });
}

/** Where bytes are: in this vendor's quarantine, or published by it already. */
export async function findBlob(
  { quarantine, index }: Shelves,
  published: Published | undefined,
  vendor: string,
  sha256: string,
): Promise<string | undefined> {
  if ((await quarantine.length(vendor, sha256)) !== undefined) {
    return quarantine.path(vendor, sha256);
  }
  const known = index.find(vendor, sha256);
  if (known === undefined || published === undefined) return undefined;
  return join(published.folder, tree.target(known.path, known.sha256));
}
