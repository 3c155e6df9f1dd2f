import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import t from 'tap';
import { fromUtf8, utf8 } from '../../shared/bytes.ts';
import { isIronError } from '../../shared/errors.ts';
import {
  isTemporaryName,
  readFileCapped,
  readJsonFile,
  readStreamCapped,
  writeFileAtomic,
  writeFileExclusive,
} from '../../shared/node/files.ts';
import { Crash, FaultyFiles } from './faults.ts';

const OLD = utf8('old');
const NEW = utf8('a new and longer content');

/** The names in a folder, temporary ones apart. */
function names(folder: string): { kept: string[]; temporary: string[] } {
  const all = readdirSync(folder).sort();
  return {
    kept: all.filter((name) => !isTemporaryName(name)),
    temporary: all.filter(isTemporaryName),
  };
}

t.test('writeFileAtomic', async (t) => {
  const folder = t.testdir({});
  const path = join(folder, 'file');
  await writeFileAtomic(path, OLD);
  await writeFileAtomic(path, NEW, { mode: 0o600 });
  t.strictSame(readFileSync(path, 'utf8'), fromUtf8(NEW));
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.strictSame(names(folder), { kept: ['file'], temporary: [] });
  await t.rejects(writeFileAtomic(join(folder, 'no', 'file'), OLD), {
    code: 'E_IO',
    context: { errno: 'ENOENT' },
  });
  const longest = join(folder, 'x'.repeat(255));
  await writeFileAtomic(longest, OLD);
  t.equal(readFileSync(longest, 'utf8'), 'old', 'a name of the greatest length');
});

t.test('writeFileExclusive', async (t) => {
  const folder = t.testdir({ folder: {} });
  const path = join(folder, 'file');
  t.equal(await writeFileExclusive(path, OLD), 'written');
  t.equal(await writeFileExclusive(path, OLD), 'same');
  await t.rejects(writeFileExclusive(path, NEW), { code: 'E_EXISTS' });
  await t.rejects(writeFileExclusive(path, utf8('olD')), { code: 'E_EXISTS' }, 'same length');
  t.equal(readFileSync(path, 'utf8'), 'old');
  symlinkSync('file', join(folder, 'link'));
  await t.rejects(
    writeFileExclusive(join(folder, 'link'), OLD),
    { code: 'E_EXISTS' },
    'a link is not a file',
  );
  await t.rejects(writeFileExclusive(join(folder, 'folder'), OLD), { code: 'E_EXISTS' });
  t.strictSame(names(folder), { kept: ['file', 'folder', 'link'], temporary: [] });
});

t.test('eight writers of one place: one content wins, whole', async (t) => {
  const path = join(t.testdir({}), 'file');
  const contents = Array.from({ length: 8 }, (_, i) => utf8(String(i).repeat(10_000)));
  const results = await Promise.allSettled(
    contents.map((content) => writeFileExclusive(path, content)),
  );
  t.equal(results.filter((result) => result.status === 'fulfilled').length, 1);
  const winner = results.findIndex((result) => result.status === 'fulfilled');
  t.equal(readFileSync(path, 'utf8'), fromUtf8(contents[winner] as Uint8Array));
});

for (const [name, write] of Object.entries({ writeFileAtomic, writeFileExclusive })) {
  const mayStand = name === 'writeFileAtomic' ? 'old' : undefined;

  /** What is at `path`, or undefined. */
  const at = (path: string): string | undefined => {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return undefined;
    }
  };

  t.test(`${name}: any call may fail, or be the last one`, async (t) => {
    const folder = t.testdir({});
    const counter = new FaultyFiles({ at: Number.POSITIVE_INFINITY, errno: 'EIO' });
    await write(join(folder, 'count'), NEW, { files: counter });
    t.ok(counter.calls >= 7, 'open, write, fsync, close, place, fsync of the folder');

    for (let call = 1; call <= counter.calls; call++) {
      for (const errno of ['ENOSPC', 'EIO', undefined]) {
        const here = join(folder, `${call}-${errno}`);
        mkdirSync(here);
        const path = join(here, 'file');
        if (mayStand !== undefined) writeFileSync(path, mayStand);
        const files = new FaultyFiles(errno === undefined ? { at: call } : { at: call, errno });
        const error = await write(path, NEW, { files }).then(
          () => undefined,
          (thrown) => thrown,
        );
        const what = `call ${call}, ${errno ?? 'crash'}`;
        if (errno === undefined) t.ok(error instanceof Crash, what);
        else t.ok(isIronError(error, errno === 'ENOSPC' ? 'E_NO_SPACE' : 'E_IO'), what);
        t.ok([mayStand, fromUtf8(NEW)].includes(at(path)), `${what}: old or new, never half`);
        if (errno !== undefined)
          t.strictSame(names(here).temporary, [], `${what}: nothing is left behind`);
        await write(path, NEW);
        t.equal(at(path), fromUtf8(NEW), `${what}: the next try succeeds`);
      }
    }
  });

  t.test(`${name}: a disk that takes three bytes at a time`, async (t) => {
    const path = join(t.testdir({}), 'file');
    await write(path, NEW, { files: new FaultyFiles({ at: 0, errno: 'EIO' }, 3) });
    t.equal(at(path), fromUtf8(NEW));
  });
}

t.test('readFileCapped', async (t) => {
  const folder = t.testdir({ file: '12345', empty: '', folder: {} });
  const path = join(folder, 'file');
  t.equal(fromUtf8(await readFileCapped(path, 5)), '12345');
  t.equal((await readFileCapped(join(folder, 'empty'), 0)).length, 0);
  await t.rejects(readFileCapped(path, 4), { code: 'E_TOO_LARGE', context: { limit: 4 } });
  await t.rejects(readFileCapped(join(folder, 'none'), 4), { code: 'E_NOT_FOUND' });
  await t.rejects(readFileCapped(join(path, 'below'), 4), { code: 'E_IO' });
  await t.rejects(readFileCapped(join(folder, 'folder'), 4), {
    code: 'E_IO',
    message: /not a regular file/,
  });
  await t.rejects(readFileCapped('/dev/zero', 4), { code: 'E_IO', message: /not a regular file/ });
  symlinkSync('file', join(folder, 'link'));
  t.equal(fromUtf8(await readFileCapped(join(folder, 'link'), 5)), '12345');
  await t.rejects(readFileCapped(join(folder, 'link'), 5, { nofollow: true }), {
    code: 'E_IO',
    message: /symbolic link/,
  });
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  await t.rejects(
    readFileCapped(join(folder, 'pipe'), 5),
    { code: 'E_IO' },
    'and does not wait for a writer',
  );
});

t.test(
  'a file that does not know its size',
  { skip: process.platform !== 'linux' && 'needs /proc' },
  async (t) => {
    t.match(fromUtf8(await readFileCapped('/proc/self/status', 65_536)), /^Name:/);
    await t.rejects(readFileCapped('/proc/self/status', 10), { code: 'E_TOO_LARGE' });
  },
);

t.test('readJsonFile', async (t) => {
  const folder = t.testdir({ good: '{"a":1}', bad: '{"a":1,"a":2}' });
  t.strictSame(Object.entries((await readJsonFile(join(folder, 'good'), 99)) as object), [
    ['a', 1],
  ]);
  await t.rejects(readJsonFile(join(folder, 'bad'), 99), {
    code: 'E_JSON',
    message: /bad: .*byte 7/,
    context: { position: 7 },
  });
});

t.test('readStreamCapped', async (t) => {
  const stream = () => Readable.from([OLD, NEW]);
  t.equal((await readStreamCapped(stream(), 99)).length, OLD.length + NEW.length);
  const long = stream();
  await t.rejects(readStreamCapped(long, 5, 'stdin'), { code: 'E_TOO_LARGE', message: /stdin/ });
  t.ok(long.destroyed, 'it is not read to its end');
});

t.test(
  'a folder that may not be written',
  { skip: process.getuid?.() === 0 && 'root may' },
  async (t) => {
    const folder = t.testdir({});
    chmodSync(folder, 0o500);
    await t.rejects(writeFileAtomic(join(folder, 'file'), OLD), { code: 'E_IO', hint: /mode/ });
  },
);
