/** Changes that wait at the service for signatures: the operators', and those of a vendor of two. */

import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { admitRequest, EDU } from '../../scripts/demo/honest.ts';
import type { Scene } from '../../scripts/demo/scene.ts';
import { must } from '../../scripts/demo/support/programs.ts';

const signed = (scene: Scene, name: string): string => join(scene.operator, 'signed', name);
const key = (scene: Scene, name: string): string => join(scene.operator, 'keys', `${name}.json`);

/** What lacks a signature is left, listed, shown and signed; another is dropped. */
export async function operatorsPending(scene: Scene): Promise<void> {
  const url = ['--url', scene.service?.url ?? ''];
  const repo = (...args: string[]) => must('ironport-repo', args);
  const root = ['--root', signed(scene, '2.root.json')];
  const leave = async (days: string): Promise<string> => {
    const out = join(scene.folder, `root-for-${days}.json`);
    const by = ['--yes', ...root, '--key', key(scene, 'root-1'), '--expires-in', days];
    await repo('root', 'renew', ...by, '--out', out);
    return (await repo('submit', out, ...url)).id as string;
  };
  const unwanted = await leave('99d');
  await repo('pending', 'drop', unwanted, '--dir', scene.repository);
  const id = await leave('300d');
  await repo('pending', 'list', '--all', ...url);
  await repo('pending', 'show', id, ...root, ...url, '--out', join(scene.folder, 'carried'));
  await repo('pending', 'sign', id, '--yes', ...root, ...url, '--key', key(scene, 'root-2'));
}

/** A vendor of whose keys two must sign, and one is elsewhere. */
export async function vendorsPending(scene: Scene): Promise<void> {
  const dir = scene.vendor('pair');
  const many = ['--tuf-keys', '2', '--threshold', '2'];
  await must('ironport', [
    ...['init', '--vendor', 'pair', '--dir', dir, '--contact', 'security@pair.example'],
    ...['--hardware-id', 'PCI:0x5678', ...many],
  ]);
  await admitRequest(scene, dir);
  const [here, away] = [join(dir, 'keys', 'tuf-2.json'), join(scene.folder, 'away.json')];
  await rename(here, away);
  const ceiling = join(scene.folder, 'pair.ceiling.json');
  const text = await readFile(join(EDU, 'ceiling.json'), 'utf8');
  await writeFile(ceiling, text.replace('0x1234', '0x5678'));
  const to = ['--dir', dir, '--repository', scene.service?.url ?? ''];
  const pin = ['--root', signed(scene, '1.root.json')];
  const { pending } = await must('ironport', [
    ...['publish', join(EDU, 'edu-driver.mjs'), '--product', 'edu', '--version', '1.0.0'],
    ...['--ceiling', ceiling, ...to, ...pin],
  ]);
  await must('ironport', ['pending', 'list', ...to]);
  await must('ironport', ['pending', 'show', pending.id, ...to]);
  await rename(away, here);
  await must('ironport', ['pending', 'sign', pending.id, '--yes', ...to]);
  await vendorsNested(scene, ceiling, to);
}

/** The same vendor, with a role that is nested and taken back. */
async function vendorsNested(scene: Scene, ceiling: string, to: string[]): Promise<void> {
  const file = join(EDU, 'edu-driver.mjs');
  await must('ironport', ['nest', 'edu', '--path', 'pair/edu/*/*', ...to]);
  const claim = ['--product', 'edu', '--version', '1.1.0', '--ceiling', ceiling];
  await must('ironport', ['publish', file, ...claim, ...to]);
  await must('ironport', ['promote', 'edu@1.1.0', '--channel', 'stable', ...to]);
  await must('ironport', ['withdraw', 'edu@1.0.0', '--reason', 'loses writes', ...to]);
  const list = join(scene.folder, 'pair.list.json');
  const artifacts = [{ file, product: 'edu', version: '1.2.0', ceiling }];
  await writeFile(list, JSON.stringify({ schema: 'ironport.artifact-list/v1', artifacts }));
  await must('ironport', ['publish-batch', list, ...to]);
  await must('ironport', ['renew', ...to]);
  await must('ironport', ['unnest', 'edu', ...to]);
}
