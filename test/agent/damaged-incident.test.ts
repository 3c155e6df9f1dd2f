/** A record of quarantine that is damaged: told, and no reason to let go of anything. */

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Agent } from '../../agent/agent.ts';
import { loadIncidents, readStore } from '../../agent/quarantine/store.ts';
import { BRIDGE, EDU_DEVICE } from '../../scripts/demo/kernel/devices.ts';
import { apply, BDF, refused, agent as run, type Scene, scene } from './support.ts';

const OTHER = '0000:00:06.0';

interface Place extends Scene {
  readonly agent: Agent;
  /** Puts a device into quarantine; returns the file of the incident. */
  enter(bdf: string, level?: string): Promise<string>;
  enforce(): ReturnType<typeof run>;
  /** As a start of the machine leaves them: no override, and bound by a driver of the host. */
  restart(): Promise<void>;
  /** The override, and whether a driver has it. */
  stateOf(bdf: string): [override: string, isBound: boolean];
}

async function placeOf(t: Test): Promise<Place> {
  const other = { ...EDU_DEVICE, bdf: OTHER, group: 8 };
  const place = await scene(t, { devices: [BRIDGE, EDU_DEVICE, other] });
  const folder = (bdf: string): string => join(place.sysfs, 'devices/pci0000:00', bdf);
  const isBound = (bdf: string): boolean => existsSync(join(folder(bdf), 'driver'));
  const tree = ['--state', place.state, '--sysfs-root', place.sysfs];
  return {
    ...place,
    agent: new Agent({ state: place.state }),
    async enter(bdf, level = 'hard') {
      const how = ['--device', bdf, '--level', level, '--reason', `for ${bdf}`];
      const { data, error } = await run('quarantine', 'enter', ...tree, ...how);
      if (error !== undefined) throw new Error(error.message);
      return join(place.state, 'quarantine', `${data.incident}.json`);
    },
    enforce: () => run('quarantine', 'enforce', ...tree),
    async restart() {
      for (const bdf of [BDF, OTHER]) {
        writeFileSync(join(folder(bdf), 'driver_override'), '\n');
        writeFileSync(join(place.sysfs, 'bus/pci/drivers_probe'), bdf);
        while (!isBound(bdf)) await new Promise((next) => setTimeout(next, 5));
      }
    },
    stateOf: (bdf) => [
      readFileSync(join(folder(bdf), 'driver_override'), 'utf8').trim(),
      isBound(bdf),
    ],
  };
}

t.test('whatever was done to the file, both devices are held down', async (t) => {
  const place = await placeOf(t);
  // The damaged one is read first, last, and by either way of telling its device.
  const file = await place.enter(BDF);
  const whole = readFileSync(file);
  await place.enter(OTHER);
  const log = readFileSync(place.agent.audit.path);
  for (const [name, damage] of [
    ['cut off', () => writeFileSync(file, whole.subarray(0, 40))],
    ['empty', () => writeFileSync(file, '')],
    ['no JSON', () => writeFileSync(file, Buffer.from([0xff, 0xfe, 0]))],
    ['too long', () => writeFileSync(file, `${whole}${' '.repeat(100_000)}`)],
    ['gone, with a folder there', () => mkdirSync(file)],
  ] as const) {
    rmSync(file);
    damage();
    await place.restart();
    const { exit, data } = await place.enforce();
    t.equal(exit, 20, `${name}: told`);
    t.match(data.incidents, [{ device: { path: OTHER }, problems: [] }], `${name}: the other one`);
    t.match(data.damaged, [{ file, held: [{ device: BDF, problems: [] }] }], name);
    t.strictSame(place.stateOf(BDF), ['vfio-pci', false], `${name}: it is held`);
    t.strictSame(place.stateOf(OTHER), ['vfio-pci', false], `${name}: so is the other one`);
    refused(t, await apply(place), 'E_STORE', `${name}: nothing is bound`);
    rmSync(file, { recursive: true });
    writeFileSync(file, whole);
  }
  t.ok(readFileSync(place.agent.audit.path, 'utf8').includes('"event":"incident-damaged"'));

  // One way of telling its device is enough.
  writeFileSync(file, whole.subarray(0, -20));
  writeFileSync(place.agent.audit.path, 'nonsense\n');
  await place.restart();
  t.match((await place.enforce()).data.damaged, [{ held: [{ device: BDF }] }], 'without a log');
  t.strictSame(place.stateOf(BDF), ['vfio-pci', false]);
  writeFileSync(file, '');
  await place.restart();
  const untold = await place.enforce();
  t.equal(untold.exit, 20);
  t.match(untold.data.damaged, [{ held: [] }], 'without both it cannot be told');
  t.strictSame(place.stateOf(OTHER), ['vfio-pci', false], 'and holds up no other one');

  writeFileSync(place.agent.audit.path, log);
  writeFileSync(file, whole);
  const control = await place.enforce();
  t.match(control, { exit: 0, data: { damaged: [] } }, 'the control');
});

t.test('the level of a damaged record is the highest that was told', async (t) => {
  const place = await placeOf(t);
  const remove = join(place.sysfs, 'devices/pci0000:00', BDF, 'remove');
  writeFileSync(remove, '');
  const file = await place.enter(BDF, 'soft');
  await place.enter(BDF, 'tomb');
  writeFileSync(file, '');
  writeFileSync(remove, '');
  await place.enforce();
  t.equal(readFileSync(remove, 'utf8'), '1', 'what belongs into the tomb is removed');
});

t.test('a damaged record keeps no device from going into quarantine', async (t) => {
  const place = await placeOf(t);
  writeFileSync(await place.enter(BDF), '');
  const file = await place.enter(OTHER);
  t.strictSame(place.stateOf(OTHER), ['vfio-pci', false]);
  const { incidents, damaged } = await readStore(place.agent);
  t.match(incidents, [{ device: { path: OTHER } }]);
  t.match(damaged, [{ error: { code: 'E_STORE' } }]);
  await t.rejects(loadIncidents(place.agent), { code: 'E_STORE' });
  t.equal(await place.enter(OTHER), file, 'and what is in it stays in its incident');
});
