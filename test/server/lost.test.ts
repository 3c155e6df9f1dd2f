/** Published files that no copy has any more: called lost by the operators' signatures, and by nothing else. */

import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { restoreBackup } from '../../server/backup/restore.ts';
import { makeBackup } from '../../server/backup/write.ts';
import { withLost } from '../../server/ceremony/lost.ts';
import { demandSoundTargets } from '../../server/intake/checks/operator-targets.ts';
import { program } from '../../server/main.ts';
import { checkTree } from '../../server/publish/fsck.ts';
import type { JsonValue } from '../../shared/json/value.ts';
import { LOST_LIMITS } from '../../shared/limits.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { DAY } from '../../shared/time.ts';
import { formatMetadata, objectMember, sign, withFields } from '../../shared/tuf/build.ts';
import { targetsDiff } from '../../shared/tuf/diff/targets.ts';
import { LOST_FIELD, parseLost } from '../../shared/tuf/lost.ts';
import { parseTargets, type Targets } from '../../shared/tuf/targets.ts';
import { EXTENSION_FIELD } from '../../shared/tuf/vendors.ts';
import { documentOf, runInProcess } from '../support/program.ts';
import { signedRole, testArtifact } from '../support/repository.ts';
import { type Running, running, temporaryHome } from './support.ts';

/** Three versions of acme, the first artifact listed by the first two alone, and a whole backup. */
async function lived(t: Test) {
  const it = await running(t);
  const [old, kept] = [
    await testArtifact(it.acme),
    await testArtifact(it.acme, 'acme/edu/1.1.0/edu.js'),
  ];
  await it.caller.uploadAll([old, kept]);
  for (const [i, artifacts] of [[old], [old, kept], [kept]].entries()) {
    const role = await signedRole(it.acme, i + 1, artifacts);
    if ((await it.caller.submit('acme', role)).state !== 'published') throw new Error('the set-up');
  }
  const folder = temporaryHome(t);
  const backup = join(folder, 'backup');
  await makeBackup({ home: it.home, out: backup, crypto, clock: it.clock.read });
  const at = (path: string): string => join(it.home, 'tree', path);
  const driverOf = (version: string): string => {
    const place = `targets/acme/edu/${version}`;
    return `${place}/${readdirSync(at(place)).find((name) => name.endsWith('.js'))}`;
  };
  const check = () => checkTree(join(it.home, 'tree'), { crypto, clock: it.clock.read });
  return { ...it, folder, backup, at, driverOf, check };
}

/** The next targets, as `lost declare` makes them, published; the words that signers are shown. */
async function declare(t: Test, it: Running, version: number): Promise<string[]> {
  const before = join(it.home, `tree/metadata/${version - 1}.targets.json`);
  const { missing } = await checkTree(join(it.home, 'tree'), { crypto, clock: it.clock.read });
  const targets = parseTargets(new Uint8Array(readFileSync(before)), 'targets');
  const tree = withLost(targets, missing, it.clock.now + 182 * DAY);
  const bytes = formatMetadata(tree, await sign(crypto, tree, it.operators.targets));
  const { intake, worker } = it.repository;
  const { id } = await intake.submitOperatorFiles([bytes], false);
  await worker.drain();
  const { state, error } = intake.find(id, undefined);
  t.equal(state, 'published', error?.message ?? '');
  return targetsDiff(crypto, targets, parseTargets(bytes, 'targets')).map(({ text }) => text);
}

t.test('what is called lost is no finding, and a backup without it comes back', async (t) => {
  const it = await lived(t);
  const gone = ['metadata/1.acme.json', 'metadata/2.snapshot.json', it.driverOf('1.0.0')].sort();
  for (const path of gone) rmSync(it.at(path));
  const before = await it.check();
  t.same(before.missing, gone);
  t.same(before.lost, []);
  for (const path of gone)
    t.ok(
      before.findings.some(({ at }) => at === path),
      path,
    );

  const said = await declare(t, it, 2);
  t.same(
    said.filter((line) => line.includes('is lost')).sort(),
    gone.map((path) => `${path} is lost, and nobody has it`),
  );
  const after = await it.check();
  t.same(after.findings, []);
  t.same(after.lost, gone);
  const out = join(it.folder, 'without');
  const { sha256, missing } = await makeBackup({
    home: it.home,
    out,
    crypto,
    clock: it.clock.read,
  });
  t.same(missing, []);
  const home = join(it.folder, 'back');
  await restoreBackup({ from: out, home, crypto, sha256 });
  const back = await checkTree(join(home, 'tree'), { crypto, clock: it.clock.read });
  t.same(back.findings, []);
  t.same(back.lost, gone);

  rmSync(it.at('metadata/1.snapshot.json'));
  t.match((await it.check()).findings, [{ at: 'metadata/1.snapshot.json' }], 'more than was said');
  await it.stop();
  const ran = await runInProcess(program, [
    ...['mend', '--from', it.backup, '--dir', it.home, '--json'],
  ]);
  const { restored } = documentOf(ran).data as { restored: string[] };
  t.same([...restored].sort(), [...gone, 'metadata/1.snapshot.json'].sort(), 'all turns up');
});

t.test('what hosts ask for cannot be called lost', async (t) => {
  const it = await lived(t);
  const { snapshot } = await it.repository.current.need();
  const live = [
    it.driverOf('1.1.0'),
    'metadata/3.acme.json',
    `metadata/${snapshot.version}.snapshot.json`,
    'metadata/1.targets.json',
    'metadata/1.root.json',
  ];
  await it.stop();
  for (const path of live) {
    const bytes = readFileSync(it.at(path));
    rmSync(it.at(path));
    const { missing, findings } = await it.check();
    t.same(missing, [], path);
    t.ok(findings.length > 0, path);
    writeFileSync(it.at(path), bytes);
  }
  t.same((await it.check()).findings, []);
});

t.test('a backup of a tree in which something lacks says so', async (t) => {
  const it = await lived(t);
  rmSync(it.at('metadata/2.snapshot.json'));
  const out = join(it.folder, 'lacking');
  const made = await makeBackup({ home: it.home, out, crypto, clock: it.clock.read });
  t.same(made.missing, ['metadata/2.snapshot.json']);
  const home = join(it.folder, 'refused');
  await t.rejects(restoreBackup({ from: out, home, crypto, sha256: made.sha256 }), {
    code: 'E_STORE',
    why: /2\.snapshot\.json/,
  });
  const command = ['backup', '--dir', it.home, '--out', join(it.folder, 'again')];
  const ran = await runInProcess(program, [...command, '--json']);
  t.same((documentOf(ran).data as { missing: string[] }).missing, ['metadata/2.snapshot.json']);
  t.match(ran.stderr, /2\.snapshot\.json.*lost declare/s, 'who made it is warned');
  rmSync(it.at(it.driverOf('1.0.0')));
  const third = join(it.folder, 'third');
  await t.rejects(makeBackup({ home: it.home, out: third, crypto, clock: it.clock.read }), {
    code: 'E_STORE',
    message: /1\.0\.0\/.*is not there/,
    hint: /mend/,
  });
  t.notOk(existsSync(third));
});

t.test('what targets may call lost', async (t) => {
  const it = await lived(t);
  const { targets } = await it.repository.current.need();
  const signed = (lost: unknown): Targets => {
    const extension = withFields(objectMember(targets.envelope.tree, EXTENSION_FIELD), {
      [LOST_FIELD]: lost as JsonValue,
    });
    const tree = withFields(targets.envelope.tree, { [EXTENSION_FIELD]: extension });
    return parseTargets(formatMetadata(tree, new Map()), 'targets');
  };
  for (const bad of [
    'metadata/1.acme.json',
    ['metadata/1.root.json'],
    ['metadata/timestamp.json'],
    ['metadata/0.acme.json'],
    ['private/state.sqlite'],
    ['targets/'],
    [1],
    [`targets/${'a'.repeat(LOST_LIMITS.place)}`],
    Array.from({ length: LOST_LIMITS.places + 1 }, (_, i) => `targets/${i}`),
  ])
    t.throws(
      () => demandSoundTargets(signed(bad)),
      { name: 'IronError' },
      JSON.stringify(bad).slice(0, 60),
    );
  const some = new Set(['metadata/2.acme.json', 'targets/acme/a']);
  t.same(parseLost(signed([...some]).envelope.signed), some);
  t.throws(() => withLost(targets, [], targets.expires), { code: 'E_NOTHING_TO_DO' });
  const many = Array.from({ length: LOST_LIMITS.places + 1 }, (_, i) => `targets/${i}`);
  t.throws(() => withLost(targets, many, targets.expires), { code: 'E_TOO_LARGE' });
});
