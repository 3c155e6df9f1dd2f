import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import t from 'tap';
import { Agent } from '../../agent/agent.ts';
import { decided } from '../../agent/decided.ts';
import { loadAccepted } from '../../agent/entry.ts';
import { Sysfs } from '../../agent/host/sysfs.ts';
import { findWriters } from '../../agent/host/write.ts';
import { BRIDGE, EDU_DEVICE } from '../../scripts/demo/kernel/devices.ts';
import { parseEnvelope, verifyEnvelope } from '../../shared/evidence/dsse.ts';
import { parseStatement } from '../../shared/evidence/statement.ts';
import { acceptedFile, agentState } from '../../shared/layout.ts';
import { GRANT_PREDICATE } from '../../shared/manifest/grant-document.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { loadPublicKey } from '../../shared/node/signers/file.ts';
import { agent, apply, BDF, NAME, POLICY, picture, refused, scene } from './support.ts';

const DRIVER_LINK = `devices/pci0000:00/${BDF}/driver`;

t.test('plan, apply, status, release, from a driver and from none', async (t) => {
  for (const driver of ['edu_legacy', null]) {
    const place = await scene(t, { devices: [BRIDGE, { ...EDU_DEVICE, driver }] });
    const plan = await agent('plan', NAME, ...place.device, '--policy', POLICY);
    t.equal(plan.exit, 0, plan.error?.message);
    t.strictSame(
      plan.data.plan.steps.map((step: { action: string }) => step.action),
      [
        ...(driver === null ? [] : ['unbind edu_legacy']),
        ...['set the override to vfio-pci', 'probe, for vfio-pci', 'clear the override'],
      ],
    );
    t.strictSame(picture(place.sysfs), place.untouched, 'a plan changes nothing');

    const applied = await apply(place);
    t.equal(applied.exit, 0, applied.error?.message);
    const bound = picture(place.sysfs);
    t.match(bound[DRIVER_LINK], /drivers\/vfio-pci$/);
    const override = `devices/pci0000:00/${BDF}/driver_override`;
    t.equal(bound[override], place.untouched[override], 'the override is put back');

    const status = await agent('status', ...place.device.slice(0, 4));
    t.equal(status.data.bindings[0].state, 'as it was left');
    refused(t, await apply(place), 'E_NOTHING_TO_DO', 'a second time');

    const released = await agent('release', ...place.device);
    t.equal(released.exit, 0, released.error?.message);
    t.strictSame(picture(place.sysfs), place.untouched, 'release restores the tree, byte for byte');
    refused(t, await agent('release', ...place.device), 'E_NOT_FOUND', 'nothing is bound any more');
  }
});

t.test('the grant is a signed statement about the driver', async (t) => {
  const place = await scene(t);
  const first = (await apply(place)).data;
  const file = readFileSync(join(place.state, 'grants', '1.json'));
  const key = await loadPublicKey(join(place.state, 'keys', 'grant.pub.json'));
  const envelope = parseEnvelope(file);
  verifyEnvelope(platformCrypto, envelope, [key], 1);
  const statement = parseStatement(envelope);
  t.equal(statement.predicateType, GRANT_PREDICATE);
  t.equal(statement.subjects[0]?.name, NAME);
  t.equal(statement.predicate.get('device').get('path').string(), BDF);
  t.strictSame(JSON.parse(JSON.stringify(statement.predicate.value)), first.grant);

  await agent('release', ...place.device);
  t.notOk(picture(place.state)['grants/1.json'], 'a grant ends with its binding');
  const second = (await apply(place)).data;
  const [a, b] = [first.grant.resource_manifest, second.grant.resource_manifest];
  t.equal(a.iommu_domain, 1);
  t.equal(b.iommu_domain, 2, 'a domain number is used once');
  t.equal(a.driver_id, b.driver_id);
  t.not(a.binding_nonce, b.binding_nonce);
  const used = readFileSync(join(place.state, 'unique', 'nonces'), 'utf8');
  const hex = (nonce: number): string => nonce.toString(16).padStart(8, '0');
  t.equal(used, `${hex(a.binding_nonce)}\n${hex(b.binding_nonce)}\n`);
});

t.test('an override that was there before is there afterwards', async (t) => {
  const place = await scene(t);
  const path = join(place.sysfs, 'devices', 'pci0000:00', BDF, 'driver_override');
  writeFileSync(path, 'edu_legacy\n');
  const before = picture(place.sysfs);
  t.equal((await apply(place)).exit, 0);
  t.equal(readFileSync(path, 'utf8'), 'edu_legacy\n', 'also while it is bound');
  t.equal((await agent('release', ...place.device)).exit, 0);
  t.strictSame(picture(place.sysfs), before);
});

t.test('without a policy nothing is granted', async (t) => {
  const place = await scene(t);
  refused(t, await agent('apply', NAME, ...place.device), 'E_POLICY', 'no policy');
  const other = join(place.folder, 'policy.json');
  const policy = JSON.parse(readFileSync(POLICY, 'utf8'));
  policy.allow[0].namespace = 'other';
  writeFileSync(other, JSON.stringify(policy));
  const args = ['apply', NAME, ...place.device, '--policy', other];
  refused(t, await agent(...args), 'E_POLICY', 'a policy for somebody else');
  writeFileSync(other, '{');
  refused(t, await agent(...args), 'E_CONFIG', 'half a policy');
  t.strictSame(picture(place.sysfs), place.untouched);
  t.notOk(picture(place.state)['journal/0000%3A00%3A05.0.jsonl']);
});

t.test(
  'each decision is in the audit log, with the hashes of what it was decided from',
  async (t) => {
    const place = await scene(t);
    const sha256Of = (path: string): string =>
      createHash('sha256').update(readFileSync(path)).digest('hex');
    const decisions = () =>
      readFileSync(join(place.state, 'audit.jsonl'), 'utf8')
        .split('\n')
        .flatMap((line) => (line.includes('"event":"bind-decision"') ? [JSON.parse(line)] : []));
    const other = join(place.folder, 'policy.json');
    const policy = JSON.parse(readFileSync(POLICY, 'utf8'));
    policy.allow[0].namespace = 'other';
    writeFileSync(other, JSON.stringify(policy));
    await agent('apply', NAME, ...place.device, '--policy', other);
    await agent('apply', NAME, ...place.device);
    await apply(place);
    const artifact = join(place.state, agentState.accepted(NAME), acceptedFile.artifact);
    const inputs = {
      driver: sha256Of(artifact),
      ceiling: /^[0-9a-f]{64}$/,
      entry: /^[0-9a-f]{64}$/,
      floors: sha256Of(join(place.state, agentState.floors)),
      generations: sha256Of(join(place.state, agentState.generations)),
      revocations: null,
    };
    const found = decisions();
    t.match(found, [
      {
        device: BDF,
        path: NAME,
        decision: 'refuse',
        code: 'E_POLICY',
        inputs: { ...inputs, policy: sha256Of(other) },
      },
      {
        decision: 'refuse',
        code: 'E_POLICY',
        what: 'there is no fleet policy',
        inputs: { ...inputs, policy: null },
      },
      { decision: 'pass', code: null, inputs: { ...inputs, policy: sha256Of(POLICY) } },
    ]);
    t.equal(found.length, 3);
    await agent('release', ...place.device);
    writeFileSync(artifact, 'something else');
    refused(t, await apply(place), 'E_STORE', 'changed');
    t.match(decisions().at(-1), { decision: 'refuse', code: 'E_STORE' });
  },
);

t.test(
  'a pass names the policy that it was made by, whatever lay there a moment before',
  async (t) => {
    const place = await scene(t);
    const audited = new Agent({ state: place.state });
    const driver = await loadAccepted(audited, NAME);
    const deciding = { device: BDF, driver, policy: POLICY };
    const last = () =>
      JSON.parse(
        readFileSync(join(place.state, 'audit.jsonl'), 'utf8').trim().split('\n').at(-1) ?? '',
      );
    await audited.alone(() => decided(audited, deciding, async () => 'x'));
    t.equal(last().inputs.policy.length, 64, 'control: the file as it is found');
    await audited.alone(() =>
      decided(audited, deciding, async () => 'made by', { policyOf: (made) => made }),
    );
    t.match(last(), { event: 'bind-decision', decision: 'pass', inputs: { policy: 'made by' } });
  },
);

t.test('release stops where somebody else changed the device', async (t) => {
  const place = await scene(t);
  await apply(place);
  const link = join(place.sysfs, DRIVER_LINK);
  rmSync(link);
  symlinkSync('../../../bus/pci/drivers/pci-stub', link);
  const changed = picture(place.sysfs);
  refused(
    t,
    await agent('release', ...place.device),
    'E_AGENT_REFUSED',
    'changed',
    'changed-meanwhile',
  );
  t.strictSame(picture(place.sysfs), changed, 'nothing was touched');
});

t.test('an artifact that was changed in the state folder is not bound', async (t) => {
  const place = await scene(t);
  const [entry] = Object.keys(picture(place.state)).filter((path) => /\/artifact$/.test(path));
  writeFileSync(join(place.state, entry as string), 'something else');
  refused(t, await apply(place), 'E_STORE', 'changed');
  t.strictSame(picture(place.sysfs), place.untouched);
});

t.test('what is named wrongly', async (t) => {
  const place = await scene(t);
  const at = (device: string): string[] => [...place.device.slice(0, 4), '--device', device];
  for (const text of [
    '00:05.0',
    '0000:00:20.0',
    '0000:00:05.8',
    '0000:00:05.0/..',
    '../0000:00:05.0',
  ])
    refused(t, await agent('plan', NAME, ...at(text), '--policy', POLICY), 'E_USAGE', text);
  refused(t, await agent('plan', NAME, ...at('0000:00:06.0')), 'E_NOT_FOUND', 'no such device');
  refused(t, await agent('plan', NAME, ...at('10000:00:06.0')), 'E_NOT_FOUND', 'a VMD domain');
  refused(
    t,
    await agent('apply', 'acme/edu/9.9.9/x', ...place.device),
    'E_NOT_FOUND',
    'not accepted',
  );
  refused(t, await agent('apply', '../../etc', ...place.device), 'E_NAME', 'no path of ours');

  const outside = join(place.folder, 'elsewhere', '0000:00:07.0');
  mkdirSync(outside, { recursive: true });
  symlinkSync(outside, join(place.sysfs, 'bus', 'pci', 'devices', '0000:00:07.0'));
  refused(t, await agent('plan', NAME, ...at('0000:00:07.0')), 'E_NAME', 'a link out of the tree');
});

t.test('list and why', async (t) => {
  const place = await scene(t);
  const list = await agent('list', ...place.device.slice(0, 4));
  const [bridge, edu] = list.data.devices;
  t.equal(bridge.bindable, false);
  t.strictSame(
    bridge.gates
      .filter((gate: { pass: boolean }) => !gate.pass)
      .map((gate: { gate: string }) => gate.gate),
    ['bridge-device'],
  );
  t.equal(edu.bindable, true);
  t.strictSame(edu.drivers, [NAME]);

  const why = await agent('why', NAME, ...place.device, '--policy', POLICY);
  t.equal(why.data.bindable, true);
  t.match(why.data.grant.narrowings, []);
  const unsure = await agent('why', NAME, ...place.device);
  t.equal(unsure.data.bindable, false);
  t.equal(unsure.data.grant_error.code, 'E_POLICY');
});

t.test('a change of another start of the machine is closed, and not undone', async (t) => {
  const place = await scene(t, { faults: ['probe:hang'] });
  const stuck = await agent(
    ...['apply', NAME, ...place.device, '--policy', POLICY, '--write-timeout', '1'],
  );
  t.equal(stuck.error.code, 'E_BIND_STUCK');
  const file = join(place.state, agentState.journal(BDF));
  const text = readFileSync(file, 'utf8');
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  t.ok(text.includes(boot), 'control: it names this one');
  writeFileSync(file, text.replace(boot, '00000000-0000-4000-8000-000000000000'));
  place.kernel.setFaults([]);
  const sysfs = await Sysfs.open(place.sysfs);
  while ((await findWriters(sysfs, BDF)).length > 0) await setTimeout(20);
  const found = picture(place.sysfs);
  const recovered = await agent('recover', ...place.device.slice(0, 4));
  t.match(recovered.data.recovered, [{ device: BDF, outcome: 'closed', undone: [] }]);
  t.strictSame(picture(place.sysfs), found, 'what the kernel made of it stays');
  t.notOk(picture(place.state)['journal/0000%3A00%3A05.0.jsonl']);
});
