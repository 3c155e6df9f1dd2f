import type { Gate } from './gate.ts';

/** A driver that shares a device out to virtual functions needs the physical one. */
export const virtualFunction: Gate = {
  reason: 'virtual-function',
  rule: 'resource ceiling v1: virtual_functions',
  code: 'E_VIRTUAL_FUNCTION',
  check({ device: { physicalFunction }, driver }) {
    if (physicalFunction === null || driver?.ceiling.virtualFunctions === undefined)
      return undefined;
    return {
      what: `${driver.artifact.path} manages virtual functions, and this is one of ${physicalFunction}`,
      remedy: `name the physical function ${physicalFunction}, or a driver for virtual functions`,
    };
  },
};
