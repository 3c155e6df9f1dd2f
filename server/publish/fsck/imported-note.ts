/**
 * `imported.json` says where the history of a repository begins that was taken over. Nobody signs it, so it is
 * held against what is signed: the first snapshot that is here says the same of every role, and a root that came
 * along signed that snapshot.
 */

import type { Crypto } from '../../../shared/crypto/crypto.ts';
import { tree } from '../../../shared/layout.ts';
import type { Root } from '../../../shared/tuf/root.ts';
import type { Snapshot } from '../../../shared/tuf/snapshot.ts';
import type { Targets } from '../../../shared/tuf/targets.ts';
import type { Imported } from '../../storage/imported.ts';
import type { Findings } from './findings.ts';
import type { Versions } from './role-rows.ts';
import { holdsThreshold, verifyByRoot } from './signed.ts';

export interface SignedHistory {
  readonly roots: Versions<Root>;
  readonly snapshots: Versions<Snapshot>;
  readonly targets: Versions<Targets>;
}

/** Whatever the note says and nothing signed bears out is a finding. */
export function demandNote(
  crypto: Crypto,
  findings: Findings,
  { root: rootVersion, first, unreachable }: Imported,
  { roots, snapshots, targets }: SignedHistory,
): void {
  const found = (what: string): void => findings.add(tree.imported, what);
  const { snapshot: beginning = 0, ...listed } = first;
  const snapshot = snapshots.get(beginning);
  if (snapshot === undefined) {
    found(`history would begin with snapshot ${beginning}, which is not there`);
    return;
  }
  const older = [...snapshots.keys()].find((version) => version < beginning);
  if (older !== undefined)
    found(`history would begin with snapshot ${beginning}, and snapshot ${older} is there`);
  for (const role of new Set([...Object.keys(listed), ...snapshot.roles.keys()])) {
    const [said, signed] = [listed[role], snapshot.roles.get(role)?.version];
    if (said !== signed)
      found(
        `${role} would begin with version ${said ?? 'none'}, and snapshot ${beginning} lists ${signed ?? 'none'}`,
      );
  }
  const root = roots.get(rootVersion);
  if (root === undefined) found(`root ${rootVersion} would have come along, and is not there`);
  else if (!holdsThreshold(() => verifyByRoot(crypto, root, 'snapshot', snapshot)))
    found(
      `root ${rootVersion} would have come along, and snapshot ${beginning} is not signed by it`,
    );
  const top = targets.get(listed.targets ?? 0)?.delegations?.roles ?? [];
  for (const role of unreachable)
    if (!snapshot.roles.has(role) || top.some(({ name }) => name === role))
      found(`nothing would have led to ${role}, and that is not what was signed then`);
}
