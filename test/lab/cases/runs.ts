/** Drivers that the agent runs: through the broker, within the grant, and no further. */

import { deepEqual, equal, ok } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readSync, writeSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { Agent } from '../../../agent/agent.ts';
import type { AuditEvent } from '../../../agent/audit.ts';
import type { Confined } from '../../../agent/confine.ts';
import { type HoldEnd, hold } from '../../../agent/hold.ts';
import { REGION } from '../../../agent/host/uapi.ts';
import { must } from '../../../scripts/demo/support/programs.ts';
import { BUSY, FLOOD, GREEDY, STORM } from '../support/drivers.ts';
import { Edu, pattern } from '../support/edu.ts';
import { GROUPS, runOn, runPolicy, USERS } from '../support/run.ts';
import { scene } from '../support/scene.ts';
import { EDU, giveToVfio, stateOf, takeFromVfio } from '../support/vfio.ts';
import type { Backend, Lab, LabCase } from './case.ts';

const FULL = 4096;

/** Processes as whom the lab's drivers and brokers run. */
function driverProcesses(): string[] {
  return readdirSync('/proc').filter((name) => {
    if (!/^[0-9]+$/.test(name)) return false;
    try {
      const uid = /^Uid:\t([0-9]+)/m.exec(readFileSync(`/proc/${name}/status`, 'utf8'))?.[1];
      return Number(uid) >= USERS.first && Number(uid) < USERS.first + USERS.count;
    } catch {
      return false;
    }
  });
}

function groups(): string[] {
  return readdirSync(GROUPS).filter((name) => name.startsWith('ironport-0000'));
}

function nothingLeft(): void {
  deepEqual(driverProcesses(), [], 'no process is left');
  deepEqual(groups(), [], 'no control group is left');
}

interface Applied {
  readonly status: number | null;
  readonly data: { driven: Record<string, unknown> & { output: string } };
}

/** `ironport-agent apply --hold --run`, to its end. */
async function applyRun(
  { backend, say }: Lab,
  name: string,
  program: 'node' | 'static',
  onLine: (line: string, pid: number) => void = () => {},
): Promise<Applied> {
  const child = spawn(
    process.execPath,
    [
      ...['/bin/ironport-agent.js', 'apply', name, '--state', scene().state, '--device', EDU[0]],
      ...['--policy', runPolicy(program), '--write-timeout', '200', '--settle-timeout', '60'],
      ...['--hold', '--run', '--cgroup', GROUPS, '--backend', backend, '--json'],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let stdout = '';
  child.stdout.on('data', (data) => (stdout += data));
  child.stderr.on('data', (data) => {
    say(String(data).trimEnd());
    onLine(String(data), child.pid ?? 0);
  });
  const status = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (stdout === '') return { status, data: { driven: { output: '' } } };
  const { ok: isGood, data, error } = JSON.parse(stdout);
  if (!isGood) throw new Error(`${error.code}: ${error.message} (${error.why})`);
  return { status, data };
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

interface Ran {
  readonly end: HoldEnd;
  readonly lines: readonly Record<string, unknown>[];
}

/** Of these cases alone: what they audit, and need no scene for. */
function ownAgent(): Agent {
  return new Agent({ state: '/tmp/ironport-runs' });
}

/** Holds the device until its driver ends, or `then` has it ended. */
async function holdUntil(confined: Confined, then?: () => Promise<void>): Promise<Ran> {
  const agent = ownAgent();
  const stop = new AbortController();
  const lost: string[] = [];
  const [end] = await Promise.all([
    hold({ agent, confined, signal: stop.signal, onLost: (text) => lost.push(text) }),
    then?.().then(() => stop.abort()),
  ]);
  deepEqual(lost, []);
  const lines = (confined.running?.output() ?? '').split('\n').filter((line) => line !== '');
  // Its runtime may have something to say too, and the last line may have been cut short.
  const isOurs = (line: string): boolean => /^\{.*\}$/.test(line);
  for (const line of lines) if (!isOurs(line)) console.log(line);
  return { end, lines: lines.filter(isOurs).map((line) => JSON.parse(line)) };
}

async function said(confined: Confined, what: string): Promise<void> {
  while (confined.running?.output().includes(what) !== true) await setTimeout(50);
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
    name: 'run-greedy',
    title: 'a driver that asks for what it was not granted is refused, each time, and audited',
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
    title: 'interrupts over their budget brake the device and end its driver',
    eachBackend: true,
    limitSeconds: 600,
    async run({ backend, say }) {
      giveToVfio(EDU[0]);
      const confined = await runOn(backend, STORM, () => {});
      const { end, lines } = await holdUntil(confined);
      say(JSON.stringify([end, lines, confined.running?.interrupts()]));
      ok((lines.find(({ what }) => what === 'told')?.told as number) > 0, 'control: it is told');
      equal(end.why, 'interrupt-storm');
      equal(end.driver?.signal, 'SIGKILL');
      const [vector] = confined.running?.interrupts() ?? [];
      equal(vector?.quarantineReason, 'BudgetExceeded');
      ok((vector?.irqCalls ?? 0) <= 50 * 600, 'no more than its budget was passed on');
      nothingLeft();
      takeFromVfio(EDU[0]);
    },
  },
  {
    name: 'run-death',
    title: 'when the agent is killed, driver and broker are gone, and the device is still',
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
