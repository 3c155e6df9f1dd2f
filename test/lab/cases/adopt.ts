/** A helper that is killed, and a store of descriptors by which the next one takes over what is held. */

import { deepEqual, equal, ok } from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { libc } from '../../../agent/host/libc.ts';
import { ask, type Document, must } from '../../../scripts/demo/support/programs.ts';
import { systemClock } from '../../../shared/node/clock.ts';
import { PlayedStore } from '../../agent/played-store.ts';
import { pattern } from '../support/edu.ts';
import { driverProcesses, nothingLeft } from '../support/held.ts';
import {
  type Engine,
  engineOf,
  PAGE,
  putHostPolicy,
  putPolicy,
  roundTrip,
} from '../support/helped.ts';
import { makeOperators, releaseBySignature } from '../support/operators.ts';
import { GROUPS, runPolicy } from '../support/run.ts';
import { scene } from '../support/scene.ts';
import { EDU, stateOf } from '../support/vfio.ts';
import type { Lab, LabCase } from './case.ts';

const PLACE = '/tmp/adopt';
const SOCKET = join(PLACE, 'helper.sock');
const PATIENT = ['--write-timeout', '200', '--settle-timeout', '60'];

const asked = (...words: string[]): Promise<Document> =>
  ask('ironport-agent', [...words, '--via', SOCKET]);

type Line = Record<string, unknown>;

function lines(): Line[] {
  const text = readFileSync(join(scene().state, 'audit.jsonl'), 'utf8');
  // The last one may be half written by now.
  return text
    .slice(0, text.lastIndexOf('\n'))
    .split('\n')
    .map((line) => JSON.parse(line));
}

/** The helper of this case, under a manager that is played. */
class Service {
  readonly store = new PlayedStore(join(PLACE, 'notify'));
  readonly #words: readonly string[];
  readonly #say: Lab['say'];

  constructor(words: readonly string[], say: Lab['say']) {
    this.#words = words;
    this.#say = say;
  }

  async start(): Promise<void> {
    rmSync(SOCKET, { force: true });
    const child = this.store.start(
      [process.execPath, '/bin/ironport-agent.js', ...this.#words],
      process.env,
    );
    child.stdout?.resume();
    child.stderr?.on('data', (data) => this.#say(String(data).trimEnd()));
    // It listens when it has looked at everything that it was given.
    while (!existsSync(SOCKET)) {
      equal(child.exitCode, null, 'it serves');
      await setTimeout(50);
    }
    this.store.take();
  }

  /** kill -9, or stopped as `systemctl stop` does. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const { main } = this.store;
    if (main === undefined || main.exitCode !== null || main.signalCode !== null) return;
    const gone = new Promise((resolve) => main.once('exit', resolve));
    main.kill(signal);
    await gone;
    this.store.take();
  }
}

async function serviceFor({ backend, say }: Lab): Promise<Service> {
  rmSync(PLACE, { recursive: true, force: true });
  for (const folder of [PLACE, join(PLACE, 'spool')]) mkdirSync(folder, { recursive: true });
  await makeOperators(PLACE);
  const hostPolicy = await putHostPolicy(PLACE);
  const service = new Service(
    [
      ...['helper', '--socket', SOCKET, '--spool', join(PLACE, 'spool'), '--user', '0'],
      ...['--state', scene().state, '--fleet-keys', join(PLACE, 'fleet-keys.json')],
      ...['--host-policy', hostPolicy, '--backend', backend, '--cgroup', GROUPS, ...PATIENT],
    ],
    say,
  );
  await service.start();
  const entry = await putPolicy(PLACE, systemClock(), runPolicy('node'));
  const taken = await asked('policy', 'accept', entry);
  equal(taken.error, undefined);
  return service;
}

interface HeldDevice {
  readonly pid: number;
  /** Where the device sees its window. */
  readonly window: bigint;
  readonly length: number;
}

async function holderOf(device: string): Promise<number | undefined> {
  const { data } = await asked('status');
  return data.processes.find((one: Line) => one.role === 'holder' && one.device === device)?.pid;
}

async function holdDevice(device: string): Promise<HeldDevice> {
  const applied = await asked('apply', scene().name, '--device', device, '--hold');
  equal(applied.error, undefined);
  const pid = await holderOf(device);
  ok(pid !== undefined);
  const [window] = applied.data.grant.dma.windows;
  return { pid, window: BigInt(window.iova), length: Number(window.length_bytes) };
}

/** Not even within its window, once nobody holds the device any more. */
async function isBlocked({ edu, memory }: Engine, { window, length }: HeldDevice): Promise<void> {
  const before = pattern(length, 9);
  writeSync(memory, before, 0, length, 0);
  await edu.give(window, PAGE);
  nothingMoved(memory, before);
}

/** What was in memory is there yet, or was emptied by who let go of the device: nothing else came. */
function nothingMoved(memory: number, before: Buffer): void {
  const after = Buffer.alloc(before.length);
  readSync(memory, after, 0, after.length, 0);
  ok(
    after.every((byte, i) => byte === before[i] || byte === 0),
    'nothing moves',
  );
}

async function release(device: string): Promise<void> {
  const released = await asked('release', '--device', device);
  equal(released.error, undefined);
}

/** Held, killed, held on, taken over: bytes move all the while, and none once it is let go of. */
async function adoptHeld(lab: Lab, service: Service): Promise<void> {
  const before = stateOf(EDU[0]);
  const held = await holdDevice(EDU[0]);
  const engine = engineOf(held.pid);
  await roundTrip(engine, held.window, 1);
  deepEqual(service.store.ignored, []);
  equal(service.store.names().length, 1, 'the socket to its holder is kept');

  await service.end('SIGKILL');
  equal(stateOf(EDU[0]).busMaster, true, 'it is held on while there is no helper');
  await roundTrip(engine, held.window, 2);

  // A transfer that is under way while it is taken over.
  const going = (async () => {
    for (let seed = 3; seed < 13; seed++) await roundTrip(engine, held.window, seed);
  })();
  await Promise.all([going, service.start()]);
  equal(await holderOf(EDU[0]), held.pid, 'the same process holds it');
  ok(lines().some((line) => line.event === 'adopted' && line.process === held.pid));
  await roundTrip(engine, held.window, 20);
  // Whoever asks for the device gets it from the next helper as from the first.
  const released = release(EDU[0]);
  // Told of below, unless something else is wrong first.
  released.catch(() => {});
  // Not until its holder has ended: what that writes down waits for whoever releases, and that for us.
  while (stateOf(EDU[0]).busMaster) await setTimeout(20);
  await isBlocked(engine, held);
  engine.close();
  await released;
  deepEqual(stateOf(EDU[0]), before, 'the state before, exactly');
  equal(await holderOf(EDU[0]), undefined);
  lab.say('a held device was taken over');
}

/** As soon as it is there, before it reaches its device. */
async function stoppedDriver(from: number): Promise<number> {
  for (;;) {
    const started = lines()
      .slice(from)
      .find(({ event }) => event === 'driver-started');
    if (started !== undefined) {
      process.kill(Number(started.process), 'SIGSTOP');
      return Number(started.process);
    }
    await setTimeout(5);
  }
}

async function runDevice(): Promise<{ holder: number; driver: number }> {
  const from = lines().length;
  const [applied, driver] = await Promise.all([
    asked('apply', scene().name, '--device', EDU[0], '--hold', '--run'),
    stoppedDriver(from),
  ]);
  equal(applied.error, undefined);
  const holder = await holderOf(EDU[0]);
  ok(holder !== undefined);
  return { holder, driver };
}

/** Its driver goes on through the death of the helper, and drives its device to the end. */
async function adoptDriven(lab: Lab, service: Service): Promise<void> {
  const before = stateOf(EDU[0]);
  const { holder, driver } = await runDevice();
  const { memory, device } = engineOf(holder);
  closeSync(device);
  await service.end('SIGKILL');
  const from = lines().length;
  process.kill(driver, 'SIGCONT');
  // What the device writes for its driver, while there is no helper; the first word of its pattern is 0.
  const word = Buffer.alloc(4);
  while (word.readUInt32LE() === 0) {
    readSync(memory, word, 0, 4, PAGE + 4);
    await setTimeout(5);
  }
  process.kill(driver, 'SIGSTOP');
  lab.say('the driver went on without a helper');
  await service.start();
  equal(await holderOf(EDU[0]), holder);
  ok(driverProcesses().includes(String(driver)), 'the same driver');
  process.kill(driver, 'SIGCONT');
  const ended = (): Line | undefined =>
    lines()
      .slice(from)
      .find(({ event }) => event === 'driver-ended');
  while (ended() === undefined) await setTimeout(50);
  const end = ended() as Line & { output: string; interrupts: Line[] };
  lab.say(end.output);
  deepEqual([end.why, end.status], ['driver-ended', 0]);
  for (const line of ['interrupts: one was raised', 'transfers: up to 2048'])
    ok(end.output.includes(line), line);
  closeSync(memory);
  while ((await holderOf(EDU[0])) !== undefined) await setTimeout(50);
  nothingLeft();
  equal(stateOf(EDU[0]).busMaster, false);
  await release(EDU[0]);
  deepEqual(stateOf(EDU[0]), before, 'the state before, exactly');
}

/** What brakes goes on as well: without a helper, and from the first moment with the next. */
async function brakes(lab: Lab, service: Service): Promise<void> {
  const before = stateOf(EDU[0]);
  const first = await runDevice();
  equal(stateOf(EDU[0]).busMaster, true, 'control: it runs');
  await service.end('SIGKILL');
  // A crash, while there is no helper.
  process.kill(first.driver, 'SIGKILL');
  while (stateOf(EDU[0]).busMaster) await setTimeout(20);
  while (existsSync(`/proc/${first.holder}/fd/3`)) await setTimeout(20);
  nothingLeft();
  lab.say('without a helper, the end of the driver stopped its device');
  await service.start();
  equal(await holderOf(EDU[0]), undefined);
  ok(!service.store.names().some((name) => name.startsWith('holder-')), 'nothing is kept');
  await release(EDU[0]);

  const second = await runDevice();
  await service.end('SIGKILL');
  await service.start();
  equal(await holderOf(EDU[0]), second.holder);
  equal(stateOf(EDU[0]).busMaster, true, 'control: it runs');
  // Stopped, the next helper ends what an earlier one had started.
  await service.end('SIGTERM');
  equal(stateOf(EDU[0]).busMaster, false);
  nothingLeft();
  await service.start();
  await release(EDU[0]);
  deepEqual(stateOf(EDU[0]), before, 'the state before, exactly');
}

/** Outside its window nothing moves, and who holds it sees that, whichever helper is there. */
async function stoppedByFault(lab: Lab, service: Service): Promise<void> {
  const before = stateOf(EDU[0]);
  const held = await holdDevice(EDU[0]);
  await service.end('SIGKILL');
  await service.start();
  equal(await holderOf(EDU[0]), held.pid);
  const engine = engineOf(held.pid);
  await roundTrip(engine, held.window, 30);
  const bytes = pattern(held.length, 31);
  writeSync(engine.memory, bytes, 0, held.length, 0);
  // The kernel prints some faults, and not each one. The device is let go while one is waited for.
  while (stateOf(EDU[0]).busMaster)
    await engine.edu.give(held.window + BigInt(held.length), PAGE).catch(() => setTimeout(50));
  nothingMoved(engine.memory, bytes);
  engine.close();
  while ((await holderOf(EDU[0])) !== undefined) await setTimeout(50);
  const { incidents } = (await asked('quarantine', 'list')).data;
  equal(incidents[0]?.reason.includes('refused'), true, 'by the record of the kernel');
  lab.say(incidents[0].reason);
  await makeOperators();
  await releaseBySignature(incidents[0].incident);
  await release(EDU[0]);
  deepEqual(stateOf(EDU[0]), before, 'the state before, exactly');
}

/** Without somebody who keeps descriptors, the death of the helper is that of all that it started. */
async function withoutStore(service: Service): Promise<void> {
  const before = stateOf(EDU[0]);
  await runDevice();
  for (const name of service.store.names()) service.store.drop(name);
  equal(stateOf(EDU[0]).busMaster, true, 'control: it runs');
  await service.end('SIGKILL');
  while (stateOf(EDU[0]).busMaster || driverProcesses().length > 0) await setTimeout(20);
  await service.start();
  ok(lines().some(({ event, why }) => event === 'not-adopted' && why === 'missing'));
  nothingLeft();
  await release(EDU[0]);
  deepEqual(stateOf(EDU[0]), before, 'the state before, exactly');
}

function noteOf(device: string): string {
  return join(scene().state, 'holders', `${encodeURIComponent(device)}.json`);
}

function change(device: string, change: object): void {
  const note = JSON.parse(readFileSync(noteOf(device), 'utf8'));
  writeFileSync(noteOf(device), JSON.stringify({ ...note, ...change }));
}

/** What can be wrong with what is given back, and what it is refused for. Both devices are held. */
const WRONG: readonly {
  readonly what: string;
  readonly why: readonly string[];
  readonly whyContainer?: readonly string[];
  wrong(store: PlayedStore, spare: number[], holders: readonly number[]): void;
}[] = [
  {
    what: 'descriptors of two devices are swapped',
    why: ['answer', 'answer'],
    wrong(store) {
      const [one, two] = store.kept;
      if (one === undefined || two === undefined) throw new Error('two are kept');
      store.kept = [
        { name: one.name, fd: two.fd },
        { name: two.name, fd: one.fd },
      ];
    },
  },
  {
    what: 'the devices themselves in the place of sockets',
    why: ['kind', 'kind'],
    // Those of the older backend all have the one inode of what has no name.
    whyContainer: ['doubled', 'doubled'],
    wrong(store, spare, holders) {
      spare.push(...store.kept.map(({ fd }) => fd));
      store.kept = store.kept.map(({ name }, i) => {
        const engine = engineOf(holders[i] ?? 0);
        closeSync(engine.memory);
        return { name, fd: engine.device };
      });
    },
  },
  {
    what: 'one is missing, the other is there twice',
    why: ['doubled', 'doubled', 'missing'],
    wrong(store) {
      const [one, two] = store.kept;
      if (one === undefined || two === undefined) throw new Error('two are kept');
      store.drop(two.name);
      store.kept.push({ ...one, fd: libc().takeDescriptor(process.pid, one.fd) });
    },
  },
  {
    what: 'they were written down in another boot, and for another grant',
    why: ['binding', 'boot'],
    wrong() {
      change(EDU[0], { boot: '00000000-0000-0000-0000-000000000000' });
      change(EDU[1], { grant_sha256: '0'.repeat(64) });
    },
  },
  {
    what: 'another process has the number, and another holds another device',
    why: ['device', 'process'],
    wrong(_store, _spare, holders) {
      change(EDU[0], { started: '1' });
      const stat = readFileSync(`/proc/${holders[0]}/stat`, 'latin1');
      const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
      change(EDU[1], { process: holders[0], started });
    },
  },
];

async function hostile(lab: Lab, service: Service): Promise<void> {
  const before = EDU.map(stateOf);
  for (const { what, why: usual, whyContainer, wrong } of WRONG) {
    const why = (lab.backend === 'container' ? whyContainer : undefined) ?? usual;
    const holders: number[] = [];
    for (const device of EDU) holders.push((await holdDevice(device)).pid);
    await service.end('SIGKILL');
    for (const device of EDU) equal(stateOf(device).busMaster, true, 'control: both are held on');
    const from = lines().length;
    const spare: number[] = [];
    wrong(service.store, spare, holders);
    await service.start();
    const refused = lines()
      .slice(from)
      .filter(({ event }) => event === 'not-adopted');
    lab.say(`${what}: ${refused.map((line) => `${line.device} ${line.why}`).join(', ')}`);
    deepEqual(refused.map((line) => line.why).sort(), why, what);
    ok(
      !lines()
        .slice(from)
        .some(({ event }) => event === 'adopted'),
      what,
    );
    for (const pid of holders) while (existsSync(`/proc/${pid}/fd/3`)) await setTimeout(20);
    deepEqual(
      EDU.map((device) => stateOf(device).busMaster),
      [false, false],
      `${what}: neither reaches anything`,
    );
    for (const device of EDU) equal(await holderOf(device), undefined);
    for (const fd of spare) closeSync(fd);
    deepEqual(service.store.names(), [], 'nothing is kept');
    for (const device of EDU) await release(device);
    deepEqual(EDU.map(stateOf), before, `${what}: the state before, exactly`);
  }
}

async function withService(
  lab: Lab,
  act: (lab: Lab, service: Service) => Promise<void>,
): Promise<void> {
  const service = await serviceFor(lab);
  try {
    await act(lab, service);
    await service.end('SIGTERM');
    nothingLeft();
    await must('ironport-agent', ['audit', 'verify', '--state', scene().state]);
  } catch (error) {
    for (const line of lines().slice(-20)) lab.say(JSON.stringify(line));
    await service.end('SIGKILL');
    service.store.close();
    // A holder that is left would be in the way of other cases.
    for (const device of EDU)
      await ask('ironport-agent', [
        'release',
        '--device',
        device,
        '--state',
        scene().state,
        ...PATIENT,
      ]);
    throw error;
  }
  service.store.close();
}

export const adoptions: readonly LabCase[] = [
  {
    name: 'adopt',
    title:
      'the helper is killed: device, driver and brake go on, and the next helper takes them over',
    eachBackend: true,
    limitSeconds: 1800,
    run: (lab) =>
      withService(lab, async (_, service) => {
        await adoptHeld(lab, service);
        await adoptDriven(lab, service);
        await brakes(lab, service);
        await withoutStore(service);
        await stoppedByFault(lab, service);
      }),
  },
  {
    name: 'adopt-hostile',
    title:
      'what a store gives back that is not what was kept is refused, and its device is stopped',
    eachBackend: true,
    limitSeconds: 1800,
    run: (lab) => withService(lab, hostile),
  },
];
