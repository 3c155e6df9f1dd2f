/** The honest way once, with `--json`, by as many commands as it can meet. */

import { copyFile, cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  admit,
  agentArgs,
  agentState,
  ceremony,
  clientArgs,
  DEVICE,
  EDU,
  publish,
  rotateOnlineKeys,
  startService,
  submitCeremony,
} from '../../scripts/demo/honest.ts';
import { startKernel } from '../../scripts/demo/kernel/kernel.ts';
import type { Scene } from '../../scripts/demo/scene.ts';
import { must } from '../../scripts/demo/support/programs.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { DAY, formatInstant } from '../../shared/time.ts';
import { hostOptions, unpackHost } from '../agent/hosts/hosts.ts';
import { EDU_MODULE } from '../evidence/elf-support.ts';
import { MODULE_KEY, signModule } from '../evidence/module-signing.ts';
import { writeForeign } from '../support/foreign.ts';
import { operatorsPending, vendorsPending } from './pending-scene.ts';
import { retentionWork } from './retention-scene.ts';
import { reviewsWork } from './review-scene.ts';
import { vfsWork } from './vfs-scene.ts';

export const FILE = join(EDU, 'edu-driver.mjs');

export async function theWholeWay(scene: Scene): Promise<void> {
  await ceremony(scene);
  await submitCeremony(scene);
  await startService(scene);
  await admit(scene, 'acme');
  await publish(scene, FILE, '1.0.0');
  await vendorsWork(scene);
  await portersWork(scene);
  await clientsWork(scene);
  await agentsWork(scene);
  await vfsWork();
  await rotateOnlineKeys(scene);
  await operatorsWork(scene);
  await teamsWork(scene);
  await operatorsPending(scene);
  await vendorsPending(scene);
  await reviewsWork(scene);
  await retentionWork(scene);
}

const signed = (scene: Scene, name: string): string => join(scene.operator, 'signed', name);
const key = (scene: Scene, name: string): string => join(scene.operator, 'keys', `${name}.json`);

async function vendorsWork(scene: Scene): Promise<void> {
  const dir = ['--dir', scene.vendor('acme')];
  const claim = ['--product', 'edu', '--version', '1.0.0', '--ceiling', join(EDU, 'ceiling.json')];
  const out = join(scene.folder, 'evidence');
  await must('ironport', ['attest', FILE, ...claim, ...dir, '--out', out]);
  const [module, certificate] = [join(scene.folder, 'edu.ko'), join(scene.folder, 'edu.der')];
  await writeFile(module, signModule(EDU_MODULE));
  await writeFile(certificate, MODULE_KEY.certificate);
  const bill = ['--out', join(scene.folder, 'bill.json')];
  await must('ironport', ['sbom', module, '--certificate', certificate, ...bill]);
  await must('ironport', ['sbom', module, ...bill]);
  await must('ironport', ['sbom', EDU, '--version', '1.0.0', ...bill]);
  const to = [...dir, '--repository', scene.service?.url ?? ''];
  const older = claim.map((word) => (word === '1.0.0' ? '0.9.0' : word));
  const share = ['--rollout', '50%', '--fixes', 'CVE-2030-1234'];
  await must('ironport', ['publish', FILE, ...older, ...to, ...share]);
  await must('ironport', ['promote', 'edu@1.0.0', '--channel', 'stable', ...to]);
  const why = ['--reason', 'loses writes', '--superseded-by', '1.0.0'];
  await must('ironport', ['withdraw', 'edu@0.9.0', ...why, ...to]);
  // Of a product that was never published: the floors of edu are others' business here.
  await must('ironport', ['raise-floor', 'edu-old', '2', ...to]);
  const { keys } = JSON.parse(await readFile(join(scene.vendor('acme'), 'vendor.json'), 'utf8'));
  const file = join(scene.vendor('acme'), keys.evidence[0]);
  const { keyid } = await must('ironport-repo', ['key', 'show', file]);
  await must('ironport', ['rotate-keys', '--list', 'evidence', ...dir]);
  await must('ironport', ['retire-key', keyid as string, ...to]);
  await must('ironport', ['renew', ...dir, '--repository', scene.service?.url ?? '']);
  const wide = join(scene.folder, 'wide.ceiling.json');
  const ceiling = JSON.parse(await readFile(join(EDU, 'ceiling.json'), 'utf8'));
  await writeFile(wide, JSON.stringify({ ...ceiling, bars: [], generation: 2 }));
  await must('ironport', ['manifest', 'lint', wide]);
  await must('ironport', ['manifest', 'explain', wide]);
  await must('ironport', ['manifest', 'diff', join(EDU, 'ceiling.json'), wide]);
  const role = join(scene.vendor('acme'), 'signed', 'last.json');
  await must('ironport', ['sign', '--yes', role, ...dir, '--out', join(scene.folder, 'role.json')]);
  await vendorsBins(scene, dir);
}

/** A list of artifacts, into one role and then into bins; whatever comes later reads from bins. */
async function vendorsBins(scene: Scene, dir: string[]): Promise<void> {
  const to = [...dir, '--repository', scene.service?.url ?? ''];
  const ceiling = join(EDU, 'ceiling.json');
  const publishList = async (version: string): Promise<void> => {
    const list = join(scene.folder, 'list.json');
    const artifacts = [{ file: FILE, product: 'edu', version, ceiling }];
    await writeFile(list, JSON.stringify({ schema: 'ironport.artifact-list/v1', artifacts }));
    await must('ironport', ['publish-batch', list, ...to]);
  };
  await publishList('0.8.0');
  await must('ironport', ['split', '--bins', '2', ...to]);
  await publishList('0.9.1');
  const claim = ['--product', 'edu', '--version', '0.9.2', '--ceiling', ceiling];
  await must('ironport', ['publish', FILE, ...claim, ...to]);
  await must('ironport', ['promote', 'edu@0.9.2', '--channel', 'stable', ...to]);
  await must('ironport', ['withdraw', 'edu@0.9.1', '--reason', 'loses writes', ...to]);
}

async function portersWork(scene: Scene): Promise<void> {
  const place = (name: string): string => join(scene.folder, name);
  const [linux, ported, pattern] = [place('linux.c'), place('ported.c'), place('edu.toml')];
  const port = (...args: string[]) =>
    must('ironport', [...args, '--force', '--audit', place('port.log')]);
  const source =
    'int probe(void *p) { pci_enable_device(p); kmalloc(8); (*op)(p); return gone(p); }';
  await writeFile(linux, `${source}\n`);
  await writeFile(
    ported,
    `${source.replace('kmalloc', 'iron_alloc').replace('return gone(p)', '')}\n`,
  );
  await port('extract', linux, ported, '1.0', pattern);
  await port('suggest', pattern, linux, place('suggested.toml'));
  await port('apply', pattern, linux, place('out.c'), '--no-cache', '--no-sign');
}

async function clientsWork(scene: Scene): Promise<void> {
  const client = (...args: string[]) =>
    must('ironport-client', [scene.service?.url ?? '', ...args, ...clientArgs(scene).slice(0, 2)]);
  const root = signed(scene, '1.root.json');
  const handoff = join(scene.folder, 'handed-over');
  await client('init', '--root', root);
  await client('refresh');
  await client('index', '--all');
  await client('get', scene.artifact, join(scene.host, 'unverified'));
  const vsa = join(scene.host, 'driver.vsa.json');
  await client('get-verified', scene.artifact, join(scene.host, 'driver'), '--vsa', vsa);
  await policyWork(scene, client, vsa);
  await client('find', '--device', 'PCI:0x1234:0x11e8');
  await client('get-verified', 'acme/edu', join(scene.host, 'chosen'));
  await client('get-all', scene.host, scene.artifact);
  await mapWork(scene, root);
  await client('handoff', scene.artifact, handoff);
  await client('watch', '--once', '--handoff', await besideOthers(scene, handoff));
  await client('verify', handoff);
  const bundle = join(scene.folder, 'edu.bundle');
  await client('bundle', 'create', bundle, scene.artifact);
  await client('bundle', 'verify', bundle);
  await client('bundle', 'import', bundle);
  await client('status');
  await client('doctor', '--repair', '--report', join(scene.folder, 'doctor.json'));
  await must('ironport-client', ['inspect', root]);
  await must('ironport-client', ['env']);
}

/** One repository is asked by way of a map, and agrees with itself. */
async function mapWork(scene: Scene, root: string): Promise<void> {
  const place = (name: string): string => join(scene.folder, name);
  const mapping = {
    ...{ paths: ['*/*/*/*'], repositories: ['only'], threshold: 1, terminating: true },
  };
  const map = { repositories: { only: [scene.service?.url ?? ''] }, mapping: [mapping] };
  await writeFile(place('map.json'), JSON.stringify(map));
  await mkdir(place('map-roots'));
  await copyFile(root, join(place('map-roots'), 'only.json'));
  await must('ironport-client', [
    ...['get-verified', scene.artifact, join(scene.host, 'mapped')],
    ...['--map', place('map.json'), '--roots', place('map-roots'), '--store', place('map-store')],
  ]);
}

/** A policy, signed by one operator of a fleet, and a summary of what it took. */
async function policyWork(
  scene: Scene,
  client: (...args: string[]) => Promise<unknown>,
  vsa: string,
): Promise<void> {
  const place = (name: string): string => join(scene.folder, name);
  const bare = (...args: string[]) => must('ironport-client', args);
  const made = await must('ironport-repo', ['key', 'make', '--out', place('fleet.json')]);
  const key = { keytype: 'ed25519', scheme: made.scheme, keyval: { public: made.public } };
  const fleet = { schema: 'ironport.fleet-keys/v1', threshold: 1, keys: [key] };
  await writeFile(place('fleet-keys.json'), JSON.stringify(fleet), { mode: 0o644 });
  const rules = [{ namespace: 'acme', minimum_level: 1 }];
  const evidence = { otherwise: 'refuse', rules };
  const policy = { schema: 'ironport.host-policy/v1', version: 1, evidence };
  await writeFile(place('host-policy.json'), JSON.stringify(policy), { mode: 0o644 });
  const [file, out] = [place('host-policy.json'), place('signed-policy.json')];
  await bare('policy', 'sign', file, '--key', place('fleet.json'), '--out', out);
  const by = ['--host-policy', out, '--fleet-keys', place('fleet-keys.json')];
  await bare('policy', 'explain', ...by);
  await client('policy', 'test', scene.artifact, ...by);
  const [, store] = clientArgs(scene);
  const hostKey = join(store as string, 'keys', 'host.pub.json');
  await bare('vsa', 'replay', vsa, '--key', hostKey);
  await bare('policy', 'explain');
}

/** A folder of hand-overs with a copy of this one in it. */
async function besideOthers(scene: Scene, handoff: string): Promise<string> {
  const folder = join(scene.folder, 'hand-overs');
  await cp(handoff, join(folder, 'edu'), { recursive: true });
  return folder;
}

async function agentsWork(scene: Scene): Promise<void> {
  const kernel = await startKernel(scene.sysfs);
  const sysfs = ['--sysfs-root', scene.sysfs];
  const agent = (...args: string[]) => must('ironport-agent', [...args, ...agentState(scene)]);
  const device = ['--device', DEVICE, ...sysfs];
  const wanted = [scene.artifact, ...device, '--policy', join(EDU, 'policy.json')];
  try {
    await must('ironport-agent', [
      'accept',
      join(scene.folder, 'handed-over'),
      ...agentArgs(scene),
    ]);
    await agent('notice', join(scene.folder, 'hand-overs', 'notice-acme%2Fedu'));
    await agent('list', ...sysfs);
    const host = unpackHost('debian-server');
    await must('ironport-agent', ['check-host', ...hostOptions(host)]);
    await rm(host, { recursive: true });
    await agent('why', ...wanted);
    await agent('plan', ...wanted);
    await agent('apply', ...wanted, '--keep');
    await agent('restore', ...sysfs);
    await agent('status', ...sysfs);
    const receipt = join(scene.folder, 'receipt.json');
    await agent('receipt', 'show', '--device', DEVICE, '--out', receipt);
    const [, state = ''] = agentState(scene);
    const key = join(state, 'keys', 'grant.pub.json');
    await must('ironport-agent', ['receipt', 'verify', receipt, '--key', key]);
    await agent('upgrade', await acceptOther(scene), ...wanted.slice(1));
    await agent('release', ...device);
    await agent('bind', ...wanted);
    await agent('recover', ...sysfs);
    await quarantineWork(scene, agent, device);
    await fleetPolicyWork(scene, agent);
    await agent('audit', 'verify');
    await agent('audit', 'export', '--out', join(scene.folder, 'exported-audit'));
  } finally {
    await kernel.stop();
  }
}

/** Another version, handed over and accepted: returns its target path. */
async function acceptOther(scene: Scene): Promise<string> {
  const name = 'acme/edu/0.9.2/edu-driver.mjs';
  const folder = join(scene.folder, 'handed-over-other');
  const from = [scene.service?.url ?? '', 'handoff', name, folder];
  await must('ironport-client', [...from, ...clientArgs(scene).slice(0, 2)]);
  await must('ironport-agent', ['accept', folder, ...agentState(scene)]);
  return name;
}

/** A device into quarantine, and out by one operator, who is the whole fleet. */
async function quarantineWork(
  scene: Scene,
  agent: (...args: string[]) => Promise<Awaited<ReturnType<typeof must>>>,
  device: readonly string[],
): Promise<void> {
  const place = (name: string): string => join(scene.folder, name);
  const { incident } = await agent('quarantine', 'enter', '--reason', 'it lies', ...device);
  await agent('quarantine', 'list');
  await agent('quarantine', 'enforce', ...device.slice(2));
  await agent('quarantine', 'show', incident, '--out', place('release.json'));
  const by = ['--key', place('fleet.json'), '--out', place('signed-release.json')];
  await must('ironport-agent', ['quarantine', 'sign', place('release.json'), ...by]);
  const fleet = ['--fleet-keys', place('fleet-keys.json')];
  await agent(
    ...['quarantine', 'release', place('signed-release.json')],
    ...[...fleet, ...device.slice(2)],
  );
}

/** A fleet policy by the one operator who is the whole fleet. */
async function fleetPolicyWork(
  scene: Scene,
  agent: (...args: string[]) => Promise<unknown>,
): Promise<void> {
  const place = (name: string): string => join(scene.folder, name);
  const policy = JSON.parse(await readFile(join(EDU, 'policy.json'), 'utf8'));
  const expires = formatInstant(systemClock() + DAY);
  await writeFile(place('fleet-policy.json'), JSON.stringify({ ...policy, version: 1, expires }));
  const out = ['--key', place('fleet.json'), '--out', place('signed-fleet-policy.json')];
  await must('ironport-agent', ['policy', 'sign', place('fleet-policy.json'), ...out]);
  const fleet = ['--fleet-keys', place('fleet-keys.json')];
  await agent('policy', 'accept', place('signed-fleet-policy.json'), ...fleet);
}

async function teamsWork(scene: Scene): Promise<void> {
  const repo = (...args: string[]) => must('ironport-repo', ['revocations', ...args]);
  const to = (name: string): string => join(scene.folder, name);
  const targets = ['--targets', signed(scene, '2.targets.json')];
  const list = signed(scene, '1.list.json');
  const next = [...targets, '--list', list, '--reason', 'CVE-2030-0001', '--yes'];
  const by = (name: string): string[] => ['--key', key(scene, name)];
  const made = (name: string): string[] => [...by('security-1'), '--out', to(name)];
  await repo('new', ...targets, '--yes', ...made('new.list.json'));
  await repo('floor', 'acme/edu', '2', ...next, ...made('floor.list.json'));
  await repo('add', 'ab'.repeat(32), ...next, ...made('add.list.json'));
  await repo('deny-key', 'cd'.repeat(32), ...next, ...made('key.list.json'));
  await repo('sign', to('floor.list.json'), ...targets, '--yes', ...by('security-2'));
  await repo('show', to('floor.list.json'), ...targets);
  await repo('diff', list, to('floor.list.json'));
  const role = ['--role', signed(scene, '1.revocations.json')];
  await repo('renew', '--list', to('floor.list.json'), ...targets, ...role, ...by('renewal'));
  const team = ['--security-key', key(scene, 'root-3'), '--renewal-key', key(scene, 'renewal')];
  await repo('init', ...targets, '--yes', ...team, ...by('targets'), '--out', to('team.json'));
}

/** A repository of others that has all that can be said of one; and one with what is in the way. */
async function takesOver(
  scene: Scene,
  repo: (...args: string[]) => Promise<unknown>,
): Promise<void> {
  const from = join(scene.folder, 'theirs');
  const id = 'ee'.repeat(32);
  const roots = await writeForeign(from, {
    style: 'python-tuf',
    expires: systemClock() - DAY,
    bend: (role, signed) => {
      if (role === 'targets') signed.delegations = { keys: {}, roles: [] };
      if (role !== 'root') return;
      (signed.roles as Record<string, { keyids: string[] }>).root?.keyids.push(id);
      const unknown = { keytype: 'other', scheme: 'other', keyval: { public: 'ab' } };
      (signed.keys as Record<string, unknown>)[id] = unknown;
    },
  });
  const root = join(scene.folder, 'theirs.root.json');
  await writeFile(root, roots.get(1) as Uint8Array);
  const to = ['--dir', join(scene.folder, 'taken')];
  const own = ['--from', join(scene.repository, 'tree'), '--root', signed(scene, '1.root.json')];
  await repo('import', ...own, ...to, '--dry-run');
  await repo('import', '--from', from, '--root', root, ...to);
}

async function operatorsWork(scene: Scene): Promise<void> {
  const dir = ['--dir', scene.repository];
  const root = signed(scene, '1.root.json');
  const targets = signed(scene, '2.targets.json');
  const keys = ['--key', key(scene, 'root-1'), '--key', key(scene, 'root-2')];
  const to = (name: string): string[] => ['--out', join(scene.folder, name)];
  const env = { PATH: `${await fixedPlugin(scene)}:${process.env.PATH}` };
  const repo = (...args: string[]) => must('ironport-repo', args, { env });
  await repo('status', ...dir);
  await repo('fsck', ...dir);
  const copied = join(scene.folder, 'repo.backup');
  await repo('backup', ...dir, '--out', copied);
  const again = join(scene.folder, 'restored');
  await repo('restore', '--in', copied, '--dir', again);
  await rm(join(again, 'tree', 'metadata', '1.snapshot.json'));
  await repo('mend', '--from', copied, '--dir', again);
  await takesOver(scene, repo);
  await repo('check', scene.service?.url ?? '', '--lead-hours', '48');
  const all = ['root-1', 'root-2', 'targets'].flatMap((name) => ['--key', key(scene, name)]);
  await repo('drill', ...dir, '--yes', ...all, '--work', scene.folder);
  await repo('key', 'show', key(scene, 'targets'));
  await repo('key', 'name', 'plugin:fixed', ...to('fixed.json'));
  await repo('vendor', 'show', join(scene.vendor('acme'), 'request.json'));
  await repo('vendor', 'list', '--targets', targets);
  await repo('root', 'renew', '--yes', '--root', root, ...keys, ...to('renewed.json'));
  const standing = ['--root', root, '--targets', targets];
  const targetsKey = ['--key', key(scene, 'targets')];
  await repo('targets', 'renew', '--yes', ...standing, ...targetsKey, ...to('3.targets.json'));
  const idOf = async (name: string): Promise<string> =>
    (await repo('key', 'show', key(scene, name))).keyid;
  const taken = ['--root', root, '--yes', ...keys];
  await repo('key', 'lost', await idOf('root-3'), ...taken, ...to('lost'));
  await repo(
    ...['key', 'compromised', await idOf('targets'), ...taken, ...standing.slice(2)],
    ...['--new', join(scene.folder, 'fixed.pub.json'), ...to('stolen')],
  );
  await repo(
    'vendor',
    'remove',
    'acme',
    '--yes',
    ...standing,
    ...targetsKey,
    ...to('no-acme.json'),
  );
  await must('ironport', ['rotate-keys', '--dir', scene.vendor('acme'), '--list', 'tuf']);
  const request = join(scene.folder, 'acme-2.json');
  await must('ironport', ['request', '--dir', scene.vendor('acme'), '--out', request]);
  await repo(
    ...['vendor', 'rotate-keys', request, '--yes', ...standing],
    ...[...targetsKey, ...to('acme-2.targets.json')],
  );
  await repo('vendor', 'suspend', 'acme', ...dir, ...to('suspended.json'));
  const against = ['--against', signed(scene, '1.targets.json'), '--root', root];
  await repo(
    'sign',
    '--yes',
    targets,
    '--key',
    key(scene, 'targets'),
    ...against,
    ...to('again.json'),
  );
}

/** A signer plugin that knows one public key, in a folder for PATH. */
async function fixedPlugin(scene: Scene): Promise<string> {
  const folder = join(scene.folder, 'plugins');
  await mkdir(folder, { recursive: true });
  const spki = 'MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=';
  const program = join(folder, 'ironport-signer-fixed');
  await writeFile(program, `#!/bin/sh\necho 'public ed25519 ${spki}'\n`, { mode: 0o755 });
  return folder;
}

/** A resource manifest, and the ISM2 blob of the bare document that `manifest encode` printed. */
export async function manifestFiles(scene: Scene): Promise<{ json: string; blob: string }> {
  const json = join(scene.folder, 'manifest.json');
  const window = { base: '0x1000', size: '0x1000', revoked: false };
  const manifest = {
    driver_id: '0x1',
    iommu_domain: 1,
    binding_nonce: 1,
    mmio: [window, window],
    ports: [{ port: 16, count: 8, revoked: false }],
  };
  await writeFile(json, JSON.stringify(manifest));
  return { json, blob: join(scene.folder, 'manifest.ism2') };
}
