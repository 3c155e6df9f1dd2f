/**
 * How a device that is bound to `vfio-pci` comes to reach its granted memory and nothing else, as
 * ordered steps with their inverses. Pure. What these steps make is held by descriptors: when the
 * process that holds them ends, the kernel undoes all of them, so that a journal names them and
 * recovery has nothing to do about them.
 */

import type { DmaWindow } from '../shared/manifest/ceiling.ts';
import type { Grant } from '../shared/manifest/grant.ts';
import { showWindow } from '../shared/manifest/windows.ts';
import type { RelayBudget } from './relay.ts';

export type ConfineAction =
  | { readonly kind: 'open' }
  /** Whatever the device was told before, it forgets. */
  | { readonly kind: 'reset' }
  /** Attaches, and asks again what can be addressed: attaching narrows it. */
  | { readonly kind: 'attach' }
  | { readonly kind: 'map'; readonly window: DmaWindow }
  | { readonly kind: 'interrupts' }
  /** Starts the driver and its broker, confined, and looks at them; neither reaches the device yet. */
  | { readonly kind: 'run' }
  /** Comes last of all that gives the device something, and goes first. */
  | { readonly kind: 'bus-master' }
  /** The driver is let at the registers. */
  | { readonly kind: 'serve' };

export interface ConfineStep {
  /** Goes on counting where the steps of binding end. */
  readonly number: number;
  readonly action: ConfineAction;
}

/** What of a grant decides about the confinement. */
export interface ConfinedGrant {
  readonly dma: Pick<Grant['dma'], 'windows'>;
  readonly interrupts: Pick<Grant['interrupts'], 'kind' | 'vectors'> & Partial<RelayBudget>;
}

/** `driven`: the driver is run as well. */
export function planConfinement(
  { dma, interrupts }: ConfinedGrant,
  firstNumber: number,
  driven: 'driven' | 'held' = 'held',
): ConfineStep[] {
  const isDriven = driven === 'driven';
  // A message is a write of the device's own, like DMA; a device that was granted neither has
  // nothing to begin.
  const isMaster =
    dma.windows.length > 0 || interrupts.kind === 'msi' || interrupts.kind === 'msix';
  const actions: ConfineAction[] = [
    { kind: 'open' },
    { kind: 'reset' },
    { kind: 'attach' },
    ...dma.windows.map((window): ConfineAction => ({ kind: 'map', window })),
    { kind: 'interrupts' },
    ...(isDriven ? [{ kind: 'run' } as const] : []),
    ...(isMaster ? [{ kind: 'bus-master' } as const] : []),
    ...(isDriven ? [{ kind: 'serve' } as const] : []),
  ];
  return actions.map((action, i) => ({ number: firstNumber + i, action }));
}

export function describeConfineAction(action: ConfineAction): string {
  switch (action.kind) {
    case 'open':
      return 'open the device, in an address space of its own';
    case 'reset':
      return 'reset the device';
    case 'attach':
      return 'attach it to its address space';
    case 'map':
      return `map ${showWindow(action.window.window)}, ${action.window.access}`;
    case 'interrupts':
      return 'wire interrupts, errors and requests';
    case 'run':
      return 'start the driver and its broker, confined, and look at them';
    case 'bus-master':
      return 'enable the bus master';
    case 'serve':
      return 'let the driver at the registers';
  }
}

export function describeConfineInverse({ kind }: ConfineAction): string {
  switch (kind) {
    case 'open':
      return 'close it';
    case 'reset':
      return 'none: what it forgot stays forgotten';
    case 'attach':
      return 'detach';
    case 'map':
      return 'unmap, and zero the memory';
    case 'interrupts':
      return 'disable them';
    case 'run':
      return 'freeze them, and end them when the device is stopped';
    case 'bus-master':
      return 'disable it';
    case 'serve':
      return 'none: the broker is ended';
  }
}
