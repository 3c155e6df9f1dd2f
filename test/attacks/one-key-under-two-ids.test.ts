// A threshold that one key meets alone, because the table of keys has it under two ids.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { keyObject } from '../../shared/tuf/key.ts';
import { delegation, made, refused } from './client-support.ts';

t.test('GHSA-3633-5h82-39pq, go-tuf #733: one key under two ids is one key', async (t) => {
  const alias = 'ab'.repeat(32);
  const subject = await made(t, (sim) => {
    const [first] = sim.signers.get('A') ?? [];
    if (first === undefined) throw new Error('nobody signs A');
    (sim.targets.delegations?.keys as Record<string, unknown>)[alias] = keyObject(first.key);
    delegation(sim).keyids.push(alias);
    delegation(sim).threshold = 2;
  });
  const { sim } = subject;
  const file = JSON.parse(new TextDecoder().decode(sim.fileOf('A')));
  file.signatures.push({ ...file.signatures[0], keyid: alias });
  sim.overrides.set('metadata/1.A.json', utf8(JSON.stringify(file)));
  await refused(t, subject);
});
