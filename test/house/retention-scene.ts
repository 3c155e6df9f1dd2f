/** A window for bytes that nothing lists, what it would take, and a hold; a scanner, and what was handed in. */

import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EDU, newestTargets, submit } from '../../scripts/demo/honest.ts';
import type { Scene } from '../../scripts/demo/scene.ts';
import { must } from '../../scripts/demo/support/programs.ts';

export async function retentionWork(scene: Scene): Promise<void> {
  const dir = ['--dir', scene.repository];
  const repo = (...args: string[]) => must('ironport-repo', args);
  const next = async (verb: string, ...options: string[]): Promise<void> => {
    const { path, version } = await newestTargets(scene);
    const out = join(scene.operator, 'signed', `${version + 1}.targets.json`);
    await repo(
      ...[
        verb === 'declare' ? 'lost' : 'retention',
        verb,
        ...options,
        '--targets',
        path,
        '--yes',
        '--out',
        out,
      ],
      ...['--root', join(scene.operator, 'signed', '2.root.json')],
      ...['--key', join(scene.operator, 'keys', 'targets.json')],
    );
    await submit(scene, out);
  };
  await next('set', '--window', '30d', '--grace', '2d');
  await repo('retention', 'show', ...dir);
  await repo('hold', 'add', 'acme/edu/', '--reason', 'a case', ...dir);
  await repo('hold', 'list', ...dir);
  await repo('hold', 'remove', 'acme/edu/', ...dir);
  await repo('retention', 'collect', '--dry-run', ...dir);
  await next('clear');
  await repo('retention', 'show', ...dir);
  await repo('scanner', 'show', ...dir);
  await repo('scanner', 'set', '/bin/true', 'word', ...dir);
  await repo('scanner', 'show', ...dir);
  await repo('scanner', 'try', join(EDU, 'ceiling.json'), ...dir);
  await rescans(scene, dir);
  await repo('scanner', 'off', ...dir);
  await rm(join(scene.repository, 'tree', 'metadata', '1.snapshot.json'));
  await next('declare', ...dir);
  const { submissions } = await repo('verdicts', 'list', ...dir);
  await repo('verdicts', 'list', '--vendor', 'acme', '--limit', '1', ...dir);
  type Row = { readonly id: string; readonly vendor: string | null; readonly state: string };
  const wanted: ((row: Row) => boolean)[] = [
    ({ vendor }) => vendor === null,
    ({ vendor, state }) => vendor !== null && state === 'published',
    ({ state }) => state === 'refused',
  ];
  for (const of of wanted) {
    const row = (submissions as Row[]).find(of);
    if (row === undefined) throw new Error('the scene has no such submission');
    await repo('verdicts', 'show', row.id, ...dir);
  }
}

/** One that finds nothing, and one that finds something and cannot look at everything. */
async function rescans(scene: Scene, dir: readonly string[]): Promise<void> {
  const rescan = ['scanner', 'rescan', ...dir];
  await must('ironport-repo', rescan);
  const ends = 'case "$*" in *timestamp.json) exit 0;; *.ceiling.json*) exit 2;; *) exit 1;; esac';
  const place = join(scene.folder, 'scan');
  await writeFile(place, `#!/bin/sh\n${ends}\n`, { mode: 0o755 });
  await must('ironport-repo', ['scanner', 'set', place, 'word', ...dir]);
  await must('ironport-repo', rescan);
}
