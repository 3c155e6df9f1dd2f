/** Virtual functions: made, shared out, bound, released and removed; and what stands against each. */

import { existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { VF_GATES } from '../../agent/vfs/gates.ts';
import { parseVfSet } from '../../agent/vfs/set.ts';
import { utf8 } from '../../shared/bytes.ts';
import { acceptedFile, agentState } from '../../shared/layout.ts';
import { eventsOf } from './quarantine-support.ts';
import { agent, NAME, picture, refused } from './support.ts';
import {
  create,
  EACH,
  PF,
  PF_CEILING,
  PF_NAME,
  policyOf,
  RULES,
  remove,
  VFS,
  type VfScene,
  vfScene,
} from './vfs-support.ts';

t.setTimeout(600_000);
t.jobs = 4;

const folderOf = (place: VfScene, bdf: string): string =>
  join(place.sysfs, 'devices', 'pci0000:00', bdf);
const attribute = (place: VfScene, name: string, bdf = PF): string =>
  readFileSync(join(folderOf(place, bdf), name), 'utf8');
const at = (place: VfScene, bdf: string): string[] => [
  ...place.device.slice(0, 4),
  ...['--device', bdf],
];
const applyTo = (place: VfScene, bdf: string) =>
  agent('apply', NAME, ...at(place, bdf), '--policy', place.policy);

t.test('two are made, bound, released and removed, and the tree is as before', async (t) => {
  const place = await vfScene(t);
  const wanted = [...place.pf, '--count', '2', '--policy', place.policy];
  const plan = await agent('vfs', 'plan', PF_NAME, ...wanted);
  t.equal(plan.exit, 0, plan.error?.message);
  t.strictSame(
    plan.data.plan.steps.map((step: { path: string; write: string }) => [step.path, step.write]),
    [
      [`bus/pci/devices/${PF}/sriov_drivers_autoprobe`, '0'],
      [`bus/pci/devices/${PF}/sriov_numvfs`, '2'],
    ],
  );
  t.strictSame(
    plan.data.plan.steps.map((step: { inverse: { write: string }[] }) =>
      step.inverse.map(({ write }) => write),
    ),
    [['1'], ['0']],
  );
  t.strictSame(picture(place.sysfs), place.untouched, 'a plan changes nothing');

  const made = await create(place, 2);
  t.equal(made.exit, 0, made.error?.message);
  t.strictSame(made.data.vfs, VFS.slice(0, 2));
  t.strictSame(made.data.budget, {
    dma_bytes: '0x8000',
    mmio_bytes: '0x2000',
    interrupts_per_second: 250,
  });
  t.equal(attribute(place, 'sriov_numvfs'), '2\n');
  t.equal(attribute(place, 'sriov_drivers_autoprobe'), '0\n');
  t.ok(existsSync(join(folderOf(place, PF), 'driver')), 'the physical function keeps its driver');
  for (const vf of VFS.slice(0, 2))
    t.notOk(existsSync(join(folderOf(place, vf), 'driver')), 'no driver of the host has it');
  refused(t, await create(place, 2), 'E_NOTHING_TO_DO', 'a second time');
  refused(t, await create(place, 3), 'E_CONFLICT', 'another number');

  const before = picture(place.sysfs);
  let granted = 0;
  for (const vf of VFS.slice(0, 2)) {
    const { data, error } = await applyTo(place, vf);
    t.equal(error, undefined, error?.message);
    t.strictSame(data.grant.vf_budget, made.data.budget);
    granted += Number(data.grant.dma.total_bytes);
    t.equal(data.grant.interrupts.per_second_budget, 250);
  }
  t.equal(granted, 0x10000, 'together what the policy gives to all');
  const status = await agent('status', ...place.device.slice(0, 4));
  t.match(status.data.virtual_functions, [
    { device: PF, driver: PF_NAME, vfs: VFS.slice(0, 2), state: 'as they were made' },
  ]);
  t.equal(status.data.bindings.length, 2);
  const list = await agent('list', ...place.device.slice(0, 4));
  const pf = list.data.devices.find(({ address }: { address: string }) => address === PF);
  t.strictSame(pf.sriov, {
    ...{ total_vfs: 4, num_vfs: 2, drivers_autoprobe: false },
    vfs: VFS.slice(0, 2),
  });
  const whole = await agent('apply', PF_NAME, ...place.pf, '--policy', place.policy);
  refused(t, whole, 'E_PHYSICAL_FUNCTION', 'where a virtual one was meant');

  refused(t, await remove(place), 'E_VF_IN_USE', 'while they are bound');
  for (const vf of VFS.slice(0, 2)) {
    const released = await agent('release', ...at(place, vf));
    t.equal(released.exit, 0, released.error?.message);
  }
  t.strictSame(picture(place.sysfs), before, 'as they were made');
  const removed = await remove(place);
  t.equal(removed.exit, 0, removed.error?.message);
  t.strictSame(picture(place.sysfs), place.untouched, 'byte for byte');
  refused(t, await remove(place), 'E_NOT_FOUND', 'there are none any more');
  t.equal((await agent('audit', 'verify', '--state', place.state)).exit, 0);
  const log = readFileSync(join(place.state, 'audit.jsonl'), 'utf8');
  for (const event of ['vfs-made', 'vfs-removed']) t.match(log, `"event":"${event}"`);
});

t.test(
  'idle ones that were there are replaced through none, and are there afterwards',
  async (t) => {
    const place = await vfScene(t);
    // By hand, as an administrator does.
    const write = async (name: string, value: string): Promise<void> => {
      writeFileSync(join(folderOf(place, PF), name), value);
      for (let i = 0; i < 500 && attribute(place, name) !== `${value}\n`; i++)
        await new Promise((resolve) => setTimeout(resolve, 10));
      t.equal(attribute(place, name), `${value}\n`);
    };
    await write('sriov_drivers_autoprobe', '0');
    await write('sriov_numvfs', '1');
    await write('sriov_drivers_autoprobe', '1');
    const before = picture(place.sysfs);
    const made = await create(place, 3);
    t.equal(made.exit, 0, made.error?.message);
    t.strictSame(
      made.data.plan.steps.map(({ write }: { write: string }) => write),
      ['0', '0', '3'],
    );
    t.equal(attribute(place, 'sriov_numvfs'), '3\n');
    const removed = await remove(place);
    t.strictSame(
      removed.data.plan.steps.map(({ write }: { write: string }) => write),
      ['0', '1', '1'],
      'the one comes back while autoprobe is off still',
    );
    t.strictSame(picture(place.sysfs), before);
  },
);

t.test('what is refused, and nothing changes', async (t) => {
  const cases: readonly [string, string, Parameters<typeof vfScene>[1], number?][] = [
    ['E_NO_SRIOV', 'no SR-IOV', { pf: withoutSriov() }],
    ['E_VF_COUNT', 'more than the device has', { pf: totalOf(1) }],
    ['E_VF_COUNT', 'more than the ceiling has', {}, 4],
    ['E_VF_COUNT', 'more than the policy has', { rules: { ...RULES, count_max: 1 } }],
    ['E_PF_NO_DRIVER', 'no driver', { pf: { driver: null } }],
    ['E_PF_NO_DRIVER', 'in user space', { pf: { driver: 'vfio-pci' } }],
    ['E_WRONG_DEVICE', 'another device', { pf: { device: 0x11e8, driver: 'edu_legacy' } }],
    [
      'E_GRANT_EMPTY',
      'a share without a page',
      { rules: { count_max: 4, total: { ...(RULES.total as object), dma_bytes: '0x1000' } } },
    ],
    ['E_AGENT_REFUSED', 'a driver that manages none', { ceiling: withoutClaim() }],
  ];
  for (const [code, name, options, count = 2] of cases) {
    const place = await vfScene(t, options);
    const answer = await create(place, count);
    refused(t, answer, code, name);
    const wanted = ['--count', String(count), '--policy', place.policy];
    const plan = await agent('vfs', 'plan', PF_NAME, ...place.pf, ...wanted);
    t.equal(plan.error?.code, code, `${name}: the plan says the same`);
    t.strictSame(picture(place.sysfs), place.untouched, name);
    t.notOk(picture(place.state)['journal/0000%3A00%3A06.0.jsonl'], name);
  }
  const place = await vfScene(t);
  writeFileSync(place.policy, policyOf(undefined));
  refused(t, await create(place, 2), 'E_POLICY', 'a policy that is silent');
  for (const count of ['0', '-1', 'two', '1.5'])
    refused(
      t,
      await agent('vfs', 'create', PF_NAME, ...place.pf, '--count', count),
      'E_USAGE',
      count,
    );
  refused(t, await agent('vfs', 'create', PF_NAME, ...place.pf), 'E_USAGE', 'no number');
});

t.test('a driver that may not be bound any more makes none, and none are planned', async (t) => {
  const place = await vfScene(t);
  const wanted = ['--count', '2', '--policy', place.policy];
  const plan = () => agent('vfs', 'plan', PF_NAME, ...place.pf, ...wanted);
  t.equal((await plan()).exit, 0, 'control');
  const artifact = join(place.state, agentState.accepted(PF_NAME), acceptedFile.artifact);
  writeFileSync(artifact, 'changed');
  refused(t, await create(place, 2), 'E_STORE', 'made');
  refused(t, await plan(), 'E_STORE', 'planned');
});

function withoutSriov() {
  return { sriov: undefined } as object;
}
function totalOf(total: number) {
  return { sriov: { total, vfDevice: 0x11e8, vfBars: [], group: 20 } };
}
function withoutClaim() {
  const { virtual_functions: _claim, ...rest } = PF_CEILING;
  return rest;
}

t.test('a virtual function is no physical one', async (t) => {
  const place = await vfScene(t);
  t.equal((await create(place, 1)).exit, 0);
  const [vf = ''] = VFS;
  const args = [...at(place, vf), '--count', '1', '--policy', place.policy];
  const answer = await agent('vfs', 'create', NAME, ...args);
  refused(t, answer, 'E_VIRTUAL_FUNCTION', 'of a virtual one');
  refused(t, await agent('vfs', 'remove', ...at(place, vf)), 'E_NOT_FOUND', 'and none to remove');
});

t.test('one that somebody has is not taken away', async (t) => {
  const place = await vfScene(t);
  // With autoprobe on a driver of the host takes what is made.
  writeFileSync(join(folderOf(place, PF), 'sriov_numvfs'), '2');
  const driver = join(folderOf(place, VFS[1] as string), 'driver');
  for (let i = 0; i < 500 && !existsSync(driver); i++)
    await new Promise((resolve) => setTimeout(resolve, 10));
  t.ok(existsSync(driver));
  const before = picture(place.sysfs);
  const answer = await create(place, 3);
  refused(t, answer, 'E_VF_IN_USE', 'a driver has it', 'virtual-function-in-use');
  const gate = eventsOf(place).find((line) => line.gate === 'virtual-function-in-use');
  t.match(gate, { decision: 'refuse', inputs: { vfs: /^[0-9a-f]{64}$/ } }, 'and by what it was');
  t.match(answer.error.message, /driver edu_legacy, and 1 more/);
  t.strictSame(picture(place.sysfs), before);
});

t.test('a group that is shared: undone, and said', async (t) => {
  const sriov = { total: 4, vfDevice: 0x11e8, vfBars: [], group: 20, isShared: true };
  const place = await vfScene(t, { pf: { sriov } });
  const answer = await create(place, 2);
  refused(t, answer, 'E_VF_GROUP', 'two in one group');
  t.match(answer.error.why, /0000:00:06\.2/);
  t.strictSame(picture(place.sysfs), place.untouched);
  t.equal((await create(place, 1)).exit, 0, 'one alone has it to itself');
});

t.test('a step that fails is undone', async (t) => {
  for (const [fault, reason] of [
    ['numvfs:fail', 'no-effect'],
    ['numvfs:lie', 'no-effect'],
    ['numvfs:other:times=1', 'other-count'],
    ['autoprobe:lie:times=1', 'no-effect'],
  ] as const) {
    const place = await vfScene(t, { faults: [fault] });
    const answer = await create(place, 2, '--settle-timeout', '1');
    refused(t, answer, 'E_BIND_ROLLED_BACK', fault, reason);
    t.strictSame(picture(place.sysfs), place.untouched, fault);
    const status = await agent('status', ...place.device.slice(0, 4));
    t.strictSame(status.data.virtual_functions, [], fault);
    t.strictSame(status.data.unfinished, [], fault);
  }
});

t.test('the physical function goes while one is bound', async (t) => {
  const place = await vfScene(t);
  t.equal((await create(place, 2)).exit, 0);
  const [one = '', two = ''] = VFS;
  t.equal((await applyTo(place, one)).exit, 0);
  // Its driver goes first, as in a removal that is under way.
  const driver = join(folderOf(place, PF), 'driver');
  rmSync(driver);
  refused(t, await applyTo(place, two), 'E_PF_NO_DRIVER', 'nobody serves them');
  symlinkSync('../../../bus/pci/drivers/vfio-pci', driver);
  refused(t, await applyTo(place, two), 'E_PF_NO_DRIVER', 'somebody else does');
  rmSync(driver);
  rmSync(join(place.sysfs, 'bus', 'pci', 'devices', PF));
  refused(t, await applyTo(place, two), 'E_PF_GONE', 'it is gone', 'physical-function-gone');
  const answer = await remove(place);
  refused(t, answer, 'E_PF_GONE', 'with one that is bound');
  t.match(answer.error.hint, `release --device ${one}`);
  const status = await agent('status', ...place.device.slice(0, 4));
  t.equal(status.data.virtual_functions[0].state, 'the physical function is gone');
  // They go with it.
  for (const vf of VFS.slice(0, 2)) rmSync(join(place.sysfs, 'bus', 'pci', 'devices', vf));
  const released = await agent('release', ...at(place, one));
  t.equal(released.exit, 0, released.error?.message);
  t.strictSame(released.data.plan.steps, []);
  const removed = await remove(place);
  t.equal(removed.exit, 0, removed.error?.message);
  t.strictSame(removed.data.plan.steps, []);
});

t.test(
  'one that somebody removed by hand can be released, with its physical function there',
  async (t) => {
    const place = await vfScene(t);
    t.equal((await create(place, 2)).exit, 0);
    const [one = '', other = ''] = VFS;
    t.equal((await applyTo(place, one)).exit, 0);
    rmSync(join(place.sysfs, 'bus', 'pci', 'devices', one));
    const released = await agent('release', ...at(place, one));
    t.equal(released.exit, 0, released.error?.message);
    t.strictSame(released.data.plan.steps, []);
    rmSync(join(place.sysfs, 'bus', 'pci', 'devices', other));
    t.equal((await agent('release', ...at(place, other))).error.code, 'E_NOT_FOUND', 'never bound');
  },
);

t.test('what changed meanwhile', async (t) => {
  const place = await vfScene(t);
  t.equal((await create(place, 2)).exit, 0);
  const path = join(folderOf(place, PF), 'sriov_drivers_autoprobe');
  writeFileSync(path, '1');
  for (let i = 0; i < 500 && readFileSync(path, 'utf8') !== '1\n'; i++)
    await new Promise((resolve) => setTimeout(resolve, 10));
  refused(t, await remove(place), 'E_AGENT_REFUSED', 'autoprobe', 'changed-meanwhile');
  const file = join(place.state, 'virtual-functions', '0000%3A00%3A06.0.json');
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  writeFileSync(file, readFileSync(file, 'utf8').replace(boot, 'another boot'));
  const before = picture(place.sysfs);
  const removed = await remove(place);
  t.strictSame(removed.data.plan.steps, [], 'those of another boot are gone already');
  t.strictSame(picture(place.sysfs), before);
});

t.test('the policy of today counts, and a share is for those that were made', async (t) => {
  const place = await vfScene(t);
  t.equal((await create(place, 2)).exit, 0);
  const [one = '', two = ''] = VFS;
  const less = { ...RULES, total: { ...(RULES.total as object), dma_bytes: '0x4000' } };
  writeFileSync(place.policy, policyOf(less));
  const narrowed = await applyTo(place, one);
  t.equal(narrowed.data.grant.vf_budget.dma_bytes, '0x2000');
  t.equal(narrowed.data.grant.dma.total_bytes, '0x2000');
  writeFileSync(place.policy, policyOf({ ...RULES, count_max: 1 }));
  refused(t, await applyTo(place, two), 'E_POLICY', 'not so many any more');
  writeFileSync(place.policy, policyOf(RULES));
  const file = join(place.state, 'virtual-functions', '0000%3A00%3A06.0.json');
  const set = JSON.parse(readFileSync(file, 'utf8'));
  writeFileSync(file, `${JSON.stringify({ ...set, vfs: [one] })}\n`);
  const why = await agent('why', NAME, ...at(place, two), '--policy', place.policy);
  t.equal(why.data.grant_error.code, 'E_VF_COUNT', 'one that somebody else made beside them');
});

t.test('a set that is damaged is no set', async (t) => {
  const place = await vfScene(t);
  t.equal((await create(place, 2)).exit, 0);
  const file = join(place.state, 'virtual-functions', '0000%3A00%3A06.0.json');
  const text = readFileSync(file, 'utf8');
  t.strictSame(parseVfSet(utf8(text)).vfs, VFS.slice(0, 2));
  for (const wrong of [
    '',
    '{}',
    text.slice(0, -3),
    text.replace('/v1', '/v2'),
    text.replace('"number":1', '"number":0'),
    text.replace('"vfs"', '"more":1,"vfs"'),
    text.replace('"count":2', '"count":65536'),
    text.replace('"autoprobe":false', '"autoprobe":0'),
    text.replace(`"${EACH.dma_bytes}"`, '-1'),
  ]) {
    t.not(wrong, text);
    t.throws(() => parseVfSet(utf8(wrong)), { name: 'IronError' }, wrong.slice(0, 60));
  }
});

t.test('every gate of physical functions has a code of its own', async (t) => {
  t.equal(new Set(VF_GATES.map(({ code }) => code)).size, VF_GATES.length);
  t.equal(new Set(VF_GATES.map(({ reason }) => reason)).size, VF_GATES.length);
});
