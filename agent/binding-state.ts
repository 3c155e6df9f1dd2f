/**
 * The part of a device's state that a binding changes, or the making of virtual functions. Pure, and
 * known to plan, journal and host.
 */

import type { Node } from '../shared/json/decode.ts';
import type { JsonObject } from '../shared/json/value.ts';

/** The driver that gives a device to user space. */
export const VFIO_DRIVER = 'vfio-pci';

export interface BindingState {
  /** The driver bound now. */
  readonly driver: string | null;
  /** `driver_override`: the only driver that may bind. */
  readonly override: string | null;
  /** Only where virtual functions are made or removed: a binding leaves them alone. */
  readonly vfs?: VfState;
}

/** What a physical function does about virtual ones. Null is what could not be read. */
export interface VfState {
  /** `sriov_numvfs` */
  readonly count: number | null;
  /** `sriov_drivers_autoprobe`: whether drivers of the host may have new ones. */
  readonly autoprobe: boolean | null;
}

export function sameState(a: BindingState, b: BindingState): boolean {
  return (
    a.driver === b.driver &&
    a.override === b.override &&
    a.vfs?.count === b.vfs?.count &&
    a.vfs?.autoprobe === b.vfs?.autoprobe
  );
}

export function describeState({ driver, override, vfs }: BindingState): string {
  const binding = `driver ${driver ?? 'none'}, override ${override ?? 'none'}`;
  return vfs === undefined ? binding : `${binding}, ${describeVfs(vfs)}`;
}

function describeVfs({ count, autoprobe }: VfState): string {
  const probing = autoprobe === null ? 'unreadable' : autoprobe ? 'on' : 'off';
  return `${count ?? 'an unreadable number of'} virtual functions, autoprobe ${probing}`;
}

export function parseState(node: Node): BindingState {
  node.only('driver', 'override', 'virtual_functions');
  const text = (key: string): string | null => {
    const member = node.get(key);
    return member.value === null ? null : member.string();
  };
  const vfs = node.maybe('virtual_functions');
  return {
    driver: text('driver'),
    override: text('override'),
    ...(vfs === undefined ? {} : { vfs: parseVfs(vfs) }),
  };
}

function parseVfs(node: Node): VfState {
  node.only('count', 'autoprobe');
  const [count, autoprobe] = [node.get('count'), node.get('autoprobe')];
  return {
    count: count.value === null ? null : count.integer(0, 0xffff),
    autoprobe: autoprobe.value === null ? null : autoprobe.boolean(),
  };
}

export function stateJson({ driver, override, vfs }: BindingState): JsonObject {
  const binding = { driver, override };
  return vfs === undefined ? binding : { ...binding, virtual_functions: { ...vfs } };
}
