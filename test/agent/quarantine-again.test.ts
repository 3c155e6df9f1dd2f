/** A device that goes into quarantine again: a release that was signed before is about less than that. */

import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Agent } from '../../agent/agent.ts';
import { formatIncident, parseIncident } from '../../agent/quarantine/incident.ts';
import { loadIncidents } from '../../agent/quarantine/store.ts';
import { QUARANTINE_LIMITS } from '../../shared/limits.ts';
import { eventsOf, placeOf, statementOf } from './quarantine-support.ts';
import { BDF, refused, agent as run } from './support.ts';

t.test('a statement that was signed before the newest reason releases nothing', async (t) => {
  const place = await placeOf(t);
  const { incident, audit, again } = (await place.enter()).data;
  t.equal(again, null);
  const early = join(place.folder, 'early.json');
  copyFileSync(await statementOf(place, incident), early);
  // What the kernel has for whoever removes a device.
  writeFileSync(join(place.sysfs, 'devices/pci0000:00', BDF, 'remove'), '');

  for (const [times, level, reason, now] of [
    [1, 'soft', 'it lies about its memory too', 'hard'],
    [2, 'hard', 'it lies about its memory too', 'hard'],
    [3, 'tomb', 'it came back by itself', 'tomb'],
  ] as const) {
    const { data } = await place.enter('--level', level, '--reason', reason);
    t.match(data, { incident, level: now, reason: 'it lies', again: { times, reason } });
    const line = eventsOf(place)
      .filter(({ event }) => event === 'quarantine-again')
      .at(-1);
    t.match(line, {
      ...{ seq: data.audit.seq, device: BDF, incident, level: now, reason, times },
      ...{ first_reason: 'it lies', name: { path: BDF, vendor: '0x1234' } },
    });
    t.ok(data.audit.seq > audit.seq);
    refused(t, await place.release(early), 'E_NOT_RELEASED', reason, 'audit');
    const kept = readFileSync(early);
    copyFileSync(await statementOf(place, incident), early);
    t.notSame(readFileSync(early), kept, 'what is to be signed is about that');
  }
  t.match((await place.q('list')).data.incidents, [{ incident, again: { times: 3 } }]);
  t.equal((await place.release(early)).exit, 0, 'the control: that of the newest');
});

t.test('nobody releases what is in no line of the log yet', async (t) => {
  const place = await placeOf(t);
  const { incident } = (await place.enter()).data;
  const early = join(place.folder, 'early.json');
  copyFileSync(await statementOf(place, incident), early);
  const file = join(place.state, 'quarantine', `${incident}.json`);
  // As a crash leaves it: the addition is durable, and its line is not written.
  const again = { times: 1, at: 1_900_000_000, reason: 'it lies again' };
  writeFileSync(file, formatIncident({ ...parseIncident(readFileSync(file)), again, audit: null }));
  refused(t, await place.release(early), 'E_NOT_RELEASED', 'the statement from before', 'audit');
  const shown = await place.q('show', incident, '--out', join(place.folder, 'none.json'));
  refused(t, shown, 'E_NOT_RELEASED', 'a statement about it', 'audit');
  t.match(shown.error.hint, /quarantine enforce` writes its line/);

  const enforce = (): ReturnType<typeof run> =>
    run('quarantine', 'enforce', '--state', place.state, '--sysfs-root', place.sysfs);
  t.equal((await enforce()).exit, 0);
  const lines = (): Record<string, unknown>[] =>
    eventsOf(place).filter(({ event }) => event === 'quarantine-again');
  t.match(lines(), [{ incident, reason: 'it lies again', first_reason: 'it lies' }]);
  const [now] = await loadIncidents(new Agent({ state: place.state }));
  t.match(now, { again, audit: { seq: lines()[0]?.seq } }, 'and the record names its line');
  await enforce();
  t.equal(lines().length, 1, 'once');
  refused(t, await place.release(early), 'E_NOT_RELEASED', 'still that from before', 'audit');
  t.equal((await place.release(await statementOf(place, incident))).exit, 0);
});

t.test('a record from before additions were kept, and one that is full', async (t) => {
  const place = await placeOf(t);
  const { incident } = (await place.enter()).data;
  const file = join(place.state, 'quarantine', `${incident}.json`);
  const { again, ...older } = JSON.parse(readFileSync(file, 'utf8'));
  t.equal(again, null);
  writeFileSync(file, JSON.stringify(older));
  t.equal(parseIncident(readFileSync(file)).again, null);
  t.equal((await place.release(await statementOf(place, incident))).exit, 0, 'it counts as it did');

  const long = '\u0001'.repeat(QUARANTINE_LIMITS.reason);
  const first = (await place.enter('--reason', long)).data;
  const second = (await place.enter('--reason', `${long}more`)).data;
  t.strictSame([first.reason, second.again.reason], [long, long], 'both fit');
});
