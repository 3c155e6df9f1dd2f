/** The snapshot and the timestamp of a publication, signed with the online keys. */

import { join } from 'node:path';
import { toHex } from '../../shared/bytes.ts';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { keyIdentity } from '../../shared/crypto/key.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { IronError } from '../../shared/errors.ts';
import { revocations, tree } from '../../shared/layout.ts';
import { LIFETIMES, PUBLISHED_LIMITS } from '../../shared/limits.ts';
import {
  type FileMeta,
  idsIn,
  sealCanonical,
  sealMetadata,
  timestampTree,
} from '../../shared/tuf/build.ts';
import { canonicalSnapshot } from '../../shared/tuf/canonical-snapshot.ts';
import { RoleVersions } from '../../shared/tuf/role-versions.ts';
import type { Root } from '../../shared/tuf/root.ts';
import { sharesOf, tooLarge } from '../intake/checks/roles.ts';
import { isSigned } from '../intake/resigned-roles.ts';
import type { Published } from '../storage/published.ts';
import type { Change } from './change.ts';
import { exists } from './exists.ts';
import { isFastForwarded } from './fast-forward.ts';
import type { OnlineKeys, OnlineRole } from './online-keys.ts';
import { type PublishParts, stagingOf } from './parts.ts';
import { stageFile } from './stage.ts';

/** Versions that a publication makes current. */
export interface Versions {
  readonly snapshot: number;
  readonly timestamp: number;
}

/** Signs into the staged folder. Versions go on from those of the tree, whatever is elsewhere. */
export async function signOnline(
  parts: PublishParts,
  id: string,
  published: Published | undefined,
  change: Change,
): Promise<Versions> {
  const { crypto, clock, keys } = parts;
  const folder = stagingOf(parts, id);
  const now = clock();
  const roots = [change.roots.at(-1)?.parsed, published?.root].filter((root) => root !== undefined);
  const signers = (role: OnlineRole): Signer[] => signersFor(keys, roots, role);

  const ids = idsIn(crypto, ...roots.map((root) => root.keys));

  const standing = staysUnder(parts, published, change);
  if (standing !== undefined) {
    await stageFile(folder, tree.timestamp, standing.bytes);
    return standing;
  }
  const from = beginning(published, change);

  let snapshot: FileMeta & { version: number };
  if (change.snapshot || from.snapshot === 0) {
    const version = await freeVersion(parts, from.snapshot + 1);
    const expires = now + LIFETIMES.snapshot;
    const roles = rolesOf(published, change);
    const signed = canonicalSnapshot(version, expires, roles);
    // Names of our roles have no control character: their canonical form is JSON.
    const bytes = await sealCanonical(crypto, signed, signers('snapshot'), ids);
    demandReadable(bytes, roles);
    await stageFile(folder, tree.metadata('snapshot', version), bytes);
    snapshot = { version, ...measured(crypto, bytes) };
  } else {
    const bytes = published?.files.get('snapshot');
    if (bytes === undefined) throw new IronError('E_INTERNAL', 'a tree without its snapshot');
    snapshot = { version: from.snapshot, ...measured(crypto, bytes) };
  }
  const version = from.timestamp + 1;
  const signed = timestampTree(version, now + LIFETIMES.timestamp, snapshot);
  const bytes = await sealMetadata(crypto, signed, signers('timestamp'), ids);
  await stageFile(folder, tree.timestamp, bytes);
  return { snapshot: snapshot.version, timestamp: version };
}

/**
 * What stands, when a root comes alone, keeps the online keys that signed it, and the keys of the
 * root before it are not here: so it is with the first root of ours after a repository was taken over.
 * A timestamp by our key alone would be refused by readers that asked for roots a moment before; so
 * this one stays until its renewal, and holds under either root.
 */
function staysUnder(
  { crypto, clock, keys }: PublishParts,
  published: Published | undefined,
  change: Change,
): (Versions & { readonly bytes: Uint8Array }) | undefined {
  const root = change.roots.at(-1)?.parsed;
  const bytes = published?.files.get('timestamp');
  if (root === undefined || published === undefined || bytes === undefined) return undefined;
  const { role: listing, list } = change.revocations ?? {};
  const isAlone = change.targets === undefined && change.roles.length === 0;
  if (!isAlone || listing !== undefined || list !== undefined) return undefined;
  const isHere = ROLES.every(
    (role) => keys.those(published.root, role).length >= published.root.roles[role].threshold,
  );
  const now = clock();
  const holds = ROLES.every(
    (role) =>
      published[role].expires > now &&
      isSigned(crypto, published[role], root.keys, root.roles[role]),
  );
  if (isHere || !holds) return undefined;
  return { snapshot: published.snapshot.version, timestamp: published.timestamp.version, bytes };
}

const ROLES = ['snapshot', 'timestamp'] as const;

/**
 * The versions that are followed. Behind those that a thief of the online keys drove up to where
 * none follows, only a root that replaces these keys leads on: clients forget the versions with the
 * keys (TUF 5.3.11), and counting begins anew.
 */
function beginning(published: Published | undefined, change: Change): Versions {
  if (published === undefined) return { snapshot: 0, timestamp: 0 };
  const { snapshot, timestamp } = published;
  if (!isFastForwarded(published))
    return { snapshot: snapshot.version, timestamp: timestamp.version };
  if (change.roots.length > 0) return { snapshot: 0, timestamp: 0 };
  throw new IronError('E_VERSION', 'the versions of snapshot or timestamp were driven up', {
    why: `they are ${snapshot.version} and ${timestamp.version}: whoever signed that has stolen an online key`,
    hint: 'nothing was published; replace both online keys first: `ironport-repo root rotate`',
    context: { snapshot: snapshot.version, timestamp: timestamp.version },
  });
}

/**
 * The first snapshot version from `version` on whose name is free. Others are left by a thief's
 * versions, or by a commit whose journal was lost; what was once visible is never replaced.
 */
async function freeVersion({ current }: PublishParts, version: number): Promise<number> {
  while (await exists(join(current.folder, tree.metadata('snapshot', version)))) version += 1;
  return version;
}

/**
 * A threshold of the root that will stand. The keys of the root that it follows sign too, when
 * they are here: then the files hold under either root, and no reader between the two appearing
 * in the tree finds a timestamp that its root does not know.
 */
function signersFor(keys: OnlineKeys, roots: readonly Root[], role: OnlineRole): Signer[] {
  const [standing, ...before] = roots;
  if (standing === undefined) throw new IronError('E_INTERNAL', 'nothing says who signs');
  const signers = [
    ...keys.need(standing, role),
    ...before.flatMap((root) => keys.those(root, role)),
  ];
  return [...new Map(signers.map((signer) => [keyIdentity(signer.key), signer])).values()];
}

/** Every role that was ever listed stays listed (TUF 5.5.5), at its newest version. */
function rolesOf(published: Published | undefined, change: Change): RoleVersions {
  const changed = new Map<string, number>();
  if (change.targets !== undefined) changed.set('targets', change.targets.version);
  const listing = change.revocations?.role;
  if (listing !== undefined) changed.set(revocations.role, listing.version);
  for (const { role, version } of change.roles) changed.set(role, version);
  return new RoleVersions(published?.snapshot.roles ?? new Map(), changed);
}

function measured(crypto: Crypto, bytes: Uint8Array): FileMeta {
  return { length: bytes.length, sha256: toHex(crypto.sha256(bytes)) };
}

/** Each submission fitted by itself; of those that come together it is asked once more. */
function demandReadable(snapshot: Uint8Array, roles: ReadonlyMap<string, number>): void {
  if (snapshot.length > PUBLISHED_LIMITS.snapshot)
    throw tooLarge(snapshot.length, sharesOf(roles.keys()));
}
