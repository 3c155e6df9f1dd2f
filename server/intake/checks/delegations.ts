/** What a role of a vendor, its own or a nested one, may delegate: to bins of it, or to roles nested in it. */

import { keyIdentity } from '../../../shared/crypto/key.ts';
import { IronError } from '../../../shared/errors.ts';
import { quoted } from '../../../shared/tuf/names.ts';
import { demandBins, demandNested, Owners, patternsOf } from '../../../shared/tuf/nested.ts';
import { keyIdentities } from '../../../shared/tuf/role.ts';
import type { Subject } from '../check.ts';

/** `E_DELEGATION`, `E_NAME`, `E_THRESHOLD`, `E_QUOTA`, `E_KEY`. */
export function demandDelegations({ role, file, crypto, delegation, record }: Subject): void {
  const { delegations } = file;
  if (delegations === undefined) return;
  const { succinct } = delegations;
  const api = new Set(record?.apiKeys.map(keyIdentity));
  const below = succinct === undefined ? delegations.roles : [{ ...succinct, name: 'its bins' }];
  if (succinct !== undefined) demandBins(role, file, succinct);
  else demandNested(role, delegations, delegation === undefined ? [] : patternsOf(delegation));
  for (const keys of below)
    for (const identity of keyIdentities(keys.table, keys))
      if (api.has(identity))
        throw new IronError('E_KEY', `a key of ${keys.name} signs metadata and requests as well`);
  if (succinct !== undefined) return;
  const owners = new Owners(crypto, role, file);
  const stray = file.paths().find((path) => owners.of(path) !== role);
  if (stray === undefined) return;
  throw new IronError('E_DELEGATION', `${role} lists ${quoted(stray)} itself`, {
    why: `it gives this path to ${owners.of(stray)}: a path would have two places in which it could stand`,
    context: { role, path: stray },
  });
}
