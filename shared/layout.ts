/**
 * Where everything lies: the published tree, the service's private folder, a host's store, a
 * hand-over. Server, client and agent all take their paths from here, and nobody joins strings.
 * All paths are relative and use `/`.
 */

import { encodePathAsSegment, encodeRoleName, parseTargetPath } from './tuf/names.ts';

/** The published tree, which is also the shape of the URLs (TUF 1.0.34 section 7.1). */
export const tree = {
  metadataFolder: 'metadata',
  targetsFolder: 'targets',
  /** `metadata/5.targets.json`; consistent snapshots, so every role has its version before it. */
  metadata: (role: string, version: number): string =>
    `metadata/${version}.${encodeRoleName(role)}.json`,
  /** `targets.json`, in repositories without consistent snapshots. */
  unversioned: (role: string): string => `${encodeRoleName(role)}.json`,
  /** The one file that moves. */
  timestamp: 'metadata/timestamp.json',
  /** Where history begins, of a repository that was taken over; served to nobody. */
  imported: 'imported.json',
  /** `targets/acme/edu/1.0.0/<sha256>.edu.js`. */
  target: (path: string, sha256: string): string => `targets/${hashPrefixed(path, sha256)}`,
  collectedFolder: 'collected',
  /** An empty file where the bytes of a target were collected; undefined for another place. */
  mark: (place: string): string | undefined =>
    place.startsWith('targets/') ? `collected/${place.slice('targets/'.length)}` : undefined,
} as const;

/** The role and version that a metadata path of the tree names; undefined for any other path. */
export function parseMetadataPath(
  path: string,
): { readonly role: string; readonly version: number | undefined } | undefined {
  const match = /^metadata\/(?:([1-9][0-9]{0,15})\.)?([^/]+)\.json$/.exec(path);
  if (match === null) return undefined;
  try {
    const role = decodeURIComponent(match[2] as string);
    return { role, version: match[1] === undefined ? undefined : Number(match[1]) };
  } catch {
    // Not percent-encoding: no role of ours is called so.
    return undefined;
  }
}

/** `a/b/c` as `a/b/<sha256>.c` (TUF 5.7.3, consistent snapshots). */
export function hashPrefixed(path: string, sha256: string): string {
  const cut = parseTargetPath(path).lastIndexOf('/') + 1;
  return `${path.slice(0, cut)}${sha256}.${path.slice(cut)}`;
}

/**
 * The path of a target as the path of a URL: each segment percent-encoded. Metadata paths need
 * no such step: role names are encoded already when they become file names.
 */
export function toUrlPath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

/** The service's folder (`repo-data/`). */
export const data = {
  tree: 'tree',
  private: 'private',
  database: 'private/state.sqlite',
  quarantine: 'private/quarantine',
  /** Bytes that have the digest that they were sent under. Each vendor sees its own folder only. */
  blob: (vendor: string, sha256: string): string => `private/quarantine/${vendor}/${sha256}`,
  /** Bytes of a blob that is not complete; the name says how long it will be. */
  partialBlob: (vendor: string, sha256: string, length: number): string =>
    `private/quarantine/${vendor}/${sha256}.${length}.part`,
  staging: 'private/staging',
  publication: (id: string): string => `private/staging/${id}`,
  /** Where the running service can be reached, for the commands of its owner. */
  service: 'private/service.json',
  onlineKeys: 'private/keys',
  /** Which submissions wait for reviewers. */
  reviewPolicy: 'private/review.json',
  /** The program that looks at bytes before they may be published. */
  scanner: 'private/scanner.json',
  /** What is not collected, whatever the window says. */
  holds: 'private/holds.json',
  /** Of those who change the holds, and of a collection while it goes by them. */
  holdsLock: 'private/holds.lock',
  suspendedFolder: 'private/suspended',
  suspended: (vendor: string): string => `private/suspended/${vendor}`,
  writerLock: 'private/writer.lock',
  /** Written and removed again, to see whether that can be done. */
  probe: 'private/probe',
  onlineKey: (role: 'snapshot' | 'timestamp'): string => `private/keys/${role}.json`,
  developmentKeys: 'private/keys-dev',
} as const;

/** A client's store for one repository. */
export const store = {
  metadataFolder: 'metadata',
  metadata: (role: string): string => `metadata/${encodeRoleName(role)}.json`,
  rootsFolder: 'roots',
  rootHistory: (version: number): string => `roots/${version}.json`,
  /** Where every chain of this store begins; written once. */
  pinnedRoot: 'pinned-root.json',
  floors: 'floors.json',
  /** The list of revocations that was read last; as untrusted as the metadata beside it. */
  revocations: 'revocations.json',
  /** What was verified of the stored targets file, so that it need not be read to be kept. */
  targetsNote: 'targets-note.json',
  /** The floor of the policy that the fleet signs: beside the stores, as it is of the whole host. */
  policyFloor: 'policy-floor.json',
  lock: 'lock',
  /** Targets that came in bundles, each under the SHA-256 of its place in the tree. */
  targetsFolder: 'targets',
  target: (digestOfPlace: string): string => `targets/${digestOfPlace}`,
  /** Evidence and indexes that verifications read, likewise; the least recently used go first. */
  evidenceFolder: 'evidence',
  evidence: (digestOfPlace: string): string => `evidence/${digestOfPlace}`,
  /** The key by which this host signs what it verified. */
  hostKey: 'keys/host.json',
  hostPublicKey: 'keys/host.pub.json',
  /** Locks of downloads that are under way, one for each place that is written to. */
  downloads: 'downloads',
  /** A store of its own for each repository of a map file, by a name that was parsed. */
  mapped: (name: string): string => `repositories/${name}`,
} as const;

/** What the operators of a fleet put on every host, owned by root. */
export const hostFiles = {
  policy: '/etc/ironport/policy.json',
  /** Who signs the policy; with it there, one that is not signed so is refused. */
  fleetKeys: '/etc/ironport/fleet-keys.json',
} as const;

/** A hand-over folder. The agent opens nothing else in it. */
export const handoff = {
  record: 'record.json',
  /** The artifact or a sidecar, by the whole of its target path. */
  target: (path: string): string => `targets/${encodePathAsSegment(path)}`,
} as const;

/** A vendor's folder, mode 0700: its keys, the repository that it trusts, what it signed last. */
export const vendorFolder = {
  config: 'vendor.json',
  lock: 'lock',
  keysFolder: 'keys',
  /** `list` is tuf, evidence or api. */
  key: (list: string, number: number): string => `keys/${list}-${number}.json`,
  /** Beside the keys, so that no backup has the one without the other. */
  floor: 'keys/floor.json',
  /** The role file that was signed here last, published or not. */
  lastSigned: 'signed/last.json',
  /** What was signed here of bins and nested roles, a line each. */
  signedBins: 'signed/bins.log',
  /** The role of this folder's signing that was last seen published. */
  lastPublished: 'signed/published.json',
  /** A role of this folder's signing that waits for the repository's reviewers, by submission. */
  inReviewFolder: 'signed/in-review',
  inReview: (id: string): string => `signed/in-review/${encodePathAsSegment(id)}.json`,
  /** The index of a product that was last seen published. */
  lastIndex: (product: string): string => `signed/index/${encodePathAsSegment(product)}.json`,
  trustFolder: 'trust',
  pinnedRoot: 'trust/root.json',
  rootHistory: (version: number): string => `trust/roots/${version}.json`,
  metadata: (role: string): string => `trust/metadata/${encodeRoleName(role)}.json`,
  floors: 'trust/floors.json',
  folders: ['keys', 'signed', 'signed/index', 'trust', 'trust/roots', 'trust/metadata'],
} as const;

/** The agent's own folder, mode 0700: nobody else writes there, and nothing in it is taken over. */
export const agentState = {
  lock: 'lock',
  pinnedRoot: 'trust/root.json',
  rootHistory: (version: number): string => `trust/roots/${version}.json`,
  floors: 'trust/floors.json',
  generations: 'trust/generations.json',
  policyFloor: 'trust/policy-floor.json',
  /** The fleet policy that operators signed, in its envelope; its version is the floor of the next. */
  fleetPolicy: 'trust/fleet-policy.json',
  /** The newest list of revocations that was verified, in force for what is bound later. */
  revocations: 'trust/revocations.json',
  /** Copies that nothing was decided about yet. */
  spool: 'spool',
  /** A copy of what the front put into its spool; and the lock of the one helper of this state. */
  fromSpool: 'from-spool',
  helperLock: 'helper-lock',
  acceptedFolder: 'accepted',
  /** A driver that was accepted, by its target path: `entry.json`, `artifact` and the sidecars. */
  accepted: (path: string): string => `accepted/${encodePathAsSegment(path)}`,
  hostId: 'host-id',
  grantKey: 'keys/grant.json',
  grantPublicKey: 'keys/grant.pub.json',
  /** Counter and nonces that may be used once. */
  domains: 'unique/iommu-domain',
  nonces: 'unique/nonces',
  grant: (domain: number): string => `grants/${domain}.json`,
  bindingsFolder: 'bindings',
  /** What is bound now, by PCI address. */
  binding: (bdf: string): string => `bindings/${encodePathAsSegment(bdf)}.json`,
  vfSetsFolder: 'virtual-functions',
  /** The virtual functions that were made of a physical one, by its PCI address. */
  vfSet: (bdf: string): string => `virtual-functions/${encodePathAsSegment(bdf)}.json`,
  journalsFolder: 'journal',
  /** A change of a device that is not finished. */
  journal: (bdf: string): string => `journal/${encodePathAsSegment(bdf)}.jsonl`,
  upgradesFolder: 'upgrades',
  /** A device that is on its way from one driver to another. */
  upgrade: (bdf: string): string => `upgrades/${encodePathAsSegment(bdf)}.json`,
  holdersFolder: 'holders',
  /** Which process holds a device for the helper. */
  holder: (bdf: string): string => `holders/${encodePathAsSegment(bdf)}.json`,
  keptFolder: 'kept',
  /** What is to be bound again when the machine starts. */
  kept: (bdf: string): string => `kept/${encodePathAsSegment(bdf)}.json`,
  quarantineFolder: 'quarantine',
  /** What is in quarantine, by incident, and what was. */
  incident: (id: string): string => `quarantine/${id}.json`,
  releasedIncident: (id: string): string => `quarantine/released/${id}.json`,
  /** When drivers of a device crashed of late. */
  crashes: (bdf: string): string => `quarantine/crashes/${encodePathAsSegment(bdf)}.json`,
  /** Takes up room, so that there is some when the disk is full. */
  quarantineReserve: 'quarantine/reserve',
  audit: 'audit.jsonl',
  /** Signed heads of it, unless they are kept elsewhere, and the key that signs them. */
  auditHeads: 'audit/heads.jsonl',
  auditKey: 'audit/key.json',
  auditPublicKey: 'audit/key.pub.json',
  /** What a device was held to, by the domain number of its grant. */
  receipt: (domain: number): string => `receipts/${domain}.json`,
  folders: [
    'trust',
    'trust/roots',
    'spool',
    'accepted',
    'keys',
    'unique',
    'grants',
    'bindings',
    'virtual-functions',
    'journal',
    'upgrades',
    'holders',
    'kept',
    'audit',
    'receipts',
    'quarantine',
    'quarantine/released',
    'quarantine/crashes',
  ],
} as const;

/** An exported audit log. */
export const auditExport = {
  log: 'audit.jsonl',
  heads: 'heads.jsonl',
  key: 'audit.pub.json',
} as const;

/** What a reviewer carries away: what was handed in, and the bytes. */
export const reviewFolder = {
  review: 'review.json',
  filesFolder: 'files',
  /** A role file or a target, by the whole of its path. */
  file: (path: string): string => `files/${encodePathAsSegment(path)}`,
} as const;

/** What lies in the folder of an accepted driver. */
export const acceptedFile = {
  entry: 'entry.json',
  artifact: 'artifact',
  /** There when a notice said that its vendor withdrew it. */
  withdrawn: 'withdrawn.json',
  sidecar: (sidecar: Sidecar): string => `sidecar${SIDECARS[sidecar]}`,
} as const;

/** Sidecars of an artifact, by appending to its whole target path. */
export const SIDECARS = {
  ceiling: '.ceiling.json',
  statements: '.intoto.jsonl',
  sbom: '.spdx.json',
  bundle: '.sigstore.json',
} as const;
export type Sidecar = keyof typeof SIDECARS;

export function sidecarPath(artifact: string, sidecar: Sidecar): string {
  return artifact + SIDECARS[sidecar];
}

/** The artifact that a path is a sidecar of, or undefined for an artifact itself. */
export function sidecarOf(
  path: string,
): { readonly artifact: string; readonly sidecar: Sidecar } | undefined {
  for (const [sidecar, suffix] of Object.entries(SIDECARS)) {
    if (path.endsWith(suffix))
      return { artifact: path.slice(0, -suffix.length), sidecar: sidecar as Sidecar };
  }
  return undefined;
}

/** The list of revocations, as a target, and the role that lists it. */
export const revocations = {
  role: 'revocations',
  paths: ['revocations/*'],
  list: 'revocations/list.json',
} as const;

/** The signed index of a product. */
export function indexPath(vendor: string, product: string): string {
  return `${vendor}/${product}/index/index.json`;
}

/** The service's API, as paths of URLs. What is published is read from the tree, not from here. */
export const api = {
  blob: (sha256: string): string => `/api/v1/blobs/${sha256}`,
  blobs: '/api/v1/blobs',
  submissions: '/api/v1/submissions',
  submission: (id: string): string => `/api/v1/submissions/${encodeURIComponent(id)}`,
  operatorFiles: '/api/v1/operator/files',
  operatorDrafts: '/api/v1/operator/pending',
  operatorDraft: (id: string): string => `/api/v1/operator/pending/${encodeURIComponent(id)}`,
  drafts: '/api/v1/pending',
  draft: (id: string): string => `/api/v1/pending/${encodeURIComponent(id)}`,
  reviews: '/api/v1/operator/reviews',
  review: (id: string): string => `/api/v1/operator/reviews/${encodeURIComponent(id)}`,
  reviewFile: (id: string, sha256: string): string =>
    `/api/v1/operator/reviews/${encodeURIComponent(id)}/files/${sha256}`,
  /** What this API is, for programs and for people. */
  description: '/openapi.json',
  descriptionPage: '/openapi.html',
  /** Collection of what nothing lists any more, for the owner of the machine. */
  retention: '/api/v1/operator/retention',
  health: '/healthz',
  ready: '/readyz',
  /** On the operators' own listener only. */
  metrics: '/metrics',
} as const;
