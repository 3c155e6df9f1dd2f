/**
 * The whole of a vendor's branch: its own role, those nested in it however deep, and their bins. Which
 * files are read is the caller's: what is published, or what is to be.
 */

import type { Crypto } from '../crypto/crypto.ts';
import { IronError } from '../errors.ts';
import { NESTED_LIMITS } from '../limits.ts';
import type { DelegatedKeys, DelegatedRole } from './delegations.ts';
import { depthOf, isBinName, keysBelow, Owners, parentRole, rolesBelow } from './nested.ts';
import type { Targets } from './targets.ts';

/** The file of a role of the vendor; undefined when there is none. */
export type ReadRole = (role: string) => Promise<Targets | undefined>;

/** The branch of one vendor, as `read` has it. */
export class BranchWalk {
  readonly vendor: string;
  readonly read: ReadRole;
  readonly #crypto: Crypto;
  /** By role, of the file that was read last: many paths are asked about. */
  readonly #owners = new Map<string, { readonly file: Targets | undefined; owners: Owners }>();

  constructor(crypto: Crypto, vendor: string, read: ReadRole) {
    this.#crypto = crypto;
    this.vendor = vendor;
    this.read = read;
  }

  /** Names of all roles below `top`, each after the one that delegates to it. Bins are not read. */
  async *names(top = this.vendor): AsyncGenerator<string> {
    for (const role of rolesBelow(await this.read(top))) {
      yield role;
      // Deeper than this nothing was ever published; a file that says otherwise leads nowhere.
      if (!isBinName(role) && depthOf(role) <= NESTED_LIMITS.depth) yield* this.names(role);
    }
  }

  /** The role that alone may list `path`, from the vendor's own role down. `E_DELEGATION`. */
  async owner(path: string): Promise<string> {
    let role = this.vendor;
    for (;;) {
      const next = isBinName(role) ? role : (await this.#ownersIn(role)).of(path);
      if (next === role) return role;
      // A child is called by its parent's name and more, so that this ends.
      if (parentRole(next) !== role)
        throw new IronError('E_DELEGATION', `${role} delegates to ${next}, which is no role of it`);
      role = next;
    }
  }

  async #ownersIn(role: string): Promise<Owners> {
    const file = await this.read(role);
    const known = this.#owners.get(role);
    if (known !== undefined && known.file === file) return known.owners;
    const owners = new Owners(this.#crypto, role, file);
    this.#owners.set(role, { file, owners });
    return owners;
  }

  /** Who signs a role below the vendor's own; undefined when no delegation leads to it. */
  async keys(role: string): Promise<DelegatedKeys | undefined> {
    const parent = parentRole(role);
    if (parent === undefined) return undefined;
    const isLed = parent === this.vendor || (await this.keys(parent)) !== undefined;
    return isLed ? keysBelow(await this.read(parent), role) : undefined;
  }

  /** The delegation to a nested role; undefined for a bin, and where none leads. */
  async delegation(role: string): Promise<DelegatedRole | undefined> {
    const keys = await this.keys(role);
    return keys !== undefined && 'name' in keys ? (keys as DelegatedRole) : undefined;
  }

  /** The file of a role that a delegation leads to. */
  async reached(role: string): Promise<Targets | undefined> {
    const isReached = role === this.vendor || (await this.keys(role)) !== undefined;
    return isReached ? await this.read(role) : undefined;
  }
}
