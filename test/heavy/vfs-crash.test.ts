/** `kill -9` of the agent around every durable write while virtual functions are made and removed. */

import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { agent, NAME, picture, refused } from '../agent/support.ts';
import { create, PF, remove, VFS, type VfScene, vfScene } from '../agent/vfs-support.ts';

t.setTimeout(600_000);
t.jobs = 4;

const CHILD = fileURLToPath(new URL('../agent/crash-child.ts', import.meta.url));
const JOURNAL = 'journal/0000%3A00%3A06.0.jsonl';
const SET = 'virtual-functions/0000%3A00%3A06.0.json';

/** Runs the agent until it kills itself; returns the signal, or null when it came to its end. */
function crash(place: VfScene, what: string, number: number, when: string): Promise<string | null> {
  const args = [CHILD, what, place.state, place.sysfs, String(number), when, place.policy];
  const child = spawn(process.execPath, args, { stdio: 'inherit' });
  return new Promise((resolve) => child.on('exit', (_, signal) => resolve(signal)));
}

const recover = (place: VfScene) => agent('recover', ...place.device.slice(0, 4));

/** What an administrator writes by hand, and the kernel's answer to it. */
async function write(t: Test, place: VfScene, name: string, value: string): Promise<void> {
  const path = join(place.sysfs, 'devices', 'pci0000:00', PF, name);
  writeFileSync(path, value);
  while (readFileSync(path, 'utf8') !== `${value}\n`) await setTimeout(10);
  t.pass(`${name} is ${value}`);
}

/** From none: begin, 2 times intent and done, end. From one: 3 times. */
for (const [there, last] of [
  [0, 6],
  [1, 8],
] as const) {
  for (let number = 1; number <= last; number++) {
    for (const when of ['before', 'after']) {
      t.test(`made where ${there} are, ${when} write ${number}`, { buffered: true }, async (t) => {
        const place = await vfScene(t);
        if (there > 0) {
          await write(t, place, 'sriov_drivers_autoprobe', '0');
          await write(t, place, 'sriov_numvfs', String(there));
          await write(t, place, 'sriov_drivers_autoprobe', '1');
        }
        const before = picture(place.sysfs);
        t.equal(await crash(place, 'vfs-create', number, when), 'SIGKILL');
        const recovery = await recover(place);
        t.equal(recovery.exit, 0, recovery.error?.message);
        // The file of the set is written before the journal ends: from then on it counts.
        const isMade = number === last;
        const state = picture(place.state);
        t.equal(state[SET] !== undefined, isMade);
        t.equal(state[JOURNAL], undefined);
        if (isMade) t.equal((await remove(place)).exit, 0);
        t.strictSame(picture(place.sysfs), before, 'the tree is as before, byte for byte');
        if (number % 3 === 0) t.strictSame((await create(place, 2)).data?.vfs, VFS.slice(0, 2));
        t.equal((await agent('audit', 'verify', '--state', place.state)).exit, 0);
      });
    }
  }
}

// begin, 2 times intent and done, end.
for (let number = 1; number <= 6; number++) {
  for (const when of ['before', 'after']) {
    t.test(`removed, ${when} write ${number}`, { buffered: true }, async (t) => {
      const place = await vfScene(t);
      t.equal((await create(place, 2)).exit, 0);
      const made = picture(place.sysfs);
      t.equal(await crash(place, 'vfs-remove', number, when), 'SIGKILL');
      t.equal((await recover(place)).exit, 0);
      const isRemoved = number === 6;
      t.strictSame(picture(place.sysfs), isRemoved ? place.untouched : made);
      if (!isRemoved) t.equal((await remove(place)).exit, 0);
      t.strictSame(picture(place.sysfs), place.untouched);
    });
  }
}

t.test('binding one first recovers its physical function', async (t) => {
  const place = await vfScene(t);
  // Both are there, and nothing says yet that they count.
  t.equal(await crash(place, 'vfs-create', 5, 'after'), 'SIGKILL');
  const [vf = ''] = VFS;
  t.ok(existsSync(join(place.sysfs, 'bus', 'pci', 'devices', vf)));
  const device = [...place.device.slice(0, 4), '--device', vf, '--policy', place.policy];
  refused(t, await agent('apply', NAME, ...device), 'E_NOT_FOUND', 'it is gone again');
  t.strictSame(picture(place.sysfs), place.untouched);
});

t.test('a journal of another boot is closed, and nothing is undone', async (t) => {
  const place = await vfScene(t);
  t.equal(await crash(place, 'vfs-create', 4, 'after'), 'SIGKILL');
  const path = join(place.state, JOURNAL);
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  writeFileSync(path, readFileSync(path, 'utf8').replace(boot, 'another boot'));
  const before = picture(place.sysfs);
  t.match((await recover(place)).data.recovered, [{ device: PF, outcome: 'closed' }]);
  t.strictSame(picture(place.sysfs), before);
});
