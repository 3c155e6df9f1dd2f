/** A played device that goes into quarantine, and the operators of its fleet. */

import { readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { Confined } from '../../agent/confine.ts';
import { libc } from '../../agent/host/libc.ts';
import { BRIDGE, EDU_DEVICE, type PlayedDevice } from '../../scripts/demo/kernel/devices.ts';
import { signEnvelope } from '../../shared/evidence/dsse.ts';
import {
  type DeviceName,
  parseReleaseDraft,
  RELEASE_PAYLOAD_TYPE,
  releasePayload,
} from '../../shared/manifest/quarantine.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { keyObject } from '../../shared/tuf/key.ts';
import { testKey } from '../support/keys.ts';
import { BDF, agent as run, type Scene, scene } from './support.ts';

export const operators = [testKey('operator 1'), testKey('operator 2')];
export const DEVICE: DeviceName = {
  ...{ path: BDF, vendor: 0x1234, device: 0x11e8, subsystemVendor: 0x1af4 },
  ...{ subsystemDevice: 0x1100, class: 0x00ff00, revision: 0x10, serial: null },
};

/** A device that is held, without one behind it: what is done to it is in `calls`, in its order. */
export function playedDevice() {
  const calls: string[] = [];
  const events = { error: libc().eventfd(), request: libc().eventfd(), vectors: [] };
  const confined = {
    ...{ device: BDF, backend: 'iommufd', events, running: undefined, notes: [], memories: [] },
    brake: () => void calls.push('brake'),
    end: async () => {
      calls.push('end');
      return [];
    },
  } as unknown as Confined;
  return { calls, events, confined };
}

/** As the kernel signals. */
export function raise(fd: number): void {
  const one = Buffer.alloc(8);
  one.writeBigUInt64LE(1n);
  writeSync(fd, one);
}

export interface Place extends Scene {
  /** A command about quarantine. */
  q(...words: string[]): ReturnType<typeof run>;
  enter(...more: string[]): ReturnType<typeof run>;
  release(file: string): ReturnType<typeof run>;
  state_(): { driver: string | null; override: string };
}

export async function placeOf(
  t: Test,
  faults: string[] = [],
  devices: readonly PlayedDevice[] = [BRIDGE, EDU_DEVICE],
): Promise<Place> {
  const place = await scene(t, { faults, devices });
  const keys = operators.map(({ key }) => keyObject(key));
  const fleet = join(place.folder, 'fleet-keys.json');
  writeFileSync(fleet, JSON.stringify({ schema: 'ironport.fleet-keys/v1', threshold: 2, keys }), {
    mode: 0o644,
  });
  const state = ['--state', place.state];
  const tree = [...state, '--sysfs-root', place.sysfs];
  const folder = join(place.sysfs, 'devices/pci0000:00', BDF);
  return {
    ...place,
    q: (...words) => run('quarantine', ...words, ...state),
    enter: (...more) =>
      run('quarantine', 'enter', ...tree, '--device', BDF, '--reason', 'it lies', ...more),
    release: (file) => run('quarantine', 'release', file, ...tree, '--fleet-keys', fleet),
    state_: () => ({
      driver: readdirSync(folder).includes('driver') ? 'some' : null,
      override: readFileSync(join(folder, 'driver_override'), 'utf8').trim(),
    }),
  };
}

/** The statement of an incident, signed. */
export async function statementOf(
  place: Place,
  incident: string,
  change: object = {},
  by = operators,
): Promise<string> {
  const file = join(place.folder, 'statement.json');
  const shown = await place.q('show', incident, '--out', file);
  if (shown.exit !== 0) throw new Error(shown.error.message);
  const expires = systemClock() + 3600;
  const named = { ...parseReleaseDraft(readFileSync(file)), expires, ...change };
  const signers = by.map((signer) => ({ signer }));
  writeFileSync(file, await signEnvelope(RELEASE_PAYLOAD_TYPE, releasePayload(named), signers));
  return file;
}

/** Every line of the audit log. */
export function eventsOf(place: Scene): Record<string, unknown>[] {
  return readFileSync(join(place.state, 'audit.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}
