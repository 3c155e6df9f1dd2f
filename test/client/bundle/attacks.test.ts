// A bundle from somebody who wants something. Each is refused for its reason, and the store of
// the machine stands as it stood.

import { appendFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Bundle } from '../../../client/bundle/bundle.ts';
import { fromUtf8, utf8 } from '../../../shared/bytes.ts';
import type { Code } from '../../../shared/errors.ts';
import { BUNDLE_LIMITS, METADATA_LIMITS } from '../../../shared/limits.ts';
import { addArtifact, EDU } from '../../support/artifact.ts';
import { testKey } from '../../support/keys.ts';
import {
  Machine,
  type Parts,
  putTogether,
  repositoryWithArtifact,
  type Scene,
  scene,
  takeApart,
} from './support.ts';

/** Verifying and importing both refuse, and nothing comes of it. */
async function refused(t: Test, { offline }: Scene, file: string, code: Code): Promise<void> {
  const before = await everything(offline.store.folder);
  await t.rejects(offline.verify(file), { code }, `verify: ${code}`);
  await t.rejects(offline.import(file), { code }, `import: ${code}`);
  t.strictSame(await everything(offline.store.folder), before, 'nothing was stored');
}

/** What is trusted: every file with its content, but for targets, which are a cache. */
async function everything(folder: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (!entry.isFile() || !path.endsWith('.json')) continue;
    found.set(path, await readFile(path, 'utf8'));
  }
  return found;
}

/** A bundle that was put together anew after `edit`. */
async function edited(scene: Scene, edit: (parts: Parts) => void): Promise<string> {
  const parts = await takeApart(scene.bundle);
  edit(parts);
  const file = scene.place('edited.bundle');
  await putTogether(file, parts);
  return file;
}

const place = (parts: Parts, end: string): string =>
  [...parts.files.keys()].find((path) => path.endsWith(end)) as string;

t.test('a foreign root: a whole repository of somebody else, with a root of its own', async (t) => {
  const s = await scene(t);
  const foreign = await repositoryWithArtifact('foreign');
  const theirs = new Machine(s.place('.'), 'theirs');
  await theirs.pin(foreign);
  const file = s.place('foreign.bundle');
  await theirs.create(foreign, file);
  t.ok(await theirs.verify(file), 'it is whole');
  await refused(t, s, file, 'E_THRESHOLD');

  foreign.nextRoot();
  foreign.publish();
  const second = s.place('second.bundle');
  await theirs.create(foreign, second);
  await refused(t, s, second, 'E_THRESHOLD');
});

t.test('the wrong signer of each role', async (t) => {
  for (const role of ['timestamp', 'snapshot', 'targets', 'acme']) {
    const s = await scene(t);
    s.sim.signers.set(role, [testKey('stranger')]);
    const file = s.place('signed-by-others.bundle');
    const parts = await takeApart(s.bundle);
    for (const entry of parts.index.files) {
      if (entry.path.endsWith(`${role}.json`)) {
        const bytes = s.sim.fileOf(role);
        parts.files.set(entry.path, bytes);
        entry.length = bytes.length;
      }
    }
    await putTogether(file, parts);
    await refused(t, s, file, 'E_THRESHOLD');
  }
});

t.test('cut short at any place, or longer than its index', async (t) => {
  const s = await scene(t);
  const whole = await readFile(s.bundle);
  const file = s.place('cut.bundle');
  const end = whole.indexOf(0x0a) + 1;
  for (const length of [0, 1, 10, end - 1, end, end + 1, end + 200, whole.length - 1]) {
    await writeFile(file, whole.subarray(0, length));
    await t.rejects(s.offline.verify(file), { code: 'E_SCHEMA' }, `${length} bytes`);
  }
  await refused(t, s, file, 'E_SCHEMA');
  await writeFile(file, whole);
  await appendFile(file, 'x');
  await refused(t, s, file, 'E_SCHEMA');
});

t.test('cut short while it is read', async (t) => {
  const { bundle } = await scene(t);
  const open = await Bundle.open(bundle);
  const path = open.index.files[0]?.path as string;
  await writeFile(bundle, 'short');
  await t.rejects(open.fetchFile(path, 10_000), { code: 'E_SCHEMA' });
  await open.close();
});

t.test(
  'huge: an index, a metadata file or a target beyond all limits is not even read',
  async (t) => {
    const s = await scene(t);
    const file = s.place('huge.bundle');
    await writeFile(file, `ironport-bundle/v1 ${BUNDLE_LIMITS.index + 1}\n{}`);
    await refused(t, s, file, 'E_TOO_LARGE');
    await writeFile(file, `ironport-bundle/v1 9999999999\n{}`);
    await refused(t, s, file, 'E_TOO_LARGE');
    await writeFile(file, `ironport-bundle/v1 ${'9'.repeat(100)}\n{}`);
    await refused(t, s, file, 'E_SCHEMA');
    const set = async (end: string, length: number): Promise<string> =>
      edited(s, (parts) => {
        const path = place(parts, end);
        parts.index.files.find((entry: { path: string }) => entry.path === path).length = length;
      });
    await refused(t, s, await set('timestamp.json', METADATA_LIMITS.timestamp + 1), 'E_SCHEMA');
    await refused(t, s, await set('.edu.js', 2 ** 40), 'E_SCHEMA');
    await refused(t, s, await set('.edu.js', -1), 'E_SCHEMA');
    const many = await edited(s, ({ index }) => {
      for (let i = 0; i < 14; i++) {
        index.files.push({ path: `metadata/1.x${i}.json`, length: METADATA_LIMITS.targets });
      }
      index.files.sort((a: { path: string }, b: { path: string }) => (a.path < b.path ? -1 : 1));
    });
    await refused(t, s, many, 'E_TOO_LARGE');
    const deep = utf8(`${'['.repeat(1000)}${']'.repeat(1000)}`);
    await writeFile(file, `ironport-bundle/v1 ${deep.length}\n${fromUtf8(deep)}`);
    await refused(t, s, file, 'E_JSON');
  },
);

t.test('duplicated, reordered, unknown: an index has one spelling', async (t) => {
  const s = await scene(t);
  const bad: Readonly<Record<string, (parts: Parts) => void>> = {
    'a file twice': ({ index }) => index.files.splice(1, 0, index.files[0]),
    'files in another order': ({ index }) => index.files.reverse(),
    'an artifact twice': ({ index }) => index.artifacts.push(EDU),
    'no artifact': ({ index }) => (index.artifacts = []),
    'an unknown field': ({ index }) => (index.trusted = true),
    'an unknown field of a file': ({ index }) => (index.files[0].sha256 = 'x'),
    'another schema': ({ index }) => (index.schema = 'ironport.bundle/v2'),
    'no time': ({ index }) => delete index.created,
    'artifacts that are no list': ({ index }) => (index.artifacts = {}),
    'a metadata path that the tree spells otherwise': ({ index }) =>
      (index.files[0].path = 'metadata/01.acme.json'),
    'neither metadata nor target': ({ index }) => (index.files[0].path = 'key.json'),
  };
  for (const [name, edit] of Object.entries(bad)) {
    await t.test(name, async (t) => refused(t, s, await edited(s, edit), 'E_SCHEMA'));
  }
  const twice = utf8('{"schema":"ironport.bundle/v1","schema":"ironport.bundle/v1"}');
  const file = s.place('twice.bundle');
  await writeFile(file, `ironport-bundle/v1 ${twice.length}\n${fromUtf8(twice)}`);
  await refused(t, s, file, 'E_JSON');
});

t.test('names that try to escape', async (t) => {
  const s = await scene(t);
  const names: [path: string, code: Code][] = [
    ['targets/../../../etc/passwd', 'E_NAME'],
    ['targets//etc/passwd', 'E_NAME'],
    ['targets/a\\b', 'E_NAME'],
    ['targets/a\u0000b', 'E_NAME'],
    ['/etc/passwd', 'E_SCHEMA'],
    ['../x', 'E_SCHEMA'],
    ['metadata/../../x.json', 'E_SCHEMA'],
    ['metadata/1.%2e%2e.json', 'E_SCHEMA'],
  ];
  for (const [path, code] of names) {
    const file = await edited(s, ({ index, files }) => {
      const last = index.files.at(-1);
      files.set(path, files.get(last.path) as Uint8Array);
      last.path = path;
      index.files.sort((a: { path: string }, b: { path: string }) => (a.path < b.path ? -1 : 1));
    });
    await refused(t, s, file, code);
  }
  for (const name of ['../../x', '/x', '']) {
    const file = await edited(s, ({ index }) => (index.artifacts = [name]));
    await refused(t, s, file, 'E_NAME');
  }
});

t.test('replayed: an older bundle after a newer one', async (t) => {
  const s = await scene(t);
  await addArtifact(s.sim, 'acme/edu/2.0.0/edu.js', utf8('two'));
  s.sim.publish('acme');
  const newer = s.place('newer.bundle');
  await s.online.create(s.sim, newer);
  await s.offline.import(newer);
  await refused(t, s, s.bundle, 'E_ROLLBACK');
});

t.test('mixed: an older role among the newer ones', async (t) => {
  const s = await scene(t);
  const old = await takeApart(s.bundle);
  s.sim.publish('acme');
  const newer = s.place('newer.bundle');
  await s.online.create(s.sim, newer);
  const parts = await takeApart(newer);
  const bytes = old.files.get('metadata/1.acme.json') as Uint8Array;
  parts.files.set('metadata/2.acme.json', bytes);
  for (const entry of parts.index.files) {
    if (entry.path === 'metadata/2.acme.json') entry.length = bytes.length;
  }
  await putTogether(newer, parts);
  await refused(t, s, newer, 'E_MIX_AND_MATCH');
});

t.test('a file that is missing, and one that nothing needs', async (t) => {
  const s = await scene(t);
  for (const end of ['timestamp.json', 'acme.json', '.ceiling.json', '.edu.js']) {
    const file = await edited(s, (parts) => {
      const path = place(parts, end);
      parts.index.files = parts.index.files.filter(
        (entry: { path: string }) => entry.path !== path,
      );
    });
    await refused(t, s, file, 'E_NOT_FOUND');
  }
  const more = await edited(s, ({ index, files }) => {
    files.set('targets/zzz/stranger', utf8('x'));
    index.files.push({ path: 'targets/zzz/stranger', length: 1 });
  });
  await refused(t, s, more, 'E_SCHEMA');
  const claims = await edited(s, ({ index }) => index.artifacts.push('acme/edu/9.0.0/edu.js'));
  await refused(t, s, claims, 'E_TARGET_UNKNOWN');
});

t.test('one bit of any file in it', async (t) => {
  const s = await scene(t);
  const whole = await readFile(s.bundle);
  const { index } = await takeApart(s.bundle);
  let at = whole.length;
  for (const { path, length } of index.files.toReversed()) {
    at -= length;
    // A root up to the pinned one is not read at all.
    if (path.endsWith('.root.json')) continue;
    const bytes = Buffer.from(whole);
    const bit = at + (length >> 1);
    bytes[bit] = (bytes[bit] as number) ^ 1;
    const file = s.place('bit.bundle');
    await writeFile(file, bytes);
    await t.rejects(s.offline.verify(file), { name: 'IronError' }, path);
  }
});

t.test('without a pin there is nothing to begin at, whatever roots a bundle has', async (t) => {
  const s = await scene(t);
  const fresh = new Machine(s.place('.'), 'fresh');
  await t.rejects(fresh.verify(s.bundle), { code: 'E_NO_PIN' });
  await t.rejects(fresh.import(s.bundle), { code: 'E_NO_PIN' });
});

t.test('an artifact that is not what was signed is never stored', async (t) => {
  const s = await scene(t);
  const file = await edited(s, (parts) => {
    const path = place(parts, '.edu.js');
    const bytes = (parts.files.get(path) as Uint8Array).slice();
    bytes[0] = 0x20;
    parts.files.set(path, bytes);
  });
  await refused(t, s, file, 'E_HASH');
  const kept = await readdir(join(s.offline.store.folder, 'targets'));
  t.ok(
    kept.every((name) => !name.startsWith('.ironport-')),
    'and no part of it is left',
  );
});
