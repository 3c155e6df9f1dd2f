// TUF 1.5.2, mix-and-match: files of two states of the repository, each validly signed, are put
// together to a state that never was.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { recovers, served, withstands } from './client-support.ts';

for (const withHashes of [false, true]) {
  t.test(`an earlier file under a later name, ${withHashes ? '' : 'no '}hashes`, async (t) => {
    for (const [role, learned] of [
      ['snapshot', ['timestamp']],
      ['targets', ['timestamp', 'snapshot']],
      ['A', ['timestamp', 'snapshot', 'targets']],
    ] as const) {
      const subject = await served(t, (sim) => {
        sim.withHashes = withHashes;
      });
      const { sim } = subject;
      const earlier = sim.fileOf(role);
      sim.addTarget('A', 'file', utf8('update'));
      sim.publish('targets', 'A');
      const draft = role === 'snapshot' ? sim.snapshot : sim.role(role);
      sim.overrides.set(`metadata/${draft.version}.${role}.json`, earlier);
      // Its hash tells the earlier file before its version does.
      const code = withHashes ? 'E_HASH' : 'E_MIX_AND_MATCH';
      await withstands(t, subject, { code, learned, what: role });
      sim.overrides.clear();
      await recovers(t, subject, 'update');
    }
  });
}

t.test('a later file under an earlier name', async (t) => {
  for (const [role, learned] of [
    ['snapshot', ['timestamp']],
    ['targets', ['timestamp', 'snapshot']],
    ['A', ['timestamp', 'snapshot', 'targets']],
  ] as const) {
    const subject = await served(t);
    const { sim } = subject;
    sim.addTarget('A', 'file', utf8('update'));
    sim.publish('targets', 'A');
    const draft = role === 'snapshot' ? sim.snapshot : sim.role(role);
    draft.version++;
    const later = sim.fileOf(role);
    draft.version--;
    sim.overrides.set(`metadata/${draft.version}.${role}.json`, later);
    await withstands(t, subject, { code: 'E_MIX_AND_MATCH', learned, what: role });
    sim.overrides.clear();
    await recovers(t, subject, 'update');
  }
});
