/** From one version of a driver to another while it is held, and what is bound again after a start. */

import { deepEqual, equal, ok } from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { listBindings } from '../../../agent/binding.ts';
import type { Confined } from '../../../agent/confine.ts';
import { Journal } from '../../../agent/journal.ts';
import { release, releaseAlone } from '../../../agent/release.ts';
import { restore } from '../../../agent/restore.ts';
import { upgrade } from '../../../agent/upgrade.ts';
import { ask, must } from '../../../scripts/demo/support/programs.ts';
import { systemClock } from '../../../shared/node/clock.ts';
import { Edu } from '../support/edu.ts';
import { openAgent, POLICY, scene } from '../support/scene.ts';
import { EDU, giveTo, stateOf, unbindAll } from '../support/vfio.ts';
import type { Lab, LabCase } from './case.ts';

const patient = ['--write-timeout', '200', '--settle-timeout', '60'];
const on = (bdf: string): string[] => ['--state', scene().state, '--device', bdf, ...patient];
const DAY = 86_400;
const FULL = 4096;

interface Holder {
  readonly ended: Promise<number | null>;
}

/** A process that holds the device for this version, as soon as it does. */
async function holderOf(name: string, { backend, say }: Lab): Promise<Holder> {
  const child: ChildProcess = spawn(
    process.execPath,
    [
      ...['/bin/ironport-agent.js', 'apply', name, ...on(EDU[0]), '--policy', POLICY],
      ...['--hold', '--backend', backend],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  await new Promise<void>((resolve, reject) => {
    let text = '';
    child.stderr?.on('data', (data) => {
      say(String(data).trimEnd());
      text += data;
      if (text.includes(`holding ${EDU[0]}`)) resolve();
    });
    ended.then((status) => reject(new Error(`it ended with ${status}: ${text}`)));
  });
  return { ended };
}

async function boundFor(): Promise<string[]> {
  const { agent } = await openAgent();
  return (await listBindings(agent)).map(({ driver }) => driver.path);
}

/** The device moves bytes into the window that it was confined to. */
async function moves(confined: Confined): Promise<void> {
  const [memory] = confined.memories;
  ok(memory !== undefined);
  const edu = new Edu(confined.vfio.fd, 0n);
  await edu.give(memory.window.start, FULL);
}

async function upgradeHeld(lab: Lab): Promise<void> {
  const { name, staticName } = scene();
  if (staticName === undefined) return lab.say('there is one version only: no compiler was here');
  const { agent, sysfs } = await openAgent();
  giveTo(EDU[0], 'pci-stub');
  const before = stateOf(EDU[0]);

  let holder = await holderOf(name, lab);
  const words = ['upgrade', 'acme/edu/9.9.9/edu', ...on(EDU[0]), '--policy', POLICY];
  equal((await ask('ironport-agent', words)).error?.code, 'E_NOT_FOUND');
  equal(stateOf(EDU[0]).busMaster, true, 'what is refused drains nothing');
  deepEqual(await boundFor(), [name]);

  const done = await must('ironport-agent', [
    ...['upgrade', staticName, ...on(EDU[0]), '--policy', POLICY],
  ]);
  equal(done.from, name);
  equal(await holder.ended, 0, 'its holder was asked to let go, and did');
  deepEqual(await boundFor(), [staticName]);
  deepEqual(stateOf(EDU[0]), { ...before, driver: 'vfio-pci', busMaster: false });
  await must('ironport-agent', ['release', ...on(EDU[0])]);
  deepEqual(stateOf(EDU[0]), before);

  lab.say('and back, when the new one cannot be bound after all');
  holder = await holderOf(name, lab);
  const begin = Journal.begin;
  Journal.begin = async (...args) => {
    const [, head] = args;
    if (head.purpose === 'bind') {
      Journal.begin = begin;
      throw Object.assign(new Error('no space'), { code: 'ENOSPC', syscall: 'write' });
    }
    return await begin(...args);
  };
  const request = { bdf: EDU[0], policy: POLICY, confine: { backend: lab.backend } };
  const failed = await upgrade(agent, sysfs, { ...request, name: staticName });
  Journal.begin = begin;
  equal(failed.failed?.code, 'E_BIND_ROLLED_BACK');
  equal(await holder.ended, 0);
  deepEqual(await boundFor(), [name]);
  ok(failed.confined !== undefined, 'the version before is held as the new one would have been');
  await moves(failed.confined);
  await release(agent, sysfs, { bdf: EDU[0], confined: failed.confined });
  deepEqual(stateOf(EDU[0]), before);
  unbindAll(EDU[0]);
}

export const upgrades: readonly LabCase[] = [
  {
    name: 'upgrade',
    title: 'a held device goes to another version, refused before it is drained, or comes back',
    eachBackend: true,
    limitSeconds: 1200,
    run: upgradeHeld,
  },
  {
    name: 'keep',
    title: 'a binding is declared, for the next start',
    limitSeconds: 600,
    async run() {
      const { agent, sysfs } = await openAgent();
      const words = ['apply', scene().name, ...on(EDU[1]), '--policy', POLICY, '--keep'];
      await must('ironport-agent', words);
      // As the power does it: the binding goes, and what was declared stays.
      await agent.alone(() => releaseAlone(agent, sysfs, { bdf: EDU[1] }));
      unbindAll(EDU[1]);
    },
  },
];

/** After what the start before left was looked at. */
export const restores: readonly LabCase[] = [
  {
    name: 'restore',
    title:
      'the next start binds what was declared, on stale metadata for so long, and what was released not',
    boot: 2,
    limitSeconds: 900,
    async run({ say }) {
      const { agent, sysfs } = await openAgent();
      const before = stateOf(EDU[1]);
      const late = Object.create(agent, { clock: { value: () => systemClock() + 60 * DAY } });
      const [tooLate] = await restore(late, sysfs, { onRestored: () => {} });
      equal(tooLate?.error?.code, 'E_EXPIRED', 'after the metadata and the time that is forgiven');
      deepEqual(stateOf(EDU[1]), before);

      const soon = Object.create(agent, { clock: { value: () => systemClock() + 20 * DAY } });
      const [restored] = await restore(soon, sysfs, { onRestored: () => {}, onStep: say });
      equal(restored?.error, undefined);
      equal(restored?.bound?.isStale, true);
      equal(stateOf(EDU[1]).driver, 'vfio-pci');

      const words = ['restore', '--state', scene().state, ...patient];
      deepEqual(
        (await must('ironport-agent', words)).restored.map(
          ({ device, outcome }: { device: string; outcome: string }) => [device, outcome],
        ),
        [[EDU[1], 'bound already']],
      );
      await must('ironport-agent', ['release', ...on(EDU[1])]);
      deepEqual(stateOf(EDU[1]), before);
      deepEqual((await must('ironport-agent', words)).restored, [], 'what was released is not');
      await must('ironport-agent', ['audit', 'verify', '--state', scene().state]);
    },
  },
];
