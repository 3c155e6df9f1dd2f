// A role that is cached as trusted by one delegator, and reached through another.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { testKey } from '../support/keys.ts';
import { initialised, refused } from './client-support.ts';

t.test(
  'TOB-SIGSTORE-14: a role is trusted for the delegator that led to it, and no other',
  async (t) => {
    const subject = await initialised(t);
    const { sim } = subject;
    const stranger = testKey('a stranger');
    sim.delegate('targets', 'A', { paths: ['a/*'] });
    sim.delegate('targets', 'B', { paths: ['b/*'] });
    sim.delegate('A', 'shared', { paths: ['*/*'] });
    sim.delegate('B', 'shared', { paths: ['*/*'], keys: [stranger] });
    const honest = (sim.signers.get('shared') ?? []).filter((key) => key !== stranger);
    sim.signers.set('shared', honest);
    sim.addTarget('shared', 'a/1', utf8('x'));
    sim.addTarget('shared', 'b/1', utf8('x'));
    sim.publish('targets');
    t.equal(await subject.download('a/1'), 0);
    subject.forgetTargets();
    await refused(t, subject, 'b/1', 'though it is cached, verified for A');
  },
);
