/** Room for an incident on a disk that is full: kept by binding, and given up for a device that must stop. */

import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { agentState } from '../../shared/layout.ts';
import { QUARANTINE_LIMITS } from '../../shared/limits.ts';
import { BDF, NAME, POLICY, refused, agent as run, scene } from './support.ts';

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
