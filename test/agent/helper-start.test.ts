/** What a helper finds at its start: changes that an earlier one did not end. */

import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Agent } from '../../agent/agent.ts';
import { readBootId } from '../../agent/host/host-facts.ts';
import { Journal } from '../../agent/journal.ts';
import { agentState } from '../../shared/layout.ts';
import { linesOf, startHelper } from './helper-support.ts';
import { BDF, picture, scene } from './support.ts';

t.test('what did not end is undone, and what cannot be read is in nobody`s way', async (t) => {
  const place = await scene(t);
  const agent = new Agent({ state: place.state });
  const [path, damaged] = [BDF, '0000:00:06.0'].map((device) =>
    agent.place(agentState.journal(device)),
  ) as [string, string];
  const found = { driver: 'pci-stub', override: 'pci-stub' };
  const boot = await readBootId();
  await agent.alone(async () => {
    const head = { purpose: 'bind', device: BDF, boot, domain: 1, stations: [] } as const;
    await Journal.begin(path, { ...head, from: found, to: found });
    writeFileSync(damaged, 'no journal\n');
  });
  const before = picture(place.sysfs);
  const served = await startHelper(t, place);
  t.notOk(existsSync(path));
  t.ok(existsSync(damaged), 'it is left to be looked at');
  t.match(
    linesOf(place).filter(({ event }) => event === 'recovered'),
    [{ device: BDF, outcome: 'undone', purpose: 'bind' }],
  );
  t.same(picture(place.sysfs), before);
  t.equal((await served.via('list')).exit, 0, 'it serves');
  t.ok(existsSync(join(place.state, 'audit.jsonl')));
});
