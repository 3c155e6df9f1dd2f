/**
 * The plan: how a device gets from one driver to another, as ordered steps. Pure: it knows the
 * state that a binding changes (the driver, the override) and nothing else, so that it can be
 * printed, tested without a device, and computed again after a crash from what is then found.
 *
 * The order is: unbind the old driver; say which driver alone may bind (`driver_override`); let the
 * kernel probe; put the override back. Matching by `new_id` is not used: it also catches siblings.
 */

import { type BindingState, VFIO_DRIVER, type VfState } from './binding-state.ts';

/** One write into sysfs. */
export type Action =
  | { readonly kind: 'unbind'; readonly driver: string }
  | { readonly kind: 'override'; readonly value: string | null }
  /** Lets the kernel find the driver: with the override set, there is one candidate. */
  | { readonly kind: 'probe'; readonly driver: string }
  /** Binds one driver and no other. */
  | { readonly kind: 'bind'; readonly driver: string }
  /** Whether drivers of the host may have virtual functions that are made from now on. */
  | { readonly kind: 'autoprobe'; readonly value: boolean }
  /** Makes so many virtual functions where there are none, or removes all. */
  | { readonly kind: 'vfs'; readonly count: number };

export interface Step {
  /** From 1. */
  readonly number: number;
  readonly action: Action;
  /** Precondition: exactly this must be so before. */
  readonly before: BindingState;
  /** Verification: this must be so afterwards. */
  readonly after: BindingState;
  /** From `after` back to `before`. */
  readonly inverse: readonly Action[];
}

export interface Plan {
  readonly device: string;
  readonly from: BindingState;
  readonly to: BindingState;
  /** Empty when nothing is to be done. */
  readonly steps: readonly Step[];
}

/** The steps from what was found to `to`. */
export function makePlan(device: string, from: BindingState, to: BindingState): Plan {
  let before = from;
  const steps = route(from, to).map((action, index): Step => {
    const after = effectOf(action, before);
    const step = { number: index + 1, action, before, after, inverse: route(after, before) };
    before = after;
    return step;
  });
  return { device, from, to, steps };
}

/** Bound to `vfio-pci`, and the override as it was found: binding leaves nothing else behind. */
export function boundState(found: BindingState): BindingState {
  return { driver: VFIO_DRIVER, override: found.override };
}

/** The shortest safe way between two states. */
export function route(from: BindingState, to: BindingState): Action[] {
  const actions: Action[] = [];
  let { override } = from;
  const setOverride = (value: string | null): void => {
    if (override !== value) actions.push({ kind: 'override', value });
    override = value;
  };
  if (from.driver !== to.driver) {
    if (from.driver !== null) actions.push({ kind: 'unbind', driver: from.driver });
    if (to.driver === VFIO_DRIVER) {
      // vfio-pci knows no ids: it matches by override alone.
      setOverride(VFIO_DRIVER);
      actions.push({ kind: 'probe', driver: VFIO_DRIVER });
    } else if (to.driver !== null) {
      // A driver matches by its ids unless an override names another: not even `bind` gets past it.
      setOverride(to.override === to.driver ? to.driver : null);
      actions.push({ kind: 'bind', driver: to.driver });
    }
  }
  setOverride(to.override);
  if (from.vfs !== undefined && to.vfs !== undefined) actions.push(...routeVfs(from.vfs, to.vfs));
  return actions;
}

/** Whatever the two states are, no driver of the host gets a virtual function that is made here. */
function routeVfs(from: VfState, to: VfState): Action[] {
  const actions: Action[] = [];
  let { autoprobe } = from;
  const setAutoprobe = (value: boolean | null): void => {
    if (value !== null && autoprobe !== value) actions.push({ kind: 'autoprobe', value });
    autoprobe = value;
  };
  if (to.count !== null && from.count !== to.count) {
    if (to.count > 0) setAutoprobe(false);
    // drivers/pci/pci-sysfs.c, sriov_numvfs_store(): from one number to another is EBUSY.
    if (from.count !== 0) actions.push({ kind: 'vfs', count: 0 });
    if (to.count > 0) actions.push({ kind: 'vfs', count: to.count });
  }
  setAutoprobe(to.autoprobe);
  return actions;
}

/** What is so after an action that did what it was asked. */
export function effectOf(action: Action, before: BindingState): BindingState {
  switch (action.kind) {
    case 'unbind':
      return { ...before, driver: null };
    case 'override':
      return { ...before, override: action.value };
    case 'probe':
    case 'bind':
      return { ...before, driver: action.driver };
    case 'autoprobe':
      return { ...before, vfs: { ...vfsOf(before), autoprobe: action.value } };
    case 'vfs':
      return { ...before, vfs: { ...vfsOf(before), count: action.count } };
  }
}

function vfsOf({ vfs }: BindingState): VfState {
  return vfs ?? { count: null, autoprobe: null };
}

/** The write that an action is, relative to the root of sysfs. */
export function writeOf(action: Action, device: string): { path: string; text: string } {
  switch (action.kind) {
    case 'unbind':
      return { path: `bus/pci/drivers/${action.driver}/unbind`, text: device };
    case 'bind':
      return { path: `bus/pci/drivers/${action.driver}/bind`, text: device };
    case 'probe':
      return { path: 'bus/pci/drivers_probe', text: device };
    case 'override':
      // store() makes an empty line "none"; a write of no bytes would never reach it.
      return { path: `bus/pci/devices/${device}/driver_override`, text: action.value ?? '\n' };
    case 'autoprobe':
      return {
        path: `bus/pci/devices/${device}/sriov_drivers_autoprobe`,
        text: action.value ? '1' : '0',
      };
    case 'vfs':
      return { path: `bus/pci/devices/${device}/sriov_numvfs`, text: String(action.count) };
  }
}

export function describeAction(action: Action): string {
  switch (action.kind) {
    case 'unbind':
      return `unbind ${action.driver}`;
    case 'bind':
      return `bind ${action.driver}`;
    case 'probe':
      return `probe, for ${action.driver}`;
    case 'override':
      return action.value === null ? 'clear the override' : `set the override to ${action.value}`;
    case 'autoprobe':
      return action.value
        ? 'let drivers of the host have new virtual functions'
        : 'keep drivers of the host off new virtual functions';
    case 'vfs':
      return action.count === 0
        ? 'remove the virtual functions'
        : `make ${action.count} virtual function${action.count === 1 ? '' : 's'}`;
  }
}
