/**
 * The order of the client workflow (TUF 1.0.34 section 5), without its IO.
 *
 * Each function here is a generator: it asks for bytes, or says what may be stored, and whoever
 * drives it answers. A fleet host answers from the network and its store, the agent from a
 * hand-over record, preflight from a staged tree, the browser with fetch: one order for all.
 */

import { IronError, isIronError } from '../errors.ts';
import { METADATA_LIMITS } from '../limits.ts';
import { type Delegations, type Edge, edgesFor } from '../tuf/delegations.ts';
import type { TargetEntry, Targets } from '../tuf/targets.ts';
import type { Floors } from './floors.ts';
import type { TrustedMetadata } from './trusted.ts';
import { hopefulNote, isNoted } from './unread.ts';

/** What a driver is asked for. Only what is fetched, or cached, is answered with bytes. */
export type Request =
  /** Bytes from the repository; undefined only when it says that there is no such file. */
  | {
      readonly kind: 'fetch';
      readonly role: string;
      readonly version: number | undefined;
      readonly maxLength: number;
    }
  /** The list of revocations from the store, as untrusted as any; from the repository as a target. */
  | { readonly kind: 'cached-list' }
  | { readonly kind: 'fetch-list'; readonly entry: TargetEntry; readonly maxLength: number }
  /** This list is verified and may replace the stored one. */
  | { readonly kind: 'store-list'; readonly bytes: Uint8Array }
  /** Bytes from the store, which are as untrusted as any. */
  | { readonly kind: 'cached'; readonly role: string; readonly version?: number }
  /** This file is verified and may replace the stored one; every root is kept, under its version. */
  | {
      readonly kind: 'store';
      readonly role: string;
      readonly version: number;
      readonly bytes: Uint8Array;
    }
  /** These files are trusted no longer. */
  | { readonly kind: 'drop'; readonly roles: readonly string[] }
  /** The floors of this host from now on. Only these may replace the stored ones. */
  | { readonly kind: 'floors'; readonly floors: Floors }
  /** A stored file was of no use; it will be replaced. */
  | {
      readonly kind: 'unusable';
      readonly role: string;
      readonly version?: number;
      readonly error: IronError;
    };

export type Answer = Uint8Array | undefined;
export type Workflow<T> = Generator<Request, T, Answer>;

/** Brings the top-level roles up to date (TUF 5.3 to 5.6.5). */
export function* refresh(trusted: TrustedMetadata): Workflow<void> {
  yield* updateRoots(trusted);
  yield* updateTimestamp(trusted);
  yield* updateSnapshot(trusted);
  if (!(yield* leavesTargetsUnread(trusted))) yield* loadTargets(trusted);
}

/**
 * Whether the stored targets file is the noted one, so that nobody has to read it now. Nothing of it
 * is trusted by that: `loadTargets` verifies it in full when it is used.
 */
function* leavesTargetsUnread(trusted: TrustedMetadata): Workflow<boolean> {
  if (hopefulNote(trusted) === undefined) return false;
  return (yield* tryCached('targets', (bytes) => isNoted(trusted, bytes))) === true;
}

/** The top-level targets (TUF 5.6.1 to 5.6.6), of this run, the store or the repository. */
export function* loadTargets(trusted: TrustedMetadata): Workflow<Targets> {
  const known = trusted.targets('targets');
  if (known !== undefined) return known;
  return yield* loadRole(trusted, 'targets', (bytes) => trusted.updateTargets(bytes));
}

/**
 * TUF 5.3: one version after the other, until the next one is not there. It begins at the pinned
 * root; roots that this host trusted before are replayed from the store, and verified again.
 */
function* updateRoots(trusted: TrustedMetadata): Workflow<void> {
  for (;;) {
    const version = trusted.root.version + 1;
    const floor = trusted.floors.root;
    const replayed = yield* tryCached('root', (bytes) => trusted.updateRoot(bytes), version);
    if (replayed === undefined) break;
    if (replayed.rotated) yield* forgetSnapshots(trusted);
    // A crash came between this root and its floor, which must outlive the stored file all the same.
    else if (trusted.floors.root > floor) yield { kind: 'floors', floors: trusted.floors };
  }
  // TUF 5.3.3: after so many new ones in one run the workflow goes on with the last of them, whose
  // expiry then decides; the next run follows the rest.
  for (let i = 0; i < METADATA_LIMITS.rootRotations; i++) {
    const version = trusted.root.version + 1;
    const bytes = yield { kind: 'fetch', role: 'root', version, maxLength: METADATA_LIMITS.root };
    if (bytes === undefined) break;
    const { rotated } = trusted.updateRoot(bytes);
    yield { kind: 'store', role: 'root', version, bytes }; // TUF 5.3.8
    if (rotated) yield* forgetSnapshots(trusted);
    else yield { kind: 'floors', floors: trusted.floors };
  }
  trusted.finishRoots();
}

/**
 * TUF 5.3.11. The root is stored before, the floors are lowered last: a crash in between finds the
 * new root above the stored floors' and comes here again, and never finds floors lowered without
 * the root that permits it.
 */
function* forgetSnapshots(trusted: TrustedMetadata): Workflow<void> {
  yield { kind: 'drop', roles: ['timestamp', 'snapshot'] };
  yield { kind: 'floors', floors: trusted.floors };
}

/** TUF 5.4. The stored one comes first, because it is the floor for the new one. */
function* updateTimestamp(trusted: TrustedMetadata): Workflow<void> {
  yield* tryCached('timestamp', (bytes) => trusted.updateTimestamp(bytes, 'cache'));
  const bytes = yield {
    kind: 'fetch',
    role: 'timestamp',
    version: undefined,
    maxLength: METADATA_LIMITS.timestamp,
  };
  if (bytes === undefined) throw missing('timestamp');
  const { time } = trusted.floors;
  if (trusted.updateTimestamp(bytes, 'network') === 'newer') {
    // Floors first, here as below: a crash in between leaves a stored file that is too old to be
    // used, and never one that could be taken away to make its predecessor acceptable again.
    yield { kind: 'floors', floors: trusted.floors };
    yield {
      kind: 'store',
      role: 'timestamp',
      version: trusted.requireFreshTimestamp().version,
      bytes,
    };
  } else if (trusted.floors.time !== time) {
    yield { kind: 'floors', floors: trusted.floors };
  }
  // TUF 5.4.3.1: the same version means that the stored one stands; it must still be fresh.
  trusted.requireFreshTimestamp();
}

/** TUF 5.5. */
function* updateSnapshot(trusted: TrustedMetadata): Workflow<void> {
  yield* tryCached('snapshot', (bytes) => trusted.updateSnapshot(bytes, 'cache'));
  if (trusted.hasCurrentSnapshot()) return;
  const { version, length } = trusted.requireFreshTimestamp().snapshot;
  const bytes = yield {
    kind: 'fetch',
    role: 'snapshot',
    version: trusted.root.consistentSnapshot ? version : undefined,
    maxLength: Math.min(length ?? trusted.limits.snapshot, trusted.limits.snapshot),
  };
  if (bytes === undefined) throw missing(`snapshot ${version}`);
  trusted.updateSnapshot(bytes, 'network');
  yield { kind: 'floors', floors: trusted.floors };
  yield { kind: 'store', role: 'snapshot', version, bytes };
}

/** TUF 5.6.1 to 5.6.6, for targets and each delegated role: the stored file if it still serves. */
function* loadRole(
  trusted: TrustedMetadata,
  role: string,
  update: (bytes: Uint8Array) => Targets,
): Workflow<Targets> {
  const { version, length } = trusted.metaFile(role);
  const cached = yield* tryCached(role, update);
  if (cached !== undefined) return cached;
  const bytes = yield {
    kind: 'fetch',
    role,
    version: trusted.root.consistentSnapshot ? version : undefined,
    maxLength: Math.min(length ?? trusted.limits.targets, trusted.limits.targets),
  };
  if (bytes === undefined) throw missing(`${role} ${version}`);
  const targets = update(bytes);
  yield { kind: 'store', role, version, bytes };
  return targets;
}

/** The role that speaks for a path, what it says, and by which delegations it was reached. */
export interface FoundTarget {
  readonly entry: TargetEntry;
  readonly role: string;
  readonly targets: Targets;
  /** From `targets` to `role`. */
  readonly chain: readonly string[];
  /** The files of `chain`, each verified for the edge before it. Under these names others may stand. */
  readonly files: readonly Targets[];
}

/**
 * Finds who speaks for `path` (TUF 5.6.7): delegations are walked pre-order, depth first, in the
 * order of the files; a terminating one ends the search; the number of roles visited is bounded.
 * Undefined when nobody does.
 */
export function* findTarget(
  trusted: TrustedMetadata,
  path: string,
  load: LoadDelegated = loadDelegated,
  edges: EdgesFor = (delegations) => edgesFor(trusted.crypto, delegations, path),
): Workflow<FoundTarget | undefined> {
  interface Step {
    readonly role: string;
    readonly chain: readonly string[];
    readonly files: readonly Targets[];
    readonly edge: Edge | undefined;
  }
  let pending: Step[] = [{ role: 'targets', chain: [], files: [], edge: undefined }];
  const visited = new Set<string>();
  while (pending.length > 0) {
    const step = pending.pop() as Step;
    // TUF 5.6.7.1: a role that was visited already is not visited again, which ends cycles.
    if (visited.has(step.role)) continue;
    // TUF 5.6.7: so many roles and no more.
    if (visited.size > METADATA_LIMITS.delegations) {
      throw new IronError(
        'E_DELEGATION',
        `more than ${METADATA_LIMITS.delegations} roles were visited for ${JSON.stringify(path)}`,
        {
          hint: 'nothing was changed; who runs the repository must flatten its delegations',
        },
      );
    }
    visited.add(step.role);
    const targets =
      step.edge === undefined
        ? yield* loadTargets(trusted)
        : yield* load(trusted, step.chain, step.edge);
    const chain = [...step.chain, step.role];
    const files = [...step.files, targets];
    const entry = targets.entry(path);
    if (entry !== undefined) {
      trusted.report({
        rule: 'TUF 5.6.7',
        what: `${chain.join(' → ')} speaks for ${path}`,
        version: targets.version,
      });
      return { entry, role: step.role, targets, chain, files };
    }
    if (targets.delegations === undefined) continue;
    const children: Step[] = [];
    for (const edge of edges(targets.delegations, path)) {
      children.push({ role: edge.role, chain, files, edge });
      // TUF 5.6.7.2.1: nothing after a terminating delegation is searched, here or further up.
      if (edge.terminating) {
        pending = [];
        break;
      }
    }
    // One by one: a file can hold more delegations than a call has room for arguments.
    for (const child of children.reverse()) pending.push(child);
  }
  return undefined;
}

/** The edges by which `path` leaves a role, in order; `edgesFor`, or something that finds the same. */
export type EdgesFor = (delegations: Delegations, path: string) => readonly Edge[];

/** Loads the role at the end of an edge, verified for that edge; `chain` leads to the delegator. */
export type LoadDelegated = (
  trusted: TrustedMetadata,
  chain: readonly string[],
  edge: Edge,
) => Workflow<Targets>;

/** From this run, the store or the repository. */
export function* loadDelegated(
  trusted: TrustedMetadata,
  _chain: readonly string[],
  edge: Edge,
): Workflow<Targets> {
  const known = trusted.verifiedFor(edge);
  if (known !== undefined) return known;
  return yield* loadRole(trusted, edge.role, (bytes) => trusted.updateDelegated(bytes, edge));
}

/** Offers the stored file; one that fails is reported and counts as absent (the cache is hostile too). */
function* tryCached<T>(
  role: string,
  use: (bytes: Uint8Array) => T,
  version?: number,
): Workflow<T | undefined> {
  const bytes = yield version === undefined
    ? { kind: 'cached', role }
    : { kind: 'cached', role, version };
  if (bytes === undefined) return undefined;
  try {
    return use(bytes);
  } catch (error) {
    if (!isIronError(error) || error.code === 'E_INTERNAL') throw error;
    yield { kind: 'unusable', role, error, ...(version === undefined ? {} : { version }) };
    return undefined;
  }
}

function missing(what: string): IronError {
  return new IronError('E_NETWORK', `the repository has no ${what}`, {
    why: 'a file that signed metadata names is not there: the mirror is incomplete',
    hint: 'nothing was changed; try again or another mirror',
  });
}
