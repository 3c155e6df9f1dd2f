import { chmodSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ensurePrivateFolder, insideFolder } from '../../shared/node/folders.ts';
import { FaultyFiles } from './faults.ts';

t.test('ensurePrivateFolder', async (t) => {
  const base = t.testdir({ lax: {}, file: '' });
  const mode = (name: string): number => statSync(join(base, name)).mode & 0o777;
  await ensurePrivateFolder(join(base, 'a/b'));
  t.equal(mode('a/b'), 0o700);
  await ensurePrivateFolder(join(base, 'a/b'));
  chmodSync(join(base, 'lax'), 0o755);
  await ensurePrivateFolder(join(base, 'lax'));
  t.equal(mode('lax'), 0o700, 'a laxer mode is tightened');
  await t.rejects(ensurePrivateFolder(join(base, 'file')), { code: 'E_IO' });
  symlinkSync('lax', join(base, 'link'));
  await t.rejects(
    ensurePrivateFolder(join(base, 'link')),
    { code: 'E_IO' },
    'a link could be moved by another',
  );
});

t.test("somebody else's folder is refused", async (t) => {
  const base = t.testdir({});
  class Foreign extends FaultyFiles {
    override async lstat(path: string) {
      return Object.assign(await super.lstat(path), { uid: 4_000_000 });
    }
  }
  const files = new Foreign({ at: 0, errno: 'EIO' });
  await t.rejects(ensurePrivateFolder(join(base, 'a'), { files }), {
    code: 'E_IO',
    message: /another user/,
  });
});

t.test('insideFolder', async (t) => {
  const base = t.testdir({ root: { sub: { file: '' } }, other: { secret: '' } });
  const root = join(base, 'root');
  t.equal(await insideFolder(root, 'sub/file'), join(root, 'sub/file'));
  t.equal(
    await insideFolder(root, 'sub/new/deep'),
    join(root, 'sub/new/deep'),
    'it need not exist',
  );
  t.equal(
    await insideFolder(root, '..a'),
    join(root, '..a'),
    'two dots are not a segment of two dots',
  );
  for (const path of [
    '',
    '.',
    '..',
    '../other/secret',
    'sub/../../other',
    '/etc/passwd',
    'sub//file',
    'a\0b',
    'sub/.',
    'sub/',
  ]) {
    await t.rejects(insideFolder(root, path), { code: 'E_NAME' }, JSON.stringify(path));
  }
  await t.rejects(insideFolder(join(base, 'none'), 'a'), { code: 'E_IO' });
});

t.test('insideFolder and symbolic links', async (t) => {
  const base = t.testdir({ root: { sub: {} }, other: { secret: '' } });
  const root = join(base, 'root');
  symlinkSync('../other', join(root, 'out'));
  symlinkSync('../other/secret', join(root, 'file'));
  symlinkSync('../nowhere', join(root, 'dangling'));
  symlinkSync('sub', join(root, 'in'));
  await t.rejects(insideFolder(root, 'out/secret'), { code: 'E_NAME' });
  await t.rejects(
    insideFolder(root, 'out/new'),
    { code: 'E_NAME' },
    'also for what does not exist yet',
  );
  await t.rejects(insideFolder(root, 'file'), { code: 'E_NAME' });
  await t.rejects(
    insideFolder(root, 'dangling'),
    { code: 'E_NAME' },
    'writing there would create it outside',
  );
  await t.rejects(insideFolder(root, 'dangling/x'), { code: 'E_NAME' });
  t.equal(await insideFolder(root, 'in/x'), join(root, 'in/x'));
  symlinkSync(root, join(base, 'alias'));
  t.equal(
    await insideFolder(join(base, 'alias'), 'sub/x'),
    join(base, 'alias/sub/x'),
    'the folder itself may be a link',
  );
  const neighbour = join(base, 'root-2');
  mkdirSync(neighbour);
  writeFileSync(join(neighbour, 'x'), '');
  symlinkSync('../root-2', join(root, 'near'));
  await t.rejects(
    insideFolder(root, 'near/x'),
    { code: 'E_NAME' },
    'a common beginning of names is no containment',
  );
});
