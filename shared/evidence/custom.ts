/**
 * `custom.ironport` of a targets entry: what the vendor's role says about an artifact beyond its
 * bytes. It lists the digests of the sidecars, so that none of them can be swapped for another
 * one that is validly signed, and the artifact's security generation.
 */

import type { Node } from '../json/decode.ts';
import { type JsonObject, jsonObject } from '../json/value.ts';
import { SIDECARS, type Sidecar } from '../layout.ts';

const SCHEMA = 'ironport.target/v1';

/** Length in bytes and SHA-256 in lower-case hexadecimal. */
export interface Measured {
  readonly length: number;
  readonly sha256: string;
}

export interface TargetCustom {
  readonly kind: 'artifact';
  /** Security generation: revocation floors compare it. At least 0. */
  readonly generation: number;
  readonly sidecars: Readonly<Partial<Record<Sidecar, Measured>>>;
}

const NAMES = Object.keys(SIDECARS) as Sidecar[];

/** Reads the field. `E_SCHEMA`. Fields that are unknown here are left for those who know them. */
export function parseTargetCustom(node: Node): TargetCustom {
  node.get('schema').oneOf(SCHEMA);
  const kind = node.get('kind').oneOf('artifact');
  const generation = node.get('generation').integer(0);
  const listed = node.get('sidecars');
  const sidecars: Partial<Record<Sidecar, Measured>> = {};
  for (const name of NAMES) {
    const entry = listed.maybe(name);
    if (entry === undefined) continue;
    const length = entry.get('length').integer(1);
    const sha256 = entry
      .get('sha256')
      .matching(/^[0-9a-f]{64}$/, 'a SHA-256 in lower-case hexadecimal');
    sidecars[name] = { length, sha256 };
  }
  return { kind, generation, sidecars };
}

/** The field as it goes into the entry. */
export function buildTargetCustom({ kind, generation, sidecars }: TargetCustom): JsonObject {
  const listed = NAMES.flatMap((name) => {
    const entry = sidecars[name];
    return entry === undefined
      ? []
      : [
          [
            name,
            jsonObject([
              ['length', entry.length],
              ['sha256', entry.sha256],
            ]),
          ] as const,
        ];
  });
  return jsonObject([
    ['schema', SCHEMA],
    ['kind', kind],
    ['generation', generation],
    ['sidecars', jsonObject(listed)],
  ]);
}
