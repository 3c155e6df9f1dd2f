/** Files that lack in the tree: put back from whoever has them, and from nobody who has others. */

import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { makeBackup } from '../../server/backup/write.ts';
import { program } from '../../server/main.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { formatMetadata, sign } from '../../shared/tuf/build.ts';
import { parseSnapshot } from '../../shared/tuf/snapshot.ts';
import { testKey } from '../support/keys.ts';
import { documentOf, runInProcess } from '../support/program.ts';
import { signedRole, testArtifact } from '../support/repository.ts';
import { clientOf, running, temporaryHome } from './support.ts';

/** A repository with a history, its service stopped, and a backup of it as a folder. */
async function lived(t: Test) {
  const it = await running(t);
  const { caller, acme, clock, home } = it;
  const artifacts = [await testArtifact(acme), await testArtifact(acme, 'acme/edu/1.1.0/edu.js')];
  await caller.uploadAll(artifacts);
  for (const version of [1, 2]) {
    const role = await signedRole(acme, version, artifacts.slice(0, version));
    if ((await caller.submit('acme', role)).state !== 'published') throw new Error('the set-up');
  }
  const folder = temporaryHome(t);
  const backup = join(folder, 'backup');
  await makeBackup({ home, out: backup, crypto, clock: clock.read });
  cpSync(join(home, 'tree'), join(folder, 'copy'), { recursive: true });
  const target = readdirSync(join(home, 'tree/targets/acme/edu/1.0.0')).find((name) =>
    name.endsWith('.js'),
  ) as string;
  return {
    ...it,
    folder,
    backup,
    copy: join(folder, 'copy'),
    target: `targets/acme/edu/1.0.0/${target}`,
  };
}

async function mend(home: string, from: string) {
  const ran = await runInProcess(program, ['mend', '--from', from, '--dir', home, '--json']);
  const { data, error } = documentOf(ran);
  return { exit: ran.exit, report: data as Report, code: error?.code };
}
interface Report {
  readonly restored: string[];
  readonly refused: { at: string; why: string }[];
  readonly findings: { at: string; what: string }[];
}

const METADATA = ['1.snapshot.json', '2.snapshot.json', '1.acme.json', '1.targets.json'].map(
  (name) => `metadata/${name}`,
);
/** What is wrong but that test clocks stand still while real ones go on. */
const wrong = ({ findings }: Report) =>
  findings.filter(({ what }) => !what.startsWith('E_EXPIRED'));

t.test('what lacks comes back, bit for bit, from a backup or a copy', async (t) => {
  const it = await lived(t);
  await it.stop();
  const lost = [...METADATA, it.target];
  const before = new Map(lost.map((path) => [path, readFileSync(join(it.home, 'tree', path))]));
  for (const from of [it.backup, it.copy]) {
    for (const path of lost) rmSync(join(it.home, 'tree', path));
    const { report } = await mend(it.home, from);
    t.same([...report.restored].sort(), [...lost].sort(), from);
    t.same(report.refused, []);
    t.same(wrong(report), []);
    for (const [path, bytes] of before) {
      t.same(readFileSync(join(it.home, 'tree', path)), bytes, path);
      t.equal(statSync(join(it.home, 'tree', path)).mode & 0o777, 0o444);
    }
  }
  const left = readdirSync(join(it.home, 'tree/metadata')).filter((name) =>
    name.startsWith('.tmp'),
  );
  t.same(left, [], 'nothing of it is left over');
  const root = new Uint8Array(readFileSync(join(it.home, 'tree/metadata/1.root.json')));
  t.ok(await clientOf(it.home, it.clock, root).find('acme/edu/1.1.0/edu.js'));
});

t.test('the snapshot in force, without which no service starts', async (t) => {
  const it = await lived(t);
  const { version } = (await it.repository.current.need()).snapshot;
  await it.stop();
  const path = `metadata/${version}.snapshot.json`;
  rmSync(join(it.home, 'tree', path));
  t.match((await mend(it.home, it.backup)).report, { restored: [path] });
  const again = await it.restart();
  t.equal((await again.repository.current.need()).snapshot.version, version);
});

t.test('what is not what was published is not put back', async (t) => {
  const it = await lived(t);
  await it.stop();
  const at = (path: string): string => join(it.copy, path);
  const put = (path: string, bytes: Uint8Array): void => {
    rmSync(at(path));
    writeFileSync(at(path), bytes);
  };
  const snapshot = parseSnapshot(new Uint8Array(readFileSync(at('metadata/2.snapshot.json'))));
  const stranger = [testKey('stranger')];
  const forged = await sign(crypto, snapshot.envelope.tree, stranger);
  put('metadata/2.snapshot.json', formatMetadata(snapshot.envelope.tree, forged));
  put('metadata/1.snapshot.json', readFileSync(join(it.home, 'tree/metadata/3.snapshot.json')));
  put('metadata/1.acme.json', await signedRole(it.acme, 1, [], { signers: stranger }));
  put(it.target, Buffer.from('other bytes'));
  writeFileSync(at('metadata/99.acme.json'), await signedRole(it.acme, 99, []));
  writeFileSync(at('metadata/9.root.json'), readFileSync(at('metadata/1.root.json')));
  writeFileSync(at('metadata/7.acme.json'), '['.repeat(100_000));
  writeFileSync(at('metadata/8.acme.json'), '{"signed":');
  writeFileSync(at('targets/stray'), 'nobody lists it');
  const lost = [...METADATA, it.target].filter((path) => !path.endsWith('targets.json'));
  for (const path of lost) rmSync(join(it.home, 'tree', path));
  const { report, exit } = await mend(it.home, it.copy);
  t.same(report.restored, []);
  t.equal(exit, 6);
  const why = Object.fromEntries(report.refused.map(({ at, why }) => [at, why.split(':')[0]]));
  t.match(why, {
    'metadata/2.snapshot.json': 'E_THRESHOLD',
    'metadata/1.snapshot.json': 'E_VERSION',
    'metadata/1.acme.json': 'E_THRESHOLD',
    [it.target]: 'E_HASH',
    // Signed by who may, and never published: fsck has the last word.
    'metadata/99.acme.json': /nothing names it/,
    'metadata/9.root.json': 'E_VERSION',
    'metadata/7.acme.json': 'E_JSON',
    'metadata/8.acme.json': 'E_JSON',
  });
  for (const path of [...lost, 'metadata/99.acme.json', 'metadata/9.root.json', 'targets/stray'])
    t.notOk(existsSync(join(it.home, 'tree', path)), path);
  t.ok(
    report.findings.some(({ at }) => at === 'metadata/1.snapshot.json'),
    'what is lost is said',
  );
});

t.test('what is there is not touched, damaged or not', async (t) => {
  const it = await lived(t);
  await it.stop();
  const path = join(it.home, 'tree/metadata/1.acme.json');
  rmSync(path);
  writeFileSync(path, 'damaged');
  const { report } = await mend(it.home, it.backup);
  t.same(report.restored, []);
  t.equal(readFileSync(path, 'utf8'), 'damaged');
  t.ok(report.findings.some(({ at }) => at === 'metadata/1.acme.json'));
});

t.test('refusals', async (t) => {
  const it = await lived(t);
  t.equal((await mend(it.home, it.backup)).code, 'E_LOCKED', 'a service runs');
  await it.stop();
  t.equal((await mend(it.home, join(it.folder, 'nowhere'))).code, 'E_NOT_FOUND');
  t.equal((await mend(it.home, it.folder)).code, 'E_USAGE');
  writeFileSync(join(it.folder, 'text'), 'no backup');
  t.match((await mend(it.home, join(it.folder, 'text'))).code, /^E_/);
});
