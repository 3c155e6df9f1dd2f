/** Quarantine, on a kernel that binds what it may and keeps what it is told. */

import { deepEqual, equal, ok } from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { ask, must } from '../../../scripts/demo/support/programs.ts';
import { driverProcesses, groups, nothingLeft } from '../support/held.ts';
import { makeOperators, releaseBySignature } from '../support/operators.ts';
import { GROUPS, runPolicy } from '../support/run.ts';
import { scene } from '../support/scene.ts';
import { driverOf, EDU, stateOf, unbindAll } from '../support/vfio.ts';
import type { Lab, LabCase } from './case.ts';

const DEVICES = '/sys/bus/pci/devices';
const STUB = '/sys/bus/pci/drivers/pci-stub';
/** A driver of the host's for every `edu`: the kernel binds it where it may. */
const EDU_IDS = '1234 11e8';

const on = (bdf: string): string[] => ['--state', scene().state, '--device', bdf];
const patient = ['--write-timeout', '200', '--settle-timeout', '60'];

/** The refusal's code; undefined when there was none. */
async function refusal(...words: string[]): Promise<string | undefined> {
  return (await ask('ironport-agent', words)).error?.code;
}

async function enter(bdf: string, level: string): Promise<string> {
  const words = [
    'quarantine',
    'enter',
    '--level',
    level,
    '--reason',
    'a case of the lab',
    '--force',
  ];
  return (await must('ironport-agent', [...words, ...on(bdf), ...patient])).incident;
}

async function enforce(): Promise<void> {
  await must('ironport-agent', ['quarantine', 'enforce', '--state', scene().state, ...patient]);
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await setTimeout(50);
}

/** `apply --hold --run`, as soon as it holds; its driver stands still, so that it does not end by itself. */
async function hold({ backend, say }: Lab): Promise<{ ended: Promise<number | null> }> {
  const holder: ChildProcess = spawn(
    process.execPath,
    [
      ...['/bin/ironport-agent.js', 'apply', scene().name, ...on(EDU[0]), ...patient],
      ...['--policy', runPolicy('node'), '--hold', '--run', '--cgroup', GROUPS],
      ...['--backend', backend],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const ended = new Promise<number | null>((resolve) => holder.once('exit', resolve));
  await new Promise<void>((resolve, reject) => {
    let text = '';
    holder.stderr?.on('data', (data) => {
      say(String(data).trimEnd());
      text += data;
      const [, pid] = /the driver runs: process ([0-9]+)/.exec(String(data)) ?? [];
      if (pid !== undefined) process.kill(Number(pid), 'SIGSTOP');
      if (text.includes(`holding ${EDU[0]}`)) resolve();
    });
    ended.then((status) => reject(new Error(`it ended with ${status}: ${text}`)));
  });
  return { ended };
}

/** softly frozen, then ended; refused; not given to the host; and back by two signatures. */
async function wholeWay(lab: Lab): Promise<void> {
  const before = stateOf(EDU[0]);
  const { ended } = await hold(lab);
  equal(stateOf(EDU[0]).busMaster, true, 'control: it is driven');
  const frozen = (): boolean[] =>
    groups().map((name) =>
      readFileSync(`${GROUPS}/${name}/cgroup.events`, 'utf8').includes('frozen 1'),
    );
  deepEqual(new Set(frozen()), new Set([false]), 'control: nothing is frozen');

  const incident = await enter(EDU[0], 'soft');
  await until(() => !stateOf(EDU[0]).busMaster);
  await until(() => frozen().every((isSo) => isSo));
  ok(driverProcesses().length > 0, 'the driver is there, for whoever wants to look at it');
  equal(await enter(EDU[0], 'hard'), incident, 'the same incident, one level further');
  equal(await ended, 40, 'nobody had asked for that end');
  nothingLeft();
  const held = { driver: 'vfio-pci', override: 'vfio-pci', busMaster: false };
  deepEqual(stateOf(EDU[0]), held);

  const applying = [
    'apply',
    scene().name,
    ...on(EDU[0]),
    '--policy',
    runPolicy('node'),
    ...patient,
  ];
  equal(await refusal(...applying), 'E_QUARANTINED');
  equal(await refusal('release', ...on(EDU[0]), ...patient), 'E_QUARANTINED');

  // A driver of the host's for both devices comes: it gets the one that is not in quarantine.
  writeFileSync(`${DEVICES}/${EDU[0]}/driver/unbind`, EDU[0]);
  writeFileSync(`${STUB}/new_id`, EDU_IDS);
  equal(driverOf(EDU[1]), 'pci-stub', 'control: it binds what it may');
  equal(driverOf(EDU[0]), null);
  // By force: the override is taken away, and the driver probed. Enforcing takes it off again.
  writeFileSync(`${DEVICES}/${EDU[0]}/driver_override`, '\n');
  writeFileSync('/sys/bus/pci/drivers_probe', EDU[0]);
  equal(driverOf(EDU[0]), 'pci-stub', 'control: without the override it would have it');
  await enforce();
  deepEqual(stateOf(EDU[0]), { ...held, driver: null });

  await makeOperators();
  await releaseBySignature(incident);
  writeFileSync('/sys/bus/pci/drivers_probe', EDU[0]);
  equal(driverOf(EDU[0]), 'pci-stub', "it is the host's again");
  writeFileSync(`${STUB}/remove_id`, EDU_IDS);
  for (const bdf of EDU) unbindAll(bdf);
  await must('ironport-agent', ['release', ...on(EDU[0]), ...patient]);
  unbindAll(EDU[0]);
  deepEqual(stateOf(EDU[0]), before);
  await must('ironport-agent', ['audit', 'verify', '--state', scene().state]);
}

/** A network card that nothing else of the lab is about. */
function card(): string | undefined {
  return readdirSync(DEVICES).find(
    (bdf) => readFileSync(`${DEVICES}/${bdf}/device`, 'utf8').trim() === '0x10c9',
  );
}

export const quarantines: readonly LabCase[] = [
  {
    name: 'quarantine',
    title: 'frozen, then ended, held from every driver, and back by two signatures',
    eachBackend: true,
    limitSeconds: 1200,
    run: wholeWay,
  },
];

/** After the refusals: these want the card. */
export const tombs: readonly LabCase[] = [
  {
    name: 'tomb',
    title: 'a device is removed, and again when a rescan brings it back',
    limitSeconds: 600,
    async run() {
      const bdf = card();
      ok(bdf !== undefined, 'control: it is there');
      await enter(bdf, 'tomb');
      ok(!existsSync(`${DEVICES}/${bdf}`), 'removed');
      writeFileSync('/sys/bus/pci/rescan', '1');
      ok(existsSync(`${DEVICES}/${bdf}`), 'control: a rescan brings it back');
      await enforce();
      ok(!existsSync(`${DEVICES}/${bdf}`), 'and it is removed again');
    },
  },
  {
    name: 'tomb-after-restart',
    title: 'the next start finds it there, and it is removed; two signatures bring it back',
    boot: 2,
    limitSeconds: 600,
    async run() {
      const bdf = card();
      ok(bdf !== undefined, 'control: a start brings it back');
      await enforce();
      ok(!existsSync(`${DEVICES}/${bdf}`), 'the incident outlived the start');
      const { incidents } = await must('ironport-agent', [
        ...['quarantine', 'list', '--state', scene().state],
      ]);
      deepEqual(
        incidents.map(({ level }: { level: string }) => level),
        ['tomb'],
      );
      await makeOperators();
      await releaseBySignature(incidents[0].incident);
      writeFileSync('/sys/bus/pci/rescan', '1');
      await enforce();
      ok(existsSync(`${DEVICES}/${bdf}`), 'nobody removes it any more');
    },
  },
];
