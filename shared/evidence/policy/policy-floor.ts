/**
 * The floor of a host's policy: the newest one that its fleet signed and that this host has seen. An
 * older one is still well signed, so its signatures alone cannot tell it from the one in force.
 */

import { utf8 } from '../../bytes.ts';
import { IronError } from '../../errors.ts';
import { Node } from '../../json/decode.ts';
import { parseJson } from '../../json/read.ts';
import { STORE_LIMITS } from '../../limits.ts';

export interface PolicyFloor {
  readonly version: number;
  /** SHA-256 of the policy file that was signed, in lower-case hexadecimal. */
  readonly sha256: string;
}

const SCHEMA = 'ironport.policy-floor/v1';

/** Reads a floor of this host. A damaged one is an error: floors are never guessed. */
export function parsePolicyFloor(bytes: Uint8Array): PolicyFloor {
  const node = new Node(parseJson(bytes, { length: STORE_LIMITS.note }), 'policy-floor');
  node.only('schema', 'version', 'sha256').get('schema').oneOf(SCHEMA);
  return {
    version: node.get('version').integer(1),
    sha256: node.get('sha256').matching(/^[0-9a-f]{64}$/, 'a SHA-256'),
  };
}

export function formatPolicyFloor({ version, sha256 }: PolicyFloor): Uint8Array {
  return utf8(`${JSON.stringify({ schema: SCHEMA, version, sha256 })}\n`);
}

/**
 * Holds a signed policy against the floor. `E_ROLLBACK` (policy-older) when it is older; `E_POLICY`
 * (policy-disagree) when it is another one of the same version, because whoever brings the file would
 * choose between the two.
 */
export function verifyPolicyFloor(floor: PolicyFloor | undefined, offered: PolicyFloor): void {
  if (floor === undefined || offered.version > floor.version) return;
  if (offered.version < floor.version) {
    throw new IronError(
      'E_ROLLBACK',
      `the policy of this host went back from version ${floor.version} to ${offered.version}`,
      {
        why: 'the fleet signed a newer one, which this host has seen',
        hint: 'nothing was changed; put the newest policy in place. To take rules back, sign them with a higher version',
        context: { reason: 'policy-older', offered: offered.version, floor: floor.version },
      },
    );
  }
  if (offered.sha256 === floor.sha256) return;
  throw new IronError('E_POLICY', `two policies of this host have the version ${floor.version}`, {
    why: `the one seen before has the SHA-256 ${floor.sha256}, this one ${offered.sha256}`,
    hint: 'nothing was changed; sign the one that is to hold with a higher version',
    context: { reason: 'policy-disagree', version: floor.version },
  });
}
