/**
 * What the operators of a host say about versions, `ironport.product-policy/v1`: from which channel
 * each product comes, which artifacts are approved, and what is held at a version. It can only
 * narrow what a vendor offers.
 */

import { type Code, IronError, isIronError } from '../errors.ts';
import { Node } from '../json/decode.ts';
import { parseJson } from '../json/read.ts';
import { INDEX_LIMITS } from '../limits.ts';
import { CHANNELS, type Channel } from './index-file.ts';

export const PRODUCT_POLICY_SCHEMA = 'ironport.product-policy/v1';

export interface ProductPolicy {
  /** By `vendor/product`, by `vendor`, or by `*` for all others. */
  readonly channels: ReadonlyMap<string, Channel>;
  /** SHA-256 of what may be installed, when there is such a list. */
  readonly approved: ReadonlySet<string> | undefined;
  /** The one version that is taken, by `vendor/product`. */
  readonly hold: ReadonlyMap<string, string>;
}

export const NO_PRODUCT_POLICY: ProductPolicy = {
  channels: new Map(),
  approved: undefined,
  hold: new Map(),
};

/** Reads a policy file of this host. Every refusal is `E_CONFIG`, with the place in the file. */
export function parseProductPolicy(bytes: Uint8Array): ProductPolicy {
  try {
    return read(new Node(parseJson(bytes, { length: INDEX_LIMITS.productPolicy }), 'policy'));
  } catch (error) {
    if (!isIronError(error, ...UNREADABLE)) throw error;
    throw new IronError('E_CONFIG', `the product policy is not valid: ${error.message}`, {
      cause: error,
      hint: 'nothing was changed; correct the policy file: without a valid one nothing is chosen',
      context: error.context,
    });
  }
}

const UNREADABLE: readonly Code[] = ['E_JSON', 'E_SCHEMA', 'E_TOO_LARGE'];
const PRODUCT = /^[a-z0-9][a-z0-9-]{0,31}\/[A-Za-z0-9][A-Za-z0-9._+~-]*$/;
const SCOPE = /^(?:\*|[a-z0-9][a-z0-9-]{0,31}(?:\/[A-Za-z0-9][A-Za-z0-9._+~-]*)?)$/;

function read(node: Node): ProductPolicy {
  node.only('schema', 'channels', 'approved', 'hold').get('schema').oneOf(PRODUCT_POLICY_SCHEMA);
  const limit = INDEX_LIMITS.productPolicyEntries;
  const channels = node.maybe('channels')?.entries(limit) ?? [];
  const approved = node.maybe('approved')?.items(limit);
  const hold = node.maybe('hold')?.entries(limit) ?? [];
  return {
    channels: new Map(
      channels.map(([scope, channel]) => [
        named(channel, scope, SCOPE, 'a key like "acme/edu", "acme" or "*"'),
        channel.oneOf(...CHANNELS),
      ]),
    ),
    approved:
      approved &&
      new Set(approved.map((item) => item.matching(/^[0-9a-f]{64}$/, 'a SHA-256 digest'))),
    hold: new Map(
      hold.map(([product, version]) => [
        named(version, product, PRODUCT, 'a key like "acme/edu"'),
        version.matching(/^[A-Za-z0-9][A-Za-z0-9._+~-]*$/, 'a version'),
      ]),
    ),
  };
}

function named(node: Node, key: string, form: RegExp, what: string): string {
  if (!form.test(key)) throw node.error(`${what} is expected`);
  return key;
}

/** The channel that the policy gives a product, or undefined when it says nothing about it. */
export function policyChannel(
  { channels }: ProductPolicy,
  vendor: string,
  product: string,
): Channel | undefined {
  return channels.get(`${vendor}/${product}`) ?? channels.get(vendor) ?? channels.get('*');
}
