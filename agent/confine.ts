/**
 * Confining a device: the steps of `confine-plan.ts` carried out on a real kernel, each in the
 * journal, and undone in reverse when one fails. This process is the only one that maps, and what
 * it holds is the confinement: a device reaches what was granted for as long as this is held.
 */

import { closeSync } from 'node:fs';
import { asIronError, CODES, type Code, IronError } from '../shared/errors.ts';
import { contains, isWholePages, showWindow } from '../shared/manifest/windows.ts';
import { fromErrno, isErrno } from '../shared/node/errno.ts';
import type { AuditEvent } from './audit.ts';
import {
  type ConfineAction,
  type ConfinedGrant,
  type ConfineStep,
  describeConfineAction,
  describeConfineInverse,
} from './confine-plan.ts';
import type { BackendName, DeviceSpace } from './host/backend.ts';
import { libc } from './host/libc.ts';
import { makeWindowMemory, type WindowMemory } from './host/memory.ts';
import { IRQ } from './host/uapi.ts';
import { VfioDevice } from './host/vfio-device.ts';
import type { Journal } from './journal.ts';
import type { RelayBudget } from './relay.ts';
import type { Running } from './running.ts';

/** Event descriptors; they stay with this process. */
export interface DeviceEvents {
  /** The device reported an error; undefined where it cannot. */
  readonly error: number | undefined;
  /** The kernel wants the device back. */
  readonly request: number;
  /** One a granted vector. */
  readonly vectors: readonly number[];
}

/** A device that is held inside its grant. */
export interface Confined {
  readonly device: string;
  readonly backend: BackendName;
  readonly vfio: VfioDevice;
  readonly space: DeviceSpace;
  readonly memories: readonly WindowMemory[];
  readonly events: DeviceEvents;
  /** How many interrupts there may be, where the grant says so. */
  readonly budget: RelayBudget | undefined;
  /** The driver, when it was to be run. */
  readonly running: Running | undefined;
  /** What could not be done, in sentences: a device without a way to reset it, for one. */
  readonly notes: readonly string[];
  /**
   * Stops driver and device: freezes the one, then bus master, interrupts, attachment of the other.
   * Each is tried whatever the others did. Waits for nobody but the kernel.
   */
  brake(): void;
  /**
   * The brake, and everything given back; the driver is ended and the memory zeroed. Returns what was
   * undone, in words.
   */
  end(): Promise<readonly string[]>;
}

export interface Confining {
  readonly device: string;
  readonly grant: ConfinedGrant;
  readonly steps: readonly ConfineStep[];
  /** Opens the device, which is bound to `vfio-pci` by now. */
  readonly open: () => Promise<DeviceSpace>;
  /** Called when the device was opened and reset, before it can reach anything. */
  readonly beforeReach?: () => Promise<void>;
  /** Throws when the device translates addresses by itself. Asked after attaching. */
  readonly checkTranslation?: () => Promise<void>;
  /** Starts the driver; for plans with a step for it. */
  readonly run?: (held: DrivenParts) => Promise<Running>;
  readonly journal: Pick<Journal, 'append'>;
  readonly record: (event: AuditEvent) => Promise<unknown>;
  readonly signal?: AbortSignal;
  readonly onStep?: (text: string) => void;
}

/** What a driver is given a part in. */
export interface DrivenParts {
  readonly vfio: VfioDevice;
  readonly memories: readonly WindowMemory[];
  readonly vectors: readonly number[];
}

/**
 * Carries out the steps. When one fails, what the steps had made is given back, and it throws:
 * `E_IOVA_RANGE`, `E_PAGE_SIZE`, `E_DEVICE_TRANSLATES`, `E_AGENT_REFUSED` and their like where the host
 * cannot keep to the grant, `E_BIND_ROLLED_BACK` for the rest;
 * `context.step` is the step. That the device is also unbound again is the caller's.
 */
export async function confine(confining: Confining): Promise<Confined> {
  const { device, steps, journal, record, signal, onStep } = confining;
  const hold = new Hold(confining);
  for (const { number, action } of steps) {
    const detail = describeConfineAction(action);
    try {
      signal?.throwIfAborted();
      onStep?.(`step ${number}: ${detail}`);
      await journal.append({ event: 'intent', step: number, detail });
      await hold.make(action);
      await record({ event: 'confine', device, step: number, what: detail });
      await journal.append({ event: 'done', step: number, detail });
    } catch (error) {
      const undone = await hold.undoAll();
      const cause = isErrno(error) ? fromErrno(error) : asIronError(error);
      await journal
        .append({ event: 'failed', step: number, detail: cause.message })
        .catch(() => {});
      // The host cannot keep to the grant, or a step failed: the first is a refusal like others.
      const isRefusal = CODES[cause.code].exit === CODES.E_AGENT_REFUSED.exit;
      const code = isRefusal ? cause.code : 'E_BIND_ROLLED_BACK';
      throw new IronError(code, `${device} was not confined: ${cause.message}`, {
        why: cause.why ?? `step ${number} failed (${detail})`,
        hint: `${cause.hint ?? 'see the cause'}; what had been done was undone, and the device is as it was`,
        ...(cause.code === 'E_CANCELLED' ? {} : { cause }),
        context: {
          ...cause.context,
          device,
          step: number,
          action: detail,
          released: undone.join('; ') || 'nothing was held',
        },
      });
    }
  }
  return hold.confined();
}

/** What is held so far. */
class Hold {
  readonly #confining: Confining;
  readonly #memories: WindowMemory[] = [];
  readonly #notes: string[] = [];
  readonly #made: ConfineAction[] = [];
  #space: DeviceSpace | undefined;
  #vfio: VfioDevice | undefined;
  #events: DeviceEvents | undefined;
  #running: Running | undefined;

  constructor(confining: Confining) {
    this.#confining = confining;
  }

  async make(action: ConfineAction): Promise<void> {
    // Before it is made: what is made half is undone too, and undoing what is not there is nothing.
    this.#made.push(action);
    switch (action.kind) {
      case 'open':
        this.#space = await this.#confining.open();
        this.#vfio = new VfioDevice(this.#space.device);
        break;
      case 'reset':
        if (!this.#device.reset())
          this.#notes.push('not reset: the device offers no way to reset it alone');
        break;
      case 'attach':
        await this.#confining.beforeReach?.();
        this.#attached.attach();
        requireReach(this.#confining.grant, this.#attached);
        await this.#confining.checkTranslation?.();
        break;
      case 'map': {
        const memory = makeWindowMemory(action.window);
        this.#memories.push(memory);
        this.#attached.map(memory);
        break;
      }
      case 'interrupts':
        this.#wireEvents();
        break;
      case 'run': {
        const { run } = this.#confining;
        if (run === undefined) throw new IronError('E_INTERNAL', 'there is no driver to be run');
        const { vectors = [] } = this.#events ?? {};
        this.#running = await run({ vfio: this.#device, memories: this.#memories, vectors });
        break;
      }
      case 'bus-master':
        this.#device.setBusMaster(true);
        break;
      case 'serve':
        this.#running?.serve();
        break;
    }
  }

  get #attached(): DeviceSpace {
    if (this.#space === undefined) throw new IronError('E_INTERNAL', 'the device is not open');
    return this.#space;
  }

  get #device(): VfioDevice {
    if (this.#vfio === undefined) throw new IronError('E_INTERNAL', 'the device is not open');
    return this.#vfio;
  }

  #wireEvents(): void {
    const device = this.#device;
    const { kind, vectors: granted } = this.#confining.grant.interrupts;
    const made: number[] = [];
    const event = (): number => {
      const fd = libc().eventfd();
      made.push(fd);
      return fd;
    };
    try {
      const request = event();
      device.setEvents(IRQ.request, [request]);
      let error: number | undefined;
      if (device.vectors(IRQ.error) > 0) {
        error = event();
        device.setEvents(IRQ.error, [error]);
      } else this.#notes.push('errors are not signalled: the device is not PCI Express');
      const vectors = kind === 'none' ? [] : Array.from({ length: granted }, event);
      if (kind !== 'none' && vectors.length > 0) device.setEvents(IRQ[kind], vectors);
      this.#events = { error, request, vectors };
    } catch (error) {
      for (const fd of made) closeSync(fd);
      throw error;
    }
  }

  confined(): Confined {
    if (this.#events === undefined)
      throw new IronError('E_INTERNAL', 'the steps were not all made');
    return {
      device: this.#confining.device,
      backend: this.#attached.backend,
      vfio: this.#device,
      space: this.#attached,
      memories: this.#memories,
      events: this.#events,
      budget: budgetOf(this.#confining.grant),
      running: this.#running,
      notes: this.#notes,
      brake: () => all(...this.#brakes()),
      end: () => this.undoAll(),
    };
  }

  /**
   * The driver is stopped first, so that it undoes nothing meanwhile. Then bus master off, and
   * detaching is what stops even a device that ignores that.
   */
  #brakes(): (() => void)[] {
    return [
      () => {
        if (this.#running?.freeze() === false)
          throw new IronError('E_IO', 'the driver was not seen to be frozen');
      },
      () => this.#vfio?.setBusMaster(false),
      () => this.#vfio?.disableInterrupts(),
      () => {
        if (this.#space?.isAttached === true) this.#space.detach();
      },
    ];
  }

  /**
   * Undoes everything, last first, whatever fails. Returns what was undone, in words. Closing comes
   * before zeroing: from then on no device reaches the memory, whatever the steps before it met; and
   * the driver's end before both, since it holds that memory, and its broker the device.
   */
  async undoAll(): Promise<string[]> {
    const undone = this.#made.reverse().map((action) => describeConfineInverse(action));
    const made = new Set(this.#made.splice(0).map(({ kind }) => kind));
    const { error, request, vectors = [] } = this.#events ?? {};
    const held = [error, request, ...vectors].filter((fd) => fd !== undefined);
    this.#events = undefined;
    const note = (cause: unknown): void =>
      void undone.push(`not all went well: ${asIronError(cause).message}`);
    try {
      all(...this.#brakes());
    } catch (cause) {
      note(cause);
    }
    await this.#running?.end().catch(note);
    try {
      all(
        () => this.#space?.unmapAll(),
        // A device that was opened is given back without what its driver told it.
        () => made.has('open') && this.#vfio?.reset(),
      );
    } catch (cause) {
      note(cause);
    }
    all(
      () => this.#space?.close(),
      ...held.map((fd) => () => closeSync(fd)),
      ...this.#memories.splice(0).map((memory) => () => memory.end()),
    );
    this.#space = undefined;
    this.#vfio = undefined;
    this.#running = undefined;
    return undone;
  }
}

function budgetOf({ interrupts }: ConfinedGrant): RelayBudget | undefined {
  const { perSecondBudget, burst = null, lifetimeMax = null } = interrupts;
  return perSecondBudget === undefined ? undefined : { perSecondBudget, burst, lifetimeMax };
}

/** Does each, also after one failed; then throws the first failure. */
function all(...acts: readonly (() => unknown)[]): void {
  const failures: unknown[] = [];
  for (const act of acts) {
    try {
      act();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

/**
 * The host must be able to keep to the windows exactly: none outside its reach (`E_IOVA_RANGE`), none
 * widened (`E_PAGE_SIZE`).
 */
export function requireReach({ dma }: ConfinedGrant, space: Pick<DeviceSpace, 'reach'>): void {
  const { ranges, pageSize } = space.reach();
  for (const { window } of dma.windows) {
    if (!isWholePages(window, pageSize)) {
      throw refusal(
        'E_PAGE_SIZE',
        'page-size',
        `the window ${showWindow(window)} is not made of whole pages`,
        {
          why: `the IOMMU maps ${pageSize} bytes at a time, and would let the device reach more`,
          hint: `set page_size_bytes of the fleet policy to ${pageSize}`,
        },
      );
    }
    if (!ranges.some((range) => contains(range, window))) {
      throw refusal(
        'E_IOVA_RANGE',
        'iova-range',
        `the window ${showWindow(window)} cannot be addressed here`,
        {
          why: `this host addresses ${ranges.map(showWindow).join(', ') || 'nothing'}`,
          hint: 'let the vendor name another window, or leave the place of the window to the agent',
        },
      );
    }
  }
}

function refusal(
  code: Code,
  reason: string,
  message: string,
  more: { readonly why: string; readonly hint: string },
): IronError {
  return new IronError(code, message, { ...more, context: { reason } });
}
