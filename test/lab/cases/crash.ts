/** An agent that is killed at every step, and a machine that loses its power. */

import { deepEqual, equal, ok } from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bind } from '../../../agent/bind.ts';
import { listBindings } from '../../../agent/binding.ts';
import { planConfinement } from '../../../agent/confine-plan.ts';
import { Journal } from '../../../agent/journal.ts';
import { boundState, makePlan } from '../../../agent/plan.ts';
import { recoverDevice } from '../../../agent/recover.ts';
import { release } from '../../../agent/release.ts';
import { openAgent, POLICY, STATE, scene } from '../support/scene.ts';
import { EDU, giveTo, stateOf, unbindAll } from '../support/vfio.ts';
import type { Backend, Lab, LabCase } from './case.ts';
import { lockedDown } from './locked-down.ts';

/** What a killed agent is told: `CRASH=backend:step:event`. */
const VARIABLE = 'IRONPORT_LAB_CRASH';
const NOTES = `${STATE}/power-cut.json`;

/** Steps of one `edu` from `pci-stub` to confined: as many as its plan and its grant have. */
function stepCount(): number {
  const found = { driver: 'pci-stub', override: 'pci-stub' };
  const plan = makePlan(EDU[0], found, boundState(found));
  const window = { window: { start: 0n, end: 4096n }, access: 'read-write' } as const;
  const grant = { dma: { windows: [window] }, interrupts: { kind: 'msi', vectors: 1 } } as const;
  return plan.steps.length + planConfinement(grant, 1).length;
}

/** Binds, and ends by SIGKILL as soon as the line is in the journal. Runs in a process of its own. */
export async function crashingBind(): Promise<void> {
  const [backend, number, event] = (process.env[VARIABLE] ?? '').split(':');
  const { agent, sysfs } = await openAgent();
  const append = Journal.prototype.append;
  Journal.prototype.append = async function (entry) {
    await append.call(this, entry);
    if (entry.step === Number(number) && entry.event === event)
      process.kill(process.pid, 'SIGKILL');
  };
  const confine = { backend: backend as Backend };
  await bind(agent, sysfs, { name: scene().name, bdf: EDU[0], policy: POLICY, confine });
  if (event === 'bound') process.kill(process.pid, 'SIGKILL');
}

function crash(backend: Backend, step: number, event: string): void {
  const { signal, stderr } = spawnSync(process.execPath, process.argv.slice(1), {
    env: { ...process.env, [VARIABLE]: `${backend}:${step}:${event}` },
    encoding: 'utf8',
  });
  equal(signal, 'SIGKILL', `step ${step}, ${event}: ${stderr}`);
}

/** What the agent's folder says is going on. */
function leftovers(): string[] {
  const { state } = scene();
  return ['journal', 'bindings', 'grants'].flatMap((name) =>
    existsSync(join(state, name)) ? readdirSync(join(state, name)) : [],
  );
}

async function killEverywhere({ backend, say }: Lab): Promise<void> {
  const { agent, sysfs } = await openAgent();
  giveTo(EDU[0], 'pci-stub');
  const before = stateOf(EDU[0]);
  // iommufd at every intent and every done, the container at every step.
  const events = backend === 'iommufd' ? ['intent', 'done'] : ['done'];
  for (let step = 1; step <= stepCount(); step++) {
    for (const event of events) {
      crash(backend, step, event);
      const { outcome } = await recoverDevice(agent, sysfs, EDU[0]);
      say(`killed at the ${event} of step ${step}: ${outcome}`);
      deepEqual(stateOf(EDU[0]), before, `the state before, after step ${step}, ${event}`);
      deepEqual(leftovers(), [], `nothing is left after step ${step}, ${event}`);
    }
  }
  crash(backend, 0, 'bound');
  equal((await listBindings(agent)).length, 1, 'what was bound counts as bound');
  equal(stateOf(EDU[0]).busMaster, false, 'nobody holds it, and it masters nothing');
  await release(agent, sysfs, { bdf: EDU[0] });
  deepEqual(stateOf(EDU[0]), before);
  deepEqual(leftovers(), []);
  unbindAll(EDU[0]);
}

export const crashes: readonly LabCase[] = [
  {
    name: 'kill',
    title: 'killed at every step, the agent comes back to the exact state before',
    eachBackend: true,
    limitSeconds: 2400,
    async run(lab) {
      if (process.env[VARIABLE] !== undefined) await crashingBind();
      else await killEverywhere(lab);
    },
  },
  // The machine is started anew after these.
  lockedDown,
  {
    name: 'power-cut',
    title: 'the power is cut with one device bound and another half-way',
    limitSeconds: 600,
    async run({ backend, cut }) {
      const { agent, sysfs } = await openAgent();
      const { name } = scene();
      giveTo(EDU[0], 'pci-stub');
      giveTo(EDU[1], 'pci-stub');
      writeFileSync(NOTES, JSON.stringify({ groups: groups() }), { flush: true });
      const wanted = { name, policy: POLICY, confine: { backend } };
      ok((await bind(agent, sysfs, { ...wanted, bdf: EDU[0] })).confined !== undefined);
      const append = Journal.prototype.append;
      Journal.prototype.append = async function (entry) {
        await append.call(this, entry);
        if (entry.step === 5 && entry.event === 'intent') await cut();
      };
      await bind(agent, sysfs, { ...wanted, bdf: EDU[1] });
    },
  },
  {
    name: 'after-power-cut',
    title: 'the next boot finds both, undoes neither blindly, and gives both back',
    boot: 2,
    limitSeconds: 600,
    async run({ say, backend }) {
      const { groups: then } = JSON.parse(readFileSync(NOTES, 'utf8'));
      say(`groups were ${JSON.stringify(then)}, and are ${JSON.stringify(groups())}`);
      ok(JSON.stringify(then) !== JSON.stringify(groups()), 'the numbers of groups changed');
      const { agent, sysfs } = await openAgent();
      const before = EDU.map(stateOf);
      equal((await recoverDevice(agent, sysfs, EDU[1])).outcome, 'closed');
      equal(
        (await recoverDevice(agent, sysfs, EDU[0])).outcome,
        'none',
        'it was bound, and counts',
      );
      deepEqual(EDU.map(stateOf), before, 'what another boot did is not undone in this one');
      await release(agent, sysfs, { bdf: EDU[0] });
      deepEqual(EDU.map(stateOf), before);
      deepEqual(leftovers(), []);
      const again = { name: scene().name, policy: POLICY, confine: { backend }, bdf: EDU[0] };
      const { confined } = await bind(agent, sysfs, again);
      ok(confined !== undefined, 'and it can be bound again');
      await release(agent, sysfs, { bdf: EDU[0], confined });
      deepEqual(EDU.map(stateOf), before);
    },
  },
];

/** The groups of both devices: their numbers are good until the next boot. */
function groups(): (string | undefined)[] {
  const all = readdirSync('/sys/kernel/iommu_groups');
  return EDU.map((bdf) =>
    all.find((group) => existsSync(`/sys/kernel/iommu_groups/${group}/devices/${bdf}`)),
  );
}
