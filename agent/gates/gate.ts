/** What a gate is: one reason not to bind a device, decided from facts alone. */

import type { Code } from '../../shared/errors.ts';
import type { Accepted } from '../entry.ts';
import type { HostFacts } from '../host/host-facts.ts';
import type { DeviceSnapshot } from '../host/inventory.ts';
import type { Incident } from '../quarantine/incident.ts';
import type { Parent } from '../vfs/parent.ts';

export interface GateInput {
  readonly device: DeviceSnapshot;
  readonly host: HostFacts;
  /** When the device is in quarantine. */
  readonly incident?: Incident | undefined;
  /** Of a virtual function: what it hangs on. */
  readonly parent?: Parent | undefined;
  /** Absent when it is only asked whether a device could be bound at all. */
  readonly driver?: Accepted;
}

/** Why a device is not bound, and what would make it viable. */
export interface Objection {
  readonly what: string;
  readonly remedy: string;
}

export interface Gate {
  /** The name of the refusal: `context.reason` of its error. */
  readonly reason: string;
  /** Where the rule comes from. */
  readonly rule: string;
  readonly code: Code;
  check(input: GateInput): Objection | undefined;
}

/** A gate that asks about the device alone. */
export interface DeviceGate extends Gate {
  check(input: Pick<GateInput, 'device'>): Objection | undefined;
}

/** A gate that asks about the host alone: what it refuses, it refuses every device. */
export interface HostGate extends Gate {
  check(input: Pick<GateInput, 'host'>): Objection | undefined;
}
