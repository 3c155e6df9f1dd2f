// TUF 1.5.2, fast-forward: a thief of online keys raises versions so far that nothing honest seems
// new any more. New keys, by root, take the floors away with the old ones (TUF 5.3.11); nothing else
// does.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { recovers, served, withstands } from './client-support.ts';

/** As far as the thief can go and leave a version for the next file. */
const FAR = 2 ** 31;

t.test(
  'of timestamp, snapshot and targets: new keys, and only they, bring them back',
  async (t) => {
    for (const role of ['timestamp', 'snapshot', 'targets'] as const) {
      const subject = await served(t);
      const { sim } = subject;
      const draft = sim[role];
      const honest = draft.version;
      draft.version = FAR;
      if (role === 'targets') sim.publish();
      else if (role === 'snapshot') sim.publishTimestamp();
      t.equal(await subject.download('file'), 0, `${role}: the thief has the key`);
      t.match(subject.trusted(), `${role} ${FAR}`);
      draft.version = honest + 1;
      sim.addTarget('A', 'file', utf8('update'));
      sim.role('A').version++;
      sim.publish();
      const learned = { timestamp: [], snapshot: [], targets: ['timestamp', 'snapshot'] }[role];
      await withstands(t, subject, { code: 'E_ROLLBACK', learned, what: `${role}, the old key` });
      sim.nextRoot(() => sim.addKey(role));
      const root = ['root', ...learned];
      await withstands(t, subject, {
        code: 'E_ROLLBACK',
        learned: root,
        what: `${role}, one more`,
      });
      // The floor of targets is what the snapshot said: it is the snapshot's keys that carry it.
      sim.nextRoot(() => sim.rotateKeys(role === 'targets' ? 'snapshot' : role));
      sim.publish();
      await recovers(t, subject, 'update');
      t.notMatch(subject.trusted(), String(FAR));
    }
  },
);

t.test('of root: no version follows but the next one', async (t) => {
  const subject = await served(t);
  const { sim } = subject;
  sim.addTarget('A', 'file', utf8('update'));
  sim.publish('A');
  const honest = sim.root.version;
  sim.root.version = FAR;
  sim.roots.set(2, sim.publishRoot());
  await withstands(t, subject, { code: 'E_VERSION' });
  sim.root.version = honest;
  sim.nextRoot();
  await recovers(t, subject, 'update');
  t.match(subject.trusted(), 'root 2');
});

t.test('beyond the numbers that a version can be', async (t) => {
  const subject = await served(t);
  const { sim } = subject;
  const text = new TextDecoder().decode(sim.fileOf('timestamp'));
  for (const version of ['9007199254740993', '1e400', '18446744073709551616', '-1', '2.5']) {
    const edited = text.replace(/("spec_version":"1.0.34","version":)\d+/, `$1${version}`);
    t.not(edited, text, 'the lie is in');
    sim.overrides.set('metadata/timestamp.json', utf8(edited));
    await withstands(t, subject, { code: '(E_JSON|E_SCHEMA)', what: version });
  }
  sim.overrides.clear();
  sim.addTarget('A', 'file', utf8('update'));
  sim.publish('A');
  await recovers(t, subject, 'update');
});
