/** Whoever signs a role of a vendor, however deep it stands, is no reviewer of that vendor. */

import t from 'tap';
import { saveReviewPolicy } from '../../server/storage/review-policy.ts';
import { asked, handInBelow, type Nested, nestedIn, WIFI } from './nesting.ts';
import { ANNA, approve, BORIS, CLARA, reviewing } from './reviewing.ts';

t.test('keys of roles nested in nested ones, as published and as handed in', async (t) => {
  const it = await reviewing(t, 1, 'off', [ANNA, BORIS, CLARA]);
  const { own, below, submit, artifact } = asked(it);
  const ax = (signers: Nested['signers']): Nested => ({
    ...{ name: 'acme.wifi.ax', paths: ['acme/wifi-ax*/*/*'], signers },
  });
  const giving = (version: number, signers: Nested['signers']) =>
    below(WIFI, version, [], { delegations: nestedIn([ax(signers)]) });
  t.equal(
    await submit(await own(1, [], [WIFI]), await giving(1, [ANNA]), await below(ax([ANNA]), 1, [])),
    'published',
  );
  await saveReviewPolicy(it.home, 'all');
  const inner = await artifact('acme/wifi-ax/1.0.0/radio.js');
  await it.caller.uploadAll([inner]);
  const roles = [await giving(2, [BORIS]), await below(ax([BORIS]), 2, [inner])];
  const { id, state } = await handInBelow(it.caller, 'acme', undefined, { roles });
  t.equal(state, 'in-review');
  t.equal(await approve(it, id, ANNA), 'E_NOT_AUTHORISED', 'she signs what is published');
  t.equal(await approve(it, id, BORIS), 'E_NOT_AUTHORISED', 'he would sign what is handed in');
  await approve(it, id, CLARA);
  t.equal((await it.caller.ended(id)).state, 'published', 'she is neither');
  t.same(it.failures, []);
});
