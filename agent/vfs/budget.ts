/** What a virtual function may have now: its share when it was made, and what the policy gives today. */

import { IronError } from '../../shared/errors.ts';
import { leastBudget } from '../../shared/manifest/ceiling-vf.ts';
import type { VfBudget } from '../../shared/manifest/cut.ts';
import { entryFor, type FleetPolicy } from '../../shared/manifest/policy.ts';
import { shareOf } from '../../shared/manifest/vf-allotment.ts';
import type { Parent } from './parent.ts';

/**
 * The budget of the virtual function at `bdf`; undefined for what this agent did not make. `E_PF_GONE`
 * without its physical function, `E_VF_COUNT` when it has no share, `E_POLICY` when the policy allows
 * so many no more.
 */
export function vfBudget(
  bdf: string,
  parent: Parent | undefined,
  policy: FleetPolicy,
): VfBudget | undefined {
  const set = parent?.set;
  if (parent === undefined || set === undefined) return undefined;
  if (parent.name === undefined)
    throw new IronError('E_PF_GONE', `${parent.path}, the physical function of ${bdf}, is gone`, {
      hint: 'nothing was changed',
      context: { device: bdf },
    });
  const count = set.vfs.length;
  if (!set.vfs.includes(bdf))
    throw new IronError('E_VF_COUNT', `${bdf} has no share of what ${set.device} may have`, {
      why: `this agent made ${count} virtual functions, and this is another one`,
      hint: `nothing was changed; remove them, and make as many as are wanted: ironport-agent vfs remove --device ${set.device}`,
      context: { device: bdf, count },
    });
  const { virtualFunctions: rules } = entryFor(policy, set.driver.path, parent.name);
  if (rules === null || rules.countMax < count)
    throw new IronError(
      'E_POLICY',
      `the fleet policy does not allow ${count} virtual functions of ${set.device}`,
      {
        why: 'it did when they were made',
        hint: 'nothing was changed; remove them, or let the operators of the fleet change the policy',
        context: { device: bdf },
      },
    );
  return leastBudget({ countMax: count, each: set.budget }, shareOf(rules.total, count));
}
