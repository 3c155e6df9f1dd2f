/** Submissions that wait for a reviewer: one that is approved, two that are not. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newestTargets, submit } from '../../scripts/demo/honest.ts';
import type { Scene } from '../../scripts/demo/scene.ts';
import { must, run } from '../../scripts/demo/support/programs.ts';

export async function reviewsWork(scene: Scene): Promise<void> {
  const place = (name: string): string => join(scene.folder, name);
  const dir = ['--dir', scene.repository];
  const repo = (...args: string[]) => must('ironport-repo', args);
  const reviewer = ['--key', place('reviewer.json'), '--yes'];
  await repo('key', 'make', '--out', place('reviewer.json'));
  const next = async (verb: string, ...options: string[]): Promise<void> => {
    const { path, version } = await newestTargets(scene);
    const out = join(scene.operator, 'signed', `${version + 1}.targets.json`);
    await repo(
      ...['reviewers', verb, ...options, '--targets', path, '--yes', '--out', out],
      ...['--root', join(scene.operator, 'signed', '2.root.json')],
      ...['--key', join(scene.operator, 'keys', 'targets.json')],
    );
    await submit(scene, out);
  };
  await next('set', '--reviewer', place('reviewer.pub.json'));
  await repo('review', 'require', 'all', ...dir);
  const to = ['--dir', scene.vendor('pair'), '--repository', scene.service?.url ?? ''];
  const waits = async (version: string): Promise<string> => {
    const file = place(`waits-${version}.mjs`);
    await writeFile(file, `// ${version}\n`);
    const claim = ['--product', 'waits', '--version', version];
    const args = ['publish', file, ...claim, '--ceiling', place('pair.ceiling.json'), ...to];
    const { error } = JSON.parse((await run('ironport', [...args, '--json'])).stdout);
    if (error?.code !== 'E_IN_REVIEW') throw new Error(JSON.stringify(error));
    return error.context.id;
  };
  const [good, bad, worse] = [await waits('1.0.0'), await waits('2.0.0'), await waits('3.0.0')];
  await repo('review', 'list', ...dir);
  const folder = place('to-review');
  await repo('review', 'show', good, ...dir, '--out', folder);
  const approve = ['review', 'approve', good, '--from', folder, '--comment', 'as asked'];
  await repo(...approve, '--out', place('approved.json'), ...reviewer);
  await repo(...approve, ...dir, ...reviewer);
  const reject = (id: string) => ['review', 'reject', id, '--reason', 'not this', ...dir];
  await repo(...reject(bad), ...reviewer);
  await repo(...reject(worse), '--out', place('rejected.json'), ...reviewer);
  await repo('review', 'submit', place('rejected.json'), ...dir);
  await repo('review', 'show', bad, ...dir);
  await must('ironport', ['submission', good, ...to]);
  await repo('review', 'require', 'off', ...dir);
  await next('clear');
}
