/** The interrupts of a grant: kind, vectors and budget, each the least of all who have a say. */

import type { InterruptClaim, InterruptKind } from './ceiling.ts';
import type { Cut, Note } from './cut.ts';
import type { DeviceInterrupts } from './device.ts';

const NONE: InterruptClaim = { kind: 'none', vectors: 0, perSecondBudget: 0 };

export function grantInterrupts(
  { ceiling, entry, device, vfBudget }: Cut,
  note: Note,
): InterruptClaim {
  const { kind, vectors, perSecondBudget } = ceiling.interrupts;
  if (kind === 'none') return NONE;
  if (!entry.interrupts.kinds.includes(kind)) {
    note(`interrupts: the policy allows no ${kind}`);
    return NONE;
  }
  const found = vectorsOf(device.interrupts, kind);
  const granted = Math.min(vectors, entry.interrupts.vectors, found);
  if (granted === 0) {
    note(
      `interrupts: none, since ${found === 0 ? `the device has no ${kind}` : 'the policy allows no vector'}`,
    );
    return NONE;
  }
  if (granted < vectors) {
    const cause = granted === found ? 'the device has no more' : 'the policy allows no more';
    note(`interrupts: ${granted} of ${vectors} vectors, since ${cause}`);
  }
  const budget = Math.min(
    perSecondBudget,
    entry.interrupts.perSecondBudget,
    vfBudget?.interruptsPerSecond ?? Number.POSITIVE_INFINITY,
  );
  if (budget < perSecondBudget)
    note(`interrupts: ${budget} a second instead of ${perSecondBudget}`);
  return { kind, vectors: granted, perSecondBudget: budget };
}

function vectorsOf(found: DeviceInterrupts, kind: InterruptKind): number {
  if (kind === 'intx') return found.intx ? 1 : 0;
  return kind === 'msi' ? found.msi : kind === 'msix' ? found.msix : 0;
}
