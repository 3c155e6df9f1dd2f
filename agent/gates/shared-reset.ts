import type { Gate } from './gate.ts';

/** Neighbours that are named; `reset_set` of the device has all of them. */
const SHOWN = 8;

/**
 * A device that only a reset of its whole bus resets keeps what one driver left in it for the next,
 * or takes its neighbours down. What a grant covers is one function.
 */
export const sharedReset: Gate = {
  reason: 'reset-shared',
  rule: 'PCIe 6.6.1: a hot reset resets all functions below the bridge',
  code: 'E_RESET_SHARED',
  check({ device: { reset } }) {
    if (reset.alone || reset.set.length === 0) return undefined;
    const named = reset.set.slice(0, SHOWN).join(', ');
    const more = reset.set.length > SHOWN ? ` and ${reset.set.length - SHOWN} more` : '';
    return {
      what: `it can be reset only together with what the grant does not cover: ${named}${more}`,
      remedy:
        'use a slot that it has to itself, or turn a reset of its own on again (reset_method)',
    };
  },
};
