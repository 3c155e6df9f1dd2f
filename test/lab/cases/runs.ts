/** Drivers that the agent runs: through the broker, within the grant, and no further. */

import { deepEqual, equal, ok } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, fstatSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import type { Confined } from '../../../agent/confine.ts';
import type { Running } from '../../../agent/running.ts';
import { must } from '../../../scripts/demo/support/programs.ts';
import { elf } from '../../agent/elf.ts';
import { PAUSE } from '../../agent/hostile.ts';
import { type Driven, drive } from '../support/driven.ts';
import { BUSY } from '../support/drivers.ts';
import { driverProcesses, groups, nothingLeft, said } from '../support/held.ts';
import { GROUPS, runOn, runPolicy } from '../support/run.ts';
import { scene } from '../support/scene.ts';
import { EDU, giveToVfio, stateOf, takeFromVfio } from '../support/vfio.ts';
import type { Backend, Lab, LabCase } from './case.ts';

/** `ironport-agent apply --hold --run`, to its end. */
export async function applyRun(
  lab: Lab,
  name: string,
  program: 'node' | 'static',
  onLine: (line: string) => void = () => {},
): Promise<Driven> {
  const policy = runPolicy(program);
  const ran = await drive(lab, ['apply', name], { state: scene().state, policy, onLine });
  const { error } = ran;
  if (error !== undefined) throw new Error(`${error.code}: ${error.message} (${error.why})`);
  return ran;
}

async function drives(lab: Lab, name: string, program: 'node' | 'static'): Promise<void> {
  const before = stateOf(EDU[0]);
  const { status, data } = await applyRun(lab, name, program);
  const { driven } = data;
  lab.say(driven.output);
  equal(status, 0);
  deepEqual([driven.why, driven.status], ['driver-ended', 0]);
  for (const line of ['factorials: 0!', 'interrupts: one was raised', 'transfers: up to 2048'])
    ok(driven.output.includes(line), line);
  const accesses = driven.accesses as { answer: string; count: number }[];
  const served = accesses.find(({ answer }) => answer === 'good')?.count ?? 0;
  ok(served > 50, `${served} accesses`);
  equal(
    accesses.reduce((sum, { count }) => sum + count, 0),
    served,
    'none was refused',
  );
  nothingLeft();
  equal(stateOf(EDU[0]).busMaster, false);
  const common = ['--state', scene().state, '--device', EDU[0], '--write-timeout', '200'];
  await must('ironport-agent', ['release', ...common, '--settle-timeout', '60']);
  deepEqual(stateOf(EDU[0]), before, 'the state before, exactly');
  await must('ironport-agent', ['audit', 'verify', '--state', scene().state]);
}

/** A process of its own that runs a driver, and is to be killed: `IRONPORT_LAB_RUN=backend`. */
const VARIABLE = 'IRONPORT_LAB_RUN';

async function runAndStay(backend: Backend): Promise<never> {
  const confined = await runOn(backend, BUSY, () => {});
  await said(confined, 'begun');
  console.log('running');
  return await new Promise(() => globalThis.setTimeout(() => {}, 2 ** 30));
}

export const runs: readonly LabCase[] = [
  {
    name: 'run',
    title: 'the accepted driver, run under its runtime, drives edu through the broker',
    eachBackend: true,
    limitSeconds: 600,
    run: (lab) => drives(lab, scene().name, 'node'),
  },
  {
    name: 'run-static',
    title: 'the accepted driver as a static program drives edu through the broker',
    eachBackend: true,
    limitSeconds: 600,
    async run(lab) {
      const { staticName } = scene();
      if (staticName === undefined) lab.say('left out: the host had no compiler to make it');
      else await drives(lab, staticName, 'static');
    },
  },
  {
    name: 'run-release',
    title: 'a device whose driver runs is given back when another process releases it',
    limitSeconds: 600,
    async run(lab) {
      const before = stateOf(EDU[0]);
      const common = ['--state', scene().state, '--device', EDU[0], '--write-timeout', '200'];
      let released: Promise<unknown> | undefined;
      const { status, data } = await applyRun(lab, scene().name, 'node', (line) => {
        const [, pid] = /the driver runs: process ([0-9]+)/.exec(line) ?? [];
        // So that it does not end by itself first.
        if (pid !== undefined) process.kill(Number(pid), 'SIGSTOP');
        if (line.includes(`holding ${EDU[0]}`))
          released = must('ironport-agent', ['release', ...common, '--settle-timeout', '60']);
      });
      ok(released !== undefined);
      await released;
      equal(status, 0);
      deepEqual([data.driven.why, data.driven.signal], ['asked', 'SIGKILL']);
      nothingLeft();
      deepEqual(stateOf(EDU[0]), before, 'the state before, exactly');
      await must('ironport-agent', ['audit', 'verify', '--state', scene().state]);
    },
  },
  {
    name: 'run-two',
    title: 'two drivers have what each was granted, and nothing of the other',
    standsAlone: true,
    eachBackend: true,
    limitSeconds: 600,
    async run({ backend, say }) {
      const both: Confined[] = [];
      for (const bdf of EDU) {
        giveToVfio(bdf);
        both.push(await runOn(backend, elf([], [PAUSE]), () => {}, bdf));
      }
      const seen = both.map(({ running, memories }) => {
        const { driver, broker, user, brokerUser } = running as Running;
        ok(broker !== undefined);
        const links = (pid: number): string[] =>
          readdirSync(`/proc/${pid}/fd`)
            .map(Number)
            .sort((a, b) => a - b)
            .map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
        const ofDriver = links(driver.pid);
        say(ofDriver.join(' '));
        deepEqual(
          ofDriver.map((link) => link.replaceAll(/[0-9]+/g, 'N')),
          [
            ...['/dev/null', 'pipe:[N]', 'pipe:[N]', 'pipe:[N]', 'pipe:[N]'],
            ...['/memfd:ironport-dma (deleted)', 'anon_inode:[eventfd]'],
          ],
        );
        equal(ofDriver[1], ofDriver[2], 'one pipe for what it writes');
        const maps = readFileSync(`/proc/${driver.pid}/maps`, 'utf8');
        ok(!maps.includes('ironport-dma'), 'it has mapped nothing by itself');
        const [memory] = memories;
        equal(
          statSync(`/proc/${driver.pid}/fd/5`).ino,
          fstatSync(memory?.fd ?? -1).ino,
          'the memory is that of its own window',
        );
        equal(
          links(broker.pid).filter((link) => link.includes('vfio')).length,
          1,
          'the broker has one device',
        );
        return [...new Set(ofDriver.slice(3)), user, brokerUser];
      });
      const [ofFirst = [], ofSecond = []] = seen;
      deepEqual(
        ofFirst.filter((one) => one !== 'anon_inode:[eventfd]' && ofSecond.includes(one)),
        ['/memfd:ironport-dma (deleted)'],
        'the same by name alone',
      );
      for (const confined of both) await confined.end();
      nothingLeft();
      for (const bdf of EDU) takeFromVfio(bdf);
    },
  },
  {
    name: 'run-death',
    title: 'when the agent is killed, driver and broker are gone, and the device is still',
    standsAlone: true,
    eachBackend: true,
    limitSeconds: 600,
    async run({ backend, say }) {
      const stay = process.env[VARIABLE];
      if (stay !== undefined) await runAndStay(stay as Backend);
      giveToVfio(EDU[0]);
      const agent = spawn(process.execPath, process.argv.slice(1), {
        env: { ...process.env, [VARIABLE]: backend },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await new Promise<void>((resolve, reject) => {
        agent.stdout.on('data', (data) => String(data).includes('running') && resolve());
        agent.once('exit', () => reject(new Error('it ended by itself')));
      });
      equal(driverProcesses().length, 2, 'control: a driver and a broker run');
      equal(stateOf(EDU[0]).busMaster, true);
      agent.kill('SIGKILL');
      // The kernel sends the signal; when they are gone is theirs.
      while (driverProcesses().length > 0) await setTimeout(20);
      say('both are gone');
      while (stateOf(EDU[0]).busMaster) await setTimeout(20);
      say('and the group that is left over is no obstacle');
      ok(groups().length > 0 && groups().every((name) => existsSync(`${GROUPS}/${name}`)));
      const again = await runOn(backend, BUSY, () => {});
      await said(again, 'begun');
      await again.end();
      nothingLeft();
      takeFromVfio(EDU[0]);
    },
  },
];
