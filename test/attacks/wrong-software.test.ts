// TUF 1.5.2, wrong software installation: a host asks for one file and gets another, which is
// validly signed too, but as something else.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { hashPrefixed } from '../../shared/layout.ts';
import { digest } from '../support/simulator.ts';
import { initialised, recovers, served, withstands } from './client-support.ts';

const placeOf = (path: string, content: string): string =>
  `targets/${hashPrefixed(path, digest('sha256', utf8(content)))}`;

t.test('another signed target, in the place of the one that was asked for', async (t) => {
  const subject = await served(t, (sim) => {
    sim.addTarget('A', 'other', utf8('OTHERS'));
    sim.addTarget('A', 'longer', utf8('another one'));
  });
  const { sim } = subject;
  sim.addTarget('A', 'file', utf8('update'));
  sim.publish('A');
  for (const [other, code] of [
    ['OTHERS', 'E_HASH'],
    ['another one', 'E_LENGTH'],
    ['honest', 'E_HASH'],
  ] as const) {
    sim.overrides.set(placeOf('file', 'update'), utf8(other));
    const learned = ['timestamp', 'snapshot', 'A'];
    await withstands(t, subject, { code, learned, what: other });
  }
  sim.overrides.clear();
  await recovers(t, subject, 'update');
  t.equal(await subject.download('other'), 0, 'the other one, for whoever asks for it');
});

t.test('a role that signs under the path of another', async (t) => {
  const subject = await initialised(t);
  const { sim } = subject;
  sim.delegate('targets', 'B', { paths: ['b/*'] });
  sim.delegate('targets', 'A', { paths: ['a/*'] });
  sim.addTarget('B', 'b/file', utf8('of B'));
  sim.addTarget('B', 'a/file', utf8('evil'));
  sim.publish('targets');
  t.equal(await subject.download('b/file'), 0, 'what is its own');
  await withstands(t, subject, { code: 'E_NOT_FOUND', path: 'a/file', learned: ['A'] });
  sim.addTarget('A', 'a/file', utf8('of A'));
  sim.publish('A');
  t.equal(await subject.download('a/file'), 0);
  t.strictSame(subject.downloaded(), { 'a%2Ffile': 'of A', 'b%2Ffile': 'of B' });
});

t.test('the file of one role under the name of another', async (t) => {
  const file = (role: string): string => `metadata/${role === 'timestamp' ? '' : '3.'}${role}.json`;
  for (const [role, other, learned] of [
    ['timestamp', 'snapshot', []],
    ['snapshot', 'targets', ['timestamp']],
    ['targets', 'A', ['timestamp', 'snapshot']],
  ] as const) {
    const subject = await served(t);
    const { sim } = subject;
    sim.addTarget('A', 'file', utf8('update'));
    sim.publish('targets', 'A');
    sim.overrides.set(file(role), sim.fileOf(other));
    await withstands(t, subject, { code: '(E_SCHEMA|E_THRESHOLD)', learned, what: role });
    sim.overrides.clear();
    await recovers(t, subject, 'update');
  }
});
