/** Room for an incident on a disk that is full: kept by binding, and given up for a device that must stop. */

import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Agent } from '../../agent/agent.ts';
import type { Confined } from '../../agent/confine.ts';
import { hold } from '../../agent/hold.ts';
import { libc } from '../../agent/host/libc.ts';
import { Sysfs } from '../../agent/host/sysfs.ts';
import { loadIncidents } from '../../agent/quarantine/store.ts';
import { agentState } from '../../shared/layout.ts';
import { QUARANTINE_LIMITS } from '../../shared/limits.ts';
import { DEVICE } from './quarantine-support.ts';
import { BDF, NAME, POLICY, picture, refused, agent as run, scene } from './support.ts';

/** A file system of its own; undefined without the right to mount one. */
function disk(t: Test): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'ironport-disk-'));
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', folder]);
  t.teardown(() => {
    if (status === 0) spawnSync('umount', [folder]);
    rmSync(folder, { recursive: true, force: true });
  });
  return status === 0 ? folder : undefined;
}

t.test('binding keeps room for an incident', async (t) => {
  const place = await scene(t);
  const reserve = join(place.state, agentState.quarantineReserve);
  t.notOk(existsSync(reserve));
  const bind = (): ReturnType<typeof run> =>
    run('apply', NAME, ...place.device, '--policy', POLICY);
  t.equal((await bind()).exit, 0);
  t.equal(statSize(reserve), QUARANTINE_LIMITS.reserve);
  await run('release', ...place.device);
  for (const gone of [() => rmSync(reserve), () => writeFileSync(reserve, 'too little')]) {
    gone();
    t.equal((await bind()).exit, 0);
    t.equal(statSize(reserve), QUARANTINE_LIMITS.reserve, 'again, before each binding');
    await run('release', ...place.device);
  }
});

/** An accepted driver, whose agent has its state on a disk of its own. */
async function onDisk(t: Test, folder: string) {
  const place = await scene(t);
  const state = join(folder, 'state');
  const words = ['--state', state, '--sysfs-root', place.sysfs, '--device', BDF];
  const [handoff, root] = [join(place.folder, 'handoff'), join(place.folder, 'root.json')];
  t.equal((await run('accept', handoff, '--root', root, '--state', state)).exit, 0);
  const fill = (): void => {
    spawnSync('dd', ['if=/dev/zero', `of=${join(folder, 'rest')}`, 'bs=4096']);
    t.equal(statfsSync(folder).bfree, 0, 'not a block is left');
  };
  return {
    ...{ place, state, fill },
    apply: () => run('apply', NAME, ...words, '--policy', POLICY),
    status: () => run('status', ...words.slice(0, 4)),
    clear: () => rmSync(join(folder, 'rest')),
  };
}

t.test('a disk that is full binds nothing', async (t) => {
  const folder = disk(t);
  if (folder === undefined) {
    t.pass('no right to mount', { skip: 'no right to mount a tmpfs' });
    return;
  }
  const { place, fill, clear, apply, status } = await onDisk(t, folder);
  const untouched = picture(place.sysfs);
  fill();
  refused(t, await apply(), 'E_NO_SPACE', 'there is no room to write it down');
  t.strictSame(picture(place.sysfs), untouched, 'and nothing was touched');
  t.strictSame((await status()).data.bindings, []);
  clear();
  t.equal((await apply()).exit, 0, 'control: with room for it, it is bound');
});

t.test('a device that is held is braked all the same', async (t) => {
  const folder = disk(t);
  if (folder === undefined) {
    t.pass('no right to mount', { skip: 'no right to mount a tmpfs' });
    return;
  }
  const { place, state, fill, apply } = await onDisk(t, folder);
  t.equal((await apply()).exit, 0);
  const calls: string[] = [];
  const events = { error: libc().eventfd(), request: libc().eventfd(), vectors: [] };
  const confined = {
    ...{ device: BDF, backend: 'iommufd', events, notes: [], memories: [] },
    brake: () => void calls.push('brake'),
    end: async () => {
      calls.push('end');
      return [];
    },
  } as unknown as Confined;
  const agent = new Agent({ state });
  const named = { device: DEVICE, sysfs: await Sysfs.open(place.sysfs) };
  const { signal } = new AbortController();
  const held = hold({ agent, confined, named, signal, onLost: () => {} });
  fill();
  writeSync(events.error, new Uint8Array(new BigUint64Array([1n]).buffer));
  t.equal((await held).why, 'device-error');
  t.strictSame(calls, ['brake', 'end']);
  t.match(await loadIncidents(agent), [{ level: 'hard', reason: 'it reported an error' }]);
  for (const fd of [events.error, events.request]) closeSync(fd);
});

t.test('a disk that is full when a device must go into quarantine', async (t) => {
  const folder = disk(t);
  if (folder === undefined) {
    t.pass('no right to mount', { skip: 'no right to mount a tmpfs' });
    return;
  }
  const place = await scene(t);
  const state = ['--state', join(folder, 'state')];
  const device = [...state, '--sysfs-root', place.sysfs, '--device', BDF];
  const [handoff, root] = [join(place.folder, 'handoff'), join(place.folder, 'root.json')];
  t.equal((await run('accept', handoff, '--root', root, ...state)).exit, 0);
  t.equal((await run('apply', NAME, ...device, '--policy', POLICY)).exit, 0);
  spawnSync('dd', ['if=/dev/zero', `of=${join(folder, 'rest')}`, 'bs=4096']);
  t.equal(statfsSync(folder).bfree, 0, 'not a block is left');

  const entered = await run('quarantine', 'enter', ...device, '--reason', 'it lies');
  t.match(entered.data, { level: 'hard', device: { path: BDF } }, entered.error?.message);
  const files = readdirSync(join(folder, 'state/quarantine'));
  t.ok(files.includes(`${entered.data?.incident}.json`), 'it is written down');
  t.notOk(files.includes('reserve'), 'into the room that was kept');
  refused(t, await run('release', ...device), 'E_QUARANTINED', 'and it counts');

  spawnSync('dd', ['if=/dev/zero', `of=${join(folder, 'more')}`, 'bs=4096']);
  refused(
    t,
    await run('quarantine', 'enter', ...device, '--reason', 'again'),
    'E_NO_SPACE',
    'what cannot be added any more is told',
  );
  t.match((await run('quarantine', 'list', ...state)).data.incidents, [{ reason: 'it lies' }]);
  for (const name of ['rest', 'more']) rmSync(join(folder, name));
  const again = await run('quarantine', 'enter', ...device, '--reason', 'again');
  t.match(again.data, { incident: entered.data.incident, again: { times: 1, reason: 'again' } });
});

function statSize(path: string): number {
  return existsSync(path) ? statSync(path).size : -1;
}
