/** The honest way, step by step, with the programs as their users type them. */

import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { data } from '../../shared/layout.ts';
import { recordTimestamp, type Scene } from './scene.ts';
import { freePort } from './support/port.ts';
import { must, type RunOptions, serve } from './support/programs.ts';

export const EDU = fileURLToPath(new URL('../../examples/edu/', import.meta.url));
export const DEVICE = '0000:00:05.0';
const HARDWARE = 'PCI:0x1234:0x11e8';

/** Two of the security team, and the key of the machine that renews what they signed. */
const TEAM = ['security-1', 'security-2', 'renewal'] as const;
type Three = [string, string, string];

const keyOf = (scene: Scene, name: string): string => join(scene.operator, 'keys', `${name}.json`);
const signedOf = (scene: Scene, name: string): string => join(scene.operator, 'signed', name);

/** 1. Keys for every role, root 2 of 3, a security team; the first root, targets and list, signed. */
export async function ceremony(scene: Scene): Promise<{ rootKeys: number; threshold: number }> {
  await mkdir(join(scene.operator, 'keys'), { recursive: true, mode: 0o700 });
  const offline = ['root-1', 'root-2', 'root-3', 'targets'].map((name) => keyOf(scene, name));
  const online = (['snapshot', 'timestamp'] as const).map((role) =>
    join(scene.repository, data.onlineKey(role)),
  );
  const [security1, security2, renewal] = TEAM.map((name) => keyOf(scene, name)) as Three;
  await Promise.all(
    [...offline, ...online, security1, security2, renewal].map((file) =>
      must('ironport-repo', ['key', 'make', '--out', file]),
    ),
  );
  const [root1, root2, root3, targets] = offline as [string, string, string, string];
  const [snapshot, timestamp] = online as [string, string];
  await must('ironport-repo', [
    ...['ceremony', '--yes', '--out', join(scene.operator, 'signed')],
    ...['--root-key', root1, '--root-key', root2, '--root-key', root3, '--root-threshold', '2'],
    ...['--targets-key', targets, '--snapshot-key', snapshot, '--timestamp-key', timestamp],
    ...['--security-key', security1, '--security-key', security2, '--security-threshold', '2'],
    ...['--renewal-key', renewal],
  ]);
  return { rootKeys: 3, threshold: 2 };
}

/** Starts the service over the scene's repository. */
export async function startService(scene: Scene): Promise<string> {
  scene.service = await serve(scene.repository, await freePort());
  return scene.service.url;
}

export async function submit(scene: Scene, ...files: string[]): Promise<void> {
  const where =
    scene.service === undefined ? ['--dir', scene.repository] : ['--url', scene.service.url];
  await must('ironport-repo', ['submit', ...files, ...where]);
  await recordTimestamp(scene);
}

/** The first root is handed in on the machine itself: whoever brings it decides whom all trust. */
export function submitCeremony(scene: Scene): Promise<void> {
  const names = ['1.root.json', '1.targets.json', '1.list.json', '1.revocations.json'];
  return submit(scene, ...names.map((name) => signedOf(scene, name)));
}

/** The security team raises the floor of a product, and its list is listed and handed in. */
export async function raiseFloor(scene: Scene, component: string, floor: number): Promise<void> {
  const { path: targets } = await newestTargets(scene);
  const [security1, security2, renewal] = TEAM.map((name) => keyOf(scene, name)) as Three;
  const [before, list] = [signedOf(scene, '1.list.json'), signedOf(scene, '2.list.json')];
  const role = signedOf(scene, '1.revocations.json');
  await must('ironport-repo', [
    ...['revocations', 'floor', component, String(floor), '--reason', 'CVE-2030-0001'],
    ...['--list', before, '--targets', targets, '--out', list, '--yes'],
    ...['--key', security1, '--key', security2],
  ]);
  await must('ironport-repo', [
    ...['revocations', 'renew', '--list', list, '--targets', targets],
    ...['--role', role, '--key', renewal],
  ]);
  await submit(scene, list, role);
}

/** 2. A vendor makes its keys, asks to be admitted, and the operators sign the next targets. */
export async function admit(
  scene: Scene,
  vendor: string,
  hardware: string = HARDWARE,
): Promise<string> {
  const home = scene.vendor(vendor);
  const contact = `security@${vendor}.example`;
  await must('ironport', [
    'init',
    '--vendor',
    vendor,
    '--dir',
    home,
    '--contact',
    contact,
    '--hardware-id',
    hardware,
  ]);
  return await admitRequest(scene, home);
}

/** The request of the vendor whose folder is `home`, and the operators' answer to it. */
export async function admitRequest(scene: Scene, home: string): Promise<string> {
  const request = join(home, 'request.json');
  const { fingerprint } = await must('ironport', ['request', '--dir', home, '--out', request]);
  const current = (await newestTargets(scene)) as { path: string; version: number };
  const next = signedOf(scene, `${current.version + 1}.targets.json`);
  await must('ironport-repo', [
    ...[
      'vendor',
      'add',
      request,
      '--yes',
      '--targets',
      current.path,
      '--key',
      keyOf(scene, 'targets'),
    ],
    ...['--fingerprint', fingerprint, '--out', next],
  ]);
  await submit(scene, next);
  return fingerprint;
}

export async function newestTargets(scene: Scene): Promise<{ path: string; version: number }> {
  for (let version = 64; version > 0; version--) {
    const path = signedOf(scene, `${version}.targets.json`);
    if ((await readFile(path).catch(() => undefined)) !== undefined) return { path, version };
  }
  throw new Error('no targets were signed');
}

/** 3. The vendor signs at home and publishes. Returns the target path. */
export async function publish(
  scene: Scene,
  file: string,
  version: string,
  options: RunOptions = {},
): Promise<string> {
  const result = await must(
    'ironport',
    [
      ...[
        'publish',
        file,
        '--product',
        'edu',
        '--version',
        version,
        '--ceiling',
        join(EDU, 'ceiling.json'),
      ],
      ...[
        '--repository',
        scene.service?.url ?? '',
        '--dir',
        scene.vendor('acme'),
        '--root',
        signedOf(scene, '1.root.json'),
      ],
    ],
    options,
  );
  scene.artifact = result.path ?? result.target ?? `acme/edu/${version}/${basename(file)}`;
  await recordTimestamp(scene);
  return scene.artifact;
}

/** The driver as a next version that differs in its bytes. */
export async function nextDriver(scene: Scene): Promise<string> {
  const folder = join(scene.folder, 'next');
  await mkdir(folder, { recursive: true });
  const file = join(folder, 'edu-driver.mjs');
  await writeFile(file, `${await readFile(join(EDU, 'edu-driver.mjs'), 'utf8')}// 1.1.0\n`);
  return file;
}

/** What the host trusts, whichever mirror it asks. */
export function storeOf(scene: Scene): string {
  return join(scene.host, 'store');
}

/** 4. A host with a pinned root. */
export function clientArgs(scene: Scene): string[] {
  return ['--store', storeOf(scene), '--root', signedOf(scene, '1.root.json')];
}

/** 5. The client hands over, and the agent takes it from there. */
export function agentArgs(scene: Scene): string[] {
  return [...agentState(scene), '--root', signedOf(scene, '1.root.json')];
}

/** The agent's own folder. Its root is pinned once, with the first hand-over that it accepts. */
export function agentState(scene: Scene): string[] {
  return ['--state', scene.agent];
}

/** New online keys, signed into a new root: the way out after they were stolen. */
export async function rotateOnlineKeys(scene: Scene): Promise<void> {
  const fresh = (['snapshot', 'timestamp'] as const).map((role) => ({
    role,
    file: join(scene.repository, `${data.onlineKey(role).replace(/\.json$/, '')}.next.json`),
  }));
  await Promise.all(fresh.map(({ file }) => must('ironport-repo', ['key', 'make', '--out', file])));
  const next = signedOf(scene, '2.root.json');
  await must('ironport-repo', [
    ...['root', 'rotate', '--yes', '--root', signedOf(scene, '1.root.json'), '--out', next],
    ...['--key', keyOf(scene, 'root-1'), '--key', keyOf(scene, 'root-2')],
    ...fresh.flatMap(({ role, file }) => [`--replace-${role}`, file]),
  ]);
  await submit(scene, next);
}

/** Copies a hand-over folder, for attacks on it. */
export async function copyFolder(from: string, to: string): Promise<void> {
  await cp(from, to, { recursive: true });
}
