/**
 * Bins that stand as they are while their description gets other keys: as many bins, of the same names,
 * so that every path stays where it is. One that enough of the new keys signed already is found by a reader
 * under either description, and need not come along. So more bins than wait together go over from old keys
 * to new ones in steps (ADR 0084): first both may sign, then each bin is signed again, then the old ones go.
 */

import type { Crypto } from '../../shared/crypto/crypto.ts';
import { isIronError } from '../../shared/errors.ts';
import type { BranchWalk } from '../../shared/tuf/branch-walk.ts';
import type { SuccinctRoles } from '../../shared/tuf/delegations.ts';
import { verifyThreshold } from '../../shared/tuf/role.ts';
import type { Targets } from '../../shared/tuf/targets.ts';

export class StandingBins {
  readonly #crypto: Crypto;
  readonly #branch: BranchWalk;
  readonly #next: SuccinctRoles | undefined;
  /** Those that were found to hold. Owned by `holds`. */
  count = 0;

  /** @param branch what is published */
  constructor(
    crypto: Crypto,
    branch: BranchWalk,
    before: Targets | undefined,
    after: Targets | undefined,
  ) {
    this.#crypto = crypto;
    this.#branch = branch;
    const [old, next] = [before?.delegations?.succinct, after?.delegations?.succinct];
    const isSame = old?.bitLength === next?.bitLength && old?.namePrefix === next?.namePrefix;
    this.#next = isSame ? next : undefined;
  }

  /** Whether the published file of this bin is signed as the new description demands (TUF 5.6.3). */
  async holds(name: string): Promise<boolean> {
    const keys = this.#next;
    const file = keys === undefined ? undefined : await this.#branch.read(name);
    if (keys === undefined || file === undefined) return false;
    try {
      verifyThreshold(this.#crypto, file.envelope, keys.table, keys, name);
    } catch (error) {
      if (!isIronError(error, 'E_THRESHOLD')) throw error;
      return false;
    }
    this.count += 1;
    return true;
  }
}
