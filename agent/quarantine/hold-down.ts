/**
 * Holding a quarantined device down in sysfs: nothing but `vfio-pci` may bind it, which gives it to
 * nobody by itself; a driver of the host's is taken off; in the tomb the device is removed. Nothing of
 * this is undone when a part of it fails: each is tried, and what failed is told.
 */

import { asIronError, isIronError } from '../../shared/errors.ts';
import type { Agent } from '../agent.ts';
import type { AuditEvent } from '../audit.ts';
import { type BindingState, VFIO_DRIVER } from '../binding-state.ts';
import { handsOn } from '../device-hands.ts';
import { readBinding } from '../host/inventory.ts';
import type { Sysfs } from '../host/sysfs.ts';
import { findWriters, type Written, writeAttribute } from '../host/write.ts';
import { type Action, describeAction, effectOf, route } from '../plan.ts';
import type { Incident } from './incident.ts';

export interface HeldDown {
  readonly device: string;
  /** What was done, in words. */
  readonly done: readonly string[];
  /** What could not be done. */
  readonly problems: readonly string[];
}

/** What a device in quarantine looks like: `vfio-pci` or nothing, and nothing else may come. */
function heldState({ driver }: BindingState): BindingState {
  return { driver: driver === VFIO_DRIVER ? VFIO_DRIVER : null, override: VFIO_DRIVER };
}

/** Brings the device there from whatever is found; one that is gone needs nothing. Throws nothing. */
export async function holdDown(agent: Agent, sysfs: Sysfs, incident: Incident): Promise<HeldDown> {
  const { path: device } = incident.device;
  const work = new Work(agent, sysfs, device);
  await work.bring(heldState);
  if (incident.level === 'tomb') await work.remove();
  return { device, done: work.done, problems: work.problems };
}

/** The override as it was when the incident began; the driver stays as it is. Throws nothing. */
export async function letUp(agent: Agent, sysfs: Sysfs, incident: Incident): Promise<HeldDown> {
  const { path: device } = incident.device;
  const work = new Work(agent, sysfs, device);
  await work.bring(({ driver }) => ({ driver, override: incident.found?.override ?? null }));
  return { device, done: work.done, problems: work.problems };
}

class Work {
  readonly done: string[] = [];
  readonly problems: string[] = [];
  readonly #agent: Agent;
  readonly #sysfs: Sysfs;
  readonly #device: string;

  constructor(agent: Agent, sysfs: Sysfs, device: string) {
    this.#agent = agent;
    this.#sysfs = sysfs;
    this.#device = device;
  }

  async bring(to: (now: BindingState) => BindingState): Promise<void> {
    await this.#attempt(async (folder) => {
      let state = await readBinding(this.#sysfs, folder);
      const hands = handsOn(this.#agent, this.#sysfs, this.#device);
      for (const action of order(route(state, to(state)))) {
        const what = describeAction(action);
        const isSo = await this.#note(what, 'sysfs-write', () => hands.act(action));
        if (isSo) state = effectOf(action, state);
      }
    });
  }

  async remove(): Promise<void> {
    await this.#attempt((folder) =>
      this.#note('remove the device', 'sysfs-write', () =>
        writeAttribute(this.#sysfs, this.#device, `${folder}/remove`, '1', this.#agent.writeMs),
      ),
    );
  }

  async #attempt(act: (folder: string) => Promise<unknown>): Promise<void> {
    try {
      const [writer] = await findWriters(this.#sysfs, this.#device, this.#agent.proc);
      if (writer !== undefined) {
        this.problems.push(`process ${writer} still waits in the kernel for it`);
        return;
      }
      await act(await this.#sysfs.deviceFolder(this.#device));
    } catch (error) {
      if (isIronError(error, 'E_NOT_FOUND')) this.done.push('nothing: the device is not there');
      else this.problems.push(asIronError(error).message);
    }
  }

  async #note(what: string, kind: string, act: () => Promise<Written>): Promise<boolean> {
    const written = await act();
    const outcome = written.outcome === 'refused' ? written.errno : written.outcome;
    const event: AuditEvent = { event: kind, device: this.#device, what, outcome };
    // A log that takes no more must not keep a device from being held down.
    await this.#agent.audit.append(event).catch(() => {});
    if (written.outcome === 'written') this.done.push(what);
    else this.problems.push(`${what}: ${outcome}`);
    return written.outcome === 'written';
  }
}

/** The override first: from then on no driver of the host's can come, whatever happens meanwhile. */
function order(actions: readonly Action[]): Action[] {
  const isOverride = ({ kind }: Action): boolean => kind === 'override';
  return [...actions.filter(isOverride), ...actions.filter((action) => !isOverride(action))];
}
