/**
 * A host's policy: one JSON file, `ironport.host-policy/v1`, in sections. Closed: what is not
 * known here is refused, so that a rule which nobody enforces is never taken for one that holds.
 *
 * `evidence` says what must be true of the evidence beside a driver. The first rule whose
 * namespace has the driver decides, alone; `otherwise` says what happens when none has it.
 */

import { keyIdentity, type PublicKey } from '../../crypto/key.ts';
import { type Code, IronError, isIronError } from '../../errors.ts';
import { Node } from '../../json/decode.ts';
import { lineOf } from '../../json/line.ts';
import { parseJson } from '../../json/read.ts';
import { POLICY_LIMITS } from '../../limits.ts';
import type { Instant } from '../../time.ts';
import { parseKey } from '../../tuf/key.ts';
import { VENDOR } from './quorum.ts';
import { type EvidenceRule, parseRule } from './rule.ts';

export const HOST_POLICY_SCHEMA = 'ironport.host-policy/v1';

export interface HostPolicy {
  /** That of the fleet's keys which sign it; of no meaning in a policy that nobody signed. */
  readonly epoch: number;
  /** Grows with every change within an epoch, so that two policies can be told apart. At least 1. */
  readonly version: number;
  readonly expires: Instant | undefined;
  /** Keys of others than the vendors, by the names that rules use. */
  readonly keys: ReadonlyMap<string, PublicKey>;
  readonly evidence: EvidencePolicy;
}

export interface EvidencePolicy {
  /** For drivers that no rule names: the default of a host without a policy, or nothing at all. */
  readonly otherwise: 'default' | 'refuse';
  readonly rules: readonly EvidenceRule[];
}

/** Reads a policy file. Every refusal is `E_CONFIG`, with the place in the file. */
export function parseHostPolicy(bytes: Uint8Array): HostPolicy {
  try {
    return readPolicy(new Node(parseJson(bytes, { length: POLICY_LIMITS.file }), 'policy'));
  } catch (error) {
    if (!isIronError(error, ...UNREADABLE)) throw error;
    const where = `${error.message}${lineOf(error, bytes)}`;
    throw new IronError('E_CONFIG', `the policy of this host is not valid: ${where}`, {
      cause: error,
      hint: 'correct the policy file; nothing is taken by a policy that cannot be read',
      context: error.context,
    });
  }
}

const UNREADABLE: readonly Code[] = ['E_JSON', 'E_SCHEMA', 'E_TOO_LARGE'];

function readPolicy(node: Node): HostPolicy {
  node.only('schema', 'epoch', 'version', 'expires', 'keys', 'evidence');
  node.get('schema').oneOf(HOST_POLICY_SCHEMA);
  const keys = readKeys(node.maybe('keys'));
  const evidence = node.get('evidence').only('otherwise', 'rules');
  const names = new Set(keys.keys());
  return {
    epoch: node.maybe('epoch')?.integer(1) ?? 1,
    version: node.get('version').integer(1),
    expires: node.maybe('expires')?.instant(),
    keys,
    evidence: {
      otherwise: evidence.get('otherwise').oneOf('default', 'refuse'),
      rules: readRules(evidence.get('rules'), names),
    },
  };
}

function readRules(list: Node, names: ReadonlySet<string>): EvidenceRule[] {
  const rules: EvidenceRule[] = [];
  for (const item of list.items(POLICY_LIMITS.entries)) {
    const rule = parseRule(item, names);
    const before = rules.findIndex(({ namespace }) => covers(namespace, rule.namespace));
    // The first decides alone: one that is never asked must not be taken for one that holds.
    if (before !== -1) {
      const { namespace } = rules[before] as EvidenceRule;
      throw item
        .get('namespace')
        .error(
          `rule ${before} has all of its drivers (${namespace}): the narrower one must be first`,
        );
    }
    rules.push(rule);
  }
  return rules;
}

function covers(wide: string, narrow: string): boolean {
  return wide === '*' || `${narrow}/`.startsWith(`${wide}/`);
}

function readKeys(node: Node | undefined): Map<string, PublicKey> {
  const keys = new Map<string, PublicKey>();
  const seen = new Set<string>();
  for (const [name, item] of node?.entries(POLICY_LIMITS.keys) ?? []) {
    if (name === VENDOR || !/^[a-z0-9][a-z0-9._-]{0,63}$/.test(name)) {
      throw item.error('a name of lower-case letters, digits, . _ - is expected, and not "vendor"');
    }
    const { publicKey, unusable } = parseKey(item);
    // In metadata such a key counts nowhere; here somebody wrote a rule about it.
    if (publicKey === undefined) throw item.error(`the key is of no use: ${unusable ?? ''}`);
    // One key under two names would count twice where two must sign.
    if (seen.has(keyIdentity(publicKey))) throw item.error('this key stands twice');
    seen.add(keyIdentity(publicKey));
    keys.set(name, publicKey);
  }
  return keys;
}

/** The rule that decides over a driver; undefined when none names it. */
export function ruleFor(policy: EvidencePolicy, path: string): EvidenceRule | undefined {
  return policy.rules.find(({ namespace }) => covers(namespace, path));
}
