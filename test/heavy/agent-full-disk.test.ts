// An agent whose state is on a file system that fills up. Mounts a tmpfs, which takes root; without
// that right the test says so and is skipped.

import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { agent, apply, picture, refused, scene } from '../agent/support.ts';

const disk = mkdtempSync(join(tmpdir(), 'ironport-agent-disk-'));
const canMount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk]).status === 0;
t.teardown(() => {
  if (canMount) spawnSync('umount', [disk]);
  rmSync(disk, { recursive: true, force: true });
});
const skip = canMount ? false : 'no right to mount a tmpfs';

/** Leaves no room at all. */
function fill(): void {
  const { bavail, bsize } = statfsSync(disk);
  writeFileSync(join(disk, 'ballast'), Buffer.alloc(bavail * bsize));
}

t.test('a full disk refuses new bindings, and lets go what is bound', { skip }, async (t) => {
  const place = await scene(t);
  const state = join(disk, 'state');
  cpSync(place.state, state, { recursive: true });
  const device = place.device.map((word) => (word === place.state ? state : word));
  const there = { ...place, state, device };
  fill();
  refused(t, await apply(there), 'E_NO_SPACE', 'nothing is bound that cannot be written down');
  t.strictSame(picture(place.sysfs), place.untouched, 'the device was not touched');
  rmSync(join(disk, 'ballast'));
  t.equal((await apply(there)).exit, 0, 'the control');
  t.equal((await agent('audit', 'verify', '--state', state)).exit, 0, 'the chain is whole');
});

t.test('a full disk keeps an incident all the same', { skip }, async (t) => {
  const place = await scene(t);
  const state = join(disk, 'other');
  cpSync(place.state, state, { recursive: true });
  const device = place.device.map((word) => (word === place.state ? state : word));
  const there = { ...place, state, device };
  t.equal((await apply(there)).exit, 0);
  fill();
  const entered = await agent('quarantine', 'enter', '--reason', 'it lies', ...device);
  t.equal(entered.exit, 0, entered.error?.message);
  t.strictSame(entered.data.problems, [], 'the override is set');
  refused(t, await agent('release', ...device), 'E_QUARANTINED', 'it is written down');
  rmSync(join(disk, 'ballast'));
  const tree = device.slice(0, 4);
  t.equal((await agent('quarantine', 'enforce', ...tree)).exit, 0);
  const listed = await agent('quarantine', 'list', '--state', state);
  t.type(listed.data.incidents[0].audit.seq, 'number', 'its line is there once there is room');
  t.equal((await agent('audit', 'verify', '--state', state)).exit, 0);
});
