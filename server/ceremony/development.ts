/**
 * A set of keys for trying things out: all of them in one folder on this machine, which is just
 * what a real root must never be.
 */

import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { isIronError } from '../../shared/errors.ts';
import { data } from '../../shared/layout.ts';
import { LIFETIMES } from '../../shared/limits.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { writeFileExclusive } from '../../shared/node/files.ts';
import { ensurePrivateFolder } from '../../shared/node/folders.ts';
import { loadFileSigner, makeKeyFile } from '../../shared/node/signers/file.ts';
import { emptyList } from '../../shared/revocation/list.ts';
import type { Instant } from '../../shared/time.ts';
import { formatMetadata, sign } from '../../shared/tuf/build.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import { listingTree, signList } from './revocations.ts';
import { setUpTrees } from './set-up.ts';

export interface DevelopmentSet {
  /** Root 1, targets 1, an empty list of revocations and the role that lists it, signed. */
  readonly files: readonly Uint8Array[];
  /** Folder of the keys that a real operator would keep offline. */
  readonly folder: string;
}

const ROOT_KEYS = ['root-1', 'root-2', 'root-3'] as const;
const TEAM_KEYS = ['security-1', 'security-2', 'security-3'] as const;

/**
 * Makes the keys, those that are not there yet, and signs the first root (2 of 3) and the first
 * targets with them. The keys of snapshot and timestamp go where the service looks for them.
 */
export async function makeDevelopmentSet(
  home: string,
  crypto: Crypto,
  now: Instant,
): Promise<DevelopmentSet> {
  const folder = join(home, data.developmentKeys);
  await ensurePrivateFolder(folder);
  const offline = (name: string): Promise<Signer> => keyAt(join(folder, `${name}.json`), now);
  const online = (role: 'snapshot' | 'timestamp'): Promise<Signer> =>
    keyAt(join(home, data.onlineKey(role)), now);
  const root = [];
  for (const name of ROOT_KEYS) root.push(await offline(name));
  const targets = await offline('targets-1');
  const team = [];
  for (const name of TEAM_KEYS) team.push(await offline(name));
  // Development only: in earnest this key lies on a machine that is not the service.
  const renewal = await offline('renewal');
  const trees = setUpTrees(crypto, {
    revocations: {
      team: { keys: team.map(({ key }) => key), threshold: 2 },
      renewal: renewal.key,
    },
    root: { keys: root.map(({ key }) => key), threshold: 2 },
    targets: { keys: [targets.key], threshold: 1 },
    snapshot: (await online('snapshot')).key,
    timestamp: (await online('timestamp')).key,
    rootExpires: now + LIFETIMES.root,
    targetsExpires: now + LIFETIMES.targets,
  });
  const trust = { epoch: 1, keys: team.map(({ key }) => key), threshold: 2 };
  const list = await signList(crypto, emptyList(1, now), trust, team.slice(0, 2));
  const listing = listingTree(crypto, list, 1, now + LIFETIMES.revocations);
  return {
    folder,
    files: [
      formatMetadata(trees.root, await sign(crypto, trees.root, root.slice(0, 2))),
      formatMetadata(trees.targets, await sign(crypto, trees.targets, [targets])),
      list,
      formatMetadata(listing, await sign(crypto, listing, [renewal])),
    ],
  };
}

/**
 * The role that lists the revocations, signed anew by the development key when less than half of its
 * time is left; undefined otherwise, and where that key is not here. In earnest a timer elsewhere
 * does this.
 */
export async function renewDevelopment(
  home: string,
  crypto: Crypto,
  published: { readonly role: Targets; readonly bytes: Uint8Array } | undefined,
  now: Instant,
): Promise<Uint8Array | undefined> {
  if (published === undefined || published.role.expires - now > LIFETIMES.revocations / 2)
    return undefined;
  try {
    const signer = await loadFileSigner(join(home, data.developmentKeys, 'renewal.json'));
    const { version } = published.role;
    const expires = now + LIFETIMES.revocations;
    const tree = listingTree(crypto, published.bytes, version + 1, expires);
    return formatMetadata(tree, await sign(crypto, tree, [signer]));
  } catch (error) {
    if (isIronError(error, 'E_NOT_FOUND')) return undefined;
    throw error;
  }
}

/** The key in a file; a new one when there is none. A start that was cut short goes on with its keys. */
async function keyAt(path: string, now: Instant): Promise<Signer> {
  try {
    return await loadFileSigner(path);
  } catch (error) {
    if (!isIronError(error, 'E_NOT_FOUND')) throw error;
  }
  const { file, publicFile } = await makeKeyFile('ed25519', { created: now });
  await onPath(path, () => mkdir(dirname(path), { recursive: true }));
  await writeFileExclusive(path, file, { mode: 0o600 });
  await writeFileExclusive(path.replace(/\.json$/, '.pub.json'), publicFile);
  return await loadFileSigner(path);
}
