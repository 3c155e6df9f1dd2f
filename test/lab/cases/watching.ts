/** What a held device does is seen, and one table decides: on faults and errors that are real here. */

import { deepEqual, equal, ok } from 'node:assert/strict';
import { readSync, writeSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import type { ConfinedGrant } from '../../../agent/confine-plan.ts';
import type { HoldEnd } from '../../../agent/hold.ts';
import { REGION } from '../../../agent/host/uapi.ts';
import { loadIncidents } from '../../../agent/quarantine/store.ts';
import { windowAt } from '../../../shared/manifest/windows.ts';
import { Edu, pattern } from '../support/edu.ts';
import { keepWindow, staysStillAfter } from '../support/still.ts';
import { EDU, rngDevice, stateOf, unbindAll } from '../support/vfio.ts';
import { type Watched, watchHeld } from '../support/watched.ts';
import type { Lab, LabCase } from './case.ts';

const WINDOW = windowAt(0x20_0000n, 0x2000n);
const GRANT: ConfinedGrant = {
  dma: { windows: [{ window: WINDOW, access: 'read-write' }] },
  interrupts: { kind: 'none', vectors: 0 },
};
const LENGTH = 256;

const watch = (lab: Lab, device: string, name: string): Promise<Watched> =>
  watchHeld(lab, device, name, GRANT);

/** It is out of service, durably, and reaches nothing. */
async function isQuarantined(
  { agent, confined, end }: Watched,
  seenThere: () => Promise<void> = async () => {},
): Promise<HoldEnd> {
  const ended = await end;
  deepEqual(
    (await loadIncidents(agent)).map(({ device, level }) => [device.path, level]),
    [[confined.device, 'hard']],
  );
  deepEqual(stateOf(confined.device), {
    ...{ driver: 'vfio-pci', override: 'vfio-pci', busMaster: false },
  });
  await seenThere();
  unbindAll(confined.device);
  return ended;
}

export const watching: readonly LabCase[] = [
  {
    name: 'watch-fault',
    title: "a device that reaches outside its windows goes into quarantine by the kernel's record",
    standsAlone: true,
    limitSeconds: 900,
    async run(lab) {
      const watched = await watch(lab, EDU[0], 'fault');
      const { vfio, memories } = watched.confined;
      const [memory] = memories;
      ok(memory !== undefined);
      const edu = new Edu(vfio.fd, vfio.region(REGION.bar0).offset);
      writeSync(memory.fd, pattern(LENGTH, 1), 0, LENGTH, 0);
      await edu.take(WINDOW.start, LENGTH);
      await edu.give(WINDOW.start + 0x1000n, LENGTH);
      const moved = Buffer.alloc(LENGTH);
      readSync(memory.fd, moved, 0, LENGTH, 0x1000);
      deepEqual(moved, pattern(LENGTH, 1), 'control: inside, bytes move');
      const kept = keepWindow();
      // The kernel prints some faults, and not each one. The device is let go while one is waited for.
      while (stateOf(EDU[0]).busMaster)
        await edu.give(WINDOW.end + 0x10_0000n, LENGTH).catch(() => setTimeout(50));
      const { why } = await isQuarantined(watched, () =>
        staysStillAfter(lab.backend, EDU[0], kept, WINDOW.start),
      );
      equal(why, 'watched');
      const faults = (await watched.seen()).filter(({ kind }) => kind === 'iommu-fault');
      equal(faults[0]?.decision, 'quarantine');
      lab.say(faults[0]?.what ?? '');
    },
  },
  {
    name: 'watch-aer',
    title: 'errors of PCI Express: a correctable one is noted, another ends in quarantine',
    standsAlone: true,
    limitSeconds: 1800,
    async run(lab) {
      const rng = rngDevice();
      unbindAll(rng);
      const inject = (error: string) => lab.monitor(`pcie_aer_inject_error vr0 ${error}`);
      const noted = await watch(lab, rng, 'correctable');
      // It counts from when it begins to be watched: again, until one was counted.
      for (;;) {
        await inject('BAD_TLP');
        const found = (await noted.seen()).find(({ kind }) => kind === 'aer');
        if (found === undefined) continue;
        equal(found.decision, 'observe');
        lab.say(found.what);
        break;
      }
      equal(stateOf(rng).busMaster, true, 'and it goes on');
      noted.stop();
      equal((await noted.end).why, 'stopped');
      deepEqual(await loadIncidents(noted.agent), []);
      unbindAll(rng);

      for (const [name, error] of [
        ['non-fatal', 'UNSUP'],
        ['fatal', 'MALF_TLP'],
      ] as const) {
        const watched = await watch(lab, rng, name);
        equal(stateOf(rng).busMaster, true, 'control: it is held');
        await inject(error);
        const { why } = await isQuarantined(watched);
        ok(['device-error', 'watched'].includes(why), why);
        lab.say(`${name}: ${why}: ${JSON.stringify(await watched.seen())}`);
      }
    },
  },
];
