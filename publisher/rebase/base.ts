/**
 * What the vendor's next version is based on: the state of the repository as the real client
 * verifies it from the vendor's own pinned root. The service's word counts for nothing here: a
 * stolen one could offer an old role as the base, or none at all.
 */

import { Updater, type UpdaterOptions } from '../../client/updater.ts';
import { equalBytes } from '../../shared/bytes.ts';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { tree } from '../../shared/layout.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import type { DelegatedRole } from '../../shared/tuf/delegations.ts';
import { type MetaFile, verifyMetaFile } from '../../shared/tuf/meta-file.ts';
import { type KeyTable, verifyThreshold } from '../../shared/tuf/role.ts';
import { parseTargets, type Targets } from '../../shared/tuf/targets.ts';
import type { TrustedMetadata } from '../../shared/verify/trusted.ts';

export type Fetcher = UpdaterOptions['fetcher'];

export interface Base {
  /** The vendor's role that is published now; undefined before its first publication. */
  readonly role: Targets | undefined;
  /** Who must sign the next version. */
  readonly delegation: DelegatedRole;
  readonly keys: KeyTable;
  readonly trusted: TrustedMetadata;
}

export interface BaseOptions {
  readonly vendor: string;
  readonly updater: UpdaterOptions;
  /** Lowest version that this vendor saw published (floor.ts); 0 for none. */
  readonly floor: number;
  /** Roles that this folder signed or saw published (floor.ts). */
  readonly own?: readonly Targets[];
}

/**
 * Refreshes and verifies. Throws what the client workflow throws; `E_NOT_AUTHORISED` when the
 * operators did not admit the vendor; `E_ROLLBACK` below the floor.
 */
export async function loadBase(options: BaseOptions): Promise<Base> {
  const { vendor, updater, floor } = options;
  const client = new Updater(updater);
  const trusted = await client.refresh();
  const delegations = trusted.targets('targets')?.delegations;
  const delegation = delegations?.roles.find(({ name }) => name === vendor);
  if (delegations === undefined || delegation === undefined) {
    throw new IronError('E_NOT_AUTHORISED', `the operators did not admit a vendor ${vendor}`, {
      why: 'their signed targets delegate nothing to it',
      hint: 'nothing was sent; make a request with `ironport request` and give it to them',
      context: { vendor },
    });
  }
  const listed = trusted.snapshot().roles.get(vendor);
  const role =
    listed === undefined
      ? undefined
      : await loadRole(client, options, { trusted, delegation, keys: delegations.keys }, listed);
  // invariant 4: beside the client's own floors, which a rotated snapshot key lowers (TUF 5.3.11).
  if ((role?.version ?? 0) < floor) {
    throw new IronError(
      'E_ROLLBACK',
      `${vendor} went back from version ${floor} to ${role?.version ?? 'none'}`,
      {
        why: `this machine saw version ${floor} published`,
        hint: 'nothing was sent; do not sign on top of an old version: ask who runs the repository',
        context: { role: vendor, offered: role?.version ?? 0, floor },
      },
    );
  }
  return { role, delegation, keys: delegations.keys, trusted };
}

async function loadRole(
  client: Updater,
  { updater: { crypto, fetcher }, own = [] }: BaseOptions,
  edge: Pick<Base, 'trusted' | 'delegation' | 'keys'>,
  listed: MetaFile,
): Promise<Targets> {
  const { name } = edge.delegation;
  try {
    // Whatever path it is asked for, the walk ends at this role: its delegation is terminating.
    await client.find(`${name}/-/-/-`);
  } catch (error) {
    if (isIronError(error, 'E_EXPIRED') && error.context.role === name) {
      const role = await fetchListed(crypto, fetcher, listed, name);
      verifyThreshold(crypto, role.envelope, edge.keys, edge.delegation, name); // TUF 5.6.3
      return role;
    }
    if (!isIronError(error, 'E_THRESHOLD')) throw error;
    return loadReplaced(error, own, await fetchListed(crypto, fetcher, listed, name));
  }
  const role = edge.trusted.targets(name);
  if (role !== undefined) return role;
  throw new IronError('E_DELEGATION', `nobody is sent to the role ${name} for ${name}/…`, {
    why: 'another delegation before it ends the search for these paths',
    hint: 'nothing was sent; ask who runs the repository',
  });
}

/**
 * The role file that the snapshot lists, with no word about its signatures and its expiry: an
 * expired role is of no use to a host, but the vendor builds on it, that is how it is renewed.
 */
export async function fetchListed(
  crypto: Crypto,
  fetcher: Fetcher,
  listed: MetaFile,
  name: string,
): Promise<Targets> {
  const path = tree.metadata(name, listed.version);
  const bytes = await fetcher.fetchFile(path, METADATA_LIMITS.targets);
  if (bytes === undefined) throw new IronError('E_NETWORK', `the repository has no ${path}`);
  verifyMetaFile(crypto, bytes, listed, name); // TUF 5.6.2
  const role = parseTargets(bytes, name);
  // TUF 5.6.4
  if (role.version !== listed.version)
    throw new IronError('E_MIX_AND_MATCH', `${path} is version ${role.version}`);
  return role;
}

/**
 * After the operators replaced the vendor's keys, what is published is signed with keys that nobody
 * trusts any more, perhaps because they were stolen. It is built on only if it is, bit for bit,
 * what this folder signed or saw published.
 */
function loadReplaced(cause: IronError, own: readonly Targets[], role: Targets): Targets {
  const bytes = role.envelope.signedBytes();
  if (own.some(({ envelope }) => equalBytes(envelope.signedBytes(), bytes))) return role;
  throw new IronError('E_THRESHOLD', cause.message, {
    ...(cause.why === undefined ? {} : { why: cause.why }),
    hint: 'nothing was sent; if your keys were replaced, publish from the folder that published last, with the new keys in it; if they were not, ask who runs the repository',
    cause,
    context: cause.context,
  });
}
