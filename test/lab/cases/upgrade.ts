/** From one version of a driver to another, with the device driven: and back where that fails, or is broken off. */

import { deepEqual, equal, ok } from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { listBindings } from '../../../agent/binding.ts';
import { Journal } from '../../../agent/journal.ts';
import { upgrade } from '../../../agent/upgrade.ts';
import { listUpgrades } from '../../../agent/upgrade-note.ts';
import { must } from '../../../scripts/demo/support/programs.ts';
import { acceptedFile, agentState } from '../../../shared/layout.ts';
import { type Driven, drive, driveAndStand, driverIn } from '../support/driven.ts';
import { driverProcesses, nothingLeft } from '../support/held.ts';
import { writePolicy } from '../support/run.ts';
import { openAgent, POLICY, scene } from '../support/scene.ts';
import { EDU, giveTo, stateOf, unbindAll } from '../support/vfio.ts';
import type { Lab, LabCase } from './case.ts';

/** What a process that is to be killed in the middle is told. */
const VARIABLE = 'IRONPORT_LAB_UPGRADE';
const PATIENT = ['--write-timeout', '200', '--settle-timeout', '60'];

const program = (name: string): 'node' | 'static' => (name.endsWith('.mjs') ? 'node' : 'static');
/** `acme/edu/1.0.0`: of this version alone. */
const versionOf = (name: string): string => name.slice(0, name.lastIndexOf('/'));

async function boundFor(): Promise<string | undefined> {
  const { agent } = await openAgent();
  return (await listBindings(agent))[0]?.driver.path;
}

/** Whether a process runs it: as its program, or as the last of what its runtime was given. */
function runs(pid: string, wanted: Buffer, kind: 'node' | 'static'): boolean {
  try {
    let path = `/proc/${pid}/exe`;
    if (kind === 'node') {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      path = words.find((word) => word.startsWith('/proc/self/fd/'))?.replace('self', pid) ?? '';
    }
    return statSync(path).size === wanted.length && readFileSync(path).equals(wanted);
  } catch {
    // It is gone, or not that far.
    return false;
  }
}

interface Spotting {
  /** How many processes ran it so far. */
  count(): number;
  end(): void;
}

/**
 * Looks for processes of drivers that run what was accepted under this name, from when it is sealed memory
 * until their broker serves them, which no driver goes on before. `stop`: and has them stand still.
 */
function spot(name: string, stop = false): Spotting {
  const accepted = join(agentState.accepted(name), acceptedFile.artifact);
  const wanted = readFileSync(join(scene().state, accepted));
  const found = new Set<string>();
  const timer = setInterval(() => {
    for (const pid of driverProcesses()) {
      if (found.has(pid) || !runs(pid, wanted, program(name))) continue;
      found.add(pid);
      if (stop) process.kill(Number(pid), 'SIGSTOP');
    }
  }, 10);
  return { count: () => found.size, end: () => clearInterval(timer) };
}

async function drives({ status, error, data }: Driven, name: string): Promise<void> {
  deepEqual([status, error], [0, undefined]);
  equal(data.driver, name);
  for (const line of ['factorials: 0!', 'transfers: up to'])
    ok(data.driven.output.includes(line), data.driven.output);
  nothingLeft();
  equal(await boundFor(), name);
  equal(stateOf(EDU[0]).driver, 'vfio-pci');
  equal(stateOf(EDU[0]).busMaster, false, 'nobody holds it any more');
}

async function toTheNext(lab: Lab, policy: string): Promise<void> {
  const { state, name, next } = scene();
  const [first, second] = [spot(name), spot(next)];
  const old = await driveAndStand(lab, ['apply', name], { state, policy });
  deepEqual([first.count(), second.count()], [1, 0], 'control: the old version runs');
  equal(stateOf(EDU[0]).busMaster, true);
  const done = await drive(lab, ['upgrade', next], {
    ...{ state, policy },
    onLine(line) {
      if (driverIn(line) !== undefined)
        ok(
          !existsSync(`/proc/${old.driver}`),
          'the old one is gone before the new one is let at it',
        );
    },
  });
  deepEqual([first.count(), second.count()], [1, 1], 'and then the new version, and no other');
  for (const one of [first, second]) one.end();
  equal(done.data.from, name);
  await drives(done, next);
  const { status, data } = await old.ended;
  deepEqual([status, data.driven.why, data.driven.signal], [0, 'asked', 'SIGKILL']);
  lab.say(`from ${name} to ${next}`);
}

/** The policy would run the other version as what it is not: that is found when the old one was let go of. */
async function andBack(lab: Lab, policy: string): Promise<void> {
  const { state, name, next } = scene();
  const wrong = program(name) === 'node' ? 'static' : 'node';
  const bad = writePolicy('/tmp/policy-wrong.json', [
    [versionOf(name), wrong],
    [versionOf(next), program(next)],
  ]);
  await must('ironport-agent', ['release', '--device', EDU[0], '--state', state, ...PATIENT]);
  const standing = spot(next, true);
  const old = await driveAndStand(lab, ['apply', next], { state, policy });
  standing.end();
  equal(standing.count(), 1, 'control: it runs');
  const [first, second] = [spot(next), spot(name)];
  const failed = await drive(lab, ['upgrade', name], { state, policy: bad });
  await old.ended;
  equal(failed.error?.code, 'E_BIND_ROLLED_BACK', failed.error?.message);
  // The one that was stopped, and the same again.
  deepEqual([first.count(), second.count()], [2, 0], 'the version before runs again');
  for (const one of [first, second]) one.end();
  nothingLeft();
  equal(await boundFor(), next);
  equal(stateOf(EDU[0]).driver, 'vfio-pci');
  lab.say(`${failed.error?.why}`);
}

/** Ends by SIGKILL at the first step of the new binding, when the old one is given back. Never returns. */
async function upgradeAndDie(): Promise<never> {
  const { agent, sysfs } = await openAgent();
  const begin = Journal.begin;
  Journal.begin = async (path, head) => {
    const journal = await begin.call(Journal, path, head);
    if (head.purpose === 'bind') process.kill(process.pid, 'SIGKILL');
    return journal;
  };
  await upgrade(agent, sysfs, { name: scene().name, bdf: EDU[0], policy: POLICY });
  throw new Error('it was not killed');
}

async function brokenOff(lab: Lab): Promise<void> {
  const { state, next } = scene();
  const on = ['--device', EDU[0], '--state', state, ...PATIENT];
  await must('ironport-agent', ['release', ...on]);
  giveTo(EDU[0], 'pci-stub');
  const before = stateOf(EDU[0]);
  await must('ironport-agent', ['apply', next, '--policy', POLICY, '--keep', ...on]);
  const bound = stateOf(EDU[0]);
  equal(bound.driver, 'vfio-pci', 'control');
  const { signal, stderr } = spawnSync(process.execPath, process.argv.slice(1), {
    env: { ...process.env, [VARIABLE]: 'die' },
    encoding: 'utf8',
  });
  equal(signal, 'SIGKILL', stderr);
  const { agent } = await openAgent();
  deepEqual(await listUpgrades(agent), [EDU[0]], 'an upgrade is under way');
  deepEqual(stateOf(EDU[0]), before, 'and the device was given back');
  equal(await boundFor(), undefined);
  const { recovered } = await must('ironport-agent', ['recover', '--state', state, ...PATIENT]);
  lab.say(JSON.stringify(recovered));
  deepEqual(stateOf(EDU[0]), bound, 'bound again');
  equal(await boundFor(), next, 'for the version before');
  deepEqual(await listUpgrades(agent), []);
  await must('ironport-agent', ['release', ...on]);
  deepEqual(stateOf(EDU[0]), before, 'the state before, exactly');
  unbindAll(EDU[0]);
}

export const upgrades: readonly LabCase[] = [
  {
    name: 'upgrade',
    title:
      'a driven device goes from one version to another, and back where that fails or is killed',
    limitSeconds: 1800,
    async run(lab) {
      if (process.env[VARIABLE] !== undefined) await upgradeAndDie();
      const { name, next, state } = scene();
      const policy = writePolicy('/tmp/policy-both.json', [
        [versionOf(name), program(name)],
        [versionOf(next), program(next)],
      ]);
      await toTheNext(lab, policy);
      if (program(name) === program(next))
        lab.say('left out: the host had no compiler for another kind');
      else await andBack(lab, policy);
      await brokenOff(lab);
      deepEqual(driverProcesses(), []);
      await must('ironport-agent', ['audit', 'verify', '--state', state]);
    },
  },
];
