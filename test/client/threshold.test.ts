// When monitoring is told. A root with five days left is a matter also on a host that is new.

import t from 'tap';
import { readStatus } from '../../client/status.ts';
import { lifetime, parseThreshold } from '../../client/threshold.ts';
import { DAY, HOUR } from '../../shared/time.ts';
import { TODAY } from '../support/clock.ts';
import { Machine, repositoryWithArtifact } from './bundle/support.ts';

const role = (name: string, days: number, since?: number) => ({
  role: name,
  version: 1,
  expires: TODAY + days * DAY,
  since: since === undefined ? undefined : TODAY - since * DAY,
});

t.test('a share is one of the usual life, or of a longer one that was seen', async (t) => {
  const warn = parseThreshold('25%');
  t.equal(warn(role('root', 92), TODAY), false);
  t.equal(warn(role('root', 91), TODAY), true);
  t.equal(warn(role('root', 5, 0), TODAY), true, 'fetched a moment ago');
  t.equal(warn(role('timestamp', 0.3), TODAY), false);
  t.equal(warn(role('timestamp', 0.2), TODAY), true);
  t.equal(warn(role('acme', 22), TODAY), true, 'a vendor has 90 days');
  t.equal(lifetime(role('timestamp', 10, 20)), 30 * DAY);
  t.equal(warn(role('timestamp', 7, 23), TODAY), true, 'a repository with a slower beat');
});

t.test('a span is a span', async (t) => {
  const critical = parseThreshold('12h');
  t.equal(critical({ ...role('root', 0), expires: TODAY + 13 * HOUR }, TODAY), false);
  t.equal(critical({ ...role('root', 0), expires: TODAY + 11 * HOUR }, TODAY), true);
  for (const bad of ['', '0%', '100%', '25', '2.5%', 'soon', '-1d'])
    t.throws(() => parseThreshold(bad), { code: 'E_USAGE' }, bad);
});

t.test('a clock that is not believed is said', async (t) => {
  const sim = await repositoryWithArtifact();
  const machine = new Machine(t.testdir());
  await machine.pin(sim);
  await machine.repository(sim).refresh();
  t.match(await readStatus(machine.repository()), { now: TODAY, clockBehind: 0 });
  machine.clock.days(-3);
  const status = await readStatus(machine.repository());
  t.match(status, { now: TODAY, clockBehind: 3 * DAY });
  t.equal(status.roles.length, 4);
  machine.clock.days(400);
  t.equal((await readStatus(machine.repository())).roles.length, 4, 'what expired is listed');
});
