// What a verification read is kept, so that the same verdict is reached when nobody can be asked.

import { mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { KeepingSource, ListingSource } from '../../client/store/evidence.ts';
import { verifyFile } from '../../client/verify-offline.ts';
import { utf8 } from '../../shared/bytes.ts';
import { parseHostPolicy } from '../../shared/evidence/policy/host-policy.ts';
import { SIDECARS } from '../../shared/layout.ts';
import { STORE_LIMITS } from '../../shared/limits.ts';
import { addVendor, EDU } from '../support/artifact.ts';
import { addProduct } from '../support/product.ts';
import { Simulator } from '../support/simulator.ts';
import { DRIVER, Machine, repositoryWithArtifact } from './bundle/support.ts';

interface Scene {
  readonly sim: Simulator;
  readonly machine: Machine;
  /** Where the artifact is. */
  readonly out: string;
  readonly evidence: string;
}

async function gotten(t: Test): Promise<Scene> {
  const folder = t.testdir();
  const sim = await repositoryWithArtifact();
  const machine = new Machine(folder);
  await machine.pin(sim);
  const out = join(folder, 'edu.js');
  await machine.repository(sim).getVerified(EDU, out);
  return { sim, machine, out, evidence: join(machine.store.folder, 'evidence') };
}

t.test('without the network the verdict is the same', async (t) => {
  const { sim, machine, out, evidence } = await gotten(t);
  t.equal((await readdir(evidence)).length, Object.keys(SIDECARS).length);
  const before = await machine.repository(sim).verify(EDU);
  const after = await machine.repository().getVerified(EDU, out);
  t.equal(after.outcome, 'kept', 'the bytes that are there are measured');
  t.strictSame(after.verdict, before.verdict);
  t.strictSame(after.notChecked, before.notChecked);
  await t.rejects(machine.repository().getVerified(EDU, `${out}.other`), {
    code: 'E_NOT_FOUND',
    why: /the evidence of what was verified here before/,
  });
});

t.test('a file is judged by what was kept, and by what lies beside it first', async (t) => {
  const { machine, out } = await gotten(t);
  const verdict = await verifyFile(machine.repository(), out, EDU);
  t.ok(verdict.artifact, 'evidence and hardware are judged');
  await writeFile(`${out}${SIDECARS.ceiling}`, '{}');
  await t.rejects(verifyFile(machine.repository(), out, EDU), { name: 'IronError' });
});

t.test('a policy is never passed by because the evidence is gone', async (t) => {
  const { machine, out, evidence } = await gotten(t);
  const policy = (otherwise: string) =>
    parseHostPolicy(
      utf8(
        JSON.stringify({
          ...{ schema: 'ironport.host-policy/v1', version: 1 },
          evidence: { otherwise, rules: [] },
        }),
      ),
    );
  const verify = (otherwise: string) =>
    verifyFile(machine.repository(), out, EDU, policy(otherwise));
  t.ok((await verify('default')).artifact);
  await t.rejects(verify('refuse'), { code: 'E_POLICY' });
  await rm(evidence, { recursive: true });
  for (const otherwise of ['default', 'refuse'])
    await t.rejects(verify(otherwise), { code: 'E_CEILING', message: /not there/ });
});

t.test('nothing is kept of what is not believed in the end', async (t) => {
  const folder = t.testdir();
  const sim = await repositoryWithArtifact();
  const machine = new Machine(folder);
  await machine.pin(sim);
  const evidence = join(machine.store.folder, 'evidence');
  const verified = await machine.repository(sim).verify(EDU);
  await t.rejects(readdir(evidence), { code: 'ENOENT' }, 'verified, and wanted by nobody yet');
  await verified.keep();
  t.equal((await readdir(evidence)).length, Object.keys(SIDECARS).length, 'control');
});

t.test('kept evidence is as untrusted as any, and heals', async (t) => {
  const { sim, machine, out, evidence } = await gotten(t);
  const names = await readdir(evidence);
  const whole = await Promise.all(names.map((name) => readFile(join(evidence, name))));
  for (const [i, name] of names.entries()) {
    const damaged = Uint8Array.from(whole[i] as Uint8Array);
    damaged[0] = (damaged[0] as number) ^ 1;
    await writeFile(join(evidence, name), damaged);
  }
  await t.rejects(machine.repository().verify(EDU), { code: 'E_HASH' });
  const verdict = await verifyFile(machine.repository(), out, EDU);
  t.equal(verdict.artifact, undefined);
  t.match(verdict.notChecked, [/evidence and hardware: .* none were kept/]);
  await (await machine.repository(sim).verify(EDU)).keep();
  t.strictSame(await Promise.all(names.map((name) => readFile(join(evidence, name)))), whole);
  t.ok(await machine.repository().verify(EDU));
});

t.test('what expired since is not good because its evidence was kept', async (t) => {
  const { machine, out } = await gotten(t);
  machine.clock.days(400);
  await t.rejects(machine.repository().getVerified(EDU, out), { code: 'E_EXPIRED' });
});

t.test('what was used least recently makes room', async (t) => {
  const { sim, machine, evidence } = await gotten(t);
  const [used = '', ...others] = await readdir(evidence);
  for (let i = 0; i < STORE_LIMITS.evidenceFiles; i++) await writeFile(join(evidence, `x${i}`), '');
  for (const name of others) await writeFile(join(evidence, name), 'gone');
  await (await machine.repository(sim).verify(EDU)).keep();
  const left = await readdir(evidence);
  t.equal(left.length, STORE_LIMITS.evidenceFiles);
  t.ok(left.includes(used), 'used again, though it is the oldest');
  t.ok(await machine.repository().verify(EDU), 'and all that was read is here');
});

t.test('a list of all products takes the room that is left, and drives nothing out', async (t) => {
  const { machine, evidence } = await gotten(t);
  const room = 2;
  const filled = STORE_LIMITS.evidenceFiles - Object.keys(SIDECARS).length - room;
  for (let i = 0; i < filled; i++) await writeFile(join(evidence, `x${i}`), '');
  const before = await readdir(evidence);
  const source = {
    origin: 'a vendor with many products',
    openFile: () => t.fail('asked') as never,
  };
  const listing = new ListingSource(source, machine.store);
  const list = async (): Promise<string[]> => {
    for (let i = 0; i < 2 * room; i++)
      await listing.keep(`targets/many/${i}/index/index.json`, utf8(`${i}`));
    return (await readdir(evidence)).sort();
  };
  const full = await list();
  t.equal(full.length, before.length + room);
  t.ok(before.every((name) => full.includes(name)));
  t.strictSame(await list(), full, 'nor when it is listed again');
  const used = new KeepingSource(source, machine.store);
  for (let i = 0; i < room; i++) await used.keep(`targets/used/${i}`, utf8(`used ${i}`));
  const after = await readdir(evidence);
  t.equal(after.length, STORE_LIMITS.evidenceFiles);
  t.ok(
    before.every((name) => after.includes(name)),
    'what a list kept goes first',
  );
  t.ok(await machine.repository().verify(EDU));
});

t.test('an index that was only listed is not yet used', async (t) => {
  const sim = new Simulator();
  addVendor(sim, 'acme');
  await addProduct(sim, [{ version: '1.0.0' }]);
  sim.publish('targets');
  const machine = new Machine(t.testdir());
  await machine.pin(sim);
  const used = async (): Promise<boolean[]> => {
    const folder = join(machine.store.folder, 'evidence');
    const found = await readdir(folder);
    return Promise.all(found.map(async (name) => (await stat(join(folder, name))).mtimeMs > 0));
  };
  const repository = machine.repository(sim);
  t.equal((await repository.contents()).indexes.length, 1);
  t.equal((await repository.indexes()).indexes.length, 1);
  t.strictSame(await used(), [false]);
  t.ok(await repository.productIndex({ vendor: 'acme', product: 'edu', channel: 'stable' }));
  t.strictSame(await used(), [true]);
  t.equal((await machine.repository().contents()).indexes.length, 1, 'and without the network');
});

t.test('where nothing can be kept, that is said, and what was asked for is done', async (t) => {
  const folder = t.testdir();
  const sim = await repositoryWithArtifact();
  const machine = new Machine(folder);
  await machine.pin(sim);
  const notices: string[] = [];
  const repository = machine.repository(sim, { onNotice: (text) => notices.push(text) });
  // No folder can be made there, whoever asks.
  repository.store.evidencePath = (place) => join('/dev/null/evidence', place.slice(-8));
  await repository.getVerified(EDU, join(folder, 'edu.js'));
  t.strictSame(new Uint8Array(await readFile(join(folder, 'edu.js'))), DRIVER);
  t.equal(notices.length, Object.keys(SIDECARS).length);
  t.match(notices[0], /is not kept for use without the network/);
});

t.test('something else in the place of kept evidence is replaced', async (t) => {
  const { sim, machine, evidence, out } = await gotten(t);
  const [first = '', second = '', ...others] = await readdir(evidence);
  const whole = await readFile(join(evidence, first));
  for (const name of [first, second]) await rm(join(evidence, name));
  await mkdir(join(evidence, first, 'deep'), { recursive: true });
  await symlink(join(evidence, others[0] ?? ''), join(evidence, second));
  await t.rejects(machine.repository().verify(EDU), {
    code: 'E_STORE',
    message: /is of no use.*not a regular file|is of no use.*symbolic link/,
    hint: /doctor --repair/,
  });
  t.equal(
    (await verifyFile(machine.repository(), out, EDU).catch((error) => error)).code,
    'E_CEILING',
  );
  await (await machine.repository(sim).verify(EDU)).keep();
  t.same(await readFile(join(evidence, first)), whole);
  t.ok(await machine.repository().verify(EDU));
  // And so is a file in the place of the folder of them all.
  await rm(evidence, { recursive: true });
  await writeFile(evidence, 'a file');
  await (await machine.repository(sim).verify(EDU)).keep();
  t.ok(await machine.repository().verify(EDU));
});
