/** Devices that are held and watched as `apply --hold` does, each with an agent's state of its own. */

import { ok } from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';
import { Agent } from '../../../agent/agent.ts';
import { type Confined, confine } from '../../../agent/confine.ts';
import { type ConfinedGrant, planConfinement } from '../../../agent/confine-plan.ts';
import { type HoldEnd, hold } from '../../../agent/hold.ts';
import { openDevice } from '../../../agent/host/choose-backend.ts';
import { readName } from '../../../agent/host/inventory.ts';
import { Sysfs } from '../../../agent/host/sysfs.ts';
import type { Incident } from '../../../agent/quarantine/incident.ts';
import { loadIncidents } from '../../../agent/quarantine/store.ts';
import { takeBaseline } from '../../../agent/watch/baseline.ts';
import { must } from '../../../scripts/demo/support/programs.ts';
import type { Lab } from '../cases/case.ts';
import { giveToVfio } from './vfio.ts';

interface Seen {
  readonly kind: string;
  readonly what: string;
  readonly decision: string;
  readonly level: string | null;
}

export interface Watched {
  readonly agent: Agent;
  readonly confined: Confined;
  readonly end: Promise<HoldEnd>;
  isOver(): boolean;
  stop(): void;
  /** What the audit log says was watched. */
  seen(): Promise<readonly Seen[]>;
}

/**
 * Gives the device to `vfio-pci`, has `confined` confine it, and holds it. `take` is to be called before it
 * can reach anything.
 */
export async function holdWatched(
  { say }: Lab,
  device: string,
  name: string,
  confineIt: (take: () => Promise<void>) => Promise<Confined>,
): Promise<Watched> {
  const state = `/tmp/ironport-watching-${name}`;
  const agent = new Agent({ state, writeSeconds: 200, settleSeconds: 60 });
  // Whoever works on the state makes its folders; here nobody bound the device before.
  await agent.alone(async () => {});
  const sysfs = await Sysfs.open('/sys');
  giveToVfio(device);
  const taken: Awaited<ReturnType<typeof takeBaseline>>[] = [];
  const confined = await confineIt(async () => {
    taken.push(await takeBaseline(sysfs, device));
  });
  const [baseline] = taken;
  ok(baseline !== undefined);
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
  return {
    ...{ agent, confined, end, isOver: () => isOver, stop: () => stop.abort() },
    async seen() {
      const words = ['audit', 'tail', '-n', '50', '--state', state];
      const { lines } = await must('ironport-agent', words);
      return lines.filter(({ event }: { event: string }) => event === 'watch');
    },
  };
}

/** The same of a device that no driver is run for. */
export async function watchHeld(
  lab: Lab,
  device: string,
  name: string,
  grant: ConfinedGrant,
): Promise<Watched> {
  return await holdWatched(lab, device, name, async (beforeReach) =>
    confine({
      ...{ device, grant, steps: planConfinement(grant, 1), beforeReach },
      open: async () => openDevice(lab.backend, await Sysfs.open('/sys'), device),
      journal: { append: async () => {} },
      record: async () => {},
    }),
  );
}

/** Its incident, when that is so; a holder that ended before shows why. */
export async function incidentOf(
  { agent, isOver, end }: Watched,
  isSo: (incident: Incident) => boolean = () => true,
): Promise<Incident> {
  for (;;) {
    const wasOver = isOver();
    const [incident] = await loadIncidents(agent);
    if (incident !== undefined && isSo(incident)) return incident;
    ok(!wasOver, `it ended: ${JSON.stringify([wasOver ? await end : null, incident])}`);
    await setTimeout(100);
  }
}
