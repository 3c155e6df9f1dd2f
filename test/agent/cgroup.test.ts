/** Control groups, as far as plain folders show: what is refused, and what is bounded. */

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { limitGroup, makeCgroup } from '../../agent/host/cgroup.ts';
import { endGroupsIn } from '../../agent/host/left-groups.ts';
import { readOutOfMemory } from '../../agent/host/out-of-memory.ts';
import { leaveGroup } from '../../agent/host/own-cgroup.ts';

t.test('who makes groups leaves the one that was given to it', async (t) => {
  const parent = t.testdir({ 'cgroup.procs': `1\n${process.pid}\n` });
  t.equal(leaveGroup(parent, 'helper'), true);
  t.equal(readFileSync(`${parent}/helper/cgroup.procs`, 'utf8'), String(process.pid));
  writeFileSync(`${parent}/cgroup.procs`, `1\n${process.pid}1\n`);
  t.equal(leaveGroup(parent, 'other'), false, 'it is not in there');
  t.notOk(existsSync(`${parent}/other`));
  t.throws(() => leaveGroup(`${parent}/none`, 'helper'), { code: 'E_AGENT_REFUSED' });
});

t.test('a folder is no control group', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ironport-cgroup-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const make = () => makeCgroup(folder, 'driver', { memoryBytes: 1 << 26, processes: 8 }, 'group');
  const refused = { code: 'E_AGENT_REFUSED', context: { reason: 'cgroup' } };
  t.throws(make, refused, 'none at all');
  writeFileSync(join(folder, 'cgroup.controllers'), 'memory pids\n');
  writeFileSync(join(folder, 'cgroup.subtree_control'), 'memory pids\n');
  t.throws(make, refused, 'without events');
  t.notOk(existsSync(join(folder, 'driver')), 'nothing is left');
  writeFileSync(join(folder, 'cgroup.controllers'), 'hugetlb\n');
  t.throws(
    () => makeCgroup(folder, 'driver', { memoryBytes: 1 << 26, processes: 8 }, 'limits'),
    { ...refused, why: /no memory and no pids/ },
    'without controllers',
  );
});

t.test('memory that is swapped out is bounded too, or there is no group', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ironport-cgroup-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  for (const file of ['pids.max', 'memory.max', 'memory.oom.group'])
    writeFileSync(join(folder, file), '');
  const swaps = join(folder, 'swaps');
  const bound = (missing: readonly string[] = []) =>
    limitGroup(folder, { memoryBytes: 1 << 26, processes: 8 }, missing, swaps);
  bound();
  t.equal(readFileSync(join(folder, 'memory.max'), 'utf8'), String(1 << 26));
  writeFileSync(swaps, 'Filename Type Size Used Priority\n');
  bound();
  writeFileSync(swaps, 'Filename Type Size Used Priority\n/dev/sda2 partition 8 0 -2\n');
  const refused = { code: 'E_AGENT_REFUSED', context: { reason: 'cgroup' } };
  t.throws(() => bound(), { ...refused, why: /swapped out/ });
  bound(['memory']);
  writeFileSync(join(folder, 'memory.swap.max'), '');
  bound();
  t.equal(readFileSync(join(folder, 'memory.swap.max'), 'utf8'), '0');
  rmSync(swaps);
  rmSync(join(folder, 'memory.swap.max'));
  mkdirSync(swaps);
  t.throws(() => bound(), refused, 'what cannot be read is no proof');
});

t.test('what an agent left, where that cannot be told', async (t) => {
  const folder = t.testdir({ file: '' });
  t.strictSame(await endGroupsIn(`${folder}/none`, () => true), { ended: [], stuck: [] });
  await t.rejects(
    endGroupsIn(`${folder}/file`, () => true),
    { code: 'E_IO', message: /file failed/, why: 'a part of the path is not a folder' },
    'in words, and with its place',
  );
});

t.test('whose want of memory the kernel ended something for', (t) => {
  const events = (text: string): unknown =>
    readOutOfMemory(t.testdir({ 'memory.events': `low 0\nhigh 0\nmax 4\n${text}` }));
  t.equal(events('oom 0\noom_kill 0\noom_group_kill 0\n'), undefined);
  t.equal(events('oom 3\noom_kill 0\noom_group_kill 0\n'), undefined, 'it went without');
  t.equal(events('oom 1\noom_kill 2\noom_group_kill 1\n'), 'limit');
  t.equal(events('oom 0\noom_kill 2\noom_group_kill 1\n'), 'host');
  t.equal(events('nonsense'), undefined);
  t.equal(readOutOfMemory(t.testdir()), undefined, 'without the controller');
  t.end();
});
