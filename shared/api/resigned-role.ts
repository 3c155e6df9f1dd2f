/**
 * A vendor's role with all of its hash bins, signed by keys that the operators' next targets name: what
 * the vendor gives to the operators, who hand it in together with those targets. A bin is in the file,
 * or is among what the vendor uploaded, under its digest. Nothing vouches for the file but the
 * signatures of what is in it.
 */

import { toBase64, utf8 } from '../bytes.ts';
import { Node } from '../json/decode.ts';
import { parseJson } from '../json/read.ts';
import { isJsonObject } from '../json/value.ts';
import { BIN_LIMITS, METADATA_LIMITS } from '../limits.ts';

const SCHEMA = 'ironport.resigned-role/v1';

export interface ResignedBin {
  readonly role: string;
  readonly sha256: string;
  /** Undefined for one that was uploaded. */
  readonly bytes: Uint8Array | undefined;
}

export interface ResignedRoleFile {
  readonly role: Uint8Array;
  readonly bins: readonly ResignedBin[];
}

/** Whether a file claims to be one, and not metadata. `E_JSON`. */
export function isResignedRole(bytes: Uint8Array): boolean {
  const value = parseJson(bytes, { length: METADATA_LIMITS.targets });
  return isJsonObject(value) && value.schema === SCHEMA;
}

/** `E_JSON`, `E_SCHEMA`, `E_TOO_LARGE`. */
export function parseResignedRole(bytes: Uint8Array): ResignedRoleFile {
  const node = new Node(parseJson(bytes, { length: METADATA_LIMITS.targets }), 'file');
  node.only('schema', 'role', 'bins').get('schema').oneOf(SCHEMA);
  return {
    role: node.get('role').base64(),
    bins: node
      .get('bins')
      .items(2 ** BIN_LIMITS.bits)
      .map((bin) => ({
        role: bin.only('role', 'sha256', 'metadata').get('role').string(),
        sha256: bin.get('sha256').matching(/^[0-9a-f]{64}$/, '64 hexadecimal digits'),
        bytes: bin.maybe('metadata')?.base64(),
      })),
  };
}

export function formatResignedRole({ role, bins }: ResignedRoleFile): Uint8Array {
  const document = {
    schema: SCHEMA,
    role: toBase64(role),
    bins: bins.map(({ role: name, sha256, bytes }) => ({
      ...{ role: name, sha256 },
      ...(bytes === undefined ? {} : { metadata: toBase64(bytes) }),
    })),
  };
  return utf8(`${JSON.stringify(document)}\n`);
}
