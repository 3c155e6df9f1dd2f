// TUF 1.5.2, arbitrary software installation: whoever has the mirror, and no key, has a host take
// bytes of his own.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { hashPrefixed } from '../../shared/layout.ts';
import { testKey } from '../support/keys.ts';
import { digest, signFile } from '../support/simulator.ts';
import { recovers, served, withstands } from './client-support.ts';

t.test('other bytes than the signed ones, of the same length and of another', async (t) => {
  const subject = await served(t);
  const { sim } = subject;
  sim.addTarget('A', 'file', utf8('update'));
  sim.publish('A');
  const place = `targets/${hashPrefixed('file', digest('sha256', utf8('update')))}`;
  for (const [evil, code] of [
    ['UPDATE', 'E_HASH'],
    ['evil', 'E_LENGTH'],
    ['update and evil', 'E_LENGTH'],
  ] as const) {
    sim.overrides.set(place, utf8(evil));
    const learned = ['timestamp', 'snapshot', 'A'];
    await withstands(t, subject, { code, learned, what: evil });
  }
  sim.overrides.clear();
  await recovers(t, subject, 'update');
});

t.test('metadata of every role, signed by a key that nobody delegated to', async (t) => {
  const thief = testKey('thief');
  const learned = { timestamp: [], snapshot: ['timestamp'], targets: ['timestamp', 'snapshot'] };
  for (const [role, before] of Object.entries({
    root: [],
    ...learned,
    A: ['timestamp', 'snapshot', 'targets'],
  })) {
    const subject = await served(t);
    const { sim } = subject;
    sim.addTarget('A', 'file', utf8('update'));
    sim.publish('targets', 'A');
    sim.nextRoot();
    const honest = sim.roots.get(2) as Uint8Array;
    if (role === 'root') sim.roots.set(2, signFile(sim.root, [thief]));
    else sim.roots.delete(2);
    const signers = sim.signers.get(role) ?? [];
    if (role !== 'root') sim.signers.set(role, [thief]);
    await withstands(t, subject, { code: 'E_THRESHOLD', learned: before, what: role });
    sim.signers.set(role, signers);
    sim.roots.set(2, honest);
    await recovers(t, subject, 'update');
  }
});

t.test('metadata of every role whose bytes were changed after they were signed', async (t) => {
  for (const [role, file, learned] of [
    ['timestamp', 'timestamp', []],
    ['snapshot', '3.snapshot', ['timestamp']],
    ['targets', '3.targets', ['timestamp', 'snapshot']],
    ['A', '2.A', ['timestamp', 'snapshot', 'targets']],
  ] as const) {
    const subject = await served(t);
    const { sim } = subject;
    sim.addTarget('A', 'file', utf8('update'));
    sim.publish('targets', 'A');
    const { signatures, signed } = JSON.parse(new TextDecoder().decode(sim.fileOf(role)));
    const edited = { signatures, signed: { ...signed, evil: 1 } };
    sim.overrides.set(`metadata/${file}.json`, utf8(JSON.stringify(edited)));
    await withstands(t, subject, { code: 'E_THRESHOLD', learned, what: role });
    sim.overrides.clear();
    await recovers(t, subject, 'update');
  }
});
