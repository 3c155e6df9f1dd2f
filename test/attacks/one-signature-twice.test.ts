// A threshold that one key meets alone, by its signature repeated.

import t from 'tap';
import { keyObject } from '../../shared/tuf/key.ts';
import { testKey } from '../support/keys.ts';
import { signFile } from '../support/simulator.ts';
import { delegation, made, refused } from './client-support.ts';

t.test(
  'CVE-2020-6174, CVE-2020-15093, RUSTSEC-2020-0024, CVE-2026-6966: one signature twice is one',
  async (t) => {
    const subject = await made(t, (sim) => {
      const second = testKey('second');
      const table = sim.targets.delegations?.keys as Record<string, unknown>;
      table[second.keyid] = keyObject(second.key);
      delegation(sim).keyids.push(second.keyid);
      delegation(sim).threshold = 2;
    });
    const { sim } = subject;
    const [first] = sim.signers.get('A') ?? [];
    if (first === undefined) throw new Error('nobody signs A');
    sim.overrides.set('metadata/1.A.json', signFile(sim.role('A'), [first, first, first]));
    await refused(t, subject);
    sim.overrides.set('metadata/1.A.json', signFile(sim.role('A'), [first, testKey('second')]));
    t.equal(await subject.download('file'), 0, 'two keys are two');
  },
);
