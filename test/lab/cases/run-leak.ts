/** Drivers that take more and more: stopped before they meet their bounds, and nobody else is. */

import { deepEqual, equal, ok } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { Agent } from '../../../agent/agent.ts';
import type { Confined } from '../../../agent/confine.ts';
import { type HoldEnd, hold } from '../../../agent/hold.ts';
import { readName } from '../../../agent/host/inventory.ts';
import { Sysfs } from '../../../agent/host/sysfs.ts';
import { readGroupMemory } from '../../../agent/host/use.ts';
import { loadIncidents } from '../../../agent/quarantine/store.ts';
import { takeBaseline } from '../../../agent/watch/baseline.ts';
import type { LeakBounds } from '../../../shared/manifest/leak.ts';
import { HOARD_MEMORY, hoardDescriptors, STEADY } from '../support/drivers.ts';
import { groups, nothingLeft, said } from '../support/held.ts';
import { EDU_GRANT, GROUPS, runOn, runtimeFiles } from '../support/run.ts';
import { EDU, giveToVfio, stateOf, unbindAll } from '../support/vfio.ts';
import type { Lab, LabCase } from './case.ts';

/** The same for both: what the steady one does in its time is no leak. */
const LEAK: LeakBounds = {
  ...{ windowSeconds: 2, windows: 5, memoryGrowthBytes: 24 << 20, descriptorGrowth: 16 },
};

interface Held {
  readonly agent: Agent;
  readonly confined: Confined;
  readonly end: Promise<HoldEnd>;
  isOver(): boolean;
  stop(): void;
}

/** Runs the driver and holds its device, as `apply --hold --run` does. */
async function holdRun({ backend, say }: Lab, device: string, source: string): Promise<Held> {
  const agent = new Agent({ state: `/tmp/ironport-leak-${device}` });
  await agent.alone(async () => {});
  const sysfs = await Sysfs.open('/sys');
  giveToVfio(device);
  const baseline = await takeBaseline(sysfs, device);
  const confined = await runOn(backend, source, () => {}, device, EDU_GRANT, LEAK);
  const resting = { path: 'acme/edu/1.0.0/driver', grantExpires: Number.MAX_SAFE_INTEGER };
  const stop = new AbortController();
  const end = hold({
    ...{ agent, confined, signal: stop.signal, onLost: say },
    named: { device: await readName(sysfs, device), sysfs },
    watched: { resting, baseline },
  });
  let isOver = false;
  const over = (): void => {
    isOver = true;
  };
  end.then(over, over);
  return { agent, confined, end, isOver: () => isOver, stop: () => stop.abort() };
}

const incidentsOf = async ({ agent }: Held): Promise<string[]> =>
  (await loadIncidents(agent)).map(({ reason }) => reason);

export const leakingRuns: readonly LabCase[] = [
  {
    name: 'run-leak',
    title: 'a driver that leaks memory or descriptors goes into quarantine; its neighbour goes on',
    standsAlone: true,
    eachBackend: true,
    limitSeconds: 1800,
    async run(lab) {
      const steady = await holdRun(lab, EDU[1], STEADY);
      const ticks = (): number => steady.confined.running?.interrupts()[0]?.irqCalls ?? 0;
      await said(steady.confined, 'tick 3"');
      const [file] = runtimeFiles();
      ok(file !== undefined);
      for (const [what, source] of [
        ['bytes of memory', HOARD_MEMORY],
        ['descriptors', hoardDescriptors(file)],
      ] as const) {
        const leaking = await holdRun(lab, EDU[0], source);
        await said(leaking.confined, 'begun');
        equal(stateOf(EDU[0]).busMaster, true, 'control: it is driven');
        const before = await readGroupMemory(`${GROUPS}/ironport-${EDU[0]}-driver`);
        const { why } = await leaking.end;
        equal(why, 'watched');
        const [reason = ''] = await incidentsOf(leaking);
        lab.say(`${reason} (${before.bytes} bytes when it began)`);
        ok(reason.startsWith(`${what} of the driver grew`), reason);
        equal(stateOf(EDU[0]).busMaster, false, 'the device is still');
        deepEqual(
          groups().filter((name) => name.includes(EDU[0])),
          [],
        );
        unbindAll(EDU[0]);
        // By the same rule, in the same process.
        equal(steady.isOver(), false, 'the other driver is not touched');
        const then = ticks();
        while (ticks() < then + 3) await setTimeout(20);
      }
      const procs = readFileSync(`${GROUPS}/ironport-${EDU[1]}-driver/cgroup.procs`, 'utf8');
      equal(procs.trim(), String(steady.confined.running?.driver.pid));
      equal(stateOf(EDU[1]).busMaster, true);
      deepEqual(await incidentsOf(steady), []);
      steady.stop();
      equal((await steady.end).why, 'stopped');
      nothingLeft();
      unbindAll(EDU[1]);
    },
  },
];
