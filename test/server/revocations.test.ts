// What operators and the renewal machine hand in about revocations, and what comes of it.

import t from 'tap';
import type { Updater } from '../../client/updater.ts';
import { makeDevelopmentSet, renewDevelopment } from '../../server/ceremony/development.ts';
import { nextList } from '../../server/ceremony/revocations.ts';
import { revocations as place } from '../../shared/layout.ts';
import { LIFETIMES } from '../../shared/limits.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { emptyList } from '../../shared/revocation/list.ts';
import { DAY } from '../../shared/time.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import { TODAY } from '../support/clock.ts';
import { type TestKey, testKey } from '../support/keys.ts';
import { signedRole, signedTargets } from '../support/repository.ts';
import { signList, TEAM, TRUST, testList } from '../support/revocations.ts';
import { clientOf, type Running, running } from './support.ts';
import { listing, submit, teamTargets, withTeam } from './team.ts';

async function hostOf({ home, clock, repository }: Running): Promise<Updater> {
  return clientOf(home, clock, (await repository.current.need()).roots.get(1) as Uint8Array);
}

t.test('a team is named together with its list, or not at all', async (t) => {
  const it = await running(t);
  const list = await signList(testList(1));
  const role = await listing(list, 1);
  const targets = await teamTargets(it, 2);
  t.equal(await submit(it, list, role), 'E_POLICY', 'no team is named yet');
  t.equal(await submit(it, targets), 'E_REVOCATIONS_MISSING');
  t.equal(await submit(it, targets, role), 'E_REVOCATIONS_MISSING');
  t.equal(await submit(it, targets, list), 'E_REVOCATIONS_MISSING');
  const other = await signList(testList(2));
  t.equal(await submit(it, targets, other, role), 'E_HASH', 'the role lists another one');
  const weak = await signList(testList(1), { signers: TEAM.slice(0, 1) });
  t.equal(await submit(it, targets, weak, await listing(weak, 1)), 'E_REVOCATIONS');
  const [stranger] = [testKey('stranger')];
  t.equal(
    await submit(it, targets, list, await listing(list, 1, { signer: stranger })),
    'E_THRESHOLD',
  );
  const mixed = await teamTargets(it, 2, TRUST, it.acme.tuf[0] as TestKey);
  t.equal(await submit(it, mixed, list, role), 'E_KEY', "the hot key is a vendor's");
  t.equal(
    await submit(it, await teamTargets(it, 2, TRUST, TEAM[0]), list, role),
    'E_KEY',
    'or of the team',
  );
  t.equal(await submit(it, targets, list, role), 'targets and revocations');
  t.equal(await submit(it, await signedTargets(it.operators, 3, [it.acme])), 'E_POLICY', 'dropped');
  const client = await hostOf(it);
  t.equal((await client.revocations()).list?.version, 1);
});

t.test('the renewal machine renews, and does nothing else', async (t) => {
  const it = await withTeam(t);
  const { list } = it;
  const cases: [string, string, Promise<Uint8Array>][] = [
    ['for longer than a week', 'E_POLICY', listing(list, 2, { expires: TODAY + 9 * DAY })],
    ['expired', 'E_EXPIRED', listing(list, 2, { expires: TODAY - 1 })],
    ['with a target beside it', 'E_POLICY', listing(list, 2, { more: 'revocations/x' })],
    ['with a target elsewhere', 'E_POLICY', listing(list, 2, { more: 'acme/edu/1/x' })],
    ['by another key', 'E_THRESHOLD', listing(list, 2, { signer: testKey('stranger') })],
    ['of an absurd version', 'E_CONFLICT', listing(list, 2 ** 52)],
  ];
  for (const [name, code, file] of cases) t.equal(await submit(it, await file), code, name);
  const older = await signList(testList(1, { issued: TODAY - 1 }));
  t.equal(await submit(it, older, await listing(older, 2)), 'E_REVOCATIONS', 'another list 1');
  t.equal(await submit(it, await listing(list, 3)), 'revocations', 'a version may be skipped');
  t.equal(await submit(it, await listing(list, 3)), 'E_NOTHING_TO_DO', 'a second time');
  t.equal(await submit(it, await listing(list, 2)), 'E_CONFLICT', 'an older one');
  t.equal(await submit(it, list), 'E_USAGE', 'a list alone');
  const added = nextList(
    testList(1),
    [{ kind: 'floor', component: 'acme/edu', generation: 3 }],
    'CVE-2030-0001',
    TODAY,
  );
  const second = await signList(added);
  t.equal(await submit(it, second, await listing(second, 4)), 'revocations');
  const third = await signList(testList(3));
  t.equal(await submit(it, third, await listing(third, 5)), 'E_ROLLBACK', 'a floor is taken back');
  t.equal((await it.repository.current.need()).version(place.role), 4);
  t.match((await (await it.repository.current.need()).revocations())?.verified, {
    list: { version: 2 },
  });
});

t.test('epochs follow one another', async (t) => {
  const it = await withTeam(t);
  const team = (epoch: number) => ({ ...TRUST, epoch });
  const list = async (epoch: number) => signList(emptyList(epoch, TODAY), { trust: team(epoch) });
  const move = async (epoch: number, version: number) => {
    const bytes = await list(epoch);
    return submit(
      it,
      await teamTargets(it, version, team(epoch)),
      bytes,
      await listing(bytes, version),
    );
  };
  t.equal(await move(3, 3), 'E_POLICY', 'one is skipped');
  t.equal(await submit(it, await teamTargets(it, 3, team(2))), 'E_REVOCATIONS', 'without its list');
  t.equal(await move(2, 3), 'targets and revocations');
  t.equal(await move(1, 4), 'E_POLICY', 'back');
});

t.test('nobody renews: vendors wait, and the service goes on', async (t) => {
  const it = await withTeam(t);
  const { repository, clock, acme } = it;
  clock.days(8);
  await repository.worker.tick();
  const { timestamp } = await repository.current.need();
  t.ok(timestamp.expires > clock.now, 'the timestamp is renewed');
  await t.rejects((await hostOf(it)).revocations(), { code: 'E_REVOCATIONS_STALE' });
  const expires = clock.now + LIFETIMES.vendor;
  const role = await signedRole(acme, 1, [], { expires });
  const { id } = await repository.intake.submitRole({ vendor: 'acme', role: 'acme', bytes: role });
  await repository.worker.drain();
  t.equal(repository.intake.find(id, 'acme').state, 'queued');
  const renewed = await listing(it.list, 2, { expires: clock.now + LIFETIMES.revocations });
  t.equal(await submit(it, renewed), 'revocations');
  t.equal(repository.intake.find(id, 'acme').state, 'published');
});

t.test('a development repository renews with its own key, when it is time', async (t) => {
  const home = t.testdir();
  const { files } = await makeDevelopmentSet(home, platformCrypto, TODAY);
  const [list, role] = files.slice(2) as [Uint8Array, Uint8Array];
  const published = { role: parseTargets(role, place.role), bytes: list };
  const at = (days: number) =>
    renewDevelopment(home, platformCrypto, published, TODAY + days * DAY);
  t.equal(await at(1), undefined);
  t.equal(parseTargets((await at(4)) as Uint8Array, place.role).version, 2);
  t.equal(
    await renewDevelopment(t.testdir(), platformCrypto, published, TODAY + 4 * DAY),
    undefined,
  );
});
