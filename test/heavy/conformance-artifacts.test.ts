// Targets: what comes to lie in their folder, under which name, and what is asked for it.

import { createHash } from 'node:crypto';
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { Subject } from '../conformance/subject.ts';
import { digest } from '../support/simulator.ts';

/** A subject of a repository with these targets. */
async function offering(
  t: Parameters<typeof Subject.begin>[0],
  targets: Readonly<Record<string, string>>,
): Promise<Subject> {
  const subject = await Subject.initialised(t);
  for (const [path, content] of Object.entries(targets)) {
    subject.sim.addTarget('targets', path, utf8(content));
  }
  subject.sim.publish('targets');
  return subject;
}

const ofTargets = (subject: Subject): string[] =>
  subject.urls().filter((url) => url.startsWith('targets/'));

t.test('a download refreshes first; a refresh downloads nothing', async (t) => {
  const subject = await offering(t, { 'dir/x': 'content' });
  t.equal(await subject.refresh(), 0);
  t.same(subject.downloaded(), {});
  subject.sim.addTarget('targets', 'y', utf8('new'));
  subject.sim.publish('targets');
  subject.urls();
  t.equal(await subject.download('y'), 0);
  t.same(subject.urls(), [
    ...['2.root.json', 'timestamp.json', '3.snapshot.json', '3.targets.json'].map(
      (name) => `metadata/${name}`,
    ),
    `targets/${digest('sha256', utf8('new'))}.y`,
  ]);
  t.equal(await subject.download('nothing'), 1);
});

t.test('in order, up to the first failure', async (t) => {
  const subject = await offering(t, { one: '1', two: '2', three: '3' });
  t.equal(await subject.download(['two', 'missing', 'one']), 1);
  t.same(subject.downloaded(), { two: '2' });
  subject.urls();
  t.equal(await subject.download(['three', 'two', 'one', 'three']), 0);
  const asked = ofTargets(subject).map((url) => url.split('.').at(-1));
  t.same(asked, ['three', 'one']);
  t.same(subject.downloaded(), { one: '1', two: '2', three: '3' });
});

t.test('what is there is not asked for again, and what changed keeps its name', async (t) => {
  const subject = await offering(t, { 'dir/x': 'content 0', other: 'other' });
  for (let i = 0; i < 4; i++) {
    subject.sim.addTarget('targets', 'dir/x', utf8(`content ${i}`));
    subject.sim.addTarget('targets', `new${i}`, utf8(`new ${i}`));
    subject.sim.publish('targets');
    t.equal(await subject.download(['dir/x', `new${i}`, 'other']), 0);
    const news = Array.from({ length: i + 1 }, (_, j) => [`new${j}`, `new ${j}`]);
    const expected = { 'dir%2Fx': `content ${i}`, ...Object.fromEntries(news), other: 'other' };
    t.same(subject.downloaded(), expected);
    ofTargets(subject);
    t.equal(await subject.download(['dir/x', `new${i}`]), 0);
    t.same(ofTargets(subject), [], 'nothing is asked for');
  }
});

t.test(
  'a file that was changed on the host is replaced, also one of the same length',
  async (t) => {
    const subject = await offering(t, { x: 'content' });
    t.equal(await subject.download('x'), 0);
    for (const other of ['changed', 'cont', 'content and more', '']) {
      writeFileSync(join(subject.targets, 'x'), other);
      t.equal(await subject.download('x'), 0, other);
      t.same(subject.downloaded(), { x: 'content' });
    }
  },
);

t.test('other bytes than the signed ones never come to lie there', async (t) => {
  const subject = await offering(t, { x: 'content', kept: 'kept', y: 'the other' });
  t.equal(await subject.download(['kept', 'x']), 0);
  const place = (path: string, content: string): string =>
    `targets/${digest('sha256', utf8(content))}.${path}`;
  for (const bad of ['CONTENT', 'cont', 'content and more', '', 'x'.repeat(3_000_000)]) {
    subject.sim.overrides.set(place('y', 'the other'), utf8(bad));
    subject.sim.overrides.set(place('x', 'content'), utf8(bad));
    t.equal(await subject.download('y'), 1, bad.slice(0, 20));
    t.equal(await subject.download('x'), 0, 'what is there need not be asked for');
    t.same(subject.downloaded(), { x: 'content', kept: 'kept' });
  }
  subject.sim.overrides.set(place('y', 'the other'), null);
  t.equal(await subject.download('y'), 1, 'not there');
  subject.sim.overrides.clear();
  t.equal(await subject.download('y'), 0);
  // A changed entry whose bytes are wrong leaves what was good before.
  subject.sim.addTarget('targets', 'x', utf8('content 2'));
  subject.sim.publish('targets');
  subject.sim.overrides.set(place('x', 'content 2'), utf8('CONTENT 2'));
  t.equal(await subject.download('x'), 1);
  t.equal(subject.downloaded().x, 'content');
});

t.test('a download that breaks off leaves nothing, and the next one is whole', async (t) => {
  const subject = await offering(t, { x: 'x'.repeat(300_000) });
  subject.served.misbehave = (_request, response, path) => {
    if (!path.startsWith('targets/')) return false;
    response.writeHead(200, { etag: '"1"', 'content-length': 300_000 });
    response.write('x'.repeat(100_000), () => response.destroy());
    return true;
  };
  t.equal(await subject.download('x'), 1);
  t.same(subject.downloaded(), {});
  subject.served.misbehave = () => false;
  t.equal(await subject.download('x'), 0);
  t.same(subject.downloaded(), { x: 'x'.repeat(300_000) });
});

t.test('hashes: any that is known, all that are known, and none', async (t) => {
  const bytes = utf8('content');
  const hashes = Object.fromEntries(
    ['sha256', 'sha512'].map((name) => [name, createHash(name).update(bytes).digest('hex')]),
  );
  const { sha256 = '', sha512 = '' } = hashes;
  const wrong = (text: string): string => text.replace(/^./, (char) => (char === '0' ? '1' : '0'));
  const cases: [name: string, hashes: Record<string, string>, code: number][] = [
    ['SHA-256', { sha256 }, 0],
    ['SHA-512', { sha512 }, 0],
    ['both', { sha256, sha512 }, 0],
    ['one more that nobody knows', { sha256, 'from-the-future': 'x' }, 0],
    ['one of two is wrong', { sha256, sha512: wrong(sha512) }, 1],
    ['the other of two is wrong', { sha256: wrong(sha256), sha512 }, 1],
    ['only one that nobody knows', { 'from-the-future': sha512 }, 1],
    ['none', {}, 1],
  ];
  for (const [name, given, code] of cases) {
    const subject = await offering(t, {});
    subject.sim.targets.targets.x = { length: bytes.length, hashes: given };
    for (const value of Object.values(given)) {
      subject.sim.overrides.set(`targets/${value}.x`, bytes);
    }
    subject.sim.publish('targets');
    t.equal(await subject.download('x'), code, name);
    const asked = ofTargets(subject);
    t.ok(
      asked.length <= 1 &&
        asked.every((url) => Object.values(given).some((it) => url === `targets/${it}.x`)),
      name,
    );
    t.same(subject.downloaded(), code === 0 ? { x: 'content' } : {});
  }
});

t.test('an empty target, and a large one', async (t) => {
  const large = 'large'.repeat(1_000_000);
  const subject = await offering(t, { empty: '', large });
  t.equal(await subject.download(['empty', 'large']), 0);
  t.same(subject.downloaded(), { empty: '', large });
});

t.test('places that are taken by something else', async (t) => {
  const subject = await offering(t, { folder: 'a', link: 'b' });
  mkdirSync(join(subject.targets, 'folder'), { recursive: true });
  t.equal(await subject.download('folder'), 1);
  t.same(readdirSync(subject.targets, { recursive: true }), ['folder'], 'nothing beside it');
  const outside = join(subject.folder, 'outside');
  writeFileSync(outside, 'mine');
  symlinkSync(outside, join(subject.targets, 'link'));
  t.equal(await subject.download('link'), 0);
  t.equal(readFileSync(outside, 'utf8'), 'mine', 'a link is replaced, not written through');
  t.notOk(lstatSync(join(subject.targets, 'link')).isSymbolicLink());
  subject.forgetTargets();
  t.equal(await subject.download('link'), 0, 'a folder of targets that is gone is made');
  t.same(subject.downloaded(), { link: 'b' });
});
