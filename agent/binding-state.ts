/** The part of a device's state that a binding changes. Pure, and known to plan, journal and host. */

import type { Node } from '../shared/json/decode.ts';
import type { JsonObject } from '../shared/json/value.ts';

/** The driver that gives a device to user space. */
export const VFIO_DRIVER = 'vfio-pci';

export interface BindingState {
  /** The driver bound now. */
  readonly driver: string | null;
  /** `driver_override`: the only driver that may bind. */
  readonly override: string | null;
}

export function sameState(a: BindingState, b: BindingState): boolean {
  return a.driver === b.driver && a.override === b.override;
}

export function describeState({ driver, override }: BindingState): string {
  return `driver ${driver ?? 'none'}, override ${override ?? 'none'}`;
}

export function parseState(node: Node): BindingState {
  node.only('driver', 'override');
  const text = (key: string): string | null => {
    const member = node.get(key);
    return member.value === null ? null : member.string();
  };
  return { driver: text('driver'), override: text('override') };
}

export function stateJson({ driver, override }: BindingState): JsonObject {
  return { driver, override };
}
