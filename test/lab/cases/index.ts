/** Every case of the lab, in the order in which it runs. */

import { adoptions } from './adopt.ts';
import { brakeFigures } from './brake-figures.ts';
import { brakeByFaults } from './brake-figures-fault.ts';
import { BACKENDS, type Backend, type KernelKind, type LabCase } from './case.ts';
import { crashes } from './crash.ts';
import { drivers } from './drivers.ts';
import { guide } from './guide.ts';
import { hostileFronts } from './hostile-front.ts';
import { levels } from './levels.ts';
import { machine } from './machine.ts';
import { quarantines, tombs } from './quarantine.ts';
import { refusals } from './refusals.ts';
import { declared, restored } from './restore.ts';
import { directRuns } from './run-direct.ts';
import { leakingRuns } from './run-leak.ts';
import { refusedRuns } from './run-refused.ts';
import { runs } from './runs.ts';
import { sriov } from './sriov.ts';
import { steps } from './steps.ts';
import { swapped } from './swapped.ts';
import { translation } from './translation.ts';
import { upgrades } from './upgrade.ts';
import { watching } from './watching.ts';
import { wholeWay } from './whole-way.ts';
import { windows } from './windows.ts';

/** The second boot sees what the first one left. */
const OVER_BOOTS: readonly LabCase[] = [...tombs, declared, ...crashes, restored];

export const CASES: readonly LabCase[] = [
  ...machine,
  ...windows,
  ...wholeWay,
  ...steps,
  ...drivers,
  ...runs,
  ...refusedRuns,
  ...leakingRuns,
  ...directRuns,
  ...swapped,
  ...upgrades,
  ...sriov,
  ...brakeFigures,
  ...hostileFronts,
  ...adoptions,
  ...brakeByFaults,
  ...watching,
  ...levels,
  ...quarantines,
  ...refusals,
  ...translation,
  ...guide,
  ...OVER_BOOTS,
];

/** Whether it must run in one machine, and in this order, with the others of which that is true. */
export function isOverBoots(lab: LabCase): boolean {
  return OVER_BOOTS.includes(lab);
}

export interface CaseForm {
  readonly name: string;
  readonly lab: LabCase;
  readonly backend: Backend;
}

/**
 * The forms of all cases on a kernel, with the chosen backend for those that name none: one for each
 * backend that it has, or of `backends` alone.
 */
export function formsOn(kernel: KernelKind, backends = BACKENDS[kernel]): CaseForm[] {
  return CASES.filter(({ kernels }) => kernels === undefined || kernels.includes(kernel)).flatMap(
    (lab) =>
      lab.eachBackend === true
        ? backends.map((backend) => ({ name: `${lab.name}/${backend}`, lab, backend }))
        : [{ name: lab.name, lab, backend: BACKENDS[kernel][0] as Backend }],
  );
}

/**
 * What each kernel of several is for: the backend that it alone has, so that each backend is seen once.
 * One kernel by itself shows all that it can.
 */
export function backendsOf(kernel: KernelKind, beside: readonly KernelKind[]): readonly Backend[] {
  const others = new Set(beside.filter((one) => one !== kernel).flatMap((one) => BACKENDS[one]));
  const own = BACKENDS[kernel].filter((backend) => !others.has(backend));
  return own.length > 0 && others.size > 0 ? own : BACKENDS[kernel];
}
