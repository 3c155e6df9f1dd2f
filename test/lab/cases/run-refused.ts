/** Drivers that want more, devices that go wrong: refused and braked, with a control beside each. */

import { deepEqual, equal, ok } from 'node:assert/strict';
import { readFileSync, readSync, writeSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import type { AuditEvent } from '../../../agent/audit.ts';
import { confine } from '../../../agent/confine.ts';
import { planConfinement } from '../../../agent/confine-plan.ts';
import { openDevice } from '../../../agent/host/choose-backend.ts';
import { Sysfs } from '../../../agent/host/sysfs.ts';
import { REGION } from '../../../agent/host/uapi.ts';
import { BUSY, FLOOD, GREEDY, STEADY, STORM } from '../support/drivers.ts';
import { Edu, pattern } from '../support/edu.ts';
import { groups, holdUntil, nothingLeft, ownAgent, said } from '../support/held.ts';
import { GROUPS, runOn } from '../support/run.ts';
import { EDU, giveToVfio, rngDevice, takeFromVfio, unbindAll } from '../support/vfio.ts';
import type { LabCase } from './case.ts';

const FULL = 4096;
const NOTHING = { dma: { windows: [] }, interrupts: { kind: 'none', vectors: 0 } } as const;

export const refusedRuns: readonly LabCase[] = [
  {
    name: 'run-greedy',
    title: 'a driver that asks for what it was not granted is refused, each time, and audited',
    standsAlone: true,
    eachBackend: true,
    limitSeconds: 600,
    async run({ backend, say }) {
      giveToVfio(EDU[0]);
      const config = (): string =>
        readFileSync(`/sys/bus/pci/devices/${EDU[0]}/config`).subarray(0, 64).toString('hex');
      const events: AuditEvent[] = [];
      const confined = await runOn(backend, GREEDY, (event) => events.push(event));
      const before = config();
      let after = '';
      const { end, lines } = await holdUntil(confined, async () => {
        await said(confined, '"done"');
        after = config();
      });
      say(JSON.stringify(end));
      const asked = lines.filter(({ status }) => status !== undefined);
      ok(asked.length > 100, `${asked.length} accesses were tried`);
      for (const { what, status, value, control, id } of asked) {
        ok(status !== 0, `${what} was refused`);
        equal(value, '0', `${what} told nothing`);
        deepEqual([control, id], [0, 0xed], 'control: what was granted is served, right after');
      }
      const taken = lines.filter(({ taken }) => taken !== undefined);
      ok(taken.length > 20);
      for (const { what, taken: isTaken, code } of taken) {
        say(`${what}: ${isTaken} ${code}`);
        equal(isTaken, false, `${what} was not to be had`);
      }
      equal(after, before, 'configuration space is as it was');
      const started = events.find(({ event }) => event === 'driver-started');
      ok(started !== undefined);
      const log = readFileSync(ownAgent().audit.path, 'utf8');
      for (const why of ['region', 'outside', 'unaligned', 'width', 'malformed', 'readOnly'])
        ok(log.includes(`"event":"access-refused","device":"${EDU[0]}","why":"${why}"`), why);
      nothingLeft();
      takeFromVfio(EDU[0]);
    },
  },
  {
    name: 'run-flood',
    title: 'the brake comes whatever the driver asks, and then nothing moves',
    standsAlone: true,
    eachBackend: true,
    limitSeconds: 600,
    async run({ backend, say }) {
      for (const [name, source] of Object.entries({ FLOOD, BUSY })) {
        giveToVfio(EDU[0]);
        const confined = await runOn(backend, source, () => {});
        await said(confined, 'begun');
        const [memory] = confined.memories;
        ok(memory !== undefined && confined.running !== undefined);
        const get = (): Buffer => {
          const bytes = Buffer.alloc(FULL);
          readSync(memory.fd, bytes, 0, FULL, 0);
          return bytes;
        };
        if (name === 'BUSY') {
          writeSync(memory.fd, pattern(256, 3), 0, 256, 0);
          while (get().subarray(0, 256).equals(pattern(256, 3))) await setTimeout(20);
          say('control: while it runs, the device writes into its window');
        }
        confined.brake();
        equal(confined.vfio.isBusMaster, false);
        equal(confined.space.isAttached, false);
        for (const group of groups())
          ok(
            readFileSync(`${GROUPS}/${group}/cgroup.events`, 'utf8').includes('frozen 1'),
            `${group} is frozen`,
          );
        equal(groups().length, 2);
        writeSync(memory.fd, pattern(FULL, 4), 0, FULL, 0);
        const edu = new Edu(confined.vfio.fd, confined.vfio.region(REGION.bar0).offset);
        // What the driver began is over first, so that this one is made.
        while ((edu.read32(0x98) & 1) !== 0) await setTimeout(20);
        await edu.give(memory.window.start, FULL);
        ok(get().equals(pattern(FULL, 4)), 'after the brake nothing is written');
        const { end } = await holdUntil(confined, async () => {});
        equal(end.driver?.signal, 'SIGKILL');
        nothingLeft();
        takeFromVfio(EDU[0]);
      }
    },
  },
  {
    name: 'run-storm',
    title: 'interrupts over their budget brake the device; those of another device go on',
    standsAlone: true,
    eachBackend: true,
    limitSeconds: 600,
    async run({ backend, say }) {
      for (const bdf of EDU) giveToVfio(bdf);
      const steady = await runOn(backend, STEADY, () => {}, EDU[1]);
      await said(steady, 'tick 3"');
      const confined = await runOn(backend, STORM, () => {});
      const { end, lines } = await holdUntil(confined);
      say(JSON.stringify([end, lines, confined.running?.interrupts()]));
      ok((lines.find(({ what }) => what === 'told')?.told as number) > 0, 'control: it is told');
      equal(end.why, 'interrupt-storm');
      equal(end.driver?.signal, 'SIGKILL');
      const [vector] = confined.running?.interrupts() ?? [];
      equal(vector?.quarantineReason, 'BudgetExceeded');
      ok((vector?.irqCalls ?? 0) <= 50 * 600, 'no more than its budget was passed on');
      const ticks = (): number => steady.running?.interrupts()[0]?.irqCalls ?? 0;
      const then = ticks();
      while (ticks() < then + 3) await setTimeout(20);
      say(`the other device goes on: ${then}, and then ${ticks()}`);
      await steady.end();
      nothingLeft();
      for (const bdf of EDU) takeFromVfio(bdf);
    },
  },
  {
    name: 'run-error',
    title: 'an error that the device reports brakes it and ends its driver',
    standsAlone: true,
    async run({ backend, monitor, say }) {
      const rng = rngDevice();
      unbindAll(rng);
      giveToVfio(rng);
      const confined = await confine({
        ...{ device: rng, grant: NOTHING, steps: planConfinement(NOTHING, 1) },
        open: async () => openDevice(backend, await Sysfs.open('/sys'), rng),
        journal: { append: async () => {} },
        record: async () => {},
      });
      ok(confined.events.error !== undefined, 'the device can say so');
      const held = holdUntil(confined);
      say(await monitor('pcie_aer_inject_error vr0 COMP_TIME'));
      const { end } = await held;
      equal(end.why, 'device-error');
      ok(readFileSync(ownAgent().audit.path, 'utf8').includes('"event":"device-error"'));
      takeFromVfio(rng);
    },
  },
];
