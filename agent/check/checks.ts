/** All checks of a host, in the order in which they are shown. */

import type { HostCheck, HostFinding } from './finding.ts';
import {
  interruptRemapping,
  interruptsAllowed,
  iommu,
  isolation,
  noiommu,
  vfioDriver,
} from './gates.ts';
import { backend, controlGroup, lockdown, sandbox } from './kernel.ts';
import { defaultDomains, memlock, translation } from './memory.ts';
import type { HostView } from './view.ts';

const CHECKS: readonly HostCheck[] = [
  iommu,
  defaultDomains,
  isolation,
  interruptRemapping,
  interruptsAllowed,
  noiommu,
  translation,
  vfioDriver,
  backend,
  memlock,
  lockdown,
  controlGroup,
  sandbox,
];

export function checkHost(view: HostView): HostFinding[] {
  return CHECKS.map((check) => check(view));
}
