/** `kill -9` of the agent around every durable write, and in the middle of the writes that wait. */

import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import {
  agent,
  apply,
  BDF,
  NAME,
  POLICY,
  picture,
  refused,
  type Scene,
  scene,
} from '../agent/support.ts';

t.setTimeout(600_000);
t.jobs = 4;

const CHILD = fileURLToPath(new URL('../agent/crash-child.ts', import.meta.url));
const JOURNAL = 'journal/0000%3A00%3A05.0.jsonl';

/** Runs the agent until it kills itself; returns the signal, or null when it came to its end. */
function crash(place: Scene, what: string, number: number, when: string): Promise<string | null> {
  const args = [CHILD, what, place.state, place.sysfs, String(number), when];
  const child = spawn(process.execPath, args, { stdio: 'inherit' });
  return new Promise((resolve) => child.on('exit', (_, signal) => resolve(signal)));
}

const recover = (place: Scene) => agent('recover', ...place.device.slice(0, 4));

// begin, 4 times intent and done, end; the tenth leaves nothing to recover.
for (let number = 1; number <= 10; number++) {
  for (const when of ['before', 'after']) {
    t.test(`bind, ${when} write ${number}`, { buffered: true }, async (t) => {
      const place = await scene(t);
      t.equal(await crash(place, 'bind', number, when), 'SIGKILL');
      const recovery = await recover(place);
      t.equal(recovery.exit, 0, recovery.error?.message);
      // The binding file is written before the journal ends: from then on it counts.
      const isBound = number === 10;
      const state = picture(place.state);
      t.equal(state['bindings/0000%3A00%3A05.0.json'] !== undefined, isBound);
      t.equal(state['grants/1.json'] !== undefined, isBound, 'a grant lives with its binding');
      t.equal(state[JOURNAL], undefined);
      if (isBound) await agent('release', ...place.device);
      t.strictSame(picture(place.sysfs), place.untouched, 'the tree is as before, byte for byte');
      if (number % 5 === 0) {
        const again = await apply(place);
        t.equal(again.data?.grant.resource_manifest.iommu_domain, 2, 'no number comes back');
      }
      t.equal((await agent('audit', 'verify', '--state', place.state)).exit, 0);
    });
  }
}

// begin, 2 times intent and done, end.
for (let number = 1; number <= 6; number++) {
  for (const when of ['before', 'after']) {
    t.test(`release, ${when} write ${number}`, { buffered: true }, async (t) => {
      const place = await scene(t);
      await apply(place);
      const bound = picture(place.sysfs);
      t.equal(await crash(place, 'release', number, when), 'SIGKILL');
      t.equal((await recover(place)).exit, 0);
      const isReleased = number === 6;
      t.strictSame(picture(place.sysfs), isReleased ? place.untouched : bound);
      if (!isReleased) t.equal((await agent('release', ...place.device)).exit, 0);
      t.strictSame(picture(place.sysfs), place.untouched);
    });
  }
}

for (const fault of ['unbind:hang', 'probe:hang']) {
  t.test(`killed while a write waits: ${fault}`, { buffered: true }, async (t) => {
    const place = await scene(t, { faults: [fault] });
    const args = ['bin/ironport-agent.js', 'apply', NAME, ...place.device, '--policy', POLICY];
    const child = spawn(process.execPath, args, { stdio: 'ignore' });
    const step = fault === 'unbind:hang' ? 1 : 3;
    await journalSays(t, place, `{"event":"intent","step":${step},`);
    // The write itself begins a moment later, in a process of its own.
    await setTimeout(300);
    child.kill('SIGKILL');
    await new Promise((resolve) => child.on('exit', resolve));

    const before = picture(place.sysfs);
    refused(t, await recover(place), 'E_BIND_STUCK', 'the write outlives the agent', 'write-stuck');
    t.strictSame(picture(place.sysfs), before, 'and the device is not touched');
    place.kernel.setFaults([]);
    for (let i = 0; i < 100 && (await recover(place)).exit !== 0; i++) await setTimeout(50);
    t.equal(existsSync(join(place.state, JOURNAL)), false);
    t.strictSame(picture(place.sysfs), place.untouched);
  });
}

async function journalSays(t: Test, place: Scene, text: string): Promise<void> {
  const path = join(place.state, JOURNAL);
  for (let i = 0; i < 1000; i++) {
    if (existsSync(path) && readFileSync(path, 'utf8').includes(text)) return;
    await setTimeout(10);
  }
  t.fail(`the journal never said ${text}`);
}

t.test('a journal of another boot is closed, and nothing is undone', async (t) => {
  const place = await scene(t);
  t.equal(await crash(place, 'bind', 7, 'after'), 'SIGKILL');
  const path = join(place.state, JOURNAL);
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const journal = readFileSync(path, 'utf8');
  t.match(journal, boot);
  writeFileSync(path, journal.replace(boot, '00000000-0000-4000-8000-000000000000'));
  const before = picture(place.sysfs);
  t.equal((await recover(place)).data.recovered[0].outcome, 'closed');
  t.strictSame(picture(place.sysfs), before);
});

t.test('a torn last line of the journal is a write that had not begun', async (t) => {
  const place = await scene(t);
  t.equal(await crash(place, 'bind', 4, 'after'), 'SIGKILL');
  const path = join(place.state, JOURNAL);
  writeFileSync(path, `${readFileSync(path, 'utf8')}{"event":"done","st`);
  t.equal((await recover(place)).data.recovered[0].outcome, 'undone');
  t.strictSame(picture(place.sysfs), place.untouched);
});

t.test('a damaged journal stops everything at its device', async (t) => {
  const place = await scene(t);
  t.equal(await crash(place, 'bind', 4, 'after'), 'SIGKILL');
  const path = join(place.state, JOURNAL);
  writeFileSync(path, readFileSync(path, 'utf8').replace('"intent"', '"indent"'));
  const before = picture(place.sysfs);
  refused(t, await apply(place), 'E_STORE', 'apply');
  t.strictSame(picture(place.sysfs), before);
});

t.test('a binding of another boot is released without touching the device', async (t) => {
  const place = await scene(t);
  await apply(place);
  const path = join(place.state, 'bindings', '0000%3A00%3A05.0.json');
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  writeFileSync(path, readFileSync(path, 'utf8').replace(boot, 'another boot'));
  const before = picture(place.sysfs);
  const released = await agent('release', ...place.device);
  t.strictSame(released.data.plan.steps, []);
  t.strictSame(picture(place.sysfs), before);
  t.equal(existsSync(path), false);
  t.equal(BDF, released.data.device);
});

const NEXT = 'acme/edu/1.1.0/edu-driver.mjs';

// Release: begin, 2 times intent and done, end; bind: begin, 4 times intent and done, end.
for (let number = 1; number <= 16; number++) {
  for (const when of ['before', 'after']) {
    t.test(`upgrade, ${when} write ${number}`, { buffered: true }, async (t) => {
      const place = await scene(t);
      await apply(place);
      const bound = picture(place.sysfs);
      await place.repository.add({ path: NEXT });
      const folder = place.repository.handOver(join(place.folder, 'next'), NEXT);
      t.equal((await agent('accept', folder, '--state', place.state)).exit, 0);
      t.equal(await crash(place, 'upgrade', number, when), 'SIGKILL');
      const recovery = await recover(place);
      t.equal(recovery.exit, 0, recovery.error?.message);
      const { data } = await agent('status', ...place.device.slice(0, 4));
      // The binding file of the new one is written before its journal ends.
      t.equal(data.bindings[0]?.driver, number === 16 ? NEXT : NAME);
      t.strictSame(data.unfinished, []);
      t.equal(data.bindings.length, 1);
      t.strictSame(picture(place.sysfs), bound, 'bound for one of the two, at every step');
      t.equal((await agent('release', ...place.device)).exit, 0);
      t.strictSame(picture(place.sysfs), place.untouched);
      t.equal((await agent('audit', 'verify', '--state', place.state)).exit, 0);
    });
  }
}

t.test('an upgrade of another boot is closed, and what is declared decides', async (t) => {
  const place = await scene(t);
  await apply(place, '--keep');
  await place.repository.add({ path: NEXT });
  const folder = place.repository.handOver(join(place.folder, 'next'), NEXT);
  t.equal((await agent('accept', folder, '--state', place.state)).exit, 0);
  // Between the two: given back, and bound for neither.
  t.equal(await crash(place, 'upgrade', 6, 'after'), 'SIGKILL');
  const path = join(place.state, 'upgrades', '0000%3A00%3A05.0.json');
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  writeFileSync(path, readFileSync(path, 'utf8').replace(boot, 'another boot'));
  const before = picture(place.sysfs);
  const { recovered } = (await recover(place)).data;
  t.match(recovered, [{ outcome: 'upgrade closed' }]);
  t.strictSame(picture(place.sysfs), before);
  const restored = await agent('restore', ...place.device);
  t.match(restored.data.restored, [{ driver: NAME, outcome: 'bound' }]);
});
