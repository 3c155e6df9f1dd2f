/**
 * The real client, run over what is about to be published: from an empty store that knows root 1
 * alone, and from a store that trusted what stands now. What a host would refuse is not published.
 */

import { join } from 'node:path';
import { Updater, type UpdaterOptions } from '../../client/updater.ts';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { settled } from '../../shared/crypto/digest-memory.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { tree } from '../../shared/layout.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { promptFiles } from '../../shared/node/prompt-files.ts';
import { requireNotRevoked } from '../../shared/revocation/judge.ts';
import type { RevocationList } from '../../shared/revocation/list.ts';
import type { Clock } from '../../shared/time.ts';
import { edgesFor } from '../../shared/tuf/delegations.ts';
import { keysBelow } from '../../shared/tuf/nested.ts';
import { type Floors, NO_FLOORS } from '../../shared/verify/floors.ts';
import { bareSubject } from '../../shared/verify/revoked.ts';
import type { SnapshotReader, TrustedMetadata } from '../../shared/verify/trusted.ts';
import { type FoundTarget, loadDelegated, type Workflow } from '../../shared/verify/workflow.ts';
import { isArtifact } from '../intake/checks/artifacts.ts';
import type { FreshTarget } from '../intake/examine.ts';
import type { Published } from '../storage/published.ts';

type Fetcher = UpdaterOptions['fetcher'];
type Store = UpdaterOptions['store'];

export interface PreflightInput {
  readonly crypto: Crypto;
  readonly clock: Clock;
  /** Folders laid out like the tree; the first that has a file decides what it is. */
  readonly layers: readonly string[];
  /** Tree paths that count as absent although a layer has them. */
  readonly hidden?: ReadonlySet<string>;
  readonly published: Published | undefined;
  /** Roles that must verify, each with what must be found by a client that walks to it. */
  readonly roles: readonly ExpectedRole[];
  /** Whether the role that lists the revocations is part of what is published. */
  readonly renewsRevocations?: boolean;
  readonly readSnapshot?: SnapshotReader;
}

export interface ExpectedRole {
  readonly vendor: string;
  readonly role: string;
  readonly fresh: readonly FreshTarget[];
}

/** Roles that one client is asked for before another takes over: it keeps them all in memory. */
const ROLES_PER_CLIENT = 128;

/**
 * Throws what a client would throw. What a delegated role is judged by (the snapshot's entry and the
 * keys of who delegates to it) is the same for every client that came as far as these targets: the
 * one from an empty store is asked for every role that changes, the other for one of each vendor.
 */
export async function preflight(input: PreflightInput): Promise<void> {
  const first = await readLayer(input, tree.metadata('root', 1), METADATA_LIMITS.root);
  if (first === undefined) throw new IronError('E_NO_PIN', 'there would be no root 1');
  const { roles } = input;
  for (let at = 0; at === 0 || at < roles.length; at += ROLES_PER_CLIENT)
    await runClient(input, new MemoryStore(first), roles.slice(at, at + ROLES_PER_CLIENT));
  if (input.published === undefined) return;
  const samples = new Map(
    roles.map((one) => [one.vendor, { ...one, fresh: one.fresh.slice(0, 1) }]),
  );
  await runClient(input, storeOf(input.published), [...samples.values()]);
}

async function runClient(
  input: PreflightInput,
  store: Store,
  roles: readonly ExpectedRole[],
): Promise<void> {
  const { crypto, clock, readSnapshot } = input;
  const updater = new Updater({ crypto, clock, store, fetcher: fetcherOf(input), readSnapshot });
  await updater.refresh();
  const list = await readRevocations(updater, input);
  for (const { vendor, role, fresh } of roles) {
    await updater.run((trusted) => loadRole(trusted, vendor, role));
    for (const target of fresh) await demandFound(updater, target, list);
  }
}

/** A vendor's role, or one below it, as a client loads them on its way to a path of the vendor. */
function* loadRole(trusted: TrustedMetadata, vendor: string, role: string): Workflow<void> {
  const delegations = trusted.targets('targets')?.delegations;
  const edges =
    delegations === undefined
      ? []
      : edgesFor(trusted.crypto, delegations, `${vendor}/preflight/preflight/preflight`);
  const at = edges.findIndex((edge) => edge.role === vendor);
  const edge = edges[at];
  // TUF 5.6.7.2.1: a terminating delegation before it would end the search.
  if (edge === undefined || edges.slice(0, at).some(({ terminating }) => terminating))
    throw new IronError('E_DELEGATION', `a client would not be sent to the role ${vendor}`);
  let file = yield* loadDelegated(trusted, ['targets'], edge);
  const chain = ['targets', vendor];
  // Each is called by the name of the one that delegates to it, and more.
  for (const part of role.split('.').slice(1)) {
    const next = `${chain.at(-1)}.${part}`;
    const keys = keysBelow(file, next);
    if (keys === undefined)
      throw new IronError('E_DELEGATION', `a client would not be sent to the role ${next}`);
    file = yield* loadDelegated(trusted, [...chain], { role: next, keys, terminating: true });
    chain.push(next);
  }
}

async function demandFound(
  updater: Updater,
  target: FreshTarget,
  list: RevocationList | undefined,
): Promise<void> {
  const found = await updater.find(target.path);
  const same =
    found?.entry.length === target.length && found.entry.hashes.get('sha256') === target.sha256;
  if (same) {
    if (isArtifact(target.path)) await demandNotRevoked(updater, found, list);
    return;
  }
  throw new IronError('E_TARGET_UNKNOWN', `a client would not find ${target.path}`, {
    why: 'the walk over the delegations does not come to the entry that was submitted',
    context: { path: target.path },
  });
}

/**
 * By the list that stands at this moment, whichever it was when the artifact came in. The vendor's
 * own floors are those of the role that intake judged it by.
 */
async function demandNotRevoked(
  updater: Updater,
  found: FoundTarget,
  list: RevocationList | undefined,
): Promise<void> {
  const trusted = await updater.trusted();
  requireNotRevoked({ list, floors: undefined }, bareSubject(trusted.crypto, trusted, found));
}

/**
 * The list is judged as hosts judge it. That nobody renewed it stops what vendors publish, and not
 * what the service itself must renew: then hosts would lose the timestamp too.
 */
async function readRevocations(
  updater: Updater,
  input: PreflightInput,
): Promise<RevocationList | undefined> {
  try {
    return (await updater.revocations()).list;
  } catch (error) {
    const isRenewal = input.roles.length === 0 && input.renewsRevocations !== true;
    if (!isRenewal || !isIronError(error, 'E_REVOCATIONS_STALE')) throw error;
    return undefined;
  }
}

async function readLayer(
  { layers, hidden }: PreflightInput,
  path: string,
  cap: number,
): Promise<Uint8Array | undefined> {
  if (hidden?.has(path) === true) return undefined;
  for (const layer of layers) {
    try {
      const options = { nofollow: true, files: promptFiles };
      return settled(await readFileCapped(join(layer, path), cap, options));
    } catch (error) {
      if (!isIronError(error, 'E_NOT_FOUND')) throw error;
    }
  }
  return undefined;
}

export function fetcherOf(input: PreflightInput): Fetcher {
  return {
    origin: 'the staged tree',
    fetchFile: (path, maxLength) => readLayer(input, path, maxLength),
    openFile() {
      // Targets were measured when they came in, and are linked, not copied, from there.
      throw new IronError('E_INTERNAL', 'preflight reads no targets');
    },
  };
}

/** A store of a client that trusted what is published now. */
function storeOf(published: Published): Store {
  const first = published.roots.get(1);
  if (first === undefined) throw new IronError('E_INTERNAL', 'a tree without its first root');
  const store = new MemoryStore(first, published.floors);
  for (const [version, bytes] of published.roots) store.roots.set(version, bytes);
  for (const [role, bytes] of published.files) store.files.set(role, bytes);
  return store;
}

export class MemoryStore implements Store {
  readonly roots = new Map<number, Uint8Array>();
  readonly files = new Map<string, Uint8Array>();
  readonly #pinned: Uint8Array;
  #floors: Floors;

  constructor(pinned: Uint8Array, floors: Floors = NO_FLOORS) {
    this.#pinned = pinned;
    this.#floors = floors;
  }

  async pinnedRoot(): Promise<Uint8Array> {
    return this.#pinned;
  }
  async root(version: number): Promise<Uint8Array | undefined> {
    return this.roots.get(version);
  }
  async read(role: string): Promise<Uint8Array | undefined> {
    return this.files.get(role);
  }
  async floors(): Promise<Floors> {
    return this.#floors;
  }
  async writeRoot(version: number, bytes: Uint8Array): Promise<void> {
    this.roots.set(version, bytes);
  }
  async write(role: string, bytes: Uint8Array): Promise<void> {
    this.files.set(role, bytes);
  }
  async remove(role: string): Promise<void> {
    this.files.delete(role);
  }
  async writeFloors(floors: Floors): Promise<void> {
    this.#floors = floors;
  }
}
