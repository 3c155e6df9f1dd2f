/**
 * The floors that a vendor's role gives its own products only rise, as in every host that read them
 * once (ADR 0027), and leave something of each product that is still listed.
 */

import { IronError, isIronError } from '../../../shared/errors.ts';
import type { TargetEntry, Targets } from '../../../shared/tuf/targets.ts';
import { parseVendorFloors } from '../../../shared/tuf/vendor-floors.ts';
import type { Branch } from '../branch.ts';
import { type Check, some } from '../check.ts';
import type { Delta } from '../delta.ts';
import type { EvidenceOwner } from '../judge-submission.ts';
import { isArtifact } from './artifacts.ts';

export type Floors = ReadonlyMap<string, number>;

/** `E_ROLLBACK`; `E_SCHEMA` and `E_NAME` when no host could read them. */
export const vendorFloors: Check = ({ file, current, vendor, role }) => {
  const floors = parseVendorFloors(file.envelope.signed, vendor);
  for (const [component, before] of floorsOf(current, vendor)) {
    const now = floors.get(component) ?? 0;
    if (now >= before) continue;
    throw new IronError('E_ROLLBACK', `${role} takes the floor of ${component} back to ${now}`, {
      why: `it is published as ${before}, and hosts that read that keep it`,
      hint: 'nothing was changed; a floor only rises: publish a build of a higher security generation',
      context: { reason: 'floor-lowered', component, before, now },
    });
  }
  return floors.size === 0
    ? 'it has none'
    : `${some(floors.size, 'floor')}, none lower than before`;
};

/** Those that the vendor's role, as it will stand, has higher than the published one. */
export function raisedFloors({ own, vendor }: EvidenceOwner, current: Targets | undefined): Floors {
  const before = floorsOf(current, vendor);
  return new Map(
    [...floorsOf(own, vendor)].filter(([name, floor]) => floor > (before.get(name) ?? 0)),
  );
}

/**
 * `E_POLICY` when a raised floor is above every artifact of its product that stays listed: hosts
 * would find them, and refuse each. A product of which nothing stays may have any floor.
 */
export async function reachableFloors(
  raised: Floors,
  branch: Branch,
  delta: Delta,
): Promise<string> {
  /** The highest generation that is listed of each product, with the path that has it. */
  const highest = new Map<string, { readonly path: string; readonly generation: number }>();
  const open = new Set(raised.keys());
  const see = (entry: TargetEntry): void => {
    const component = entry.path.split('/', 2).join('/');
    if (!open.has(component) || !isArtifact(entry.path)) return;
    const generation = generationOf(entry);
    const best = highest.get(component);
    if (best === undefined || generation > best.generation)
      highest.set(component, { path: entry.path, generation });
    if (generation >= (raised.get(component) ?? 0)) open.delete(component);
  };
  for (const entry of delta.changed.values()) see(entry);
  // What is published can be in a thousand bins; mostly the build comes with the floor.
  if (open.size > 0) {
    for await (const entry of branch.entries()) {
      if (delta.changed.has(entry.path) || delta.removed.has(entry.path)) continue;
      see(entry);
      if (open.size === 0) break;
    }
  }
  for (const component of open) {
    const best = highest.get(component);
    if (best === undefined) continue;
    const floor = raised.get(component) ?? 0;
    throw new IronError('E_POLICY', `the floor of ${component} is above all that is listed of it`, {
      why: `the floor would be ${floor}, and the highest generation is ${best.generation}, of ${best.path}: every host would refuse every version`,
      hint: 'nothing was changed; publish a build of that generation together with the floor, or withdraw the versions first',
      context: { reason: 'floor-unreachable', component, floor, highest: best.generation },
    });
  }
  return `${some(raised.size, 'floor')} raised, each with a version that reaches it or with none listed`;
}

/** What a role that is published, or passed `vendorFloors`, says; nothing where no host can read it. */
export function floorsOf(role: Targets | undefined, vendor: string): Floors {
  if (role === undefined) return new Map();
  try {
    return parseVendorFloors(role.envelope.signed, vendor);
  } catch (error) {
    if (isIronError(error, 'E_SCHEMA', 'E_NAME')) return new Map();
    throw error;
  }
}

/** What states no generation is below every floor, as for hosts. */
function generationOf({ custom }: TargetEntry): number {
  return custom?.maybe('ironport')?.maybe('generation')?.integer(0) ?? 0;
}
