/** What is damaged, withdrawn or gone about one device leaves the others served, and is told as it is. */

import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Agent } from '../../agent/agent.ts';
import { isStale, listAccepted } from '../../agent/entry.ts';
import { Sysfs } from '../../agent/host/sysfs.ts';
import { unfinished } from '../../agent/recover.ts';
import { upgrade } from '../../agent/upgrade.ts';
import { listUpgrades } from '../../agent/upgrade-note.ts';
import { agentState } from '../../shared/layout.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { agent, apply, BDF, NAME, POLICY, picture, refused, type Scene, scene } from './support.ts';
import { create, remove, VFS, vfScene } from './vfs-support.ts';

const NEXT = 'acme/edu/1.1.0/edu-driver.mjs';
const OTHER = '0000:00:06.0';
const BOOT = '00000000-0000-4000-8000-000000000000';

function write(place: Scene, file: string, text: string): void {
  mkdirSync(join(place.state, file, '..'), { recursive: true });
  writeFileSync(join(place.state, file), text);
}

async function acceptNext(place: Scene): Promise<void> {
  await place.repository.add({ path: NEXT });
  const folder = place.repository.handOver(join(place.folder, 'next'), NEXT);
  const accepted = await agent('accept', folder, '--state', place.state);
  if (accepted.exit !== 0) throw new Error(JSON.stringify(accepted.error));
}

const status = (place: Scene) => agent('status', ...place.device.slice(0, 4));

t.test('a damaged journal of one device hides no other', async (t) => {
  const place = await scene(t);
  await apply(place, '--keep');
  await acceptNext(place);
  // Broken off: the old one was let go of, and nothing came after it.
  const note = join(place.state, agentState.upgrade(BDF));
  const helper = new Agent({ state: place.state, settleSeconds: 1 });
  const sysfs = await Sysfs.open(place.sysfs);
  place.kernel.setFaults(['probe:lie']);
  await upgrade(helper, sysfs, {
    name: NEXT,
    bdf: BDF,
    policy: POLICY,
    onStep: () => existsSync(note) && copyFileSync(note, join(place.folder, 'note.json')),
  }).catch(() => {});
  place.kernel.setFaults([]);
  write(place, agentState.upgrade(BDF), readFileSync(join(place.folder, 'note.json'), 'utf8'));
  write(place, agentState.journal('0000:00:04.0'), '{\n');

  const recovered = await agent('recover', ...place.device.slice(0, 4));
  refused(t, recovered, 'E_STORE', 'the damaged one is told of');
  const { exit, data } = await status(place);
  t.equal(exit, 0);
  t.equal(data.bindings[0].driver, NAME, 'and the other device is bound as before');
  t.match(data.unfinished, [{ device: '0000:00:04.0', purpose: 'unknown', last: 'unreadable' }]);
});

t.test(
  'what bears no address stops nothing; a folder that cannot be read is not empty',
  async (t) => {
    const place = await scene(t);
    await apply(place, '--keep');
    for (const name of ['%.json', 'notes.json', '.json'])
      for (const folder of [agentState.keptFolder, agentState.upgradesFolder])
        write(place, `${folder}/${name}`, 'x');
    write(place, `${agentState.journalsFolder}/%E0%A4.jsonl`, 'x');
    const restored = await agent('restore', ...place.device.slice(0, 4));
    t.equal(restored.exit, 0, restored.error?.message);
    t.match(restored.data.restored, [{ device: BDF, outcome: 'bound already' }]);
    t.equal((await status(place)).exit, 0);
    t.equal((await agent('recover', ...place.device.slice(0, 4))).exit, 0);

    const state = join(place.folder, 'other');
    const helper = new Agent({ state });
    t.strictSame(await unfinished(helper), [], 'none yet');
    mkdirSync(state);
    for (const name of ['journal', 'upgrades']) writeFileSync(join(state, name), '');
    await t.rejects(unfinished(helper));
    await t.rejects(listUpgrades(helper));
  },
);

t.test('that what is bound was withdrawn stops no command', async (t) => {
  const place = await scene(t);
  await apply(place);
  write(place, `${agentState.accepted(NAME)}/withdrawn.json`, '{"reason":"it loses data"}');
  const { sha256 } = place.repository.record().artifact;
  await place.repository.revoke({
    ...{ epoch: 1, version: 1, issued: systemClock() },
    digests: new Map([[sha256, { reason: 'it writes where it should not' }]]),
    ...{ keys: new Map(), floors: new Map() },
  });
  await acceptNext(place);
  const { exit, data, error } = await status(place);
  t.equal(exit, 0, error?.message);
  t.match(data.bindings, [{ driver: NAME, revoked: /./ }], 'and that it is revoked is still said');
});

t.test('a damaged binding, or set of virtual functions, is told and hides no other', async (t) => {
  const place = await scene(t);
  await apply(place);
  const damages = ['', '{', '{"schema":"ironport-agent.binding/v9"}', ' '.repeat(40 << 20)];
  for (const damage of damages) {
    write(place, agentState.binding(OTHER), damage);
    write(place, agentState.vfSet(OTHER), damage);
    const { exit, data, error } = await status(place);
    t.equal(exit, 0, error?.message);
    t.equal(data.bindings[0].driver, NAME);
    t.match(data.unfinished, [
      { device: OTHER, purpose: 'unknown', last: 'unreadable binding' },
      { device: OTHER, purpose: 'unknown', last: 'unreadable virtual functions' },
    ]);
  }
  await acceptNext(place);
  t.match(
    readFileSync(join(place.state, agentState.audit), 'utf8'),
    /"event":"damaged-binding".*"device":"0000:00:06.0"/,
    'what it may be revoked for cannot be known, and that is written down',
  );
});

t.test('stale is told of the path, and by the present that binding judges by', async (t) => {
  const place = await scene(t);
  const [entry] = await listAccepted(new Agent({ state: place.state }));
  if (entry === undefined) throw new Error('nothing accepted');
  const { path, sha256 } = entry.artifact;
  const old = { ...entry, artifact: { ...entry.artifact, path: NEXT }, freshUntil: 1 };
  const now = systemClock();
  t.equal(isStale([old, entry], { path, sha256 }, now), false);
  t.equal(isStale([entry, old], { path: NEXT, sha256 }, now), true);

  await apply(place, '--keep');
  // The clock was set back: this host has seen a later day than the metadata lives.
  const floors = join(place.state, agentState.floors);
  const document = JSON.parse(readFileSync(floors, 'utf8'));
  t.type(document.time, 'string');
  const later = new Date(Date.parse(document.time) + 400 * 86_400_000).toISOString();
  document.time = later.replace(/\.\d+Z$/, 'Z');
  writeFileSync(floors, JSON.stringify(document));
  const { data } = await status(place);
  t.match(data, {
    accepted: [{ fresh: false }],
    bindings: [{ stale: true }],
    kept: [{ stale: true }],
  });
  const listed = await agent('list', ...place.device.slice(0, 4));
  const row = listed.data.devices.find((one: { address: string }) => one.address === BDF);
  t.equal(row.bound.stale, true);
});

t.test(
  'an upgrade whose last line about the release is lost brings the old one back',
  async (t) => {
    const place = await scene(t);
    await apply(place);
    const bound = picture(place.sysfs);
    await acceptNext(place);
    const helper = new Agent({ state: place.state });
    const append = helper.audit.append.bind(helper.audit);
    let lost = 0;
    helper.audit.append = async (...events) => {
      if (events.some(({ event }) => event === 'released') && lost++ === 0)
        throw new Error('the disk did not take it');
      return await append(...events);
    };
    const request = { name: NEXT, bdf: BDF, policy: POLICY };
    const done = await upgrade(helper, await Sysfs.open(place.sysfs), request);
    t.equal(lost, 1);
    t.equal(done.failed?.code, 'E_BIND_ROLLED_BACK');
    t.equal(done.binding.driver.path, NAME);
    t.strictSame(picture(place.sysfs), bound);
    t.equal((await status(place)).data.bindings[0].driver, NAME);
    t.notOk(existsSync(join(place.state, agentState.upgrade(BDF))));
  },
);

t.test('a damaged declaration stops an upgrade before anything is let go of', async (t) => {
  const place = await scene(t);
  await apply(place, '--keep');
  await acceptNext(place);
  write(place, agentState.kept(BDF), '{');
  const before = picture(place.sysfs);
  refused(
    t,
    await agent('upgrade', NEXT, ...place.device, '--policy', POLICY),
    'E_JSON',
    'damaged',
  );
  t.strictSame(picture(place.sysfs), before);
  t.equal((await status(place)).data.bindings[0].driver, NAME);
});

t.test('what did not come back with the next start can be released', async (t) => {
  const place = await vfScene(t);
  t.equal((await create(place, 1)).exit, 0);
  const [vf = ''] = VFS;
  const at = [...place.device.slice(0, 4), '--device', vf];
  t.equal((await agent('apply', NAME, ...at, '--policy', place.policy)).exit, 0);
  const now = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  for (const file of [agentState.binding(vf), agentState.vfSet(OTHER)]) {
    const text = readFileSync(join(place.state, file), 'utf8');
    writeFileSync(join(place.state, file), text.replace(now, BOOT));
  }
  // The physical function is there again, and nobody made virtual ones.
  rmSync(join(place.sysfs, 'bus', 'pci', 'devices', vf));
  t.equal((await remove(place)).exit, 0, 'the set of the start before is closed');
  const released = await agent('release', ...at);
  t.equal(released.exit, 0, released.error?.message);
  t.strictSame(released.data?.plan.steps, []);
  t.strictSame((await status(place)).data.bindings, []);
});
