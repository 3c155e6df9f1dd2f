/** A played device with virtual functions, and an agent that accepted drivers for both kinds. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import {
  BRIDGE,
  EDU_DEVICE,
  EDU_PF,
  type PlayedDevice,
} from '../../scripts/demo/kernel/devices.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { type Answer, agent, CEILING, POLICY, type Scene, scene, withMembers } from './support.ts';

export const PF = EDU_PF.bdf;
export const VFS = ['0000:00:06.1', '0000:00:06.2', '0000:00:06.3', '0000:00:06.4'];
/** Of the driver that manages virtual functions; those are for `NAME`. */
export const PF_NAME = 'acme/edu-pf/1.0.0/edu-pf';
export const EACH = { dma_bytes: '0x8000', mmio_bytes: '0x2000', interrupts_per_second: 300 };
const TOTAL = { dma_bytes: '0x10000', mmio_bytes: '0x8000', interrupts_per_second: 500 };

export const PF_CEILING: JsonObject = withMembers(CEILING, {
  devices: [{ vendor: '0x1234', device: '0x11e9' }],
  virtual_functions: { count_max: 3, each: EACH },
});

export interface VfScene extends Scene {
  readonly policy: string;
  /** Options that every command about the physical function takes. */
  readonly pf: readonly string[];
}

/** The fleet's policy for both, with these rules of virtual functions. */
export function policyOf(rules: JsonObject | undefined): string {
  const edu = JSON.parse(readFileSync(POLICY, 'utf8'));
  const [entry] = edu.allow;
  const { class: _class, ...device } = entry.devices[0];
  const pf = { ...entry, devices: [{ ...device, device: '0x11e9' }], virtual_functions: rules };
  return JSON.stringify({ ...edu, allow: [entry, pf] });
}

export const RULES: JsonObject = { count_max: 4, total: TOTAL };

export async function vfScene(
  t: Test,
  options: {
    readonly pf?: Partial<PlayedDevice>;
    readonly faults?: readonly string[];
    readonly ceiling?: JsonObject;
    readonly rules?: JsonObject;
  } = {},
): Promise<VfScene> {
  const { faults = [], ceiling = PF_CEILING, rules = RULES } = options;
  const place = await scene(t, {
    devices: [BRIDGE, EDU_DEVICE, { ...EDU_PF, ...options.pf }],
    faults,
  });
  place.repository.setHardware('PCI:0x1234:0x11e8', 'PCI:0x1234:0x11e9');
  await place.repository.add({ path: PF_NAME, ceiling });
  const folder = place.repository.handOver(join(place.folder, 'handoff-pf'), PF_NAME);
  const accepted = await agent('accept', folder, '--state', place.state);
  if (accepted.exit !== 0) throw new Error(JSON.stringify(accepted.error));
  const policy = join(place.folder, 'policy.json');
  writeFileSync(policy, policyOf(rules));
  const pf = [...place.device.slice(0, 4), '--device', PF];
  return { ...place, policy, pf };
}

export function create(place: VfScene, count: number, ...more: string[]): Promise<Answer> {
  const args = ['--count', String(count), '--policy', place.policy];
  return agent('vfs', 'create', PF_NAME, ...place.pf, ...args, ...more);
}

export function remove(place: VfScene): Promise<Answer> {
  return agent('vfs', 'remove', ...place.pf);
}
