/** Everything that somebody in a repository may speak for: the verified table of contents. */

import { IronError, isIronError } from '../errors.ts';
import { LIST_LIMITS } from '../limits.ts';
import type { DelegatedKeys, Delegations, Edge } from '../tuf/delegations.ts';
import { binNames } from '../tuf/delegations.ts';
import { keyIdentities } from '../tuf/role.ts';
import type { Targets } from '../tuf/targets.ts';
import { ListEdges } from './list-edges.ts';
import type { TrustedMetadata } from './trusted.ts';
import {
  type FoundTarget,
  findTarget,
  type LoadDelegated,
  loadDelegated,
  loadTargets,
  type Workflow,
} from './workflow.ts';

export interface TargetList {
  /** In the order of the walk over the roles, then of each file. */
  readonly targets: readonly FoundTarget[];
  /** Roles that could not be used, and why; what only they could speak for is not listed. */
  readonly failed: ReadonlyMap<string, IronError>;
}

export interface ListOptions {
  /** Of the roles that the top-level targets name, those to look into; all when absent. */
  readonly branches?: ((role: string) => boolean) | undefined;
  /** Steps for all of it, and for one branch. */
  readonly steps?: { readonly all: number; readonly branch: number } | undefined;
}

/** A file to list: how it is reached, and which delegation of the top-level role leads to it. */
interface Step {
  readonly chain: readonly string[];
  readonly edge?: Edge;
  readonly branch: string;
}

/**
 * Loads every role once for each delegator and lists the paths for which a search would end in
 * that role: what a role says outside its delegation, or behind a terminating one, is nobody's
 * word. A branch that costs more than its share is left out and said to have failed; it hides
 * nobody else. `E_TOO_LARGE` over the limits on roles and targets.
 */
export function* listTargets(
  trusted: TrustedMetadata,
  { branches, steps }: ListOptions = {},
): Workflow<TargetList> {
  const failed = new Map<string, IronError>();
  const budget = new Budget(
    steps?.all ?? LIST_LIMITS.steps,
    steps?.branch ?? LIST_LIMITS.branchSteps,
  );
  const walk = new ListEdges(trusted.crypto, budget.of('targets'));
  const load = loader(walk, failed);

  const targets: FoundTarget[] = [];
  const listed = new Set<string>();
  // Each file once: among roles that delegate to one another there are more ways than time.
  const seen = new Set<Targets>();
  const pending: Step[] = [{ chain: [], branch: 'targets' }];
  while (pending.length > 0) {
    const { chain, edge, branch } = pending.pop() as Step;
    const role = edge?.role ?? 'targets';
    walk.effort = budget.of(branch);
    if (walk.effort.left <= 0) {
      failed.set(branch, tooCostly(branch));
      continue;
    }
    const file = yield* orFailed(
      edge === undefined ? undefined : load(trusted, chain, edge),
      trusted,
    );
    if (file === undefined || seen.has(file)) continue;
    seen.add(file);
    for (const path of file.paths()) {
      if (listed.has(path)) continue;
      const found = yield* orNothing(findTarget(trusted, path, load, walk.edges));
      if (walk.effort.left <= 0) {
        failed.set(branch, tooCostly(branch));
        break;
      }
      if (found?.role !== role) continue;
      listed.add(path);
      targets.push(found);
      if (targets.length > LIST_LIMITS.targets) {
        throw new IronError('E_TOO_LARGE', `more than ${LIST_LIMITS.targets} targets to list`);
      }
    }
    if (file.delegations === undefined || walk.effort.left <= 0) continue;
    const next = [...chain, role];
    const edges = allEdges(file.delegations).filter(
      ({ role }) => edge !== undefined || branches === undefined || branches(role),
    );
    for (const one of edges.reverse()) {
      pending.push({ chain: next, edge: one, branch: edge === undefined ? one.role : branch });
    }
  }
  return { targets, failed };
}

/** What the branches may spend: each its share, and all of them no more than there is in all. */
class Budget {
  readonly #branch: number;
  readonly #efforts = new Map<string, { given: number; left: number }>();
  #left: number;

  constructor(all: number, branch: number) {
    this.#left = all;
    this.#branch = branch;
  }

  /** The effort of a branch, which is the same one each time. */
  of(branch: string): { left: number } {
    // What the others spent since is gone from what is left in all.
    for (const effort of this.#efforts.values()) {
      this.#left -= effort.given - effort.left;
      effort.given = effort.left;
    }
    let effort = this.#efforts.get(branch);
    if (effort === undefined) {
      effort = { given: this.#branch, left: this.#branch };
      this.#efforts.set(branch, effort);
    }
    if (effort.left > this.#left) {
      effort.left = this.#left;
      effort.given = effort.left;
    }
    return effort;
  }
}

function tooCostly(branch: string): IronError {
  return new IronError('E_TOO_LARGE', `what ${branch} delegates and lists is too costly to list`, {
    why: 'matching its paths with its patterns takes more steps than one branch is given',
    hint: 'its targets are left out; each can still be asked for by name',
    context: { role: branch },
  });
}

/** Loads each role once for each set of keys that must have signed it. */
function loader(walk: ListEdges, failed: Map<string, IronError>): LoadDelegated {
  /** By role and by who must have signed it: what one delegator trusts is nothing to another. */
  const loaded = new Map<string, Targets | IronError>();
  const signersOf = new WeakMap<DelegatedKeys, string>();
  return function* (trusted, chain, edge) {
    walk.effort.left -= LIST_LIMITS.visitSteps;
    let signers = signersOf.get(edge.keys);
    if (signers === undefined) {
      const { threshold, table } = edge.keys;
      signers = JSON.stringify([threshold, [...keyIdentities(table, edge.keys)].sort()]);
      signersOf.set(edge.keys, signers);
    }
    const key = `${JSON.stringify(edge.role)} ${signers}`;
    let known = loaded.get(key);
    if (known === undefined) {
      known = yield* tryLoad(trusted, chain, edge);
      loaded.set(key, known);
      if (loaded.size > LIST_LIMITS.roles) {
        throw new IronError('E_TOO_LARGE', `more than ${LIST_LIMITS.roles} roles to list`);
      }
    }
    if (known instanceof IronError) {
      failed.set(edge.role, known);
      throw known;
    }
    return known;
  };
}

function* tryLoad(
  trusted: TrustedMetadata,
  chain: readonly string[],
  edge: Edge,
): Workflow<Targets | IronError> {
  try {
    return yield* loadDelegated(trusted, chain, edge);
  } catch (error) {
    // One vendor's expired or broken role is no reason to hide all others.
    if (!isIronError(error) || error.code === 'E_INTERNAL') throw error;
    return error;
  }
}

function* orFailed(
  loading: Workflow<Targets> | undefined,
  trusted: TrustedMetadata,
): Workflow<Targets | undefined> {
  if (loading === undefined) return yield* loadTargets(trusted);
  return yield* orNothing(loading);
}

function* orNothing<T>(work: Workflow<T>): Workflow<T | undefined> {
  try {
    return yield* work;
  } catch (error) {
    if (!isIronError(error) || isIronError(error, 'E_INTERNAL', 'E_TOO_LARGE')) throw error;
    return undefined;
  }
}

function allEdges(delegations: Delegations): Edge[] {
  const { succinct } = delegations;
  if (succinct === undefined) {
    return delegations.roles.map((role) => ({
      role: role.name,
      keys: role,
      terminating: role.terminating,
    }));
  }
  if (2 ** succinct.bitLength > LIST_LIMITS.roles) {
    throw new IronError('E_TOO_LARGE', `more than ${LIST_LIMITS.roles} roles to list`);
  }
  return binNames(succinct).map((role) => ({ role, keys: succinct, terminating: true }));
}
