// TUF 1.5.2, extraneous dependencies: a host that asks for one file is told that it needs another.
// Nothing here depends on anything: a target is one file, no field of its entry names a second
// one, and a role speaks for the paths that were delegated to it and no others. So what stands for
// the attack is an entry that claims such a need, and a role that lists what is not its own.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { hashPrefixed } from '../../shared/layout.ts';
import { digest } from '../support/simulator.ts';
import { initialised, withstands } from './client-support.ts';

t.test('an entry that claims to need others brings itself, and nothing else', async (t) => {
  const subject = await initialised(t);
  const { sim } = subject;
  const needs = ['b/tool', 'a/rootkit'];
  sim.delegate('targets', 'A', { paths: ['a/*'] });
  sim.delegate('targets', 'B', { paths: ['b/*'] });
  const custom = { dependencies: needs, requires: needs, depends: [{ path: 'b/tool' }] };
  sim.addTarget('A', 'a/file', utf8('file'), custom);
  sim.addTarget('A', 'a/rootkit', utf8('rootkit'));
  sim.addTarget('B', 'b/tool', utf8('tool'));
  sim.publish('targets');
  t.equal(await subject.download('a/file'), 0);
  t.strictSame(subject.downloaded(), { 'a%2Ffile': 'file' });
  const asked = subject.urls().filter((url) => url.startsWith('targets/'));
  const place = hashPrefixed('a/file', digest('sha256', utf8('file')));
  t.strictSame(asked, [`targets/${place}`], 'nor is another asked for');
  t.equal(await subject.download('b/tool'), 0, 'the other, for whoever asks for it');
});

t.test('a role that lists what is not its own brings nothing', async (t) => {
  const subject = await initialised(t);
  const { sim } = subject;
  sim.delegate('targets', 'A', { paths: ['a/*'] });
  sim.delegate('targets', 'B', { paths: ['b/*'] });
  sim.addTarget('A', 'a/file', utf8('file'));
  sim.addTarget('A', 'b/tool', utf8('evil'));
  sim.publish('targets');
  t.equal(await subject.download('a/file'), 0, 'what is its own');
  const learned = ['B'];
  await withstands(t, subject, { code: 'E_NOT_FOUND', path: 'b/tool', learned });
  sim.addTarget('B', 'b/tool', utf8('tool'));
  sim.publish('B');
  t.equal(await subject.download('b/tool'), 0);
  t.strictSame(subject.downloaded(), { 'a%2Ffile': 'file', 'b%2Ftool': 'tool' });
});
