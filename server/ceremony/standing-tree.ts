/**
 * What the repository shows, verified from a root that the operator holds: what a signer compares
 * a change with, and by whose keys it is counted. The service's word is not taken for either.
 */

import { IronError } from '../../shared/errors.ts';
import { tree } from '../../shared/layout.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import type { RevocationFloors } from '../../shared/revocation/floors.ts';
import type { RevocationList } from '../../shared/revocation/list.ts';
import type { Root } from '../../shared/tuf/root.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import { driveAsync } from '../../shared/verify/drive.ts';
import { loadRevocations } from '../../shared/verify/revocations.ts';
import { TrustedMetadata } from '../../shared/verify/trusted.ts';
import { type Answer, type Request, refresh } from '../../shared/verify/workflow.ts';

export interface StandingTree {
  readonly root: Root;
  readonly targets: Targets;
  /** The list of revocations in force, and the floors that it sets. Throws what a host throws. */
  revocations(): Promise<StandingList>;
}

/** Both undefined in a repository without a security team. */
export interface StandingList {
  readonly list: RevocationList | undefined;
  readonly floors: RevocationFloors | undefined;
}

/** A file of the tree; undefined when there is none. */
export type FetchShown = (path: string, cap: number) => Promise<Uint8Array | undefined>;

/**
 * Walks from `pinned` to the root and the targets that are published. Throws what the client
 * workflow throws: a service that shows something expired or forged is no base to sign upon.
 */
export async function standingTree(pinned: Uint8Array, fetch: FetchShown): Promise<StandingTree> {
  const trusted = new TrustedMetadata({ crypto, now: systemClock(), root: pinned });
  const answer = async (request: Request): Promise<Answer> => {
    if (request.kind === 'fetch-list') {
      const { path, hashes } = request.entry;
      return await fetch(tree.target(path, hashes.get('sha256') ?? ''), request.maxLength);
    }
    if (request.kind !== 'fetch') return undefined;
    const { role, version, maxLength } = request;
    const path = version === undefined ? tree.timestamp : tree.metadata(role, version);
    return await fetch(path, maxLength);
  };
  await driveAsync(refresh(trusted), answer);
  const targets = trusted.targets('targets');
  if (targets === undefined) throw new IronError('E_INTERNAL', 'a refresh without targets');
  return {
    ...{ root: trusted.root, targets },
    async revocations() {
      const { list } = await driveAsync(loadRevocations(trusted), answer);
      return { list, floors: trusted.floors.revocations };
    },
  };
}
