import type { Gate } from './gate.ts';

/** A virtual function without its physical one is a shell: nobody serves it, and it may go any moment. */
export const pfGone: Gate = {
  reason: 'physical-function-gone',
  rule: 'PCIe 9.1: a virtual function is associated with a physical function',
  code: 'E_PF_GONE',
  check({ parent }) {
    if (parent === undefined || parent.name !== undefined) return undefined;
    return {
      what: `its physical function ${parent.path} is gone`,
      remedy: 'bring the physical function back, and make its virtual functions anew',
    };
  },
};
