/** Counting what a driver asked and was refused, of its device's descriptor and of the kernel. */

import { AGENT_LIMITS } from '../shared/limits.ts';
import { type DeviceRefusal, DeviceRefusals } from './direct/refusals.ts';
import { watchRefused } from './host/refused-calls.ts';

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
  begin(listener: number): void {
    this.#stop = watchRefused(listener, AGENT_LIMITS.refusedCalls, (call) => {
      const refusal = this.#refusals.note(call.nr, call.arguments);
      if (refusal !== undefined) this.#tell(refusal);
    });
  }

  stop(): void {
    this.#stop?.();
  }
}
