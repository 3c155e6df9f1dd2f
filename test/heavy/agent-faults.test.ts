/** The played kernel fails, hangs, lies or does something else, at every step there is. */

import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { Agent } from '../../agent/agent.ts';
import { bind } from '../../agent/bind.ts';
import { Sysfs } from '../../agent/host/sysfs.ts';
import { recoverDevice } from '../../agent/recover.ts';
import { release } from '../../agent/release.ts';
import { toIronError } from '../../shared/cli/errors.ts';
import { IronError } from '../../shared/errors.ts';
import { agent, BDF, NAME, POLICY, picture, refused, type Scene, scene } from '../agent/support.ts';

// Most of a case is waiting for what does not come.
t.jobs = 4;
t.setTimeout(600_000);

/** Short, for faults that are waited out; long enough for a busy machine's honest steps. */
function impatient(place: Scene): Agent {
  return new Agent({ state: place.state, writeSeconds: 2, settleSeconds: 0.5 });
}

async function attempt(act: Promise<unknown>): Promise<IronError | undefined> {
  try {
    await act;
    return undefined;
  } catch (error) {
    if (error instanceof IronError) return error;
    throw error;
  }
}

interface Case {
  readonly faults: readonly string[];
  readonly code: 'E_BIND_ROLLED_BACK' | 'E_BIND_STUCK';
  readonly reason: string;
  readonly step: number | undefined;
}

const rolledBack = (step: number, reason: string, ...faults: string[]): Case => ({
  faults,
  code: 'E_BIND_ROLLED_BACK',
  reason,
  step,
});
const stuck = (reason: string, step: number | undefined, ...faults: string[]): Case => ({
  faults,
  code: 'E_BIND_STUCK',
  reason,
  step,
});

// Steps: 1 unbind edu_legacy, 2 override vfio-pci, 3 probe, 4 clear the override.
const APPLYING: readonly Case[] = [
  rolledBack(1, 'write-refused', 'unbind:fail'),
  rolledBack(1, 'no-effect', 'unbind:lie'),
  rolledBack(1, 'other-driver', 'unbind:other:times=1'),
  stuck('undo-failed', undefined, 'unbind:other'),
  stuck('write-stuck', 1, 'unbind:hang'),
  rolledBack(2, 'no-effect', 'override:fail'),
  rolledBack(2, 'no-effect', 'override:other:times=1'),
  stuck('undo-failed', undefined, 'override:other'),
  // It reads back as written, and the probe does not heed it: the old driver comes back.
  rolledBack(3, 'other-driver', 'override:lie'),
  rolledBack(3, 'write-refused', 'probe:fail'),
  rolledBack(3, 'no-effect', 'probe:lie'),
  rolledBack(3, 'other-driver', 'probe:other'),
  stuck('write-stuck', 3, 'probe:hang'),
  rolledBack(4, 'no-effect', 'override:fail:after=1:times=1'),
  rolledBack(4, 'no-effect', 'override:other:after=1:times=1'),
  stuck('undo-failed', undefined, 'override:fail:after=1'),
  stuck('undo-failed', undefined, 'probe:lie', 'bind:fail'),
  stuck('undo-failed', undefined, 'probe:lie', 'bind:lie'),
  stuck('undo-failed', undefined, 'probe:lie', 'bind:other'),
  stuck('write-stuck', 1, 'probe:lie', 'bind:hang'),
];

for (const one of APPLYING) {
  t.test(`apply, ${one.faults.join(' ')}`, { buffered: true }, async (t) => {
    const place = await scene(t, { faults: one.faults });
    const [helper, sysfs] = [impatient(place), await Sysfs.open(place.sysfs)];
    const error = await attempt(bind(helper, sysfs, { name: NAME, bdf: BDF, policy: POLICY }));
    checkError(t, error, one);
    place.kernel.setFaults([]);
    if (one.code === 'E_BIND_STUCK') await recovered(t, place, helper, sysfs, one);
    t.strictSame(picture(place.sysfs), place.untouched, 'the tree is as before, byte for byte');
    t.strictSame(
      Object.keys(picture(place.state)).filter((path) => /^(journal|bindings|grants)\//.test(path)),
      [],
      'and the agent remembers nothing of it but in its log',
    );
    if (one.code !== 'E_BIND_STUCK') return;
    // What went wrong once leaves nothing that would keep it from going right.
    await bind(helper, sysfs, { name: NAME, bdf: BDF, policy: POLICY });
    await release(helper, sysfs, { bdf: BDF });
    t.strictSame(picture(place.sysfs), place.untouched);
  });
}

function checkError(t: Test, error: IronError | undefined, one: Case): void {
  t.equal(error?.code, one.code, error?.message ?? 'it went through');
  t.equal(error?.context.reason, one.reason);
  if (one.step !== undefined) t.equal(error?.context.step, one.step, 'the step is named');
}

/** Once the kernel is itself again, recovery brings the device back. */
async function recovered(
  t: Test,
  place: Scene,
  helper: Agent,
  sysfs: Sysfs,
  one: Case,
): Promise<void> {
  t.ok(picture(place.state)['journal/0000%3A00%3A05.0.jsonl'], 'the journal is kept');
  // A write that hung is let through by the kernel; its process ends by itself.
  for (let i = 0; i < 100; i++) {
    const error = await attempt(helper.alone(() => recoverDevice(helper, sysfs, BDF)));
    if (error?.context.reason !== 'write-stuck') {
      t.equal(error, undefined, `${one.faults}: recovered`);
      return;
    }
    await setTimeout(50);
  }
  t.fail('the write never returned');
}

// Steps: 1 unbind vfio-pci, 2 bind edu_legacy.
const RELEASING: readonly Case[] = [
  rolledBack(1, 'write-refused', 'unbind@vfio-pci:fail'),
  rolledBack(1, 'no-effect', 'unbind@vfio-pci:lie'),
  rolledBack(1, 'other-driver', 'unbind@vfio-pci:other:times=1'),
  stuck('write-stuck', 1, 'unbind@vfio-pci:hang'),
  rolledBack(2, 'write-refused', 'bind:fail'),
  rolledBack(2, 'no-effect', 'bind:lie'),
  rolledBack(2, 'other-driver', 'bind:other'),
  stuck('write-stuck', 2, 'bind:hang'),
  stuck('undo-failed', undefined, 'bind:lie', 'probe:lie'),
];

for (const one of RELEASING) {
  t.test(`release, ${one.faults.join(' ')}`, { buffered: true }, async (t) => {
    const place = await scene(t);
    const [helper, sysfs] = [impatient(place), await Sysfs.open(place.sysfs)];
    await bind(helper, sysfs, { name: NAME, bdf: BDF, policy: POLICY });
    const bound = picture(place.sysfs);
    place.kernel.setFaults(one.faults);
    checkError(t, await attempt(release(helper, sysfs, { bdf: BDF })), one);
    place.kernel.setFaults([]);
    if (one.code === 'E_BIND_STUCK') await recovered(t, place, helper, sysfs, one);
    t.strictSame(picture(place.sysfs), bound, 'it is bound as before');
    t.ok(picture(place.state)['grants/1.json'], 'and its grant still holds');
    await release(helper, sysfs, { bdf: BDF });
    t.strictSame(picture(place.sysfs), place.untouched);
  });
}

t.test('stopped by a signal between two steps', async (t) => {
  const place = await scene(t);
  const stopping = new AbortController();
  const error = await attempt(
    bind(impatient(place), await Sysfs.open(place.sysfs), {
      ...{ name: NAME, bdf: BDF, policy: POLICY, signal: stopping.signal },
      onStep(text) {
        if (text.startsWith('step 2')) stopping.abort(new IronError('E_CANCELLED', 'stopped'));
      },
    }),
  );
  // The step that was begun is finished; the next one is not begun.
  t.equal(error?.context.step, 3);
  t.equal(
    toIronError(error, stopping.signal).code,
    'E_BIND_ROLLED_BACK',
    'also as the user sees it',
  );
  t.strictSame(picture(place.sysfs), place.untouched);
});

t.test('a write that hangs is left alone', async (t) => {
  const place = await scene(t, { faults: ['unbind:hang'] });
  const secret = join(place.folder, 'secret');
  writeFileSync(secret, 'a descriptor that the agent was started with');
  const fd = openSync(secret, 'r');
  const child = spawn(
    process.execPath,
    [
      ...['bin/ironport-agent.js', 'apply', NAME, ...place.device, '--policy', POLICY],
      ...['--write-timeout', '1', '--json'],
    ],
    { stdio: ['ignore', 'pipe', 'inherit', fd] },
  );
  closeSync(fd);
  const output = text(child.stdout as NodeJS.ReadableStream);
  // The write never ends: that the agent does is what shows that it did not wait.
  const status = await new Promise((resolve) => child.on('exit', resolve));
  t.equal(status, 22);
  const { error } = JSON.parse(await output);
  t.equal(error.context.reason, 'write-stuck');
  const pid = error.context.pid as number;

  t.ok(existsSync(`/proc/${pid}`), 'the process that writes is alive');
  const descriptors = readdirSync(`/proc/${pid}/fd`).map((name) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${name}`);
    } catch {
      return 'gone';
    }
  });
  t.ok(descriptors.includes('/dev/null'));
  t.strictSame(
    descriptors.filter((target) => !/^(\/dev\/(null|urandom)|anon_inode:|pipe:|gone)/.test(target)),
    [],
    'it holds no file and no socket of ours',
  );

  for (const command of [
    ['apply', NAME, ...place.device, '--policy', POLICY],
    ['release', ...place.device],
    ['recover', ...place.device.slice(0, 4)],
  ]) {
    const before = picture(place.sysfs);
    refused(t, await agent(...command), 'E_BIND_STUCK', `${command[0]} meanwhile`, 'write-stuck');
    t.strictSame(picture(place.sysfs), before, `${command[0]} touches nothing`);
  }
  const status2 = await agent('status', ...place.device.slice(0, 4));
  t.equal(status2.data.unfinished[0].stuck_process, pid);
  t.ok(existsSync(`/proc/${pid}`), 'and nobody signalled it');

  place.kernel.setFaults([]);
  while (existsSync(`/proc/${pid}`)) await setTimeout(20);
  const recovery = await agent('recover', ...place.device.slice(0, 4));
  t.equal(recovery.data.recovered[0].outcome, 'undone');
  t.strictSame(picture(place.sysfs), place.untouched);
});
