/** Virtual functions of one NVMe controller: made, brought to life, kept apart, and gone again. */

import { deepEqual, equal, ok, rejects, throws } from 'node:assert/strict';
import {
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { bind } from '../../../agent/bind.ts';
import type { Confined } from '../../../agent/confine.ts';
import { Sysfs } from '../../../agent/host/sysfs.ts';
import { REGION } from '../../../agent/host/uapi.ts';
import { Journal } from '../../../agent/journal.ts';
import { release } from '../../../agent/release.ts';
import { createVfs } from '../../../agent/vfs/create.ts';
import { removeVfs } from '../../../agent/vfs/remove.ts';
import { windowAt } from '../../../shared/manifest/windows.ts';
import { pattern } from '../support/edu.ts';
import { admin, bringOnline, CNS, Nvme, nvmeNode, OPCODE } from '../support/nvme.ts';
import { driverWith, keepAccepted, MANAGER, nvmeAgent, POLICY } from '../support/nvme-drivers.ts';
import { driverOf } from '../support/vfio.ts';
import type { Lab, LabCase } from './case.ts';

const DEVICES = '/sys/bus/pci/devices';
const PAGE = 4096;
/** Two windows that overlap: the same addresses are other memory for each. */
const WINDOWS = [windowAt(0x20_0000n, 0x1_0000n), windowAt(0x20_8000n, 0x1_0000n)] as const;
/** In both windows, and in one alone. */
const IN_BOTH = 0x20_c000n;
const IN_FIRST = 0x20_4000n;
const IN_SECOND = 0x21_4000n;

/** The controller with virtual functions. */
function controller(): string {
  const found = readdirSync(DEVICES).find(
    (bdf) =>
      readFileSync(`${DEVICES}/${bdf}/vendor`, 'utf8').trim() === '0x1b36' &&
      readFileSync(`${DEVICES}/${bdf}/device`, 'utf8').trim() === '0x0010' &&
      existsSync(`${DEVICES}/${bdf}/sriov_totalvfs`),
  );
  ok(found !== undefined, 'the machine has such a controller');
  return found;
}

/** All that making virtual functions changes. */
function stateOf(pf: string): Record<string, string | null> {
  const text = (name: string): string => readFileSync(`${DEVICES}/${pf}/${name}`, 'utf8').trim();
  return {
    driver: driverOf(pf),
    count: text('sriov_numvfs'),
    autoprobe: text('sriov_drivers_autoprobe'),
    override: text('driver_override'),
    vfs: readdirSync(`${DEVICES}/${pf}`)
      .filter((name) => name.startsWith('virtfn'))
      .join(' '),
  };
}

/** The host's driver still has it: it answers. */
function answers(pf: string): void {
  const fd = openSync(nvmeNode(pf), 'r');
  const data = admin(fd, { opcode: OPCODE.identify, cdw10: CNS.controller, length: PAGE });
  equal(data.readUInt16LE(0), 0x1b36, 'the physical function answers its driver');
}

interface Held {
  readonly confined: Confined;
  readonly nvme: Nvme;
  readonly fd: number;
  readonly start: bigint;
  /** The vector that was granted. */
  readonly event: number;
}

function held(confined: Confined | undefined): Held {
  const [memory] = confined?.memories ?? [];
  const [event] = confined?.events.vectors ?? [];
  ok(confined !== undefined && memory !== undefined && event !== undefined);
  const { fd, window } = memory;
  const base = confined.vfio.region(REGION.bar0).offset;
  const nvme = new Nvme(confined.vfio.fd, base, { fd, start: window.start });
  return { confined, nvme, fd, start: window.start, event };
}

/** How many interrupts came since it was asked last. */
function interrupts({ event }: Held): number {
  const count = Buffer.alloc(8);
  try {
    readSync(event, count, 0, 8, null);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0;
    throw error;
  }
  return Number(count.readBigUInt64LE());
}

/** All of a memory behind its queues. */
function rest({ fd }: Held): Buffer {
  const bytes = Buffer.alloc(0x1_0000 - 2 * PAGE);
  equal(readSync(fd, bytes, 0, bytes.length, 2 * PAGE), bytes.length);
  return bytes;
}

function fill(one: Held, seed: number): void {
  const bytes = pattern(0x1_0000 - 2 * PAGE, seed);
  writeSync(one.fd, bytes, 0, bytes.length, 2 * PAGE);
}

/** What the page at `iova` of its own window holds. */
function page({ fd, start }: Held, iova: bigint): Buffer {
  const bytes = Buffer.alloc(PAGE);
  equal(readSync(fd, bytes, 0, PAGE, Number(iova - start)), PAGE);
  return bytes;
}

/** `one` writes where it may, and then where only `other` may: nothing of it arrives. */
async function keptApart(
  lab: Lab,
  one: Held,
  other: Held,
  places: { readonly own: bigint; readonly foreign: bigint },
): Promise<void> {
  fill(one, 1);
  fill(other, 2);
  const before = rest(other);
  for (const iova of [places.own, IN_BOTH]) {
    equal(await one.nvme.identify(iova), 0, `it may write to ${iova.toString(16)}`);
    const data = page(one, iova);
    equal(data.readUInt16LE(0), 0x1b36, 'and what it wrote is in its own memory');
    deepEqual(rest(other), before, 'and not in the other’s');
  }
  ok(interrupts(one) > 0, 'it interrupted');
  equal(interrupts(other), 0, 'and the other did not');
  const own = rest(one);
  const status = await one.nvme.identify(places.foreign);
  lab.say(`a write into the other's window ends with status 0x${status.toString(16)}`);
  deepEqual(rest(other), before, 'it reached nothing of the other’s');
  deepEqual(rest(one), own, 'nor anything else that it may not');
  equal(interrupts(other), 0, 'nor did the other interrupt');
  interrupts(one);
}

export const sriov: readonly LabCase[] = [
  {
    name: 'sriov-steps',
    title: 'virtual functions are made through none, and whichever step fails, all is as before',
    standsAlone: true,
    limitSeconds: 900,
    async run({ say }) {
      const pf = controller();
      const agent = await nvmeAgent();
      const sysfs = await Sysfs.open('/sys');
      const name = keepAccepted(agent, 'nvme-pf', MANAGER);
      const before = stateOf(pf);
      say(JSON.stringify(before));
      equal(before.driver, 'nvme');
      answers(pf);
      const make = (count: number) =>
        createVfs(agent, sysfs, { name, bdf: pf, count, policy: POLICY, onStep: say });
      await rejects(make(4), { code: 'E_VF_COUNT' }, 'the policy has 3');
      await rejects(make(5), { code: 'E_VF_COUNT' }, 'the device has 4');
      deepEqual(stateOf(pf), before);
      const { append } = Journal.prototype;
      for (const step of [1, 2]) {
        for (const event of ['intent', 'done']) {
          Journal.prototype.append = async function (entry) {
            if (entry.step === step && entry.event === event)
              throw Object.assign(new Error('no space'), { code: 'ENOSPC', syscall: 'write' });
            await append.call(this, entry);
          };
          await rejects(make(2), { code: 'E_BIND_ROLLED_BACK' }, `step ${step}, ${event}`);
          Journal.prototype.append = append;
          deepEqual(stateOf(pf), before, `as before step ${step}, ${event}`);
        }
      }
      const { set } = await make(2);
      equal(set.vfs.length, 2);
      for (const vf of set.vfs) equal(driverOf(vf), null, 'no driver of the host has it');
      const raw = `${DEVICES}/${pf}/sriov_numvfs`;
      throws(() => writeFileSync(raw, '3'), { code: 'EBUSY' }, 'the kernel takes none for another');
      await rejects(make(3), { code: 'E_CONFLICT' });
      await removeVfs(agent, sysfs, { bdf: pf, onStep: say });
      deepEqual(stateOf(pf), before);

      say('one that an administrator left is replaced, and comes back');
      writeFileSync(`${DEVICES}/${pf}/sriov_drivers_autoprobe`, '0');
      writeFileSync(raw, '1');
      const one = stateOf(pf);
      const { plan } = await make(3);
      equal(plan.steps.length, 2, 'through none');
      await removeVfs(agent, sysfs, { bdf: pf, onStep: say });
      deepEqual(stateOf(pf), one);
      writeFileSync(raw, '0');
      writeFileSync(`${DEVICES}/${pf}/sriov_drivers_autoprobe`, '1');
      deepEqual(stateOf(pf), before);
      answers(pf);
    },
  },
  {
    name: 'sriov',
    title:
      'two virtual functions of one NVMe, online: their DMA and their interrupts are held apart',
    eachBackend: true,
    standsAlone: true,
    limitSeconds: 900,
    async run(lab) {
      const { say, backend } = lab;
      const pf = controller();
      const agent = await nvmeAgent();
      const sysfs = await Sysfs.open('/sys');
      const name = keepAccepted(agent, 'nvme-pf', MANAGER);
      const drivers = WINDOWS.map((window, i) =>
        keepAccepted(agent, `nvme-vf${i}`, driverWith(window)),
      );
      const before = stateOf(pf);
      const { set } = await createVfs(agent, sysfs, {
        ...{ name, bdf: pf, count: 2, policy: POLICY, onStep: say },
      });
      deepEqual(set.budget, { dmaBytes: 0x1_0000n, mmioBytes: 0x4000n, interruptsPerSecond: 400 });
      say(JSON.stringify(bringOnline(pf, 2)));
      await rejects(
        bind(agent, sysfs, { name: drivers[0] as string, bdf: pf, policy: POLICY }),
        { code: 'E_PHYSICAL_FUNCTION' },
        'the physical one, where a virtual one was meant',
      );
      const both: Held[] = [];
      for (const [i, bdf] of set.vfs.entries()) {
        const { confined, grant } = await bind(agent, sysfs, {
          ...{ name: drivers[i] as string, bdf, policy: POLICY, onStep: say },
          confine: { backend },
        });
        equal(grant.dma.totalBytes, 0x1_0000n);
        equal(grant.interrupts.perSecondBudget, 400, 'its share, and not what the ceiling has');
        both.push(held(confined));
      }
      const [first, second] = both as [Held, Held];
      for (const { nvme } of both) {
        ok(nvme.isOnline, 'its controller is online');
        await nvme.enable();
      }
      for (const one of both) interrupts(one);
      await keptApart(lab, first, second, { own: IN_FIRST, foreign: IN_SECOND });
      await keptApart(lab, second, first, { own: IN_SECOND, foreign: IN_FIRST });
      answers(pf);

      await rejects(removeVfs(agent, sysfs, { bdf: pf }), { code: 'E_VF_IN_USE' });
      for (const [i, bdf] of set.vfs.entries()) {
        await release(agent, sysfs, { bdf, confined: both[i]?.confined, onStep: say });
        equal(driverOf(bdf), null);
      }
      await removeVfs(agent, sysfs, { bdf: pf, onStep: say });
      deepEqual(stateOf(pf), before, 'the state before, exactly');
      answers(pf);
    },
  },
];
