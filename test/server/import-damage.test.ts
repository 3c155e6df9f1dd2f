/** What fsck and the index make of a repository that was taken over, and was damaged then. */

import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { checkTree } from '../../server/publish/fsck.ts';
import { openRepository } from '../../server/repository.ts';
import { everyBlob } from '../../server/storage/blobs.ts';
import type { Imported } from '../../server/storage/imported.ts';
import { openSource } from '../../server/takeover/source.ts';
import { takeOver } from '../../server/takeover/take-over.ts';
import { data, tree } from '../../shared/layout.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { TestClock, TODAY } from '../support/clock.ts';
import {
  FOREIGN_FILES,
  FOREIGN_KEYS,
  FOREIGN_VERSIONS,
  type ForeignOptions,
  foreignFile,
  writeForeign,
} from '../support/foreign.ts';
import { testKey } from '../support/keys.ts';
import { repositoryOptions, temporaryHome } from './support.ts';

async function taken(t: Test, options: Partial<ForeignOptions> = {}): Promise<string> {
  const folder = temporaryHome(t);
  const [from, home] = [join(folder, 'theirs'), join(folder, 'ours')];
  const roots = await writeForeign(from, { style: 'python-tuf', ...options });
  const places = { from, metadata: 'metadata', targets: 'targets' };
  const source = openSource(places, new AbortController().signal);
  const pinned = roots.get(1) as Uint8Array;
  await takeOver({ source, home, crypto, pinned, clock: new TestClock().read });
  await source.close();
  return home;
}

async function namesOf(folder: string, isTold = false): Promise<string[]> {
  const names: string[] = [];
  for await (const blobs of everyBlob(folder, isTold))
    for (const { path } of blobs) names.push(path);
  return names.sort();
}

t.test('targets of the top level that came along are left out on demand only', async (t) => {
  const home = await taken(t);
  const folder = join(home, data.tree);
  const all = Object.keys(FOREIGN_FILES).sort();
  t.same(await namesOf(folder), all);
  // The next targets stand, so that nobody needs the damaged ones but the index.
  const place = join(folder, 'metadata', '12.targets.json');
  const { signed } = JSON.parse(await readFile(place, 'utf8'));
  const step = FOREIGN_VERSIONS.targets + 1;
  await writeFile(
    join(folder, 'metadata', `${step}.targets.json`),
    await foreignFile({ ...signed, version: step, targets: {} }, FOREIGN_KEYS.targets),
  );
  const meta = { 'targets.json': { version: step }, 'acme.json': { version: 5 } };
  const [snapshot, timestamp] = [FOREIGN_VERSIONS.snapshot + 1, FOREIGN_VERSIONS.timestamp + 1];
  const { delegations: _, targets: __, ...common } = signed;
  const put = async (name: string, file: object, by: 'snapshot' | 'timestamp'): Promise<void> => {
    const at = join(folder, 'metadata', name);
    await rm(at, { force: true });
    await writeFile(at, await foreignFile({ ...common, _type: by, ...file }, FOREIGN_KEYS[by]));
  };
  await put(`${snapshot}.snapshot.json`, { version: snapshot, meta }, 'snapshot');
  const entry = { 'snapshot.json': { version: snapshot } };
  await put('timestamp.json', { version: timestamp, meta: entry }, 'timestamp');
  t.same((await checkTree(folder, { crypto, clock: () => TODAY })).findings, []);

  await chmod(place, 0o644);
  await writeFile(place, '{');
  const refused = { code: 'E_STORE', context: { path: 'metadata/12.targets.json' } };
  await t.rejects(namesOf(folder), refused);
  const options = repositoryOptions(home, new TestClock());
  await t.rejects(openRepository(options), refused, 'the index is not made with names forgotten');
  t.same(await namesOf(folder, true), ['acme/edu/1.0.0/edu.js'], 'whoever was told may go on');
  await rm(join(folder, tree.imported));
  t.same(
    await namesOf(folder),
    ['acme/edu/1.0.0/edu.js'],
    'what our operators signed lists no artifact',
  );
  await chmod(join(folder, 'metadata', '5.acme.json'), 0o644);
  await writeFile(join(folder, 'metadata', '5.acme.json'), '{');
  await t.rejects(namesOf(folder, true), { code: 'E_STORE' }, 'a vendor’s role is never left out');
});

t.test('what nothing delegated to came along in one version, and no other', async (t) => {
  const home = await taken(t, {
    bend: (role, signed) => {
      if (role === 'targets') signed.delegations = { keys: {}, roles: [] };
    },
  });
  const folder = join(home, data.tree);
  const findings = async () => (await checkTree(folder, { crypto, clock: () => TODAY })).findings;
  t.same(await findings(), []);
  const { signed } = JSON.parse(await readFile(join(folder, 'metadata', '5.acme.json'), 'utf8'));
  await mkdir(join(folder, 'targets'), { recursive: true });
  const planted = 'metadata/4.acme.json';
  const bytes = await foreignFile({ ...signed, version: 4 }, [testKey('a stranger')]);
  await writeFile(join(folder, planted), bytes);
  t.match(await findings(), [{ at: planted, what: /no delegation ever covered it/ }]);
});

t.test('the note of where history begins is held against what is signed', async (t) => {
  const home = await taken(t, { roots: 2 });
  const folder = join(home, data.tree);
  const place = join(folder, tree.imported);
  const note = await readFile(place, 'utf8');
  const findings = async (change: (note: Imported) => void): Promise<string[]> => {
    const bent = JSON.parse(note);
    change(bent);
    await chmod(place, 0o644);
    await writeFile(place, JSON.stringify(bent));
    const report = await checkTree(folder, { crypto, clock: () => TODAY });
    return report.findings.filter(({ at }) => at === tree.imported).map(({ what }) => what);
  };
  t.same(await findings(() => {}), []);
  const { snapshot, targets } = FOREIGN_VERSIONS;
  const cases: Readonly<Record<string, readonly [(note: Imported) => void, RegExp]>> = {
    'a later beginning': [(it) => (it.first.snapshot = snapshot + 1), /which is not there/],
    'an earlier one': [(it) => (it.first.snapshot = snapshot - 1), /which is not there/],
    'none at all': [(it) => delete it.first.snapshot, /snapshot 0, which is not there/],
    'a role that would begin later': [
      (it) => (it.first.acme = 6),
      /acme would begin with version 6/,
    ],
    'targets that would begin later': [
      (it) => (it.first.targets = targets + 1),
      /targets would begin with version/,
    ],
    'a role too many': [(it) => (it.first.other = 1), /other would begin with version 1, .* none/],
    'a role too few': [(it) => delete it.first.acme, /acme would begin with version none/],
    'a root that is not there': [(it) => (it.root = 9), /root 9 would have come along/],
    'a role to which targets lead': [(it) => it.unreachable.push('acme'), /led to acme/],
    'a role that was not listed': [(it) => it.unreachable.push('other'), /led to other/],
  };
  for (const [what, [change, wanted]] of Object.entries(cases))
    t.match(await findings(change), [wanted], what);
  const good = await findings(() => {});
  t.same(good, []);
  // A snapshot of somebody else, under the name of the first.
  const { signed } = JSON.parse(
    await readFile(join(folder, 'metadata', `${snapshot}.snapshot.json`), 'utf8'),
  );
  const forged = join(folder, 'metadata', `${snapshot - 1}.snapshot.json`);
  const bytes = await foreignFile({ ...signed, version: snapshot - 1 }, [testKey('a stranger')]);
  await writeFile(forged, bytes);
  t.match(await findings(() => {}), [/and snapshot \d+ is there/]);
  t.match(await findings((it) => (it.first.snapshot = snapshot - 1)), [/is not signed by it/]);
});
