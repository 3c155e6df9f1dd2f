import { constants, lstatSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { systemFiles } from '../../shared/node/file-system.ts';
import {
  readFileCapped,
  syncFolder,
  writeAll,
  writeFileAtomic,
  writeFileExclusive,
} from '../../shared/node/files.ts';
import { ensurePrivateFolder } from '../../shared/node/folders.ts';
import { promptFiles } from '../../shared/node/prompt-files.ts';

for (const [name, files] of Object.entries({ systemFiles, promptFiles }))
  t.test(`what stands on ${name} gets the same files and the same errors`, async (t) => {
    const folder = t.testdir({ there: 'old', link: t.fixture('symlink', 'there') });
    const at = (path: string): string => join(folder, path);
    t.equal(await writeFileExclusive(at('new'), utf8('text'), { files }), 'written');
    t.equal(await writeFileExclusive(at('new'), utf8('text'), { files }), 'same');
    await t.rejects(writeFileExclusive(at('new'), utf8('other'), { files }), { code: 'E_EXISTS' });
    await writeFileAtomic(at('there'), utf8('next'), { files });
    t.same(await readFileCapped(at('there'), 100, { files }), utf8('next'));
    await t.rejects(readFileCapped(at('there'), 3, { files }), { code: 'E_TOO_LARGE' });
    await t.rejects(readFileCapped(at('missing'), 3, { files }), { code: 'E_NOT_FOUND' });
    await t.rejects(readFileCapped(at('link'), 9, { files, nofollow: true }), { code: 'E_IO' });
    await t.rejects(readFileCapped(folder, 9, { files }), { code: 'E_IO' });
    await ensurePrivateFolder(at('private'), { files });
    t.equal(lstatSync(at('private')).mode & 0o777, 0o700);
    await t.rejects(ensurePrivateFolder(at('there'), { files }), { code: 'E_IO' });
    await syncFolder(folder, files);
    t.same(
      (await promptFiles.list(folder)).map((entry) => entry.name).sort(),
      ['link', 'new', 'private', 'there'],
      'nothing else stays',
    );
  });

t.test('a file that is written, and the names that it gets', async (t) => {
  const folder = t.testdir({});
  const at = (path: string): string => join(folder, path);
  const file = await promptFiles.open(at('a'), constants.O_WRONLY | constants.O_CREAT, 0o600);
  await writeAll(file, utf8('bytes'));
  await file.utimes(1_700_000_000, 1_700_000_000);
  await file.chmod(0o444);
  await file.sync();
  t.equal((await file.stat()).size, 5);
  await file.close();
  await promptFiles.makeFolder(at('b/c'));
  await promptFiles.link(at('a'), at('b/c/d'));
  await promptFiles.rename(at('a'), at('e'));
  await t.rejects(promptFiles.link(at('e'), at('b/c/d')), { code: 'EEXIST' });
  await t.rejects(promptFiles.access(at('a')), { code: 'ENOENT' });
  await promptFiles.access(at('e'));
  await promptFiles.unlink(at('e'));
  t.equal(readFileSync(at('b/c/d'), 'utf8'), 'bytes');
  const { mode, mtimeMs } = statSync(at('b/c/d'));
  t.same([mode & 0o777, mtimeMs], [0o444, 1_700_000_000_000]);
});

t.test('whoever else is served has a turn, however many calls are made', async (t) => {
  const folder = t.testdir({});
  let turns = 0;
  let goesOn = true;
  const count = (): void => {
    turns += 1;
    if (goesOn) setImmediate(count);
  };
  setImmediate(count);
  for (let i = 0; i < 2000; i++) await promptFiles.lstat(folder);
  t.ok(turns >= 2000 / 64 - 2, 'one after the other');
  turns = 0;
  await Promise.all(Array.from({ length: 2000 }, () => promptFiles.lstat(folder)));
  t.ok(turns >= 1, 'all at once');
  goesOn = false;
});
