/** A list of revocations that waits, as one of the security team takes it up. */

import { keyIdentity } from '../../shared/crypto/key.ts';
import { IronError } from '../../shared/errors.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { revocationDiff } from '../../shared/revocation/diff.ts';
import { listStanding, readList, verifyUnsigned } from '../../shared/revocation/signed-list.ts';
import { diffText } from '../../shared/tuf/diff/trust-diff.ts';
import { parseRevocationTrust } from '../../shared/tuf/revocation-trust.ts';
import { addListSignatures } from './revocations.ts';
import { refuseUseless, type Signable } from './signable.ts';
import type { StandingTree } from './standing-tree.ts';

/**
 * Reads a list against the one that is published, both judged as a host judges them. What the service
 * says of it decides nothing: `E_REVOCATIONS`, `E_ROLLBACK`, `E_CONFLICT` for one that hosts would refuse.
 */
export async function signableList(bytes: Uint8Array, standing: StandingTree): Promise<Signable> {
  const trust = parseRevocationTrust(standing.targets.envelope.signed);
  if (trust === undefined)
    throw new IronError('E_NOT_AUTHORISED', 'the targets that are published name no team', {
      why: 'nobody may sign a list of revocations for this repository',
      hint: 'nothing was signed; tell the other operators: the service may be in strange hands',
    });
  const { list: before, floors } = await standing.revocations();
  const { list } = readList(bytes);
  if (before !== undefined && list.epoch === before.epoch && list.version <= before.version)
    throw new IronError(
      'E_CONFLICT',
      `list ${list.version} was drafted, and list ${before.version} stands`,
      {
        why: 'the next one must have a higher version',
        hint: 'nothing was signed; let it be made again on top of what is published',
        context: { submitted: list.version, current: before.version },
      },
    );
  verifyUnsigned(crypto, bytes, trust, floors);
  return {
    words: `list ${list.version}`,
    named: [[`${list.version}.list.json`, bytes]],
    show({ ui }) {
      const said = revocationDiff(before, list);
      const against = before === undefined ? '' : `, against list ${before.version},`;
      ui.stage(`list ${list.version} of epoch ${list.epoch}${against} says:\n${diffText(said)}`);
      return said;
    },
    demandUseful(signers) {
      const team = new Set(trust.keys.map(keyIdentity));
      refuseUseless(
        signers.find(({ key }) => !team.has(keyIdentity(key))),
        'the targets that are published do not name it for the security team',
      );
      if (listStanding(crypto, bytes, trust) < trust.threshold) return;
      throw new IronError('E_NOTHING_TO_DO', `list ${list.version} has all of its signatures`, {
        why: 'it waits for the renewal key, whose role lists it by its digest',
        hint: 'nothing was signed; `ironport-repo revocations renew` lists it',
      });
    },
    sign: async (signers) => [await addListSignatures(crypto, bytes, trust, signers)],
  };
}
