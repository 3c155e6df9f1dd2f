/**
 * Holding a quarantined device down in sysfs: nothing but `vfio-pci` may bind it, which gives it to
 * nobody by itself; a driver of the host's is taken off; in the tomb the device is removed. Nothing of
 * this is undone when a part of it fails: each is tried, what failed is told, and how the device is then
 * is written down.
 */

import { setTimeout } from 'node:timers/promises';
import { asIronError, IronError, isIronError } from '../../shared/errors.ts';
import { heldPlacesOf, type Present } from '../../shared/manifest/quarantine.ts';
import type { Agent } from '../agent.ts';
import { valueBefore } from '../apply.ts';
import type { AuditEvent } from '../audit.ts';
import {
  type BindingState,
  describeState,
  sameState,
  stateJson,
  VFIO_DRIVER,
} from '../binding-state.ts';
import { handsOn } from '../device-hands.ts';
import { readBinding } from '../host/inventory.ts';
import type { Sysfs } from '../host/sysfs.ts';
import { findWriters, type Written } from '../host/write.ts';
import { type Action, describeAction, effectOf, route, writeOf } from '../plan.ts';
import type { Incident } from './incident.ts';
import { readPresent } from './present.ts';

export interface HeldDown {
  readonly device: string;
  /** What was done, in words. */
  readonly done: readonly string[];
  /** What could not be done. */
  readonly problems: readonly string[];
}

/**
 * What is in quarantine, and is not held down: as an error, for who asked for it. Undefined when all
 * was done. `E_NOT_HELD_DOWN`
 */
export function notHeldDown(
  { id, level }: Pick<Incident, 'id' | 'level'>,
  { device, done, problems }: HeldDown,
): IronError | undefined {
  if (problems.length === 0) return undefined;
  return new IronError('E_NOT_HELD_DOWN', `${device} is in quarantine, and is not held down`, {
    why: problems.join('; '),
    hint: `it counts as quarantined, and nothing is bound to it here; keep the drivers of the host off it by hand, and try again: ironport-agent quarantine enforce`,
    context: {
      reason: 'not-held-down',
      ...{ device, incident: id, level },
      done: done.join('; ') || 'nothing',
      problems: problems.join('; '),
    },
  });
}

/** What a device in quarantine looks like: `vfio-pci` or nothing, and nothing else may come. */
function heldState({ driver }: BindingState): BindingState {
  return { driver: driver === VFIO_DRIVER ? VFIO_DRIVER : null, override: VFIO_DRIVER };
}

/**
 * Brings the device there from whatever is found, wherever it is now; one that is gone needs nothing.
 * Throws nothing. `record` takes down what is done: into the audit log, which is for who has the lock.
 */
export function holdDown(
  agent: Agent,
  sysfs: Sysfs,
  incident: Incident,
  record: Record = (event) => agent.audit.append(event),
): Promise<HeldDown> {
  const act: Act = async (work) => {
    await work.bring(heldState);
    if (incident.level === 'tomb') await work.remove();
    await work.tellUnheld();
  };
  return atItsPlaces({ agent, sysfs, incident, record }, act);
}

export type Record = (event: AuditEvent) => Promise<unknown>;

/**
 * The override as it was when the incident began; the driver stays as it is, and so does what `others`,
 * the incidents that are not over, are about. Throws nothing.
 */
export function letUp(
  agent: Agent,
  sysfs: Sysfs,
  incident: Incident,
  others: readonly Incident[],
): Promise<HeldDown> {
  const record: Record = (event) => agent.audit.append(event);
  return atItsPlaces({ agent, sysfs, incident, record }, async (work, present) => {
    const other = others.find(({ device }) => heldPlacesOf(device, present).includes(work.device));
    if (other === undefined)
      await work.bring(({ driver }) => ({ driver, override: incident.found?.override ?? null }));
    else work.done.push(`nothing: it is in quarantine by incident ${other.id} still`);
  });
}

interface Holding {
  readonly agent: Agent;
  readonly sysfs: Sysfs;
  readonly incident: Incident;
  readonly record: Record;
}

type Act = (work: Work, present: readonly Present[]) => Promise<void>;

/** Does it to the device wherever it is: what is at its old address may be another one by now. */
async function atItsPlaces(holding: Holding, act: Act): Promise<HeldDown> {
  const { sysfs, incident } = holding;
  const { device } = incident;
  let present: Present[];
  try {
    present = await readPresent(sysfs);
  } catch (error) {
    // Not even which devices there are: its address is all that is known.
    present = [{ path: device.path, name: undefined }];
    const work = new Work(holding, device.path);
    await act(work, present);
    return { ...work.told(device.path), problems: [...work.problems, asIronError(error).message] };
  }
  const places = heldPlacesOf(device, present);
  const told: Pick<HeldDown, 'done' | 'problems'>[] = [];
  for (const place of places) {
    const work = new Work(holding, place);
    await act(work, present);
    told.push(work.told(device.path));
  }
  const done = told.flatMap((one) => one.done);
  if (places.length === 0) done.push('nothing: the device is not there');
  return { device: device.path, done, problems: told.flatMap((one) => one.problems) };
}

class Work {
  readonly done: string[] = [];
  readonly problems: string[] = [];
  readonly #agent: Agent;
  readonly #sysfs: Sysfs;
  readonly #record: Record;
  readonly #incident: Incident;
  readonly device: string;

  constructor({ agent, sysfs, record, incident }: Holding, device: string) {
    this.#agent = agent;
    this.#sysfs = sysfs;
    this.#record = record;
    this.#incident = incident;
    this.device = device;
  }

  /** In words that name its address, where that is not `usual`. */
  told(usual: string): HeldDown {
    const where = (text: string): string =>
      this.device === usual ? text : `${this.device}: ${text}`;
    return { device: usual, done: this.done.map(where), problems: this.problems.map(where) };
  }

  async bring(to: (now: BindingState) => BindingState): Promise<void> {
    await this.#attempt(async (folder) => {
      let state = await this.#lookAsFarAsPossible(folder);
      const hands = handsOn(this.#agent, this.#sysfs, this.device);
      for (const action of order(route(state, to(state)))) {
        const { path, text } = writeOf(action, this.device);
        const write = { path, old: valueBefore(action, state), new: text };
        const isSo = await this.#note(describeAction(action), write, () => hands.act(action));
        if (isSo) state = effectOf(action, state);
      }
      await this.#confirm(state);
    });
  }

  /** One attribute that cannot be read is no reason to leave the others as they are. */
  async #lookAsFarAsPossible(folder: string): Promise<BindingState> {
    try {
      return await readBinding(this.#sysfs, folder);
    } catch (error) {
      if (isIronError(error, 'E_NOT_FOUND')) throw error;
      this.problems.push(`how it is bound cannot be read: ${asIronError(error).message}`);
      const driver = await this.#sysfs.linkName(`${folder}/driver`).catch(() => undefined);
      return { driver: driver ?? null, override: null };
    }
  }

  /** What the kernel took must also be so, now or soon. */
  async #confirm(wanted: BindingState): Promise<void> {
    const until = performance.now() + this.#agent.settleMs;
    for (let pause = 2; ; pause = Math.min(50, pause * 2)) {
      const found = await this.#look();
      if (found === null || sameState(found, wanted)) return;
      if (performance.now() >= until) {
        this.problems.push(`the kernel took what was written, and it is: ${describeState(found)}`);
        return;
      }
      await setTimeout(pause);
    }
  }

  /** Null when it is not there. */
  async #look(): Promise<BindingState | null> {
    try {
      return await readBinding(this.#sysfs, await this.#sysfs.deviceFolder(this.device));
    } catch (error) {
      if (isIronError(error, 'E_NOT_FOUND')) return null;
      throw error;
    }
  }

  /** What could not be done, in the log, and how the device is now. */
  async tellUnheld(): Promise<void> {
    if (this.problems.length === 0) return;
    const now = await this.#look().catch(() => null);
    const event = {
      ...{ event: 'not-held-down', device: this.device, incident: this.#incident.id },
      code: 'E_NOT_HELD_DOWN',
      problems: [...this.problems],
      now: now === null ? null : stateJson(now),
    };
    await this.#record(event).catch(() => {});
  }

  async remove(): Promise<void> {
    await this.#attempt((folder) => {
      const path = `${folder}/remove`;
      return this.#note('remove the device', { path, old: null, new: '1' }, () =>
        this.#agent.write(this.#sysfs, this.device, path, '1', this.#agent.writeMs),
      );
    });
  }

  async #attempt(act: (folder: string) => Promise<unknown>): Promise<void> {
    try {
      const [writer] = await findWriters(this.#sysfs, this.device, this.#agent.proc);
      if (writer !== undefined) {
        this.problems.push(`process ${writer} still waits in the kernel for it`);
        return;
      }
      await act(await this.#sysfs.deviceFolder(this.device));
    } catch (error) {
      if (isIronError(error, 'E_NOT_FOUND')) this.done.push('nothing: the device is not there');
      else this.problems.push(asIronError(error).message);
    }
  }

  async #note(
    what: string,
    write: { readonly path: string; readonly old: string | null; readonly new: string },
    act: () => Promise<Written>,
  ): Promise<boolean> {
    let outcome: string;
    try {
      const written = await act();
      outcome = written.outcome === 'refused' ? written.errno : written.outcome;
    } catch (error) {
      // It was not even tried: what comes after it is.
      outcome = asIronError(error).message;
    }
    const event = { event: 'sysfs-write', device: this.device, what, ...write, outcome };
    // A log that takes no more must not keep a device from being held down.
    await this.#record(event).catch(() => {});
    if (outcome === 'written') this.done.push(what);
    else this.problems.push(`${what}: ${outcome}`);
    return outcome === 'written';
  }
}

/** The override first: from then on no driver of the host's can come, whatever happens meanwhile. */
function order(actions: readonly Action[]): Action[] {
  const isOverride = ({ kind }: Action): boolean => kind === 'override';
  return [...actions.filter(isOverride), ...actions.filter((action) => !isOverride(action))];
}
