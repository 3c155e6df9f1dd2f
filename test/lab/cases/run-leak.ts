/** Drivers that take more and more: stopped before they meet their bounds, and nobody else is. */

import { deepEqual, equal, ok } from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { readGroupMemory } from '../../../agent/host/use.ts';
import { loadIncidents } from '../../../agent/quarantine/store.ts';
import type { LeakBounds } from '../../../shared/manifest/leak.ts';
import { HOARD_MEMORY, hoardDescriptors, STEADY } from '../support/drivers.ts';
import { groups, nothingLeft, said } from '../support/held.ts';
import { EDU_GRANT, GROUPS, runOn, runtimeFiles } from '../support/run.ts';
import { EDU, stateOf, unbindAll } from '../support/vfio.ts';
import { holdWatched, incidentOf, type Watched } from '../support/watched.ts';
import type { Lab, LabCase } from './case.ts';

/** The same for both: what the steady one does in its time is no leak. */
const LEAK: LeakBounds = {
  ...{ windowSeconds: 2, windows: 5, memoryGrowthBytes: 24 << 20, descriptorGrowth: 16 },
};

/** Runs the driver and holds its device, as `apply --hold --run` does. */
async function holdRun(lab: Lab, device: string, name: string, source: string): Promise<Watched> {
  return await holdWatched(lab, device, name, async (take) => {
    await take();
    return await runOn(lab.backend, source, () => {}, device, EDU_GRANT, LEAK);
  });
}

export const leakingRuns: readonly LabCase[] = [
  {
    name: 'run-leak',
    title: 'a driver that leaks memory or descriptors goes into quarantine; its neighbour goes on',
    standsAlone: true,
    eachBackend: true,
    limitSeconds: 1800,
    async run(lab) {
      const steady = await holdRun(lab, EDU[1], `steady-${lab.backend}`, STEADY);
      const ticks = (): number => steady.confined.running?.interrupts()[0]?.irqCalls ?? 0;
      await said(steady.confined, 'tick 3"');
      const [file] = runtimeFiles();
      ok(file !== undefined);
      for (const [what, source] of [
        ['bytes of memory', HOARD_MEMORY],
        ['descriptors', hoardDescriptors(file)],
      ] as const) {
        const name = `${what.replaceAll(' ', '-')}-${lab.backend}`;
        const leaking = await holdRun(lab, EDU[0], name, source);
        await said(leaking.confined, 'begun');
        equal(stateOf(EDU[0]).busMaster, true, 'control: it is driven');
        const before = await readGroupMemory(`${GROUPS}/ironport-${EDU[0]}-driver`);
        const { reason, level } = await incidentOf(leaking);
        lab.say(`${reason} (${before.bytes} bytes when it began)`);
        ok(reason.startsWith(`${what} of the driver grew`), reason);
        equal(level, 'soft');
        // What it took is there to be looked at, and it takes no more.
        equal(stateOf(EDU[0]).busMaster, false, 'the device is still');
        const ours = groups().filter((name) => name.includes(EDU[0]));
        equal(ours.length, 2);
        for (const name of ours)
          ok(readFileSync(`${GROUPS}/${name}/cgroup.events`, 'utf8').includes('frozen 1'), name);
        ok(existsSync(`/proc/${leaking.confined.running?.driver.pid}`), 'the driver is there');
        equal(leaking.isOver(), false);
        leaking.stop();
        equal((await leaking.end).why, 'watched');
        const left = groups().filter((name) => name.includes(EDU[0]));
        deepEqual(left, [], 'and is gone with its holder');
        unbindAll(EDU[0]);
        // By the same rule, in the same process.
        equal(steady.isOver(), false, 'the other driver is not touched');
        const then = ticks();
        while (ticks() < then + 3) await setTimeout(20);
      }
      const procs = readFileSync(`${GROUPS}/ironport-${EDU[1]}-driver/cgroup.procs`, 'utf8');
      equal(procs.trim(), String(steady.confined.running?.driver.pid));
      equal(stateOf(EDU[1]).busMaster, true);
      deepEqual(await loadIncidents(steady.agent), []);
      steady.stop();
      equal((await steady.end).why, 'stopped');
      nothingLeft();
      unbindAll(EDU[1]);
    },
  },
];
