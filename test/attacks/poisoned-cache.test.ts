// A file in the cache that somebody else put there.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { testKey } from '../support/keys.ts';
import { made } from './client-support.ts';

t.test('TOB-SIGSTORE-10: the cache is verified like what comes from the network', async (t) => {
  for (const role of ['timestamp', 'snapshot', 'targets', 'A']) {
    const subject = await made(t);
    const { sim } = subject;
    t.equal(await subject.download('file'), 0);
    subject.forgetTargets();
    const keys = sim.signers.get(role) ?? [];
    sim.signers.set(role, [testKey('thief')]);
    if (role === 'A') sim.addTarget('A', 'file', utf8('evil'));
    writeFileSync(join(subject.metadata, `${role}.json`), sim.fileOf(role));
    sim.signers.set(role, keys);
    if (role === 'A') sim.addTarget('A', 'file', utf8('honest'));
    t.equal(await subject.download('file'), 0, `${role} heals`);
    t.strictSame(subject.downloaded(), { file: 'honest' });
  }
});
