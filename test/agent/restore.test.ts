/** What was declared is bound again at the next start: after every gate, and stale for no longer than the policy says. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Agent } from '../../agent/agent.ts';
import { Sysfs } from '../../agent/host/sysfs.ts';
import { type Restored, restore } from '../../agent/restore.ts';
import { BRIDGE, EDU_DEVICE } from '../../scripts/demo/kernel/devices.ts';
import { startKernel } from '../../scripts/demo/kernel/kernel.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { agent, apply, BDF, NAME, POLICY, picture, refused, type Scene, scene } from './support.ts';

const DAY = 86_400;
const SECOND = '0000:00:06.0';
const BOOT = '00000000-0000-4000-8000-000000000000';

const kept = (bdf: string): string => `kept/${bdf.replaceAll(':', '%3A')}.json`;
const bindingOf = (bdf: string): string => `bindings/${bdf.replaceAll(':', '%3A')}.json`;

function edit(place: Scene, file: string, change: (text: string) => string): void {
  const path = join(place.state, file);
  writeFileSync(path, change(readFileSync(path, 'utf8')));
}

/** As after a start of the machine: sysfs is new, and what the agent wrote is of the start before. */
async function startAnew(t: Test, place: Scene): Promise<Scene> {
  await place.kernel.stop();
  const sysfs = join(place.folder, `sys-${Math.random()}`);
  const kernel = await startKernel(sysfs, { devices: devices(place) });
  t.teardown(() => kernel.stop());
  const now = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  for (const bdf of [BDF, SECOND])
    if (existsSync(join(place.state, bindingOf(bdf))))
      edit(place, bindingOf(bdf), (text) => text.replace(now, BOOT));
  const device = ['--state', place.state, '--sysfs-root', sysfs, '--device', BDF];
  return { ...place, kernel, sysfs, device, untouched: picture(sysfs) };
}

const both = [BRIDGE, EDU_DEVICE, { ...EDU_DEVICE, bdf: SECOND, group: 8 }];
const devices = ({ untouched }: Scene): typeof both =>
  Object.keys(untouched).some((path) => path.includes(SECOND)) ? both : [BRIDGE, EDU_DEVICE];

/** With a clock that is so many days ahead. */
async function restoreIn(place: Scene, days: number): Promise<Restored[]> {
  const helper = new Agent({ state: place.state, clock: () => systemClock() + days * DAY });
  return await restore(helper, await Sysfs.open(place.sysfs), { onRestored: () => {} });
}

const codeOf = ([one]: Restored[]): string | undefined => one?.error?.code;

t.test('what is declared is bound again, and what was released is not', async (t) => {
  const place = await scene(t);
  t.equal((await apply(place, '--keep')).exit, 0);
  const bound = picture(place.sysfs);
  const again = await startAnew(t, place);
  const restored = await agent('restore', ...again.device.slice(0, 4));
  t.equal(restored.exit, 0, restored.error?.message);
  t.match(restored.data.restored, [{ device: BDF, driver: NAME, outcome: 'bound', stale: false }]);
  t.strictSame(picture(again.sysfs), bound);
  const twice = await agent('restore', ...again.device.slice(0, 4));
  t.match(twice.data.restored, [{ outcome: 'bound already', stale: null }]);
  const { data } = await agent('status', ...again.device.slice(0, 4));
  t.match(data.kept, [{ device: BDF, driver: NAME, stale: false }]);

  t.equal((await agent('release', ...again.device)).exit, 0);
  t.strictSame(picture(again.sysfs), again.untouched);
  const nothing = await agent('restore', ...again.device.slice(0, 4));
  t.strictSame(nothing.data.restored, []);
  t.equal((await agent('audit', 'verify', '--state', place.state)).exit, 0);
});

t.test('what was not declared, and what could not be bound, is not', async (t) => {
  const place = await scene(t);
  place.kernel.setFaults(['probe:lie']);
  refused(t, await apply(place, '--keep'), 'E_BIND_ROLLED_BACK', 'it failed');
  t.notOk(existsSync(join(place.state, kept(BDF))), 'nothing is declared by that');
  place.kernel.setFaults([]);
  t.equal((await apply(place)).exit, 0);
  const again = await startAnew(t, place);
  t.strictSame(await restoreIn(again, 0), []);
});

t.test('stale for as long as fleet policy says, and no longer', async (t) => {
  const place = await scene(t);
  await apply(place, '--keep');
  let again = await startAnew(t, place);
  const [restored] = await restoreIn(again, 20);
  t.equal(restored?.bound?.isStale, true);
  again = await startAnew(t, again);
  t.equal(
    codeOf(await restoreIn(again, 60)),
    'E_EXPIRED',
    'the metadata, and then the thirty days',
  );
  t.strictSame(picture(again.sysfs), again.untouched);

  const policy = JSON.parse(readFileSync(POLICY, 'utf8'));
  const strict = join(place.folder, 'strict.json');
  writeFileSync(strict, JSON.stringify({ ...policy, rebind_grace_seconds: 0 }));
  edit(place, kept(BDF), (text) => text.replace(POLICY, strict));
  t.equal(codeOf(await restoreIn(again, 20)), 'E_EXPIRED', 'none at all');
  writeFileSync(strict, JSON.stringify({ ...policy, rebind_grace_seconds: 90 * DAY }));
  t.equal(codeOf(await restoreIn(again, 60)), undefined);
});

t.test('no leave for anything else', async (t) => {
  const place = await scene(t);
  await apply(place, '--keep');
  const again = await startAnew(t, place);
  const file = readFileSync(join(place.state, kept(BDF)), 'utf8');
  const cases: [string, string, string][] = [
    ['E_CONFLICT', '"sha256":"', '"sha256":"0'],
    ['E_WRONG_DEVICE', '"revision":"0x10"', '"revision":"0x11"'],
    ['E_NOT_FOUND', '/policy.json', '/nowhere.json'],
    ['E_JSON', '{', ''],
  ];
  for (const [code, from, to] of cases) {
    t.ok(file.includes(from), from);
    const changed =
      code === 'E_CONFLICT' ? file.replace(/"sha256":"../, '"sha256":"00') : file.replace(from, to);
    writeFileSync(join(place.state, kept(BDF)), changed);
    t.equal(codeOf(await restoreIn(again, 20)), code);
    t.strictSame(picture(again.sysfs), again.untouched);
  }
  writeFileSync(join(place.state, kept(BDF)), '{');
  const status = await agent('status', ...again.device.slice(0, 4));
  t.match(status.data.kept, [{ device: BDF, driver: null, error: { code: 'E_JSON' } }]);
  t.equal((await agent('release', ...again.device)).exit, 0, 'what is damaged can be withdrawn');
  t.notOk(existsSync(join(place.state, kept(BDF))));
});

t.test('a known revocation is never passed', async (t) => {
  const place = await scene(t);
  await apply(place, '--keep');
  const { sha256 } = place.repository.record().artifact;
  await place.repository.revoke({
    ...{ epoch: 1, version: 1, issued: systemClock() },
    digests: new Map([[sha256, { reason: 'it writes where it should not' }]]),
    ...{ keys: new Map(), floors: new Map() },
  });
  const other = await place.repository.add({ path: 'acme/edu/2.0.0/edu.mjs' });
  const folder = place.repository.handOver(join(place.folder, 'later'), other);
  t.equal((await agent('accept', folder, '--state', place.state)).exit, 0);
  const again = await startAnew(t, place);
  t.equal(codeOf(await restoreIn(again, 0)), 'E_REVOKED');
  t.strictSame(picture(again.sysfs), again.untouched);
});

t.test('bound for something else is not bound as declared', async (t) => {
  const place = await scene(t);
  await apply(place, '--keep');
  const { sha256 } = JSON.parse(readFileSync(join(place.state, kept(BDF)), 'utf8')).driver;
  edit(place, bindingOf(BDF), (text) => text.replaceAll(sha256, '0'.repeat(64)));
  const before = picture(place.sysfs);
  t.equal(codeOf(await restoreIn(place, 0)), 'E_CONFLICT');
  t.strictSame(picture(place.sysfs), before);
});

t.test('a release that quarantine refuses withdraws nothing', async (t) => {
  const place = await scene(t);
  await apply(place, '--keep');
  const entered = await agent('quarantine', 'enter', ...place.device, '--reason', 'looks wrong');
  t.equal(entered.exit, 0, entered.error?.message);
  refused(t, await agent('release', ...place.device), 'E_QUARANTINED', 'it stays');
  t.ok(existsSync(join(place.state, kept(BDF))), 'declared as before');
});

t.test('one that is not bound leaves the others served', async (t) => {
  const place = await scene(t, { devices: both });
  const second = place.device.map((word) => (word === BDF ? SECOND : word));
  await apply(place, '--keep');
  t.equal((await agent('apply', NAME, ...second, '--policy', POLICY, '--keep')).exit, 0);
  const again = await startAnew(t, place);
  writeFileSync(join(place.state, kept(BDF)), '{}');
  const restored = await agent('restore', ...again.device.slice(0, 4));
  t.not(restored.exit, 0, 'the exit status says that one is missing');
  t.match(restored.data.restored, [
    { device: BDF, outcome: 'not bound', code: 'E_SCHEMA', driver: null },
    { device: SECOND, outcome: 'bound', code: null },
  ]);
  const only = await agent('restore', ...again.device);
  t.equal(only.data.restored.length, 1, 'and one alone can be asked for');
});
