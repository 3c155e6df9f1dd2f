/** How often commands look at the host and its devices: to decide, once; to change, each time. */

// Before everything that reads files.
import './looks.ts';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { BRIDGE, EDU_DEVICE } from '../../scripts/demo/kernel/devices.ts';
import { agentState } from '../../shared/layout.ts';
import { buildFullHost, FULL_HOST, TOGETHER } from './full-host.ts';
import { looksOf } from './looks.ts';
import { agent, apply, BDF, NAME, POLICY, scene } from './support.ts';
import { create, VFS, vfScene } from './vfs-support.ts';

/** Attributes, links and folders of one device: of a disk, some of what is below as well. */
const A_DEVICE = 27;
const OF_THE_HOST = ['/proc/cmdline', '/proc/self/mountinfo', '/proc/swaps'];

const often = (looks: Map<string, number>, below: string): string[] =>
  [...looks].flatMap(([path, times]) =>
    times > 1 && path.startsWith(below) ? [`${times} times ${path}`] : [],
  );
const timesOf = (looks: Map<string, number>): (number | undefined)[] =>
  OF_THE_HOST.map((path) => looks.get(path));

t.test('list: the host once, and each of fifteen devices once', async (t) => {
  const folder = t.testdir();
  const [sysfs, state] = [join(folder, 'sys'), join(folder, 'state')];
  buildFullHost(sysfs);
  const options = ['--state', state, '--sysfs-root', sysfs];
  const list = async () => {
    let listed: Awaited<ReturnType<typeof agent>> | undefined;
    const looks = await looksOf(async () => {
      listed = await agent('list', ...options);
    });
    t.strictSame(often(looks, folder), [], 'nothing is looked at twice');
    t.strictSame(timesOf(looks), [1, 1, 1], 'nor is the host');
    for (const bdf of FULL_HOST) {
      const own = [...looks.keys()].filter((path) => path.includes(`/${bdf}`));
      t.ok(own.length > 15 && own.length <= A_DEVICE, `${bdf}: ${own.length}`);
    }
    return listed?.data.devices as { address: string; bindable: boolean; error?: object }[];
  };
  const rows = await list();
  t.strictSame(
    rows.map(({ address }) => address),
    FULL_HOST,
  );
  t.ok(
    rows.every(({ error }) => error === undefined),
    'each was read',
  );
  // One that is in quarantine is told from all the others, by what was read of them already.
  const [first] = TOGETHER;
  await agent('quarantine', 'enter', ...options, '--device', first as string, '--reason', 'x');
  t.match(
    (await list()).filter(({ address }) => address === first),
    [{ bindable: false }],
  );
});

t.test('list: what virtual functions hang on, once for all of them', async (t) => {
  const place = await vfScene(t);
  t.equal((await create(place, 3)).exit, 0);
  const looks = await looksOf(() => agent('list', ...place.device.slice(0, 4)));
  t.strictSame(often(looks, place.sysfs), []);
  t.strictSame(often(looks, join(place.state, agentState.vfSetsFolder)), []);
  t.equal([...looks.keys()].filter((path) => path.endsWith(`/${VFS[0]}/config`)).length, 1);
});

t.test('plan and why: everything once', async (t) => {
  const place = await scene(t);
  for (const command of ['plan', 'why']) {
    const looks = await looksOf(async () => {
      const { exit } = await agent(command, NAME, ...place.device, '--policy', POLICY);
      t.equal(exit, 0);
    });
    t.strictSame(often(looks, place.sysfs), [], command);
    t.strictSame(timesOf(looks), [1, 1, 1], command);
  }
});

t.test('apply and restore: the host for each binding, the device before each step', async (t) => {
  const second = '0000:00:06.0';
  const devices = [BRIDGE, EDU_DEVICE, { ...EDU_DEVICE, bdf: second, group: 8 }];
  const place = await scene(t, { devices });
  const override = (bdf: string): string =>
    join(place.sysfs, 'devices/pci0000:00', bdf, 'driver_override');
  const looks = await looksOf(async () => {
    const { exit, data } = await apply(place, '--keep');
    t.equal(exit, 0);
    t.equal(data.plan.steps.length, 4);
  });
  t.strictSame(timesOf(looks), [1, 1, 1]);
  t.ok((looks.get(override(BDF)) ?? 0) > 2 * 4, 'before and after each step');

  const other = ['--state', place.state, '--sysfs-root', place.sysfs, '--device', second];
  t.equal((await agent('apply', NAME, ...other, '--policy', POLICY, '--keep')).exit, 0);
  const told = await looksOf(async () => {
    const { data } = await agent('status', ...place.device.slice(0, 4));
    t.equal(data.bindings.length, 2);
  });
  t.strictSame(often(told, place.sysfs), [], 'status: each device once');
  t.strictSame(often(told, join(place.state, 'bindings')), [], 'and each binding');
  t.equal(told.get('/proc/sys/kernel/random/boot_id'), 1, 'and which start it is');
  // As if both had been let go of by somebody else: they are bound anew.
  for (const bdf of [BDF, second])
    rmSync(join(place.state, 'bindings', `${bdf.replaceAll(':', '%3A')}.json`));
  const restored = await looksOf(async () => {
    const { exit, data } = await agent('restore', ...place.device.slice(0, 4));
    t.equal(exit, 0);
    t.equal(data.restored.length, 2);
  });
  t.strictSame(timesOf(restored), [2, 2, 2], 'what is mounted may change in between');
});
