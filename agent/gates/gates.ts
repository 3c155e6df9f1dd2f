/** All gates, in the order in which they are asked, and what comes of asking. */

import { IronError } from '../../shared/errors.ts';
import { acsOverride } from './acs-override.ts';
import { bootVga } from './boot-vga.ts';
import { bridgeDevice } from './bridge-device.ts';
import type { Gate, GateInput, Objection } from './gate.ts';
import { identityGroup } from './identity-group.ts';
import { inUse } from './in-use.ts';
import { noInterruptRemapping } from './no-interrupt-remapping.ts';
import { noIommu } from './no-iommu.ts';
import { noIommuGroup } from './no-iommu-group.ts';
import { noVfioDriver } from './no-vfio-driver.ts';
import { noiommu } from './noiommu.ts';
import { pfGone } from './pf-gone.ts';
import { pfNoDriver } from './pf-no-driver.ts';
import { physicalFunction } from './physical-function.ts';
import { quarantined } from './quarantined.ts';
import { sharedReset } from './shared-reset.ts';
import { uncoveredMember } from './uncovered-member.ts';
import { unsafeInterrupts } from './unsafe-interrupts.ts';
import { virtualFunction } from './virtual-function.ts';
import { wrongIds } from './wrong-ids.ts';
import { wrongVendor } from './wrong-vendor.ts';

export const GATES: readonly Gate[] = [
  quarantined,
  bridgeDevice,
  wrongIds,
  wrongVendor,
  physicalFunction,
  virtualFunction,
  pfGone,
  pfNoDriver,
  noIommu,
  noIommuGroup,
  noiommu,
  identityGroup,
  acsOverride,
  uncoveredMember,
  sharedReset,
  unsafeInterrupts,
  noInterruptRemapping,
  bootVga,
  inUse,
  noVfioDriver,
];

export interface Decision {
  readonly gate: Gate;
  /** Undefined when the gate lets it pass. */
  readonly objection: Objection | undefined;
}

/** Asks every gate, also after one refused: who is refused wants to know of everything. */
export function askGates(input: GateInput): Decision[] {
  return GATES.map((gate) => ({ gate, objection: gate.check(input) }));
}

/** Throws the first refusal; `context.reason` names the gate, `context.reasons` all that refused. */
export function requirePassed(
  device: string,
  decisions: readonly Decision[],
  outcome = 'is not bound',
): void {
  const refused = decisions.filter(({ objection }) => objection !== undefined);
  const [first] = refused;
  if (first?.objection === undefined) return;
  const { gate, objection } = first;
  throw new IronError(gate.code, `${device} ${outcome}: ${objection.what}`, {
    why: gate.rule,
    hint: `nothing was changed; ${objection.remedy}`,
    context: {
      reason: gate.reason,
      reasons: refused.map((decision) => decision.gate.reason).join(', '),
      device,
    },
  });
}
