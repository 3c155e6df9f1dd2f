/**
 * The roles below a vendor's own in a repository that other tools made: hash bins, or roles nested however
 * deep. Each is called by the one that delegates to it, as ours are; so no delegation leads back up, or to one
 * role from two.
 */

import type { Crypto } from '../../shared/crypto/crypto.ts';
import { IronError } from '../../shared/errors.ts';
import { NESTED_LIMITS } from '../../shared/limits.ts';
import {
  type DelegatedRole,
  type Delegations,
  type Edge,
  isBin,
  type SuccinctRoles,
} from '../../shared/tuf/delegations.ts';
import { quoted } from '../../shared/tuf/names.ts';
import {
  demandNested,
  Owners,
  parentRole,
  patternsOf,
  rolesBelow,
  tooManyNested,
} from '../../shared/tuf/nested.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import type { Obstacles } from './obstacles.ts';

/** Loads the role at the end of an edge, verified for it, and keeps it. */
export type LoadRole = (chain: readonly string[], edge: Edge) => Promise<Targets>;

export interface BelowOptions {
  readonly crypto: Crypto;
  readonly vendor: string;
  /** What the snapshot lists. */
  readonly listed: ReadonlyMap<string, unknown>;
  readonly load: LoadRole;
}

export class RolesBelow {
  readonly #options: BelowOptions;
  readonly #obstacles: Obstacles;
  /** Nested roles that were found. Owned by `#one`. */
  #count = 0;

  constructor(options: BelowOptions, obstacles: Obstacles) {
    this.#options = options;
    this.#obstacles = obstacles;
  }

  /**
   * Loads everything that a role delegates to, and what these do; what has no place here is an obstacle.
   * @param chain from `targets` to the role
   * @param within patterns that are delegated to it
   */
  async take(chain: readonly string[], file: Targets, within: readonly string[]): Promise<void> {
    const { delegations } = file;
    if (delegations === undefined) return;
    const { succinct } = delegations;
    if (succinct !== undefined) await this.#bins(chain, file, succinct);
    else if (delegations.roles.length > 0) await this.#nested(chain, file, delegations, within);
  }

  async #bins(chain: readonly string[], file: Targets, succinct: SuccinctRoles): Promise<void> {
    const name = chain.at(-1) as string;
    const isSound = await this.#obstacles.guard(name, () => {
      if (parentRole(succinct.namePrefix) !== name)
        throw new IronError('E_NAME', `its hash bins are not called ${name}.…`, {
          why: `they are called ${quoted(succinct.namePrefix)}-…`,
        });
      return rolesBelow(file).length > 0;
    });
    if (isSound !== true) return;
    for (const bin of this.#options.listed.keys())
      if (isBin(succinct, bin))
        await this.#obstacles.guard(bin, () =>
          this.#options.load(chain, { role: bin, keys: succinct, terminating: true }),
        );
  }

  async #nested(
    chain: readonly string[],
    file: Targets,
    delegations: Delegations,
    within: readonly string[],
  ): Promise<void> {
    const name = chain.at(-1) as string;
    const sound: DelegatedRole[] = [];
    // Each by itself first, so that all that is in the way is said at once.
    for (const role of delegations.roles) {
      const found = await this.#obstacles.guard(role.name, () => {
        demandNested(name, { ...delegations, roles: [role] }, within);
        return role;
      });
      if (found !== undefined) sound.push(found);
    }
    const isWhole = sound.length === delegations.roles.length;
    const owners = isWhole
      ? await this.#obstacles.guard(name, () => {
          demandNested(name, delegations, within);
          return new Owners(this.#options.crypto, name, file);
        })
      : undefined;
    this.#demandOwn(name, file, owners);
    for (const role of sound)
      await this.#obstacles.guard(role.name, () => this.#one(chain, role, owners));
  }

  async #one(
    chain: readonly string[],
    role: DelegatedRole,
    owners: Owners | undefined,
  ): Promise<void> {
    const { vendor, listed, load } = this.#options;
    const { name } = role;
    this.#count += 1;
    if (this.#count > NESTED_LIMITS.roles)
      throw tooManyNested(vendor, 'more nested roles', NESTED_LIMITS.roles);
    // Whoever is sent to it would find nothing; with us a role comes together with its delegation.
    if (!listed.has(name))
      throw new IronError('E_DELEGATION', `${chain.at(-1)} delegates to it, and it is not there`, {
        why: 'the snapshot does not list it',
      });
    const file = await load(chain, { role: name, keys: role, terminating: true });
    this.#demandOwn(name, file, owners);
    await this.take([...chain, name], file, patternsOf(role));
  }

  /** A path that a role lists is that role's, and no other's: here no order decides (ADR 0042). */
  #demandOwn(name: string, file: Targets, owners: Owners | undefined): void {
    const stray = owners && file.paths().find((path) => owners.of(path) !== name);
    if (stray !== undefined)
      this.#obstacles.found(
        name,
        `it lists ${quoted(stray)}, and that path is given to ${owners?.of(stray)}`,
      );
  }
}
