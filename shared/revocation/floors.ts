/**
 * What a host remembers of revocations, apart from every file: they never go down within an epoch
 * that the operators declare. Unlike the floors of TUF they outlive a rotation of online keys (TUF
 * 5.3.11), because no online key can sign a list.
 */

import type { Node } from '../json/decode.ts';
import { type JsonObject, jsonObject } from '../json/value.ts';
import { REVOCATION_LIMITS } from '../limits.ts';
import { parseComponent } from './list.ts';

export interface RevocationFloors {
  /** 0 while no list was ever seen: then only vendors said something. */
  readonly epoch: number;
  /** Version of the newest list that was trusted, */
  readonly version: number;
  /** and SHA-256 of its payload: two lists of one version would let one choose. */
  readonly sha256: string;
  /** Least generations that the list named, by component. */
  readonly generations: ReadonlyMap<string, number>;
  /** The same of what vendors said about their own products. */
  readonly vendors: ReadonlyMap<string, number>;
}

export const NO_REVOCATION_FLOORS: RevocationFloors = {
  epoch: 0,
  version: 0,
  sha256: '0'.repeat(64),
  generations: new Map(),
  vendors: new Map(),
};

export function parseRevocationFloors(node: Node): RevocationFloors {
  node.only('epoch', 'version', 'sha256', 'generations', 'vendors');
  return {
    epoch: node.get('epoch').integer(0),
    version: node.get('version').integer(0),
    sha256: node.get('sha256').matching(/^[0-9a-f]{64}$/, 'a SHA-256'),
    generations: parseGenerations(node.get('generations')),
    vendors: parseGenerations(node.get('vendors')),
  };
}

function parseGenerations(node: Node): Map<string, number> {
  return new Map(
    node
      .entries()
      .map(([component, generation]) => [
        parseComponent(component),
        generation.integer(0, REVOCATION_LIMITS.number),
      ]),
  );
}

export function revocationFloorsObject(floors: RevocationFloors): JsonObject {
  const { epoch, version, sha256, generations, vendors } = floors;
  return jsonObject([
    ['epoch', epoch],
    ['version', version],
    ['sha256', sha256],
    ['generations', jsonObject(generations)],
    ['vendors', jsonObject(vendors)],
  ]);
}

/** The higher of two: another epoch replaces, within one each number only rises. */
export function raiseRevocationFloors(
  a: RevocationFloors | undefined,
  b: RevocationFloors | undefined,
): RevocationFloors | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  if (a.epoch !== b.epoch) return a.epoch > b.epoch ? a : b;
  const newer = b.version >= a.version ? b : a;
  return {
    ...newer,
    generations: raiseEach(a.generations, b.generations),
    vendors: raiseEach(a.vendors, b.vendors),
  };
}

export function raiseEach(
  a: ReadonlyMap<string, number>,
  b: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
  const raised = new Map(a);
  for (const [component, generation] of b)
    raised.set(component, Math.max(generation, raised.get(component) ?? 0));
  return raised;
}
