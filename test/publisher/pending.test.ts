/** A vendor whose role two must sign, on two machines: they finish one another's work. */

import { mkdirSync } from 'node:fs';
import { cp, rename, writeFile } from 'node:fs/promises';
import t from 'tap';
import { program } from '../../publisher/main.ts';
import { saveReviewPolicy } from '../../server/storage/review-policy.ts';
import { run } from '../cli/support.ts';
import { temporaryHome } from '../server/support.ts';
import { ironport, Scene, vendor } from './support.ts';

const scene = new Scene(temporaryHome(t));
mkdirSync(scene.at('repo', 'private', 'keys'), { recursive: true, mode: 0o700 });
await scene.start();
t.teardown(() => scene.stop());
await scene.admit('acme', 2, '--tuf-keys', '2', '--threshold', '2');
await cp(scene.at('acme'), scene.at('second'), { recursive: true });
await rename(scene.at('acme', 'keys', 'tuf-2.json'), scene.at('away-2.json'));
await rename(scene.at('second', 'keys', 'tuf-1.json'), scene.at('away-1.json'));
await scene.admit('other', 3);
await writeFile(scene.at('edu.js'), 'a driver\n');

const to = (dir: string): string[] => [
  ...['--dir', scene.at(dir), '--repository', scene.url],
  ...scene.root,
];
const publish = (version: string): string[] => [
  ...['publish', scene.at('edu.js'), '--product', 'edu', '--version', version],
  ...['--ceiling', scene.at('ceiling.json'), ...to('acme')],
];
const pending = (verb: string, id: string, ...more: string[]) =>
  ironport('pending', verb, id, ...more);

t.test(
  'the first signs and leaves it, the second sees it, signs, and it is published',
  async (t) => {
    const { data, stderr } = await vendor(...publish('1.0.0'));
    t.match(data, { published: false, signatures: { have: 1, need: 2 }, pending: { lacking: 1 } });
    t.match(stderr, 'the tuf key keys/tuf-2.json is not here');
    const { id } = data.pending;

    const listed = await vendor('pending', 'list', ...to('second'));
    t.match(listed.data.changes, [{ id, state: 'open', lacking: 1, files: [{ role: 'acme' }] }]);
    const text = await run(program, ['pending', 'list', ...to('second')]);
    t.match(text.stdout, /acme 1 .*lacks 1 .*until /);
    t.match((await vendor('pending', 'list', ...to('other'))).data, { changes: [] });
    t.equal((await pending('show', id, ...to('other'))).error?.code, 'E_NOT_FOUND');

    const shown = await pending('show', id.slice(0, 12), ...to('second'));
    t.match(shown.stderr, '+ acme/edu/1.0.0/edu.js is listed');
    t.equal((await pending('sign', id, ...to('second'))).error?.code, 'E_USAGE', 'nobody said yes');
    const again = await pending('sign', id, '--yes', ...to('acme'));
    t.match(again.data, { state: 'open', lacking: 1 }, 'the same key again is one');

    const last = await pending('sign', id, '--yes', ...to('second'));
    t.match(last.data, { state: 'published', lacking: 0, published: {} });
    t.strictSame((await vendor('pending', 'list', ...to('acme'))).data.changes, []);
    t.match((await vendor('pending', 'list', '--all', ...to('acme'))).data.changes, [
      { id, state: 'published' },
    ]);
    t.equal((await pending('sign', id, '--yes', ...to('second'))).error?.code, 'E_NOTHING_TO_DO');
  },
);

t.test('the other way round, for a promotion and a renewal', async (t) => {
  const promoted = await vendor('promote', 'edu@1.0.0', '--channel', 'stable', ...to('second'));
  t.match(promoted.data, { published: false, pending: { lacking: 1 } });
  const done = await pending('sign', promoted.data.pending.id, '--yes', ...to('acme'));
  t.match(done.data, { state: 'published' });
  t.match(done.data.changes, [{ text: /index\.json stands for other bytes/ }]);
  const renewed = await vendor('renew', ...to('acme'));
  t.match(renewed.data, { published: false, bins: 0, pending: { lacking: 1 } });
  const after = await pending('sign', renewed.data.pending.id, '--yes', ...to('second'));
  t.match(after.data, { state: 'published' });
});

t.test('of two changes of one version the second is refused, and says which stands', async (t) => {
  const [a, b] = [await vendor(...publish('1.1.0')), await vendor(...publish('1.2.0'))];
  t.match((await pending('sign', b.data.pending.id, '--yes', ...to('second'))).data, {
    state: 'published',
  });
  const late = await pending('sign', a.data.pending.id, '--yes', ...to('second'));
  t.match(late.error, { code: 'E_CONFLICT', message: 'acme 4 was handed in, and acme 4 stands' });
});

t.test(
  'with its last signature it may still wait for the reviewers of the repository',
  async (t) => {
    await saveReviewPolicy(scene.at('repo'), 'all');
    const { data } = await vendor(...publish('9.0.0'));
    const { id } = data.pending;
    const last = await pending('sign', id, '--yes', ...to('second'));
    t.equal(last.error?.code, 'E_IN_REVIEW');
    t.match((await vendor('pending', 'list', '--all', ...to('acme'))).data.changes[0], {
      id,
      state: 'in-review',
    });
    await saveReviewPolicy(scene.at('repo'), 'off');
  },
);

t.test('a vendor that was suspended meanwhile signs nothing', async (t) => {
  const { data } = await vendor(...publish('1.3.0'));
  // Since it was begun, the operators had a reason to stop.
  const { id } = data.pending;
  await run((await import('../../server/main.ts')).program, [
    ...['vendor', 'suspend', 'acme', '--dir', scene.at('repo')],
  ]);
  const stopped = await pending('sign', id, '--yes', ...to('second'));
  t.equal(stopped.error?.code, 'E_NOT_AUTHORISED');
});
