// A role that speaks before its turn, where a client does not walk the delegations in order.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { initialised } from './client-support.ts';

t.test(
  'CVE-2024-47534: the walk is pre-order, depth first, in the order of the file',
  async (t) => {
    const subject = await initialised(t);
    const { sim } = subject;
    sim.delegate('targets', 'A', { paths: ['*'] });
    sim.delegate('targets', 'B', { paths: ['*'] });
    sim.delegate('A', 'C', { paths: ['*'] });
    sim.addTarget('B', 'file', utf8('by B'));
    sim.addTarget('C', 'file', utf8('by C'));
    sim.publish('targets');
    t.equal(await subject.download('file'), 0);
    t.strictSame(subject.downloaded(), { file: 'by C' });
    t.strictSame(subject.asked().slice(-2), ['1.A.json', '1.C.json']);
  },
);
