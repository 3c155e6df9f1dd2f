/** What the agent refuses, on the kernel's own tree; and that it goes on when the reason is gone. */

import { deepEqual, equal, notEqual, ok, rejects } from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { Agent } from '../../../agent/agent.ts';
import { assess } from '../../../agent/assess.ts';
import { bind } from '../../../agent/bind.ts';
import { checkHost } from '../../../agent/check/checks.ts';
import { readHostView, type ViewOptions } from '../../../agent/check/view.ts';
import { confine } from '../../../agent/confine.ts';
import { planConfinement } from '../../../agent/confine-plan.ts';
import { GATES } from '../../../agent/gates/gates.ts';
import { openDevice } from '../../../agent/host/choose-backend.ts';
import { readHostFacts } from '../../../agent/host/host-facts.ts';
import { Sysfs } from '../../../agent/host/sysfs.ts';
import { recoverDevice } from '../../../agent/recover.ts';
import { release } from '../../../agent/release.ts';
import { PROBE_USER } from '../../../agent/try-sandbox.ts';
import { type Code, IronError } from '../../../shared/errors.ts';
import { type Window, windowAt } from '../../../shared/manifest/windows.ts';
import { openAgent, POLICY, scene } from '../support/scene.ts';
import { EDU, giveToVfio, stateOf, takeFromVfio } from '../support/vfio.ts';
import type { Lab, LabCase } from './case.ts';

/** A root port, the card behind one, the disk that is mounted, and one of the chipset's three. */
const BRIDGE = '0000:00:08.0';
const CARD = '0000:01:00.0';
const RANDOM = '0000:02:00.0';
const DISK = '0000:03:00.0';
const OF_THREE = '0000:00:1f.2';

/** Binding is refused, `reason` is among the reasons, and the device is as it was. */
async function refused(bdf: string, reason: string): Promise<void> {
  const { agent, sysfs } = await openAgent();
  const before = stateOf(bdf);
  await rejects(
    bind(agent, sysfs, { name: scene().name, bdf, policy: POLICY, confine: {} }),
    (error: unknown) => {
      ok(error instanceof IronError, String(error));
      const reasons = String(error.context?.reasons).split(', ');
      ok(reasons.includes(reason), `${bdf}: ${reason} is not among ${reasons}`);
      equal(error.code, GATES.find((gate) => gate.reason === reasons[0])?.code);
      return true;
    },
  );
  deepEqual(stateOf(bdf), before, `${bdf} is as it was`);
}

/** No gate objects to the first edu: the control of what is refused around it. */
async function isViable(): Promise<void> {
  const { agent, sysfs } = await openAgent();
  const { decisions } = await assess(agent, sysfs, EDU[0]);
  const objections = decisions.flatMap(({ objection }) => objection?.what ?? []);
  deepEqual(objections, []);
}

/** Writes a value for as long as `act` takes. */
async function while_(path: string, value: string, back: string, act: () => Promise<void>) {
  await isViable();
  writeFileSync(path, value);
  try {
    await act();
  } finally {
    writeFileSync(path, back);
  }
  await isViable();
}

const parameter = (name: string): string => `/sys/module/${name.replace('/', '/parameters/')}`;

/** Confining with one window, which the host is to refuse. */
async function refusesWindow({ backend }: Lab, window: Window, code: Code): Promise<void> {
  const { sysfs } = await openAgent();
  const dma = { maskBits: 48, totalBytes: 4096n, windows: [{ window, access: 'read' as const }] };
  const grant = { dma, interrupts: { kind: 'none' as const, vectors: 0, perSecondBudget: 0 } };
  await rejects(
    confine({
      device: EDU[0],
      grant,
      steps: planConfinement(grant, 1),
      open: () => openDevice(backend, sysfs, EDU[0]),
      journal: { append: async () => {} },
      record: async () => {},
    }),
    (error: unknown) => {
      ok(error instanceof IronError, String(error));
      equal(error.code, code);
      return true;
    },
  );
}

export const refusals: readonly LabCase[] = [
  {
    name: 'check-host',
    title: '`check-host` finds this machine ready, and names what is made unsafe',
    async run({ backend, say }) {
      const sysfs = await Sysfs.open('/sys');
      const places = { proc: '/proc', dev: '/dev' };
      const find = async (sandbox?: ViewOptions['sandbox']) =>
        new Map(
          checkHost(await readHostView(sysfs, { ...places, sandbox })).map((one) => [
            one.check,
            one,
          ]),
        );
      const before = await find({ user: PROBE_USER, cgroup: '/sys/fs/cgroup' });
      for (const { check, state, what } of before.values()) {
        say(`${check}: ${state}: ${what}`);
        notEqual(state, 'fails', `${check}: ${what}`);
      }
      for (const check of ['iommu', 'interrupt-remapping', 'control-group', 'sandbox'])
        equal(before.get(check)?.state, 'ok', check);
      ok(before.get('backend')?.what.includes(backend));
      const unsafe = parameter('vfio_iommu_type1/allow_unsafe_interrupts');
      writeFileSync(unsafe, 'Y');
      try {
        equal((await find()).get('unsafe-interrupts')?.state, 'fails');
      } finally {
        writeFileSync(unsafe, 'N');
      }
      equal((await find()).get('unsafe-interrupts')?.state, 'ok');
    },
  },
  {
    name: 'refusals',
    title: 'bridges, other devices, shared groups, what is in use, and unsafe hosts are refused',
    limitSeconds: 600,
    async run({ kernel, say }) {
      await isViable();
      say('interrupts are seen to be remapped');
      const facts = await readHostFacts((await openAgent()).sysfs);
      equal(facts.interruptRemapping, true);
      ok(facts.hasIommu && facts.kernelOptions.includes('intel_iommu=on'));
      say('a bridge');
      await refused(BRIDGE, 'bridge-device');
      say('another device than the driver is for');
      await refused(RANDOM, 'wrong-ids');
      say('one of three that share a group');
      await refused(OF_THREE, 'group-member-uncovered');
      say('a disk that is mounted');
      await refused(DISK, 'in-use');

      const [name] = existsSync(`/sys/bus/pci/devices/${CARD}/net`)
        ? readdirSync(`/sys/bus/pci/devices/${CARD}/net`)
        : [];
      if (name !== undefined) {
        say(`a network interface that is up: ${name}`);
        equal(spawnSync('ip', ['link', 'set', name, 'up']).status, 0);
        await refused(CARD, 'in-use');
        equal(spawnSync('ip', ['link', 'set', name, 'down']).status, 0);
      } else equal(kernel, 'lab', 'the stock kernel has a driver for the card');

      for (const [module, reason] of [
        ['vfio/enable_unsafe_noiommu_mode', 'noiommu'],
        ['vfio_iommu_type1/allow_unsafe_interrupts', 'unsafe-interrupts'],
        ['iommufd/allow_unsafe_interrupts', 'unsafe-interrupts'],
      ] as const) {
        if (!existsSync(parameter(module))) {
          say(`${module}: this kernel has not that parameter`);
          continue;
        }
        say(`${module}=Y`);
        await while_(parameter(module), 'Y', 'N', () => refused(EDU[0], reason));
      }

      const { agent, sysfs } = await openAgent();
      const { device } = await assess(agent, sysfs, EDU[0]);
      const type = `/sys/kernel/iommu_groups/${device.group?.id}/type`;
      say('a group that the IOMMU lets through');
      await while_(type, 'identity', 'DMA', () => refused(EDU[0], 'identity-group'));
    },
  },
  {
    name: 'windows-refused',
    title: 'windows outside what the host addresses, or not of whole pages, are refused',
    eachBackend: true,
    async run(lab) {
      giveToVfio(EDU[0]);
      lab.say('in the range of interrupts');
      await refusesWindow(lab, windowAt(0xfee0_0000n, 4096n), 'E_IOVA_RANGE');
      lab.say('past what the IOMMU addresses');
      await refusesWindow(lab, windowAt(1n << 60n, 4096n), 'E_IOVA_RANGE');
      lab.say('half a page');
      await refusesWindow(lab, windowAt(0x20_0000n, 2048n), 'E_PAGE_SIZE');
      await refusesWindow(lab, windowAt(0x20_0800n, 4096n), 'E_PAGE_SIZE');
      takeFromVfio(EDU[0]);
    },
  },
  {
    name: 'stuck',
    title: 'an unbind that waits is reported and left alone, and is recovered from later',
    eachBackend: true,
    limitSeconds: 600,
    async run({ backend, say }) {
      const { agent, sysfs } = await openAgent();
      const { name, state } = scene();
      const before = stateOf(EDU[0]);
      const { confined } = await bind(agent, sysfs, {
        ...{ name, bdf: EDU[0], policy: POLICY },
        confine: { backend },
      });
      ok(confined !== undefined);
      // It holds the device and does not listen to the kernel's request.
      const hasty = new Agent({ state, writeSeconds: 5, settleSeconds: 5 });
      await rejects(release(hasty, sysfs, { bdf: EDU[0] }), { code: 'E_BIND_STUCK' });
      await rejects(recoverDevice(hasty, sysfs, EDU[0]), { code: 'E_BIND_STUCK' });
      say('the other device is served on');
      const other = await bind(agent, sysfs, {
        ...{ name, bdf: EDU[1], policy: POLICY },
        confine: { backend },
      });
      await release(agent, sysfs, { bdf: EDU[1], confined: other.confined });
      await confined.end();
      say('let go: the write returns by itself');
      for (;;) {
        const { outcome } = await recoverDevice(agent, sysfs, EDU[0]).catch((error) => {
          if (error.code === 'E_BIND_STUCK') return { outcome: 'stuck' };
          throw error;
        });
        if (outcome !== 'stuck') break;
        await setTimeout(200);
      }
      await release(agent, sysfs, { bdf: EDU[0] }).catch((error) => {
        if (error.code !== 'E_NOT_FOUND') throw error;
      });
      deepEqual(stateOf(EDU[0]), before);
    },
  },
];
