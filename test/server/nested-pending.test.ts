/** Several nested roles that lack signatures: what no signature can help is said of each of them. */

import t from 'tap';
import { DRAFT_ROLE_SCHEMA } from '../../shared/api/pending.ts';
import { toBase64, utf8 } from '../../shared/bytes.ts';
import { api } from '../../shared/layout.ts';
import { DAY } from '../../shared/time.ts';
import { testKey } from '../support/keys.ts';
import { signedRole, type TestArtifact, testArtifact, testVendor } from '../support/repository.ts';
import { type Nested, nestedFile, nestedIn, submitNested } from './nesting.ts';
import { codeOf, running } from './support.ts';

const ACME = testVendor('acme');
const nested = (name: string): Nested => ({
  name: `acme.${name}`,
  paths: [`acme/${name}*/*/*`],
  signers: [testKey(`${name} 1`), testKey(`${name} 2`)],
});
const [NET, WIFI] = [nested('net'), nested('wifi')];

t.test('a role that lacks a signature hides nothing that is wrong with the next', async (t) => {
  const it = await running(t);
  const expires = it.clock.now + 30 * DAY;
  const artifact = (path: string) => testArtifact(ACME, path, undefined, { now: it.clock.now });
  const [card, radio] = [await artifact('acme/net/1/card'), await artifact('acme/wifi/1/radio')];
  await it.caller.uploadAll([card, radio]);
  const own = await signedRole(ACME, 1, [], { expires, delegations: nestedIn([NET, WIFI]) });
  /** Signed by one of its two. */
  const half = async ({ name, signers }: Nested, ...artifacts: TestArtifact[]) => {
    const options = { expires, signers: signers.slice(0, 1) };
    return [name, await nestedFile(1, artifacts, options)] as const;
  };
  const draft = async (...roles: (readonly [string, Uint8Array])[]) => {
    const below = roles.map(([role, bytes]) => ({ role, metadata: toBase64(bytes) }));
    const body = { schema: DRAFT_ROLE_SCHEMA, role: 'acme', metadata: toBase64(own) };
    return await it.caller.send(
      'POST',
      api.drafts,
      utf8(JSON.stringify({ ...body, nested: below })),
    );
  };
  const net = await half(NET, card);
  const stray = await half(WIFI, radio, card);

  t.equal(codeOf(await draft(net, stray)), 'E_DELEGATION', 'no signature would help it');
  const { verdicts } = await submitNested(it.caller, 'acme', own, [net, stray]);
  t.same(
    verdicts.filter(({ ok }) => !ok).map(({ check }) => check),
    ['acme.net: threshold', 'acme.wifi: paths', 'acme.wifi: threshold', 'acme.wifi: namespace'],
  );
  const whole = await submitNested(it.caller, 'acme', own, [net, await half(WIFI, radio)]);
  const said = whole.verdicts.map(({ check, ok }) => `${check} ${ok}`);
  for (const one of [
    'acme.net: threshold false',
    'acme.wifi: threshold false',
    'nested: paths true',
  ])
    t.ok(said.includes(one), one);
  t.notOk(said.includes('nested: threshold true'), 'which does not hold for all of them');
  t.equal((await draft(net, await half(WIFI, radio))).status, 202);
});
