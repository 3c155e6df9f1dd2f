/** What one publication brings into the tree, before it has files. */

import type { Root } from '../../shared/tuf/root.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import type { ExaminedRole } from '../intake/examine.ts';
import type { SignedFile } from '../intake/operator-files.ts';
import type { RevocationFiles } from '../intake/revocations.ts';

/** A role file of a vendor: its own, or a bin of it. */
export interface RoleChange extends ExaminedRole {
  readonly vendor: string;
}

export interface Change {
  readonly roots: readonly SignedFile<Root>[];
  readonly targets: SignedFile<Targets> | undefined;
  readonly roles: readonly RoleChange[];
  /** The role that lists the revocations, and its list when that is a new one. */
  readonly revocations?: RevocationFiles;
  /** Whether a new snapshot is needed; a renewal of the timestamp alone needs none. */
  readonly snapshot: boolean;
  /** Submissions that are published by it. */
  readonly members: readonly string[];
}

/** Signs the timestamp, and where asked the snapshot, again: nothing else changes. */
export function renewal(role: 'snapshot' | 'timestamp'): Change {
  return {
    roots: [],
    targets: undefined,
    roles: [],
    snapshot: role === 'snapshot',
    members: [],
  };
}
