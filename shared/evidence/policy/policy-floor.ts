/**
 * The floor of a policy: the newest one that the fleet signed and that this host has seen. An older one
 * is still well signed, so its signatures alone cannot tell it from the one in force. Host policies and
 * fleet policies each have one.
 */

import { utf8 } from '../../bytes.ts';
import { IronError } from '../../errors.ts';
import { Node } from '../../json/decode.ts';
import { parseJson } from '../../json/read.ts';
import { STORE_LIMITS } from '../../limits.ts';

export interface PolicyFloor {
  /** Of the fleet's keys: another one begins versions anew. */
  readonly epoch: number;
  readonly version: number;
  /** SHA-256 of the policy file that was signed, in lower-case hexadecimal. */
  readonly sha256: string;
}

const SCHEMA = 'ironport.policy-floor/v1';

/** Reads a floor of this host. A damaged one is an error: floors are never guessed. */
export function parsePolicyFloor(bytes: Uint8Array): PolicyFloor {
  const node = new Node(parseJson(bytes, { length: STORE_LIMITS.note }), 'policy-floor');
  node.only('schema', 'epoch', 'version', 'sha256').get('schema').oneOf(SCHEMA);
  return {
    epoch: node.maybe('epoch')?.integer(1) ?? 1,
    version: node.get('version').integer(1),
    sha256: node.get('sha256').matching(/^[0-9a-f]{64}$/, 'a SHA-256'),
  };
}

export function formatPolicyFloor({ epoch, version, sha256 }: PolicyFloor): Uint8Array {
  return utf8(`${JSON.stringify({ schema: SCHEMA, epoch, version, sha256 })}\n`);
}

/** What unlocks a host that a thief gave a version so high that none is above it. */
function afterTheft(epoch: number): string {
  return `If that one was signed with stolen keys, put new keys of the fleet in place with "epoch": ${epoch + 1}, and sign a policy with the same epoch`;
}

/** Whether `offered` is newer than the floor: of a later epoch, or of a higher version in the same one. */
export function isAboveFloor(floor: PolicyFloor | undefined, offered: PolicyFloor): boolean {
  if (floor === undefined || offered.epoch > floor.epoch) return true;
  return offered.epoch === floor.epoch && offered.version > floor.version;
}

/**
 * Holds a signed policy against the floor. `E_ROLLBACK` when it is older (policy-older) or of an epoch
 * that is over (policy-epoch); `E_POLICY` (policy-disagree) when it is another one of the same version,
 * because whoever brings the file would choose between the two.
 */
export function verifyPolicyFloor(
  floor: PolicyFloor | undefined,
  offered: PolicyFloor,
  what = 'the policy of this host',
): void {
  if (floor === undefined || isAboveFloor(floor, offered)) return;
  if (offered.epoch < floor.epoch) {
    throw new IronError(
      'E_ROLLBACK',
      `${what} went back from epoch ${floor.epoch} to ${offered.epoch}`,
      {
        why: 'epochs of the keys of a fleet only count up',
        hint: `nothing was changed; put the keys of the fleet of epoch ${floor.epoch} back in place, and a policy that they signed`,
        context: { reason: 'policy-epoch', offered: offered.epoch, floor: floor.epoch },
      },
    );
  }
  if (offered.version < floor.version) {
    throw new IronError(
      'E_ROLLBACK',
      `${what} went back from version ${floor.version} to ${offered.version}`,
      {
        why: 'the fleet signed a newer one, which this host has seen',
        hint: `nothing was changed; put the newest policy in place. To take rules back, sign them with a higher version. ${afterTheft(floor.epoch)}`,
        context: { reason: 'policy-older', offered: offered.version, floor: floor.version },
      },
    );
  }
  if (offered.sha256 === floor.sha256) return;
  throw new IronError('E_POLICY', `${what} is another one of the same version ${floor.version}`, {
    why: `the one seen before has the SHA-256 ${floor.sha256}, this one ${offered.sha256}`,
    hint: `nothing was changed; sign the one that is to hold with a higher version. ${afterTheft(floor.epoch)}`,
    context: { reason: 'policy-disagree', version: floor.version },
  });
}
