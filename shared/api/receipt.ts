/**
 * The operators' answer to an admission request: which request was admitted, and the root that the
 * vendor pins. It is not signed, because the vendor trusts no key yet: it comes by a way that
 * vendor and operators trust, like the fingerprint before it.
 */

import { toBase64, utf8 } from '../bytes.ts';
import { IronError } from '../errors.ts';
import { Node } from '../json/decode.ts';
import { parseJson } from '../json/read.ts';
import { METADATA_LIMITS } from '../limits.ts';
import { parseRoot } from '../tuf/root.ts';

const SCHEMA = 'ironport.receipt/v1';

/** A root in base64, with a little around it. */
export const RECEIPT_LIMIT = 2 * METADATA_LIMITS.root;

export interface Receipt {
  readonly vendor: string;
  /** Of the request that was admitted. */
  readonly fingerprint: string;
  readonly root: Uint8Array;
}

export function formatReceipt({ vendor, fingerprint, root }: Receipt): Uint8Array {
  parseRoot(root);
  const document = { schema: SCHEMA, vendor, request: fingerprint, root: toBase64(root) };
  return utf8(`${JSON.stringify(document, null, 2)}\n`);
}

/** The root in a receipt for `vendor`, or the bytes themselves when they are no receipt. */
export function rootIn(bytes: Uint8Array, vendor: string): Uint8Array {
  const node = new Node(parseJson(bytes, { length: RECEIPT_LIMIT }), 'receipt');
  if (node.maybe('schema') === undefined) return bytes;
  node.only('schema', 'vendor', 'request', 'root').get('schema').oneOf(SCHEMA);
  node.get('request').matching(/^[0-9a-f]{64}$/, '64 hexadecimal digits');
  const named = node.get('vendor').string();
  if (named !== vendor)
    throw new IronError(
      'E_NOT_AUTHORISED',
      `the receipt is for ${named}, and this folder is ${vendor}'s`,
      {
        hint: 'nothing was pinned; ask the operators for your own',
      },
    );
  return node.get('root').base64();
}
