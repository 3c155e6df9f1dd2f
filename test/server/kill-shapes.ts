/**
 * What vendors of three kinds hand in, each on top of what is published: one whose role lists its targets, one
 * with a nested role whose keys are exchanged now and then, and one with hash bins whose number changes.
 * Two calls over the same published versions make submissions of the same roles and versions.
 */

import { Node } from '../../shared/json/decode.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { formatMetadata, sign, succinctTree, targetsTree } from '../../shared/tuf/build.ts';
import {
  binFor,
  binNames,
  parseDelegations,
  type SuccinctRoles,
} from '../../shared/tuf/delegations.ts';
import { binPrefix } from '../../shared/tuf/names.ts';
import { testKey } from '../support/keys.ts';
import { signedRole, type TestArtifact, type TestVendor } from '../support/repository.ts';
import { type BelowFiles, nestedFile, nestedIn } from './nesting.ts';

/** The version of a role that the snapshot lists, 0 for none. */
export type ListedVersion = (role: string) => number;

export interface HandedIn {
  readonly own: Uint8Array | undefined;
  readonly below: BelowFiles;
  /** Who lists the artifact afterwards, in which version, and under which version of the vendor's role. */
  readonly lister: { readonly role: string; readonly version: number; readonly own: number };
}

/** A submission that brings one artifact at `path`, and takes away whatever was listed before. */
export type Shape = (
  vendor: TestVendor,
  listed: ListedVersion,
  artifact: TestArtifact & { readonly path: string },
  expires: number,
) => Promise<HandedIn>;

/** The next version of the vendor's role lists it. */
export const plain: Shape = async (vendor, listed, artifact, expires) => {
  const version = listed(vendor.name) + 1;
  return {
    own: await signedRole(vendor, version, [artifact], { expires }),
    below: { roles: [] },
    lister: { role: vendor.name, version, own: version },
  };
};

/** Every third submission exchanges the key of the nested role, in one snapshot with its next version. */
export const nested: Shape = async (vendor, listed, artifact, expires) => {
  const { name } = vendor;
  const role = `${name}.team`;
  const version = listed(role) + 1;
  const isOwnNew = version % 3 === 1;
  const ownVersion = listed(name) + (isOwnNew ? 1 : 0);
  const signers = [testKey(`${role} ${ownVersion % 2}`)];
  const delegations = nestedIn([{ name: role, paths: [`${name}/edu/*/*`], signers }]);
  return {
    own: isOwnNew ? await signedRole(vendor, ownVersion, [], { expires, delegations }) : undefined,
    below: {
      roles: [[role, await nestedFile(version, [artifact], { expires, signers })]],
    },
    lister: { role, version, own: ownVersion },
  };
};

/** Every fourth submission divides the role into another number of bins, two or four of them. */
export const binned: Shape = async (vendor, listed, artifact, expires) => {
  const { name } = vendor;
  const own = listed(name);
  const oneBin = `${binPrefix(name, bitsOf(own))}-0`;
  const isOwnNew = own === 0 || (listed(oneBin) + own) % 4 === 0;
  const ownVersion = own + (isOwnNew ? 1 : 0);
  const keys = { keys: vendor.tuf.map(({ key }) => key), threshold: vendor.threshold };
  const bits = bitsOf(ownVersion);
  const delegations = succinctTree(crypto, keys, bits, binPrefix(name, bits));
  const succinct = parseDelegations(new Node(delegations, '')).succinct as SuccinctRoles;
  const contents = new Map(binNames(succinct).map((bin) => [bin, new Map<string, JsonObject>()]));
  for (const [path, entry] of artifact.entries)
    contents.get(binFor(crypto, succinct, path))?.set(path, entry);
  const roles: [string, Uint8Array][] = [];
  for (const [bin, targets] of contents) {
    const tree = targetsTree(listed(bin) + 1, expires, { targets });
    roles.push([bin, formatMetadata(tree, await sign(crypto, tree, vendor.tuf))]);
  }
  const role = binFor(crypto, succinct, artifact.path);
  return {
    own: isOwnNew ? await signedRole(vendor, ownVersion, [], { expires, delegations }) : undefined,
    below: { roles },
    lister: { role, version: listed(role) + 1, own: ownVersion },
  };
};

function bitsOf(ownVersion: number): number {
  return ownVersion % 2 === 1 ? 1 : 2;
}
