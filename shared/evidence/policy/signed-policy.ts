/**
 * A policy under the signatures of a fleet's operators: a DSSE envelope whose payload is the
 * policy file, signed by m of the n keys that a root-owned file on the host names.
 */

import type { Crypto } from '../../crypto/crypto.ts';
import { keyIdentity, type PublicKey } from '../../crypto/key.ts';
import { type Code, IronError, isIronError } from '../../errors.ts';
import { Node } from '../../json/decode.ts';
import { lineOf } from '../../json/line.ts';
import { parseJson } from '../../json/read.ts';
import { POLICY_LIMITS } from '../../limits.ts';
import { parseKey } from '../../tuf/key.ts';
import { readEnvelope, verifyEnvelope } from '../dsse.ts';
import { type HostPolicy, parseHostPolicy } from './host-policy.ts';

export const HOST_POLICY_PAYLOAD_TYPE = 'application/vnd.ironport.host-policy+json';

export interface FleetKeys {
  /** Counts up when versions are to begin anew: after keys were stolen. 1 when the file says none. */
  readonly epoch: number;
  readonly threshold: number;
  readonly keys: readonly PublicKey[];
}

const UNREADABLE: readonly Code[] = ['E_JSON', 'E_SCHEMA', 'E_TOO_LARGE'];

/** Reads `ironport.fleet-keys/v1`. Every refusal is `E_CONFIG`. */
export function parseFleetKeys(bytes: Uint8Array): FleetKeys {
  try {
    const node = new Node(parseJson(bytes, { length: POLICY_LIMITS.file }), 'fleet-keys');
    node.only('schema', 'epoch', 'threshold', 'keys').get('schema').oneOf('ironport.fleet-keys/v1');
    const keys = node.get('keys').items(POLICY_LIMITS.keys).map(readKey);
    // invariant 2: different keys, at least one, and as many as can ever sign.
    if (new Set(keys.map(keyIdentity)).size < keys.length) {
      throw node.get('keys').error('a key stands twice');
    }
    return {
      epoch: node.maybe('epoch')?.integer(1) ?? 1,
      threshold: node.get('threshold').integer(1, keys.length),
      keys,
    };
  } catch (error) {
    if (!isIronError(error, ...UNREADABLE)) throw error;
    const where = `${error.message}${lineOf(error, bytes)}`;
    throw new IronError('E_CONFIG', `the keys of the fleet are not valid: ${where}`, {
      cause: error,
      hint: 'correct the file; nothing is taken while nobody can sign a policy',
    });
  }
}

function readKey(node: Node): PublicKey {
  const { publicKey, unusable } = parseKey(node);
  if (publicKey === undefined) throw node.error(`the key is of no use: ${unusable ?? ''}`);
  return publicKey;
}

/**
 * A policy that speaks of another epoch than the keys of the fleet counts no more, or not yet, whoever
 * signed it: what stolen keys signed must not come back under those that stayed. `E_POLICY`.
 */
export function requireEpoch(
  policy: { readonly epoch: number },
  fleet: { readonly epoch: number },
): void {
  if (policy.epoch === fleet.epoch) return;
  throw new IronError(
    'E_POLICY',
    `the policy is of epoch ${policy.epoch}, and the keys of the fleet are of epoch ${fleet.epoch}`,
    {
      why: 'a new epoch begins when keys of the fleet were stolen: what was signed before is over',
      hint: `nothing was changed; let the operators sign a policy with "epoch": ${fleet.epoch}`,
      context: { reason: 'policy-epoch', offered: policy.epoch, epoch: fleet.epoch },
    },
  );
}

/** The policy file inside, what it says, and who signed it. */
export interface OpenedPolicy {
  readonly policy: HostPolicy;
  readonly bytes: Uint8Array;
  readonly keys: readonly PublicKey[];
}

/**
 * The policy in a file as it lies on the host. With keys of a fleet it must be an envelope with
 * enough of their signatures; without any it must be none, because nobody here could say whose
 * signatures those are. Throws `E_POLICY`, or `E_CONFIG` on what can be read as neither.
 */
export function openPolicy(
  crypto: Crypto,
  file: Uint8Array,
  fleet: FleetKeys | undefined,
): OpenedPolicy {
  const { bytes, keys } = openFile(crypto, file, fleet);
  const policy = parseHostPolicy(bytes);
  if (fleet !== undefined) requireEpoch(policy, fleet);
  return { policy, bytes, keys };
}

function openFile(
  crypto: Crypto,
  file: Uint8Array,
  fleet: FleetKeys | undefined,
): Omit<OpenedPolicy, 'policy'> {
  let node: Node;
  try {
    node = new Node(parseJson(file, { length: 2 * POLICY_LIMITS.file }), 'policy');
    node.object();
  } catch (error) {
    if (!isIronError(error, ...UNREADABLE)) throw error;
    const where = `${error.message}${lineOf(error, file)}`;
    throw new IronError('E_CONFIG', `the policy of this host is not valid: ${where}`, {
      cause: error,
      hint: 'correct the policy file; nothing is taken by a policy that cannot be read',
    });
  }
  const isSigned = node.maybe('payloadType') !== undefined;
  if (fleet === undefined) {
    if (!isSigned) return { bytes: file, keys: [] };
    throw refused('the policy is signed, and no keys of the fleet are on this host', {
      why: 'without them nobody here can say whether those who signed it may',
      hint: 'nothing was changed; put the keys of the fleet in place, or name them: --fleet-keys',
    });
  }
  if (!isSigned) {
    throw refused('the policy is not signed', {
      why: `this host has keys of its fleet, ${fleet.threshold} of which must sign it`,
    });
  }
  try {
    const envelope = readEnvelope(node);
    const keys = verifyEnvelope(crypto, envelope, fleet.keys, fleet.threshold);
    // DSSE protocol.md: signed as a policy, and not as anything else that these keys sign.
    if (envelope.payloadType !== HOST_POLICY_PAYLOAD_TYPE) {
      throw refused('what is signed is not a policy', {
        why: `its payload type is not ${HOST_POLICY_PAYLOAD_TYPE}`,
      });
    }
    return { bytes: envelope.payload, keys };
  } catch (error) {
    if (!isIronError(error, 'E_SCHEMA', 'E_SIGNATURE', 'E_THRESHOLD')) throw error;
    throw refused('the policy is not signed by enough operators of the fleet', {
      why: error.message,
    });
  }
}

function refused(
  message: string,
  details: { readonly why: string; readonly hint?: string },
): IronError {
  return new IronError('E_POLICY', message, {
    hint: 'nothing was changed; nothing is taken by a policy that the fleet did not sign',
    ...details,
    context: { reason: 'policy-signature' },
  });
}
