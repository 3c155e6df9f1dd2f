/** The helper does what the commands do, by what it keeps itself. */

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { linesOf, putPolicy, startHelper } from './helper-support.ts';
import { agent, apply, BDF, NAME, picture, refused, scene } from './support.ts';

t.test('the whole way of a driver through the helper', async (t) => {
  const place = await scene(t);
  const { repository, sysfs, untouched } = place;
  const served = await startHelper(t, place);
  const { via, spool } = served;

  refused(t, await via('apply', NAME, '--device', BDF), 'E_POLICY', 'no policy was signed');
  await putPolicy(served, 'fleet.json');
  const taken = await via('policy', 'accept', 'fleet.json');
  t.match(taken.data, { version: 1, again: false, entries: 1 });
  t.equal(taken.data.signers.length, 2);
  t.equal((await via('policy', 'accept', 'fleet.json')).data.again, true);

  await repository.add({ path: 'acme/edu/1.1.0/edu-driver.mjs' });
  repository.handOver(join(spool, 'edu-1.1.0'), 'acme/edu/1.1.0/edu-driver.mjs');
  const accepted = await via('accept', 'edu-1.1.0');
  t.equal(accepted.data?.path, 'acme/edu/1.1.0/edu-driver.mjs');

  t.same((await via('list')).data, (await agent('list', ...place.device.slice(0, 4))).data);
  const planned = await via('plan', NAME, '--device', BDF);
  const here = await agent('plan', NAME, ...place.device, '--fleet-keys', served.fleet);
  t.same(planned.data.plan, here.data.plan, 'the same document');
  t.same(Object.keys(planned.data), Object.keys(here.data));
  t.equal((await via('why', NAME, '--device', BDF)).data.bindable, true);

  const bound = await via('apply', NAME, '--device', BDF);
  t.equal(bound.data?.bound_to, 'vfio-pci', JSON.stringify(bound.error));
  t.equal((await via('receipt', 'show', '--device', BDF)).exit, 0);
  const status = await via('status');
  t.equal(status.data.bindings[0].grant_sha256, bound.data.grant_sha256);
  const [helper] = status.data.processes;
  t.match(helper, { role: 'helper', pid: process.pid, device: null });
  t.ok(helper.resident_bytes > 2 ** 20);

  const entered = await via('quarantine', 'enter', '--device', BDF, '--reason', 'it lies');
  t.equal(entered.data?.level, 'hard', JSON.stringify(entered.error));
  refused(t, await via('release', '--device', BDF), 'E_QUARANTINED', 'it stays there');
  const { incidents } = (await via('quarantine', 'list')).data;
  t.equal((await via('quarantine', 'show', incidents[0].incident)).data.reason, 'it lies');
  await served.stop();

  const changes = linesOf(place).filter(({ event }) => event === 'request');
  t.same(
    changes.map(({ command, verdict }) => `${command} ${verdict}`),
    [
      ...['apply E_POLICY', 'policy accept ok', 'policy accept ok', 'accept ok', 'apply ok'],
      ...['quarantine enter ok', 'release E_QUARANTINED'],
    ],
    'each has its line',
  );
  t.ok(changes.every(({ user, pid }) => user === process.getuid?.() && pid === process.pid));
  const counted = linesOf(place).filter(({ event }) => event === 'requests');
  t.ok(counted.some(({ command, verdict }) => command === 'plan' && verdict === 'ok'));
  t.notSame(picture(sysfs), untouched, 'control: the tree was changed');
});

t.test('a device is given back through the helper, exactly', async (t) => {
  const place = await scene(t);
  const served = await startHelper(t, place);
  await putPolicy(served, 'fleet.json');
  await served.via('policy', 'accept', 'fleet.json');
  await served.via('apply', NAME, '--device', BDF);
  t.equal((await served.via('release', '--device', BDF)).exit, 0);
  t.same(picture(place.sysfs), place.untouched);
});

t.test('what only the helper decides cannot be said', async (t) => {
  const place = await scene(t);
  const { via } = await startHelper(t, place);
  for (const words of [
    ['--state', '/elsewhere'],
    ['--sysfs-root', '/elsewhere'],
    ['--policy', '/etc/mine.json'],
    ['--backend', 'iommufd'],
    ['--cgroup', '/sys/fs/cgroup'],
  ])
    refused(t, await via('apply', NAME, '--device', BDF, ...words), 'E_USAGE', words.join(' '));
  refused(t, await via('accept', '../people'), 'E_USAGE', 'a path is no entry');
  refused(t, await via('accept', '/etc'), 'E_USAGE', 'nor is one from the root');
  refused(
    t,
    await via('quarantine', 'enter', '--device', BDF, '--reason', 'x', '--level', 'tomb'),
    'E_USAGE',
    'what would take a device out of the machine',
  );
});

t.test('a device is held by a process of its own', async (t) => {
  const place = await scene(t);
  const served = await startHelper(t, place);
  await putPolicy(served, 'fleet.json');
  await served.via('policy', 'accept', 'fleet.json');
  // There is no VFIO in a played tree, which the holder says, and the helper passes on.
  const held = await served.via('apply', NAME, '--device', BDF, '--hold');
  refused(t, held, 'E_USAGE', 'its refusal comes through');
  t.match(held.error.message, /no VFIO in this tree/);
  refused(
    t,
    await served.via('apply', NAME, '--device', BDF, '--hold', '--run'),
    'E_CONFIG',
    'nothing is run without a control group',
  );
  t.equal((await served.via('apply', NAME, '--device', BDF)).exit, 0, 'nothing is in the way');
});

t.test('one state has one helper, and a socket that was left is no obstacle', async (t) => {
  const place = await scene(t);
  const served = await startHelper(t, place);
  const words = ['--state', place.state, '--spool', served.spool];
  refused(
    t,
    await agent('helper', ...words, '--socket', join(place.folder, 'second.sock')),
    'E_LOCKED',
    'a second one',
  );
  await served.stop();
  const again = await startHelper(t, place);
  t.equal((await again.via('status')).exit, 0);
  rmSync(served.socket);
});

t.test('the commands themselves bind by the policy that was taken', async (t) => {
  const place = await scene(t);
  const served = await startHelper(t, place);
  await putPolicy(served, 'fleet.json');
  await served.via('policy', 'accept', 'fleet.json');
  await served.stop();
  const { data } = await agent('apply', NAME, ...place.device, '--fleet-keys', served.fleet);
  t.equal(data.bound_to, 'vfio-pci');
  await agent('release', ...place.device);
  t.equal((await apply(place)).exit, 0, 'a file that is named comes before it');
});
