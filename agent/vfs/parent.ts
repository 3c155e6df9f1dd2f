/** What a virtual function hangs on: its physical function, and the set that this agent made it in. */

import { isIronError } from '../../shared/errors.ts';
import type { DeviceName } from '../../shared/manifest/quarantine.ts';
import type { Agent } from '../agent.ts';
import { isBdf } from '../host/bdf.ts';
import { readBootId } from '../host/host-facts.ts';
import { readBinding, readName } from '../host/inventory.ts';
import type { Sysfs } from '../host/sysfs.ts';
import { listVfSets, loadVfSet, type VfSet } from './set.ts';

export interface Parent {
  /** Address of the physical function. */
  readonly path: string;
  /** Undefined when it is gone. */
  readonly name: DeviceName | undefined;
  /** Of the physical function. */
  readonly driver: string | null;
  /** Undefined when somebody else made the virtual function. */
  readonly set: VfSet | undefined;
}

/** The parent of a virtual function; undefined for every other device. */
export async function readParent(
  agent: Agent,
  sysfs: Sysfs,
  { physicalFunction }: { readonly physicalFunction: string | null },
): Promise<Parent | undefined> {
  if (physicalFunction === null) return undefined;
  const set = await loadVfSet(agent, physicalFunction);
  const folder = await folderOf(sysfs, physicalFunction);
  return {
    path: physicalFunction,
    name: folder === undefined ? undefined : await readName(sysfs, physicalFunction),
    driver: folder === undefined ? null : (await readBinding(sysfs, folder)).driver,
    // Those of another boot are gone, and what is there now was made by somebody else.
    set: set?.boot === (await readBootId(agent.proc)) ? set : undefined,
  };
}

/** The address of the physical function of what is at `bdf`, if it is a virtual one. */
export async function parentAddress(sysfs: Sysfs, bdf: string): Promise<string | undefined> {
  const folder = await folderOf(sysfs, bdf);
  const link = folder && (await sysfs.linkName(`${folder}/physfn`));
  return link !== undefined && isBdf(link) ? link : undefined;
}

/**
 * Whether `bdf` was a virtual function that this agent made, and is there no more: it went with its physical
 * function, or somebody wrote another number of them.
 */
export async function isVfThatWent(agent: Agent, sysfs: Sysfs, bdf: string): Promise<boolean> {
  if ((await folderOf(sysfs, bdf)) !== undefined) return false;
  return (await listVfSets(agent)).some(({ vfs }) => vfs.includes(bdf));
}

/** The device's folder, or undefined when there is no such device. */
export async function folderOf(sysfs: Sysfs, bdf: string): Promise<string | undefined> {
  try {
    return await sysfs.deviceFolder(bdf);
  } catch (error) {
    if (isIronError(error, 'E_NOT_FOUND', 'E_USAGE')) return undefined;
    throw error;
  }
}
