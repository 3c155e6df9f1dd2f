/**
 * Ten years, hour by hour, over the functions that decide what is signed when: the service renews
 * what is its own, and signers who answer the first warning renew the rest.
 */

import t from 'tap';
import { dueRenewal, isBlocked } from '../../server/jobs/due.ts';
import { passed, type RoleLife, type Threshold } from '../../server/jobs/expiry.ts';
import { LIFETIMES } from '../../shared/limits.ts';
import { DAY, HOUR } from '../../shared/time.ts';
import { TODAY } from '../support/clock.ts';

const YEARS = 10;
const OFFLINE = ['root', 'targets', 'vendor', 'revocations'] as const;

interface Ran {
  /** Hours in which a role had expired. */
  readonly expired: Map<string, number>;
  readonly signed: Map<string, number>;
  readonly warned: Map<Threshold, number>;
}

/**
 * @param answers how many hours after a warning the signers sign; undefined for never
 * @param down hours of each month in which the service does not run
 */
function simulate(answers: (role: string) => number | undefined, down = 0): Ran {
  const life = (role: keyof typeof LIFETIMES, now: number, version: number): RoleLife => ({
    role,
    version,
    began: now,
    expires: now + LIFETIMES[role],
  });
  const roles = ['snapshot', 'timestamp', ...OFFLINE] as const;
  const lives = new Map(roles.map((role) => [role as string, life(role, TODAY, 1)]));
  const get = (role: string): RoleLife => lives.get(role) as RoleLife;
  const said = new Map<string, number>();
  const coming = new Map<string, number>();
  const ran: Ran = { expired: new Map(), signed: new Map(), warned: new Map() };
  const count = <K>(map: Map<K, number>, key: K): void =>
    void map.set(key, (map.get(key) ?? 0) + 1);
  const sign = (role: keyof typeof LIFETIMES, now: number): void => {
    lives.set(role, life(role, now, get(role).version + 1));
    said.delete(role);
    coming.delete(role);
    count(ran.signed, role);
  };
  for (let now = TODAY; now < TODAY + YEARS * 365 * DAY; now += HOUR) {
    for (const role of roles) if (get(role).expires <= now) count(ran.expired, role);
    for (const role of OFFLINE)
      if ((coming.get(role) ?? Number.POSITIVE_INFINITY) <= now) sign(role, now);
    if (((now - TODAY) / HOUR) % (30 * 24) < down) continue;
    const published = { snapshot: get('snapshot'), timestamp: get('timestamp') };
    const due = dueRenewal(published as never, now);
    // A new snapshot is never without a new timestamp.
    if (due === 'snapshot') sign('snapshot', now);
    if (due !== undefined) sign('timestamp', now);
    for (const role of OFFLINE) {
      const threshold = passed(get(role), now);
      if (threshold === undefined || threshold >= (said.get(role) ?? 100)) continue;
      said.set(role, threshold);
      count(ran.warned, threshold);
      const hours = answers(role);
      if (hours !== undefined) coming.set(role, coming.get(role) ?? now + hours * HOUR);
    }
  }
  return ran;
}

t.test('signers who answer the first warning', async (t) => {
  const { expired, signed, warned } = simulate((role) => (role === 'revocations' ? 12 : 14 * 24));
  t.same([...expired], [], 'no role ever expires');
  t.same([...warned.keys()], [50], 'and nobody is warned twice');
  for (const role of ['root', 'targets', 'vendor', 'revocations', 'snapshot', 'timestamp'])
    t.ok((signed.get(role) ?? 0) > 10, `${role} was signed ${signed.get(role)} times`);
});

t.test('signers who never answer', async (t) => {
  const { expired, warned } = simulate(() => undefined);
  t.equal(expired.get('snapshot'), undefined, 'the service renews what is its own');
  t.equal(expired.get('timestamp'), undefined);
  t.same(
    [...warned].sort(),
    [
      [10, 4],
      [25, 4],
      [50, 4],
    ],
    'each role once at each threshold',
  );
  for (const role of OFFLINE) t.ok((expired.get(role) ?? 0) > 0, role);
});

t.test('a service that is down for eleven hours every month', async (t) => {
  t.same([...simulate(() => 24, 11).expired], []);
});

t.test('an expired offline role stops vendors, and not the renewal', async (t) => {
  const at = (expires: number) => ({ version: 1, expires });
  const standing = {
    root: at(TODAY + DAY),
    targets: at(TODAY - 1),
    snapshot: at(TODAY + DAY),
    timestamp: at(TODAY + HOUR),
  } as never;
  t.ok(isBlocked(standing, TODAY));
  t.equal(dueRenewal(standing, TODAY), 'snapshot');
});
