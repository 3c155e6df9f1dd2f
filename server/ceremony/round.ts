/** One round of a first ceremony: whoever is here signs all that this key may sign. */

import { keyIdentity, type PublicKey } from '../../shared/crypto/key.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { IronError } from '../../shared/errors.ts';
import { revocations as place } from '../../shared/layout.ts';
import { LIFETIMES } from '../../shared/limits.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { emptyList } from '../../shared/revocation/list.ts';
import { listStanding } from '../../shared/revocation/signed-list.ts';
import type { Instant } from '../../shared/time.ts';
import { addSignatures, formatMetadata, sign } from '../../shared/tuf/build.ts';
import { keyId, shortKeyId } from '../../shared/tuf/key.ts';
import { keyIdentities } from '../../shared/tuf/role.ts';
import { type Standing, standingsOf } from '../../shared/tuf/standing.ts';
import { type Ceremony, type CeremonyFiles, readCeremony } from './ceremony-file.ts';
import { addListSignatures, listingTree, signList } from './revocations.ts';

/** How far each part is signed. */
export interface CeremonyStanding {
  readonly root: readonly Standing[];
  readonly targets: readonly Standing[];
  /** The list of the security team; undefined without a team. */
  readonly list: { readonly have: number; readonly need: number } | undefined;
  /** Whether the role that lists it is there. */
  readonly isListed: boolean;
}

export function ceremonyStanding(files: CeremonyFiles): CeremonyStanding {
  const { root, targets, team } = readCeremony(files);
  const { list, revocations } = files;
  return {
    root: standingsOf(crypto, { type: 'root', file: root }, undefined),
    targets: standingsOf(crypto, { type: 'targets', file: targets }, root),
    list: team && {
      have: list === undefined ? 0 : listStanding(crypto, list, team),
      need: team.threshold,
    },
    isListed: revocations !== undefined,
  };
}

/**
 * The files with the signatures of these keys, each where it counts. `E_NOT_AUTHORISED` when one
 * counts nowhere: its holder has the wrong key, or the wrong file.
 */
export async function signRound(
  files: CeremonyFiles,
  signers: readonly Signer[],
  now: Instant,
): Promise<CeremonyFiles> {
  const ceremony = readCeremony(files);
  const { root, targets, team } = ceremony;
  const roles = rolesOf(ceremony);
  const useless = signers.find(({ key }) => roles.every(({ keys }) => !keys.has(keyIdentity(key))));
  if (useless !== undefined) throw countsNowhere(useless.key);
  const here = (role: string): Signer[] => {
    const keys = roles.find(({ name }) => name === role)?.keys;
    return signers.filter(({ key }) => keys?.has(keyIdentity(key)) === true);
  };
  const signed = {
    root: await addSignatures(crypto, root.envelope, here('root')),
    targets: await addSignatures(crypto, targets.envelope, here('targets')),
  };
  const members = here('team');
  let { list, revocations } = files;
  if (team !== undefined && members.length > 0) {
    const before = list;
    list =
      before === undefined
        ? await signList(crypto, emptyList(1, now), team, members)
        : await addListSignatures(crypto, before, team, members);
    // A signature more makes it another file, with another digest.
    if (before === undefined || Buffer.compare(before, list) !== 0) revocations = undefined;
  }
  const isWhole =
    team !== undefined && list !== undefined && listStanding(crypto, list, team) >= team.threshold;
  const renewal = here(place.role);
  // It is listed when it is whole, by the renewal key if that is here.
  if (isWhole && list !== undefined && revocations === undefined && renewal.length > 0) {
    const tree = listingTree(crypto, list, 1, now + LIFETIMES.revocations);
    revocations = formatMetadata(tree, await sign(crypto, tree, renewal));
  }
  return { ...signed, list, revocations };
}

/** Whose keys count for which part. */
function rolesOf({ root, targets, team }: Ceremony): {
  readonly name: string;
  readonly keys: ReadonlySet<string>;
}[] {
  const { delegations } = targets;
  const renewal = delegations?.roles.find(({ name }) => name === place.role);
  return [
    { name: 'root', keys: keyIdentities(root.keys, root.roles.root) },
    { name: 'targets', keys: keyIdentities(root.keys, root.roles.targets) },
    { name: 'team', keys: new Set((team?.keys ?? []).map(keyIdentity)) },
    {
      name: place.role,
      keys:
        delegations === undefined || renewal === undefined
          ? new Set()
          : keyIdentities(delegations.keys, renewal),
    },
  ];
}

function countsNowhere(key: PublicKey): IronError {
  return new IronError(
    'E_NOT_AUTHORISED',
    `the key ${shortKeyId(keyId(crypto, key))} counts for nothing in this ceremony`,
    {
      why: 'neither the root nor the targets name it',
      hint: 'nothing was written; check which key, and which file, is meant',
    },
  );
}
