/** Counting what a driver asked and was refused, of its device's descriptor and of the kernel. */

import { AGENT_LIMITS } from '../shared/limits.ts';
import { type DeviceRefusal, DeviceRefusals } from './direct/refusals.ts';
import { watchRefused } from './host/refused-calls.ts';

/** The last line about a driver that asks without end. */
const UNTOLD = 'what is refused from here on is not told';

export class Listening {
  readonly #tell: (refusal: DeviceRefusal) => void;
  readonly #refusals: DeviceRefusals;
  #stop: (() => void) | undefined;

  /** `tell` hears of what is worth a line; `device` is the descriptor in the driver, if it has one. */
  constructor(tell: (refusal: DeviceRefusal) => void, device: number | undefined) {
    this.#tell = tell;
    this.#refusals = new DeviceRefusals(device);
  }

  /** Of its device's descriptor. */
  get total(): number {
    return this.#refusals.total;
  }

  /** Takes over the descriptor of a filter. */
  begin(listener: number, most: number = AGENT_LIMITS.refusedCalls): void {
    let left = most;
    this.#stop = watchRefused(listener, most, (call) => {
      const refusal = this.#refusals.note(call.nr, call.arguments);
      if (refusal !== undefined) this.#tell(refusal);
      left--;
      // That nothing is told from here on must not look like nothing being tried.
      if (left === 0) this.#tell({ what: UNTOLD, ofDevice: false, count: most, arguments: [] });
    });
  }

  stop(): void {
    this.#stop?.();
  }
}
