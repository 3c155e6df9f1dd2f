/** From one version to another, back again when that fails, and what is refused before anything is let go. */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  agent,
  apply,
  CEILING,
  NAME,
  POLICY,
  picture,
  refused,
  type Scene,
  scene,
} from './support.ts';

export const NEXT = 'acme/edu/1.1.0/edu-driver.mjs';
const NOTE = 'upgrades/0000%3A00%3A05.0.json';

/** A newer version, accepted as well. */
async function acceptNext(
  place: Scene,
  options: { path?: string; generation?: number; ceiling?: object } = {},
): Promise<string> {
  const path = options.path ?? NEXT;
  await place.repository.add({ ...options, path } as Parameters<typeof place.repository.add>[0]);
  const folder = join(place.folder, `handoff-${path.replaceAll('/', '-')}`);
  const accepted = await agent(
    'accept',
    place.repository.handOver(folder, path),
    '--state',
    place.state,
  );
  if (accepted.exit !== 0) throw new Error(JSON.stringify(accepted.error));
  return path;
}

const upgrade = (place: Scene, name = NEXT, policy = POLICY) =>
  agent('upgrade', name, ...place.device, '--policy', policy);

async function boundFor(place: Scene): Promise<string | undefined> {
  const { data } = await agent('status', ...place.device.slice(0, 4));
  return data.bindings[0]?.driver;
}

/** Nothing of the binding or the tree changed. */
async function untouchedBy(t: Test, place: Scene, act: () => Promise<void>): Promise<void> {
  const before = [picture(place.sysfs), picture(join(place.state, 'bindings'))];
  await act();
  t.strictSame([picture(place.sysfs), picture(join(place.state, 'bindings'))], before);
  t.notOk(existsSync(join(place.state, NOTE)), 'and no upgrade is under way');
}

t.test('to the next version, under a grant of its own', async (t) => {
  const place = await scene(t);
  t.equal((await apply(place, '--keep')).exit, 0);
  const bound = picture(place.sysfs);
  await acceptNext(place);
  const done = await upgrade(place);
  t.equal(done.exit, 0, done.error?.message);
  t.equal(done.data.from, NAME);
  t.equal(done.data.driver, NEXT);
  t.equal(done.data.grant.resource_manifest.iommu_domain, 2);
  t.equal(await boundFor(place), NEXT);
  t.strictSame(picture(place.sysfs), bound);
  t.notOk(existsSync(join(place.state, NOTE)));
  t.notOk(existsSync(join(place.state, 'grants/1.json')), 'the grant before is gone');
  const { data } = await agent('status', ...place.device.slice(0, 4));
  t.equal(data.kept[0].driver, NEXT, 'what was declared moved on with it');
  refused(t, await upgrade(place), 'E_NOTHING_TO_DO', 'a second time');
  t.equal((await agent('release', ...place.device)).exit, 0);
  t.strictSame(picture(place.sysfs), place.untouched);
  t.equal((await agent('audit', 'verify', '--state', place.state)).exit, 0);
});

t.test('what would not be bound is refused before anything is let go', async (t) => {
  const place = await scene(t);
  refused(t, await upgrade(place), 'E_NOT_FOUND', 'nothing is bound');
  await apply(place);
  refused(t, await upgrade(place, NAME), 'E_NOTHING_TO_DO', 'the same');
  await untouchedBy(t, place, async () =>
    refused(t, await upgrade(place), 'E_NOT_FOUND', 'never accepted'),
  );

  await acceptNext(place);
  const policy = JSON.parse(readFileSync(POLICY, 'utf8'));
  const strict = join(place.folder, 'strict.json');
  policy.allow[0].namespace = 'acme/edu/1.0.0';
  writeFileSync(strict, JSON.stringify(policy));
  await untouchedBy(t, place, async () =>
    refused(t, await upgrade(place, NEXT, strict), 'E_POLICY', 'no policy for it'),
  );
  await acceptNext(place, { path: 'acme/other/1.0.0/driver.mjs' });
  await untouchedBy(t, place, async () =>
    refused(
      t,
      await upgrade(place, 'acme/other/1.0.0/driver.mjs'),
      'E_CONFLICT',
      'another product',
    ),
  );
  const [device] = CEILING.devices as Record<string, string>[];
  const elsewhere = { ...CEILING, devices: [{ ...device, subsystem_device: '0x0099' }] };
  await acceptNext(place, { path: 'acme/edu/1.2.0/edu.mjs', ceiling: elsewhere });
  await untouchedBy(t, place, async () =>
    refused(t, await upgrade(place, 'acme/edu/1.2.0/edu.mjs'), 'E_WRONG_DEVICE', 'another device'),
  );
  t.equal(await boundFor(place), NAME);
});

t.test('what fails on the way brings the version before back', async (t) => {
  const place = await scene(t);
  await apply(place);
  await acceptNext(place);
  const bound = picture(place.sysfs);
  // The first probe of the upgrade finds nothing; the way back is another one.
  place.kernel.setFaults(['probe:lie:times=1']);
  const failed = await upgrade(place);
  refused(t, failed, 'E_BIND_ROLLED_BACK', 'returned');
  t.equal(failed.error.context.bound, NAME);
  t.equal(await boundFor(place), NAME);
  t.strictSame(picture(place.sysfs), bound);
  t.notOk(existsSync(join(place.state, NOTE)));
});

t.test('below a floor, or with the way back failing too, it is left to the host', async (t) => {
  const place = await scene(t);
  await apply(place);
  await acceptNext(place, { generation: 2 });
  place.kernel.setFaults(['probe:lie']);
  const failed = await upgrade(place);
  refused(t, failed, 'E_NOT_RETURNED', 'the floor of this host rose with the new one');
  t.equal(failed.error.context.code, 'E_ROLLBACK');
  t.equal(await boundFor(place), undefined);
  t.strictSame(picture(place.sysfs), place.untouched);
  t.notOk(existsSync(join(place.state, NOTE)));
  place.kernel.setFaults([]);
  refused(t, await apply(place), 'E_ROLLBACK', 'nor is it bound by asking for it');

  const other = await scene(t);
  await apply(other);
  await acceptNext(other);
  other.kernel.setFaults(['probe:lie']);
  const neither = await upgrade(other);
  refused(t, neither, 'E_NOT_RETURNED', 'neither');
  t.equal(neither.error.context.code, 'E_BIND_ROLLED_BACK');
  t.strictSame(picture(other.sysfs), other.untouched);
});

t.test(
  'a damaged note of an upgrade stops the next one, and is withdrawn by a release',
  async (t) => {
    const place = await scene(t);
    await apply(place);
    await acceptNext(place);
    t.equal((await upgrade(place)).exit, 0);
    mkdirSync(join(place.state, 'upgrades'), { recursive: true });
    writeFileSync(join(place.state, NOTE), '{');
    refused(t, await upgrade(place, NAME), 'E_JSON', 'a note that cannot be read');
    t.equal(await boundFor(place), NEXT);
    t.equal((await agent('release', ...place.device)).exit, 0, 'and can be withdrawn all the same');
    t.strictSame(picture(place.sysfs), place.untouched);
    t.notOk(existsSync(join(place.state, NOTE)));
  },
);
