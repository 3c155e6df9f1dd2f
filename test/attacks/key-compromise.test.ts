// TUF 1.5.2, vulnerability to key compromises: fewer keys than the threshold, or keys of another
// role, give a thief nothing, and a key that was rotated away gives nothing any more.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { keyObject } from '../../shared/tuf/key.ts';
import { testKey } from '../support/keys.ts';
import type { RoleDraft, Simulator } from '../support/simulator.ts';
import { delegation, recovers, served, withstands } from './client-support.ts';

/** What is learned before the file of A is looked at. */
const ABOVE = ['timestamp', 'snapshot', 'targets'];

t.test('every online key signs no target', async (t) => {
  const subject = await served(t);
  const { sim } = subject;
  const honest = sim.signers.get('A') ?? [];
  const stolen = ['timestamp', 'snapshot'].flatMap((role) => sim.signers.get(role) ?? []);
  for (const [role, learned] of [
    ['A', ABOVE],
    ['targets', ['timestamp', 'snapshot']],
  ] as const) {
    const signers = sim.signers.get(role) ?? [];
    sim.addTarget(role, 'file', utf8('evil'));
    sim.publish(role);
    sim.signers.set(role, stolen);
    await withstands(t, subject, { code: 'E_THRESHOLD', learned, what: role });
    sim.signers.set(role, signers);
    delete sim.role(role).targets.file;
  }
  t.strictSame(sim.signers.get('A'), honest);
  sim.addTarget('A', 'file', utf8('update'));
  sim.publish('targets', 'A');
  await recovers(t, subject, 'update');
});

t.test('one key of two signs nothing', async (t) => {
  const second = testKey('the second');
  const subject = await served(t, (sim) => {
    const table = sim.targets.delegations?.keys as Record<string, unknown>;
    table[second.keyid] = keyObject(second.key);
    delegation(sim).keyids.push(second.keyid);
    delegation(sim).threshold = 2;
    sim.signers.set('A', [...(sim.signers.get('A') ?? []), second]);
  });
  const { sim } = subject;
  const both = sim.signers.get('A') ?? [];
  sim.addTarget('A', 'file', utf8('evil'));
  sim.publish('A');
  for (const stolen of both) {
    sim.signers.set('A', [stolen]);
    await withstands(t, subject, { code: 'E_THRESHOLD', learned: ABOVE, what: stolen.name });
  }
  sim.signers.set('A', both);
  sim.addTarget('A', 'file', utf8('update'));
  sim.publish('A');
  await recovers(t, subject, 'update');
});

t.test('one key of two of root makes no root', async (t) => {
  const subject = await served(t);
  const { sim } = subject;
  sim.nextRoot(() => {
    sim.addKey('root');
    (sim.root.roles.root as RoleDraft).threshold = 2;
  });
  t.equal(await subject.refresh(), 0);
  const both = sim.signers.get('root') ?? [];
  t.equal(both.length, 2);
  sim.root.version++;
  sim.addTarget('A', 'file', utf8('update'));
  sim.publish('A');
  for (const stolen of both) {
    sim.publishRoot([stolen]);
    await withstands(t, subject, { code: 'E_THRESHOLD', what: stolen.name });
  }
  sim.publishRoot(both);
  await recovers(t, subject, 'update');
  t.match(subject.trusted(), 'root 3');
});

t.test('a key that was rotated away signs nothing any more', async (t) => {
  const rotate: Readonly<Record<string, (sim: Simulator) => void>> = {
    timestamp: (sim) => sim.nextRoot(() => sim.rotateKeys('timestamp')),
    snapshot: (sim) => sim.nextRoot(() => sim.rotateKeys('snapshot')),
    targets: (sim) => sim.nextRoot(() => sim.rotateKeys('targets')),
    A: (sim) => {
      const fresh = testKey('fresh');
      const table = sim.targets.delegations?.keys as Record<string, unknown>;
      table[fresh.keyid] = keyObject(fresh.key);
      delegation(sim).keyids = [fresh.keyid];
      sim.signers.set('A', [fresh]);
    },
  };
  for (const [role, learned] of [
    ['timestamp', []],
    ['snapshot', ['timestamp']],
    ['targets', ['timestamp', 'snapshot']],
    ['A', ABOVE],
  ] as const) {
    const subject = await served(t);
    const { sim } = subject;
    const stolen = sim.signers.get(role) ?? [];
    rotate[role]?.(sim);
    sim.publish('targets', 'A');
    await recovers(t, subject, 'honest');
    sim.publish('targets', 'A');
    const honest = sim.signers.get(role) ?? [];
    sim.signers.set(role, stolen);
    await withstands(t, subject, { code: 'E_THRESHOLD', learned, what: role });
    sim.signers.set(role, honest);
    sim.addTarget('A', 'file', utf8('update'));
    sim.publish('A');
    await recovers(t, subject, 'update');
  }
});
