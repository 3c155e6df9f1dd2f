/** The interrupts of a grant: kind, vectors and budget, each the least of all who have a say. */

import type { InterruptClaim, InterruptKind } from './ceiling.ts';
import type { Cut, Note } from './cut.ts';
import type { DeviceInterrupts } from './device.ts';
import type { InterruptBudget } from './interrupt-budget.ts';

export interface GrantedInterrupts extends InterruptClaim {
  /** Most that a vector may have at once; null: its share of a second. */
  readonly burst: number | null;
  /** Most that a vector may have for as long as its device is held; null: no end. */
  readonly lifetimeMax: number | null;
}

const NONE: GrantedInterrupts = {
  ...{ kind: 'none', vectors: 0, perSecondBudget: 0, burst: null, lifetimeMax: null },
};

/** What each of `vectors` vectors may have: an equal share of the rate. */
export function vectorBudget(
  { perSecondBudget, burst, lifetimeMax }: Omit<GrantedInterrupts, 'kind' | 'vectors'>,
  vectors: number,
): InterruptBudget {
  const share = Math.floor(perSecondBudget / Math.max(1, vectors));
  return { perSecond: share, burst: burst ?? share, lifetimeMax, ticksMax: null };
}

export function grantInterrupts(
  { ceiling, entry, device, vfBudget }: Cut,
  note: Note,
): GrantedInterrupts {
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
  const { burst, lifetimeMax } = entry.interrupts;
  if (lifetimeMax !== null) note(`interrupts: ${lifetimeMax} of a vector, and then no more`);
  return { kind, vectors: granted, perSecondBudget: budget, burst, lifetimeMax };
}

function vectorsOf(found: DeviceInterrupts, kind: InterruptKind): number {
  if (kind === 'intx') return found.intx ? 1 : 0;
  return kind === 'msi' ? found.msi : kind === 'msix' ? found.msix : 0;
}
