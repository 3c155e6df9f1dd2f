/**
 * `ironport.key-reference/v1`: a file that stands for a key which is somewhere else, in a token or
 * an agent. It is taken wherever a key file is; of the key it holds the public half, so that a
 * token with another key in it is noticed.
 */

import { utf8 } from '../../bytes.ts';
import type { PublicKey, SigningScheme } from '../../crypto/key.ts';
import { Node } from '../../json/decode.ts';
import { parseJson } from '../../json/read.ts';
import { KEY_FILE_LIMITS } from '../../limits.ts';
import { parsePublicFields, publicFields, REFERENCE_SCHEMA } from './key-file.ts';

export interface KeyReference {
  readonly key: PublicKey<SigningScheme>;
  /** Of any scheme but `file:`. */
  readonly uri: string;
}

/** The reference in these bytes; undefined when they are a key file of another kind. */
export function parseKeyReference(bytes: Uint8Array, name: string): KeyReference | undefined {
  const node = new Node(parseJson(bytes, { length: KEY_FILE_LIMITS.file }), name);
  if (node.get('schema').string() !== REFERENCE_SCHEMA) return undefined;
  node.only('schema', 'uri', 'keytype', 'scheme', 'public');
  const uri = node
    .get('uri')
    .matching(/^(pkcs11|ssh-agent|plugin):/, 'a URI of a token, an agent or a plugin');
  return { key: parsePublicFields(node), uri };
}

export function formatKeyReference({ key, uri }: KeyReference): Uint8Array {
  const document = { schema: REFERENCE_SCHEMA, uri, ...publicFields(key) };
  return utf8(`${JSON.stringify(document, null, 2)}\n`);
}
