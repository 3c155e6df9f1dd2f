/**
 * What follows when a key of the operators is lost, or in strange hands: a root without it, and
 * where it signed targets, the targets signed again. Pure.
 */

import type { Crypto } from '../../shared/crypto/crypto.ts';
import type { PublicKey } from '../../shared/crypto/key.ts';
import { IronError } from '../../shared/errors.ts';
import { keyId } from '../../shared/tuf/key.ts';
import { TOP_LEVEL_ROLES, type TopLevelRole } from '../../shared/tuf/names.ts';
import type { Root } from '../../shared/tuf/root.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import type { RootChange } from './next-root.ts';

export interface GoneKey {
  readonly keyid: string;
  /** Roles of the root that it may sign. */
  readonly roles: readonly TopLevelRole[];
}

/** The key of the root that `id`, an id or 8 digits or more of one, names. `E_NOT_FOUND`, `E_USAGE`. */
export function findKey(
  crypto: Crypto,
  root: Root,
  targets: Targets | undefined,
  id: string,
): GoneKey {
  if (!/^[0-9a-f]{8,64}$/.test(id))
    throw new IronError(
      'E_USAGE',
      `${JSON.stringify(id)} is no key id, nor 8 digits or more of one`,
    );
  const ids = new Map<string, Set<TopLevelRole>>();
  for (const role of TOP_LEVEL_ROLES) {
    for (const listed of root.roles[role].keyids) {
      const key = root.keys.get(listed)?.publicKey;
      const own = key === undefined ? listed : keyId(crypto, key);
      if (own.startsWith(id) || listed.startsWith(id))
        ids.set(own, (ids.get(own) ?? new Set()).add(role));
    }
  }
  const [found, ...more] = ids;
  if (more.length > 0)
    throw new IronError('E_USAGE', `${id} begins several key ids; give more of it`);
  if (found !== undefined) return { keyid: found[0], roles: [...found[1]] };
  const vendor = targets?.delegations?.roles.find(({ keyids }) =>
    keyids.some((keyid) => keyid.startsWith(id)),
  );
  if (vendor !== undefined) {
    throw new IronError('E_USAGE', `${id} is a key of the vendor ${vendor.name}`, {
      hint: `nothing was written; stop what it sends with \`ironport-repo vendor suspend ${vendor.name}\`, and exchange its keys with \`ironport-repo vendor rotate-keys\``,
      context: { vendor: vendor.name },
    });
  }
  throw new IronError('E_NOT_FOUND', `root ${root.version} lists no key ${id}`, {
    hint: 'nothing was written; was it exchanged already? `ironport-client inspect ROOT` lists the keys',
  });
}

/**
 * The change of the root. Without a key that takes its place, an offline key is dropped, when a
 * threshold of the others remains; an online role has one key, which must be replaced.
 */
export function changeWithout(root: Root, gone: GoneKey, next: PublicKey | undefined): RootChange {
  const replacements = [];
  const drops = [];
  const online: { snapshot?: PublicKey; timestamp?: PublicKey } = {};
  for (const role of gone.roles) {
    if (role === 'snapshot' || role === 'timestamp') {
      if (next === undefined)
        throw new IronError('E_USAGE', `${role} has no other key`, {
          hint: 'nothing was written; give its next one with --new',
        });
      online[role] = next;
    } else if (next !== undefined) {
      replacements.push({ role, old: gone.keyid, new: next });
    } else {
      const { keyids, threshold } = root.roles[role];
      if (keyids.length - 1 < threshold)
        throw new IronError('E_USAGE', `without it ${role} could never be signed again`, {
          why: `${threshold} of ${keyids.length} keys must sign`,
          hint: 'nothing was written; give a key that takes its place with --new',
        });
      drops.push({ role, old: gone.keyid });
    }
  }
  return { ...online, replacements, drops };
}
