/** Between the steps, after one that failed, after the brake, and over many rounds. */

import { deepEqual, equal, ok, rejects } from 'node:assert/strict';
import { readdirSync, readFileSync, readSync, writeSync } from 'node:fs';
import { bind } from '../../../agent/bind.ts';
import { type Confined, confine } from '../../../agent/confine.ts';
import { planConfinement } from '../../../agent/confine-plan.ts';
import type { DeviceSpace } from '../../../agent/host/backend.ts';
import { openDevice } from '../../../agent/host/choose-backend.ts';
import { Sysfs } from '../../../agent/host/sysfs.ts';
import { REGION } from '../../../agent/host/uapi.ts';
import { Journal } from '../../../agent/journal.ts';
import { release } from '../../../agent/release.ts';
import type { DmaWindow } from '../../../shared/manifest/ceiling.ts';
import { windowAt } from '../../../shared/manifest/windows.ts';
import { Edu, pattern } from '../support/edu.ts';
import { openAgent, POLICY, scene } from '../support/scene.ts';
import { EDU, giveTo, giveToVfio, stateOf, takeFromVfio, unbindAll } from '../support/vfio.ts';
import type { Lab, LabCase } from './case.ts';

const PAGE = 4096n;
const FULL = 4096;
const WINDOW: DmaWindow = { window: windowAt(0x20_0000n, 4n * PAGE), access: 'read-write' };
const GRANT = {
  dma: { maskBits: 48, totalBytes: 4n * PAGE, windows: [WINDOW] },
  interrupts: { kind: 'msi', vectors: 1, perSecondBudget: 100 },
} as const;

interface Watched {
  readonly lab: Lab;
  /** Called when a line is in the journal. */
  readonly onEntry?: (event: string, step: number, space: DeviceSpace | undefined) => Promise<void>;
}

/** Confines the first edu, which is bound to `vfio-pci` already. */
async function confineEdu({ lab, onEntry }: Watched): Promise<Confined> {
  const sysfs = await Sysfs.open('/sys');
  let space: DeviceSpace | undefined;
  return await confine({
    device: EDU[0],
    grant: GRANT,
    steps: planConfinement(GRANT, 1),
    open: async () => {
      space = await openDevice(lab.backend, sysfs, EDU[0]);
      return space;
    },
    journal: {
      append: async ({ event, step }) => await onEntry?.(event, step, space),
    },
    record: async () => {},
  });
}

function first({ memories }: Confined): { fd: number; start: bigint } {
  const [memory] = memories;
  ok(memory !== undefined);
  return { fd: memory.fd, start: memory.window.start };
}

function put(fd: number, bytes: Buffer, at = 0): void {
  writeSync(fd, bytes, 0, bytes.length, at);
}

function get(fd: number, at = 0): Buffer {
  const bytes = Buffer.alloc(FULL);
  equal(readSync(fd, bytes, 0, FULL, at), FULL);
  return bytes;
}

/** Every byte moves into the device and back. */
async function moves(confined: Confined, seed: number): Promise<void> {
  const { fd, start } = first(confined);
  const edu = new Edu(confined.vfio.fd, confined.vfio.region(REGION.bar0).offset);
  put(fd, pattern(FULL, seed));
  await edu.take(start, FULL);
  await edu.give(start + PAGE, FULL);
  deepEqual(get(fd, FULL), pattern(FULL, seed));
}

/** A transfer of the same size by the same engine leaves the memory as it is. */
async function staysStill(confined: Confined): Promise<void> {
  const { fd, start } = first(confined);
  const edu = new Edu(confined.vfio.fd, confined.vfio.region(REGION.bar0).offset);
  put(fd, pattern(FULL, 99));
  await edu.give(start, FULL);
  deepEqual(get(fd), pattern(FULL, 99));
}

function descriptors(): string[] {
  return readdirSync('/proc/self/fd').sort();
}

export const steps: readonly LabCase[] = [
  {
    name: 'brake',
    title: 'after the brake nothing moves, whatever the device is told',
    standsAlone: true,
    eachBackend: true,
    async run(lab) {
      giveToVfio(EDU[0]);
      const confined = await confineEdu({ lab });
      await moves(confined, 1);
      confined.brake();
      equal(confined.vfio.isBusMaster, false);
      equal(confined.space.isAttached, false);
      await staysStill(confined);
      lab.say('a driver that holds the descriptor turns the bus master on again');
      confined.vfio.setBusMaster(true);
      await staysStill(confined);
      confined.brake();
      lab.say('attached again, bytes move again: it was the brake that held them');
      confined.space.attach();
      confined.vfio.setBusMaster(true);
      await moves(confined, 2);
      await confined.end();
      takeFromVfio(EDU[0]);
      equal(stateOf(EDU[0]).busMaster, false);
    },
  },
  {
    name: 'between-steps',
    title: 'between any two steps before the last, nothing moves',
    standsAlone: true,
    eachBackend: true,
    async run(lab) {
      giveToVfio(EDU[0]);
      const last = planConfinement(GRANT, 1).length;
      let watched = 0;
      const confined = await confineEdu({
        lab,
        async onEntry(event, step, space) {
          // The last step's `done` is where it may move.
          if (space === undefined || (step === last && event === 'done')) return;
          watched++;
          const edu = new Edu(space.device, 0n);
          await edu.give(WINDOW.window.start, FULL);
        },
      });
      ok(watched >= 2 * last - 3, `${watched} places were looked at`);
      // What the device wrote would be in the memory, which the kernel gave as zeros.
      deepEqual(get(first(confined).fd), Buffer.alloc(FULL), 'nothing was written on the way');
      await moves(confined, 3);
      await confined.end();
      takeFromVfio(EDU[0]);
    },
  },
  {
    name: 'failed-apply',
    title: 'whichever step fails, the state before is back, and nothing is held',
    eachBackend: true,
    limitSeconds: 900,
    async run(lab) {
      const { agent, sysfs } = await openAgent();
      const { name } = scene();
      giveTo(EDU[0], 'pci-stub');
      const before = stateOf(EDU[0]);
      equal(before.driver, 'pci-stub');
      const append = Journal.prototype.append;
      const attempt = (): ReturnType<typeof bind> =>
        bind(agent, sysfs, {
          name,
          bdf: EDU[0],
          policy: POLICY,
          confine: { backend: lab.backend },
        });
      // Once through, so that what is opened for good is open before it is counted.
      const { confined, plan } = await attempt();
      ok(confined !== undefined);
      await release(agent, sysfs, { bdf: EDU[0], confined });
      deepEqual(stateOf(EDU[0]), before);
      const steps = plan.steps.length;
      const open = descriptors();
      // Of the steps that bind, the middle one; every step that confines.
      const events =
        lab.backend === 'iommufd' ? (['intent', 'done'] as const) : (['done'] as const);
      for (const failing of [2, ...[1, 2, 3, 4, 5, 6].map((n) => steps + n)]) {
        for (const event of events) {
          Journal.prototype.append = async function (entry) {
            if (entry.step === failing && entry.event === event)
              throw Object.assign(new Error('no space'), { code: 'ENOSPC', syscall: 'write' });
            await append.call(this, entry);
          };
          await rejects(attempt(), { code: 'E_BIND_ROLLED_BACK' }, `step ${failing}, ${event}`);
          Journal.prototype.append = append;
          deepEqual(stateOf(EDU[0]), before, `as before step ${failing}, ${event}`);
          deepEqual(descriptors(), open, 'no descriptor is left');
        }
      }
      lab.say('and then it works');
      const { confined: held } = await attempt();
      ok(held !== undefined);
      await moves(held, 4);
      await release(agent, sysfs, { bdf: EDU[0], confined: held });
      deepEqual(stateOf(EDU[0]), before);
      unbindAll(EDU[0]);
    },
  },
  {
    name: 'cycles',
    title: '200 rounds of confining and giving back leave no descriptor, memory or mapping',
    standsAlone: true,
    eachBackend: true,
    limitSeconds: 1200,
    async run(lab) {
      giveToVfio(EDU[0]);
      const round = async (): Promise<void> => void (await (await confineEdu({ lab })).end());
      // The first rounds open what stays open, and let the heap find its size.
      for (let i = 0; i < 20; i++) await round();
      const before = { fds: descriptors().length, maps: maps(), locked: locked() };
      for (let i = 0; i < 200; i++) await round();
      deepEqual(descriptors().length, before.fds, 'descriptors');
      equal(maps(), before.maps, 'mapped windows');
      equal(locked(), before.locked, 'memory held in place');
      const confined = await confineEdu({ lab });
      await moves(confined, 5);
      await confined.end();
      takeFromVfio(EDU[0]);
    },
  },
];

/** How many windows are mapped into this process. */
function maps(): number {
  return readFileSync('/proc/self/maps', 'utf8').split('memfd:ironport-dma').length - 1;
}

function locked(): string {
  const status = readFileSync('/proc/self/status', 'utf8');
  return `${/^VmLck:.*$/m.exec(status)?.[0]} ${/^VmPin:.*$/m.exec(status)?.[0]}`;
}
