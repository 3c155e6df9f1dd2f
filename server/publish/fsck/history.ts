/** TUF 5.5.5 over all of history: nothing listed disappears or goes back; all of it is there. */

import { tree } from '../../../shared/layout.ts';
import type { Snapshot } from '../../../shared/tuf/snapshot.ts';
import type { Findings } from './findings.ts';
import type { Versions } from './role-rows.ts';

/**
 * @param roles versions that are there, by role
 * @param lost places of those that the operators called lost
 */
export function demandHistory(
  findings: Findings,
  snapshots: Versions<Snapshot>,
  roles: ReadonlyMap<string, ReadonlySet<number>>,
  lost: ReadonlySet<string>,
): void {
  let before = new Map<string, number>();
  for (const [version, snapshot] of [...snapshots].sort(([a], [b]) => a - b)) {
    const path = tree.metadata('snapshot', version);
    const listed = new Map([...snapshot.roles].map(([role, file]) => [role, file.version]));
    for (const [role, floor] of before) {
      const found = listed.get(role) ?? 0;
      if (found < floor) findings.add(path, `${role} went back from ${floor} to ${found}`);
    }
    for (const [role, wanted] of listed) {
      const isThere = roles.get(role)?.has(wanted) === true;
      if (!isThere && !lost.has(tree.metadata(role, wanted)))
        findings.add(path, `it lists ${role} ${wanted}, which is not there`);
    }
    before = listed;
  }
}
