// A bundle goes from a machine with a network to one without, and is worth there what the
// signatures in it are worth.

import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { createBundle } from '../../../client/bundle/create.ts';
import { utf8 } from '../../../shared/bytes.ts';
import { DAY } from '../../../shared/time.ts';
import { addArtifact, addVendor, EDU } from '../../support/artifact.ts';
import { addRevocations } from '../../support/revocations.ts';
import { Simulator } from '../../support/simulator.ts';
import { DRIVER, Machine, scene, takeApart } from './support.ts';

t.test('made, verified, imported; then everything works without a network', async (t) => {
  const { offline, bundle, place } = await scene(t);
  const verified = await offline.verify(bundle);
  t.strictSame(
    verified.artifacts.map(({ verdict }) => verdict.path),
    [EDU],
  );
  for (const rule of ['TUF 5.2', 'TUF 5.6.7', 'evidence: ceiling', 'hardware', 'TUF 5.7.2'])
    t.ok(
      verified.checks.some((check) => check.rule === rule),
      rule,
    );
  t.strictSame(await offline.store.storedRoles(), [], 'verifying stores nothing');
  await t.rejects(offline.repository().verify(EDU), { code: 'E_NOT_FOUND' });

  await offline.import(bundle);
  const gotten = await offline.repository().getVerified(EDU, place('edu.js'));
  t.equal(gotten.outcome, 'downloaded');
  t.strictSame(new Uint8Array(await readFile(place('edu.js'))), DRIVER);
  t.equal((await offline.repository().list()).targets.length, 6);
  await offline.import(bundle);
  t.pass('a second time is fine');
});

t.test('it has every file that the verification read, under its path in the tree', async (t) => {
  const { bundle } = await scene(t);
  const { index, files } = await takeApart(bundle);
  t.strictSame(index.artifacts, [EDU]);
  const paths = [...files.keys()];
  t.strictSame(paths, [...paths].sort());
  t.strictSame(paths.slice(0, 6), [
    'metadata/1.acme.json',
    'metadata/1.revocations.json',
    'metadata/1.root.json',
    'metadata/2.snapshot.json',
    'metadata/2.targets.json',
    'metadata/timestamp.json',
  ]);
  t.equal(paths.length, 12);
  t.equal(index.created, '2030-06-01T12:00:00Z');
});

t.test(
  'several artifacts, roots that were rotated, and a machine that pinned an older one',
  async (t) => {
    const folder = t.testdir();
    const sim = new Simulator();
    const old = new Machine(folder, 'old');
    await old.pin(sim);
    sim.nextRoot(() => sim.rotateKeys('root'));
    sim.nextRoot(() => sim.rotateKeys('timestamp'));
    addVendor(sim, 'acme');
    await addArtifact(sim, EDU, DRIVER);
    await addArtifact(sim, 'acme/edu/2.0.0/edu.js', utf8('two'));
    sim.publish('targets');
    const young = new Machine(folder, 'young');
    await young.repository().pin(sim.roots.get(3) as Uint8Array);
    const out = join(folder, 'b');
    const made = await young.create(sim, out, ['acme/edu/2.0.0/edu.js', EDU]);
    t.strictSame(made.index.artifacts, [EDU, 'acme/edu/2.0.0/edu.js']);
    await old.import(out);
    t.equal((await old.store.floors()).root, 3);
    t.match(await old.repository().verify(EDU), { verdict: { path: EDU } });
  },
);

t.test('roots that do not lead to the pinned one are not carried', async (t) => {
  const folder = t.testdir();
  const sim = new Simulator();
  sim.nextRoot();
  addVendor(sim, 'acme');
  await addArtifact(sim, EDU, DRIVER);
  sim.publish('targets');
  const machine = new Machine(folder);
  await machine.repository().pin(sim.roots.get(2) as Uint8Array);
  const stranger = new Simulator(undefined, 'stranger').roots.get(1) as Uint8Array;
  sim.overrides.set('metadata/1.root.json', stranger);
  await t.rejects(machine.create(sim, join(folder, 'b')), { code: 'E_THRESHOLD' });
  t.strictSame(await readdir(folder), ['store'], 'and nothing half-made is left');
});

t.test('what is refused when a bundle is made leaves no file', async (t) => {
  const { sim, online, bundle, place } = await scene(t);
  const refused = async (code: string, out: string, names?: string[]): Promise<void> => {
    await t.rejects(online.create(sim, out, names), { code }, code);
  };
  await refused('E_EXISTS', bundle);
  await refused('E_TARGET_UNKNOWN', place('b'), ['acme/edu/1.0.0/none']);
  await refused('E_USAGE', place('b'), []);
  await createBundle({
    repository: online.repository(sim),
    names: [EDU],
    out: bundle,
    replace: true,
  });
  const places = [...(await takeApart(bundle)).files.keys()];
  const driver = places.find((path) => path.endsWith('.edu.js')) as string;
  sim.overrides.set(driver, utf8('export const driver = 2;\n'));
  await refused('E_HASH', place('b'));
  sim.overrides.set(driver, utf8('short'));
  await refused('E_LENGTH', place('b'));
  sim.overrides.set(places.find((path) => path.endsWith('.ceiling.json')) as string, null);
  await refused('E_NOT_FOUND', place('b'));
  const left = (await readdir(place('.'))).filter(
    (name) => name !== 'online' && name !== 'offline',
  );
  t.strictSame(left, ['edu.bundle']);
});

t.test('an expired timestamp has a code of its own, an age, and a leave', async (t) => {
  const { offline, bundle } = await scene(t);
  offline.clock.days(4);
  await t.rejects(offline.verify(bundle), {
    code: 'E_STALE',
    exit: 8,
    message: 'its timestamp expired 3 days ago',
  });
  await t.rejects(offline.verify(bundle, 2 * DAY), { code: 'E_STALE' });
  await t.rejects(offline.import(bundle), { code: 'E_STALE' });
  const verified = await offline.verify(bundle, 3 * DAY);
  t.match(verified.stale, [{ role: 'timestamp', version: 2 }]);
  t.ok(
    verified.checks.some(({ what }) => what.includes('expired 3 days ago, which was given leave')),
  );
  await offline.import(bundle, { maxStale: 30 * DAY });
  await t.rejects(offline.repository().verify(EDU), { code: 'E_STALE' }, 'the leave is not stored');
  t.ok(await offline.repository(undefined, { maxStale: 30 * DAY }).verify(EDU));

  offline.clock.days(6);
  await t.rejects(offline.verify(bundle, 5 * DAY), { code: 'E_STALE' });
  t.strictSame(
    (await offline.verify(bundle, 30 * DAY)).stale.map(({ role }) => role),
    ['timestamp', 'snapshot'],
  );
  t.equal((await offline.store.floors()).time, 0, 'nothing that expired raises the time floor');
});

t.test('no leave for root, targets, a vendor and the revocations', async (t) => {
  const folder = t.testdir();
  for (const role of ['root', 'targets', 'acme', 'revocations'] as const) {
    const sim = new Simulator();
    addVendor(sim, 'acme');
    await addArtifact(sim, EDU, DRIVER);
    await addRevocations(sim);
    const soon = sim.expiry(3);
    if (role === 'root') {
      sim.nextRoot(() => {
        sim.root.expires = soon;
      });
    } else {
      sim.role(role).expires = soon;
    }
    sim.publish('targets');
    const machine = new Machine(folder, role);
    await machine.pin(sim);
    const out = join(folder, `${role}.bundle`);
    await machine.create(sim, out);
    machine.clock.days(4);
    const code = role === 'revocations' ? 'E_REVOCATIONS_STALE' : 'E_EXPIRED';
    await t.rejects(machine.verify(out, 365 * DAY), { code }, role);
  }
});

t.test('sidecars are judged: one that was exchanged is refused', async (t) => {
  const { offline, bundle, place } = await scene(t);
  await offline.import(bundle);
  const [ceiling] = (await takeApart(bundle)).index.files
    .map(({ path }: { path: string }) => path)
    .filter((path: string) => path.endsWith('.ceiling.json'));
  await writeFile(offline.store.targetPath(ceiling), '{}');
  await t.rejects(offline.repository().getVerified(EDU, place('x')), { code: 'E_LENGTH' });
});
