/** What waits, for reviewers or for signatures, is in no renewal's way, and the renewal names it. */

import { mkdirSync } from 'node:fs';
import { cp, writeFile } from 'node:fs/promises';
import t from 'tap';
import { temporaryHome } from '../server/support.ts';
import { ironport, operator, repo, Scene, vendor } from './support.ts';

const scene = new Scene(temporaryHome(t));
mkdirSync(scene.at('repo', 'private', 'keys'), { recursive: true, mode: 0o700 });
await scene.start();
t.teardown(() => scene.stop());
await scene.admit('acme', 2);
await operator('key', 'make', '--out', scene.at('rev.json'));
await writeFile(scene.at('edu.js'), 'a driver\n');
await operator(
  ...['reviewers', 'set', '--agree', '1', '--key', scene.at('t1.json'), '--yes'],
  ...['--reviewer', scene.at('rev.pub.json'), '--targets', scene.at('signed', '2.targets.json')],
  ...['--root', scene.at('signed', '1.root.json'), '--out', scene.at('signed', '3.targets.json')],
);
await scene.submit('3.targets.json');

const dir = ['--dir', scene.at('repo')];
const to = (name = 'acme'): string[] => [
  ...['--dir', scene.at(name), '--repository', scene.url],
  ...scene.root,
];
const review = (what: string) => operator('review', 'require', what, ...dir);
const approve = (id: string) =>
  repo('review', 'approve', id, ...dir, '--key', scene.at('rev.json'), '--yes');

/** Hands in what waits for the reviewers; its id. */
async function wait(version: string): Promise<string> {
  const { error, stdout } = await ironport(...scene.publishing('edu.js', version, ...scene.root));
  if (error?.code !== 'E_IN_REVIEW') throw new Error(stdout);
  return JSON.parse(stdout).error.context.id;
}

t.test('what was approved meanwhile is known, and what waits is named', async (t) => {
  await review('all');
  const first = await wait('1.0.0');
  t.match((await approve(first)).data, { state: 'published' });
  // Nobody asked with `submission`: this folder never saw it published, and then signs the next.
  const second = await wait('1.1.0');
  const { data, stderr } = await vendor('renew', ...to());
  t.match(data, {
    version: 2,
    beside: [{ roles: [{ role: 'acme', version: 2 }], for: 'reviewers', id: second }],
  });
  t.match(stderr, `acme 2 waits for reviewers as ${second}`);
  t.equal((await approve(second)).error?.code, 'E_CONFLICT', 'it follows another version');
  t.notOk('beside' in (await vendor('renew', ...to())).data, 'it waits no more');
});

t.test('of two that wait the one that was signed first is published', async (t) => {
  const [first, second] = [await wait('1.2.0'), await wait('1.3.0')];
  t.match((await approve(first)).data, { state: 'published' });
  const { data, stderr } = await vendor('renew', ...to());
  t.notOk('beside' in data, 'the other follows no published version any more');
  t.notMatch(stderr, 'was not signed here last');
  t.equal((await approve(second)).error?.code, 'E_CONFLICT');
});

t.test('bins of which more waits than two changes', async (t) => {
  await review('off');
  await vendor('split', '--bins', '2', ...to());
  await review('all');
  for (const version of ['2.0.0', '2.1.0', '2.2.0']) await wait(version);
  t.match((await vendor('renew', ...to())).data, { bins: 2 });
});

t.test('what another folder signed is still not renewed unseen', async (t) => {
  await review('off');
  await cp(scene.at('acme'), scene.at('second'), { recursive: true });
  await vendor(
    ...['publish', scene.at('edu.js'), '--product', 'edu', '--version', '3.0.0'],
    ...['--ceiling', scene.at('ceiling.json'), '--raise-floor', ...to('second')],
  );
  const { error } = await ironport('renew', ...to());
  t.equal(error?.code, 'E_CONFLICT');
  t.match((await vendor('renew', '--adopt', ...to())).data, { role: 'acme' });
});
