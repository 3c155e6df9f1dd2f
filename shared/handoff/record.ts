/**
 * The hand-over record: everything by which an artifact was verified, so that somebody who trusts
 * neither the network nor the client can verify it again, offline, from a root of their own.
 */

import { fromBase64, toBase64, utf8 } from '../bytes.ts';
import type { Crypto } from '../crypto/crypto.ts';
import { IronError } from '../errors.ts';
import { Node } from '../json/decode.ts';
import { parseJson } from '../json/read.ts';
import { jsonObject } from '../json/value.ts';
import { HANDOFF_LIMITS, METADATA_LIMITS } from '../limits.ts';
import type { Instant } from '../time.ts';
import { parseTargetPath } from '../tuf/names.ts';
import { parseRoot } from '../tuf/root.ts';
import type { Report } from '../verify/check.ts';
import { drive } from '../verify/drive.ts';
import type { Floors } from '../verify/floors.ts';
import { learnVendorFloors, loadRevocations, type Revocations } from '../verify/revocations.ts';
import { TrustedMetadata } from '../verify/trusted.ts';
import { type FoundTarget, findTarget, type Request, refresh } from '../verify/workflow.ts';

const SCHEMA = 'ironport.handoff/v1';

export interface HandoffFile {
  readonly path: string;
  readonly length: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
}

export interface HandoffRecord {
  readonly artifact: HandoffFile;
  readonly sidecars: readonly HandoffFile[];
  /** Root files from the client's pinned one on, in order. */
  readonly roots: readonly Uint8Array[];
  readonly timestamp: Uint8Array;
  readonly snapshot: Uint8Array;
  /** `targets` and every delegated role that the walk visits for the artifact and its sidecars. */
  readonly roles: ReadonlyMap<string, Uint8Array>;
  /** The list of revocations, where the repository has one. */
  readonly revocations?: Uint8Array | undefined;
}

export function parseRecord(bytes: Uint8Array): HandoffRecord {
  const node = new Node(parseJson(bytes, { length: HANDOFF_LIMITS.record }), 'record');
  node.only('schema', 'artifact', 'sidecars', 'metadata').get('schema').oneOf(SCHEMA);
  const metadata = node
    .get('metadata')
    .only('roots', 'timestamp', 'snapshot', 'roles', 'revocations');
  const list = metadata.maybe('revocations');
  return {
    artifact: parseFile(node.get('artifact')),
    sidecars: node.get('sidecars').items(HANDOFF_LIMITS.sidecars).map(parseFile),
    roots: metadata
      .get('roots')
      .items(METADATA_LIMITS.rootRotations + 1)
      .map(base64),
    timestamp: base64(metadata.get('timestamp')),
    snapshot: base64(metadata.get('snapshot')),
    roles: new Map(
      metadata
        .get('roles')
        .entries(METADATA_LIMITS.delegations + 1)
        .map(([role, file]) => [role, base64(file)]),
    ),
    ...(list === undefined ? {} : { revocations: base64(list) }),
  };
}

function parseFile(node: Node): HandoffFile {
  node.only('path', 'length', 'sha256');
  return {
    path: parseTargetPath(node.get('path').string()),
    length: node.get('length').integer(0),
    sha256: node.get('sha256').matching(/^[0-9a-f]{64}$/, 'a SHA-256 digest'),
  };
}

function base64(node: Node): Uint8Array {
  return fromBase64(node.string());
}

export function formatRecord(record: HandoffRecord): Uint8Array {
  const roles = jsonObject([...record.roles].map(([role, file]) => [role, toBase64(file)]));
  const metadata = {
    roots: record.roots.map(toBase64),
    timestamp: toBase64(record.timestamp),
    snapshot: toBase64(record.snapshot),
    roles,
    ...(record.revocations === undefined ? {} : { revocations: toBase64(record.revocations) }),
  };
  const { artifact, sidecars } = record;
  return utf8(`${JSON.stringify({ schema: SCHEMA, artifact, sidecars, metadata })}\n`);
}

export interface RecordTrust {
  readonly crypto: Crypto;
  readonly now: Instant;
  /** The verifier's own root; the record's roots count only as they follow from it. */
  readonly root: Uint8Array;
  /** Roots that the verifier accepted before, by version. */
  readonly knownRoots?: (version: number) => Uint8Array | undefined;
  readonly floors: Floors;
  readonly report?: Report;
  /** The leave for an expired timestamp or snapshot, in seconds; without it there is none. */
  readonly maxStale?: number | undefined;
}

export interface VerifiedRecord {
  readonly trusted: TrustedMetadata;
  readonly artifact: FoundTarget;
  readonly sidecars: readonly FoundTarget[];
  /** Verified, and not yet held against the artifact: that takes its evidence. */
  readonly revocations: Revocations;
  /** To be stored by the verifier when, and only when, all of its other checks passed too. */
  readonly floors: Floors;
  readonly newRoots: ReadonlyMap<number, Uint8Array>;
}

/**
 * Runs the whole client workflow over the record's files, and holds its digests to what the signed
 * metadata says. Nothing is stored here. The files themselves are hashed by the shell, against the
 * digests that were verified.
 */
export function verifyRecord(record: HandoffRecord, trust: RecordTrust): VerifiedRecord {
  const trusted = new TrustedMetadata(trust);
  const offered = new Map(record.roots.map((bytes) => [parseRoot(bytes).version, bytes]));
  const newRoots = new Map<number, Uint8Array>();
  const answer = (request: Request): Uint8Array | undefined => {
    switch (request.kind) {
      case 'cached':
        return request.role === 'root' ? trust.knownRoots?.(request.version ?? 0) : undefined;
      case 'fetch':
        return capped(fromRecord(record, offered, request), request.maxLength, request.role);
      case 'fetch-list':
        return capped(record.revocations, request.maxLength, 'the list of revocations');
      case 'store':
        if (request.role === 'root') newRoots.set(request.version, request.bytes);
        return undefined;
      default:
        return undefined;
    }
  };
  drive(refresh(trusted), answer);
  const revocations = drive(loadRevocations(trusted), answer);
  const find = (file: HandoffFile): FoundTarget => {
    const found = drive(findTarget(trusted, file.path), answer);
    if (found === undefined) {
      throw new IronError('E_TARGET_UNKNOWN', `no role that may speak for ${file.path} lists it`, {
        hint: 'nothing was changed; hand the artifact over again after a refresh',
      });
    }
    requireSame(file, found);
    return found;
  };
  const artifact = find(record.artifact);
  const sidecars = record.sidecars.map(find);
  drive(learnVendorFloors(trusted, artifact), answer);
  return { trusted, artifact, sidecars, revocations, floors: trusted.floors, newRoots };
}

function fromRecord(
  record: HandoffRecord,
  roots: ReadonlyMap<number, Uint8Array>,
  request: { readonly role: string; readonly version: number | undefined },
): Uint8Array | undefined {
  switch (request.role) {
    case 'root':
      return roots.get(request.version ?? 0);
    case 'timestamp':
      return record.timestamp;
    case 'snapshot':
      return record.snapshot;
    default:
      return record.roles.get(request.role);
  }
}

function capped(
  bytes: Uint8Array | undefined,
  length: number,
  role: string,
): Uint8Array | undefined {
  if (bytes !== undefined && bytes.length > length) {
    throw new IronError(
      'E_TOO_LARGE',
      `${role} has ${bytes.length} bytes where at most ${length} are read`,
    );
  }
  return bytes;
}

/** The record's own digests are claims: they must be the ones that were signed. */
function requireSame(file: HandoffFile, found: FoundTarget): void {
  const { length, hashes } = found.entry;
  if (file.length !== length) {
    throw new IronError(
      'E_LENGTH',
      `the record gives ${file.path} ${file.length} bytes where ${length} were signed`,
    );
  }
  // A hand-over names SHA-256; an entry without it cannot be handed over.
  if (hashes.get('sha256') !== file.sha256) {
    throw new IronError(
      'E_HASH',
      `the record gives ${file.path} another digest than the one that was signed`,
      {
        hint: 'nothing was changed; hand the artifact over again',
      },
    );
  }
}
