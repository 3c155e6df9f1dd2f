// A target on its way to its place: broken off, taken up, tampered with, and with a fault at every
// call. Its own name is only ever had by the whole and verified file.

import { existsSync } from 'node:fs';
import {
  access,
  chmod,
  link,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import t from 'tap';
import { downloadTarget, fetchTarget } from '../../client/download.ts';
import type { OpenedFile, ResumeFrom } from '../../client/fetch/fetcher.ts';
import type { Source } from '../../client/fetch/source.ts';
import type { TargetFile } from '../../client/target-file.ts';
import { equalBytes, utf8 } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import { type FileSystem, systemFiles } from '../../shared/node/file-system.ts';
import { FaultyFiles } from '../node/faults.ts';
import { digest } from '../support/simulator.ts';

const SCRATCH = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const CONTENT: Uint8Array = new Uint8Array(3_000_000).map((_, i) => (i * 7 + (i >> 12)) & 0xff);
const target: TargetFile = {
  path: 'a/b.bin',
  length: CONTENT.length,
  hashes: new Map([
    ['sha256', digest('sha256', CONTENT)],
    ['sha512', digest('sha512', CONTENT)],
  ]),
  place: 'targets/a/b.bin',
};
const PART = `.ironport-${digest('sha256', utf8(`${digest('sha256', CONTENT)} out.bin`)).slice(0, 32)}.part`;

/** A repository that sends `content`, perhaps not to its end. */
class Sender implements Source {
  readonly origin: string;
  content: Uint8Array = CONTENT;
  validator: string | undefined = '"v1"';
  /** Breaks off after so many bytes of one answer. */
  breaksAfter = Number.POSITIVE_INFINITY;
  readonly resumed: (number | undefined)[] = [];

  constructor(origin = 'one') {
    this.origin = origin;
  }

  async openFile(_place: string, _length: number, resume?: ResumeFrom): Promise<OpenedFile> {
    this.resumed.push(resume?.offset);
    const start = resume !== undefined && resume.validator === this.validator ? resume.offset : 0;
    return { start, validator: this.validator, pieces: this.#pieces(this.content.subarray(start)) };
  }

  async *#pieces(content: Uint8Array): AsyncGenerator<Uint8Array, void> {
    // One buffer for all pieces, as readers of files have it.
    const buffer = new Uint8Array(50_000);
    for (let at = 0; at < content.length; at += buffer.length) {
      if (at >= this.breaksAfter) throw new IronError('E_NETWORK', 'broken off');
      const piece = content.subarray(at, at + buffer.length);
      buffer.set(piece);
      yield buffer.subarray(0, piece.length);
    }
  }
}

async function place(): Promise<{ folder: string; out: string }> {
  const folder = await mkdtemp(join(SCRATCH, 'ironport-download-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return { folder, out: join(folder, 'out.bin') };
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
const content = async (path: string): Promise<Uint8Array> => new Uint8Array(await readFile(path));

t.test('it comes whole, once, and is kept', async (t) => {
  const { folder, out } = await place();
  const fetcher = new Sender();
  let bytes = 0;
  const options = { fetcher, target, out, onBytes: (count: number) => (bytes += count) };
  t.equal(await downloadTarget(options), 'downloaded');
  t.ok(equalBytes(await content(out), CONTENT), 'byte for byte');
  t.equal(bytes, CONTENT.length);
  t.strictSame(await readdir(folder), ['out.bin'], 'nothing else is left');
  t.equal(await downloadTarget(options), 'kept');
  t.equal(fetcher.resumed.length, 1, 'it is not asked for again');
  await truncate(out, 100);
  t.equal(await downloadTarget(options), 'downloaded');
  await writeFile(
    out,
    CONTENT.map((byte) => byte ^ 1),
  );
  t.equal(await downloadTarget(options), 'downloaded', 'same length, other bytes');
  t.ok(equalBytes(await content(out), CONTENT), 'byte for byte');
});

t.test('an empty target', async (t) => {
  const { out } = await place();
  const fetcher = new Sender();
  fetcher.content = new Uint8Array();
  const empty = { ...target, length: 0, hashes: new Map([['sha256', digest('sha256', utf8(''))]]) };
  t.equal(await downloadTarget({ fetcher, target: empty, out }), 'downloaded');
  t.equal((await content(out)).length, 0);
});

t.test('a broken download is taken up by the next run, hashed again', async (t) => {
  const { folder, out } = await place();
  const fetcher = new Sender();
  fetcher.breaksAfter = 1_500_000;
  await t.rejects(downloadTarget({ fetcher, target, out }), { code: 'E_NETWORK' });
  t.notOk(await exists(out));
  t.ok((await readdir(folder)).includes(PART));
  fetcher.breaksAfter = Number.POSITIVE_INFINITY;
  t.equal(await downloadTarget({ fetcher, target, out }), 'downloaded');
  t.ok((fetcher.resumed[1] ?? 0) > 1_000_000, `from byte ${fetcher.resumed[1]} on`);
  t.ok(equalBytes(await content(out), CONTENT), 'byte for byte');
  t.strictSame(await readdir(folder), ['out.bin']);
});

t.test('what an earlier run left and is not its beginning costs one more try', async (t) => {
  for (const damage of ['zeros', 'one bit', 'too long'] as const) {
    const { folder, out } = await place();
    const fetcher = new Sender();
    fetcher.breaksAfter = 1_500_000;
    await t.rejects(downloadTarget({ fetcher, target, out }), { code: 'E_NETWORK' });
    const part = join(folder, PART);
    const kept = await content(part);
    if (damage === 'zeros') await writeFile(part, new Uint8Array(kept.length));
    if (damage === 'one bit')
      await writeFile(
        part,
        kept.map((byte, i) => (i === 5 ? byte ^ 1 : byte)),
      );
    if (damage === 'too long') await writeFile(part, new Uint8Array(CONTENT.length + 1));
    fetcher.breaksAfter = Number.POSITIVE_INFINITY;
    t.equal(await downloadTarget({ fetcher, target, out }), 'downloaded', damage);
    t.ok(equalBytes(await content(out), CONTENT), 'byte for byte');
  }
});

t.test('it is taken up only where the same state of the file can be had', async (t) => {
  const cases: [string, (folder: string, fetcher: Sender) => Promise<Sender>][] = [
    ['another mirror', async () => new Sender('two')],
    ['a file that changed', async (_, fetcher) => Object.assign(fetcher, { validator: '"v2"' })],
    [
      'a note that is gone',
      async (folder, fetcher) => {
        await rm(join(folder, `${PART}.from`));
        return fetcher;
      },
    ],
    [
      'a note that is damaged',
      async (folder, fetcher) => {
        await writeFile(join(folder, `${PART}.from`), 'one');
        return fetcher;
      },
    ],
  ];
  for (const [name, change] of cases) {
    const { folder, out } = await place();
    const first = new Sender();
    first.breaksAfter = 1_500_000;
    await t.rejects(downloadTarget({ fetcher: first, target, out }), { code: 'E_NETWORK' });
    const fetcher = await change(folder, first);
    fetcher.breaksAfter = Number.POSITIVE_INFINITY;
    t.equal(await downloadTarget({ fetcher, target, out }), 'downloaded', name);
    const isAsked = name === 'a file that changed';
    t.equal(fetcher.resumed.at(-1) !== undefined, isAsked, 'whether its rest was asked for');
    t.ok(equalBytes(await content(out), CONTENT), 'byte for byte');
    t.strictSame(await readdir(folder), ['out.bin']);
  }
});

t.test('a beginning that somebody else could change is not taken up', async (t) => {
  for (const kind of ['writable by others', 'a link to elsewhere', 'a second name'] as const) {
    const { folder, out } = await place();
    const fetcher = new Sender();
    fetcher.breaksAfter = 1_500_000;
    await t.rejects(downloadTarget({ fetcher, target, out }), { code: 'E_NETWORK' });
    const part = join(folder, PART);
    if (kind === 'writable by others') await chmod(part, 0o666);
    if (kind === 'a second name') await link(part, join(folder, 'second'));
    if (kind === 'a link to elsewhere') {
      await rm(part);
      await writeFile(join(folder, 'victim'), 'precious');
      await symlink(join(folder, 'victim'), part);
    }
    fetcher.breaksAfter = Number.POSITIVE_INFINITY;
    t.equal(await downloadTarget({ fetcher, target, out }), 'downloaded');
    t.equal(fetcher.resumed[1], undefined, kind);
    t.ok(equalBytes(await content(out), CONTENT), 'byte for byte');
    if (kind === 'a link to elsewhere') {
      t.equal(await readFile(join(folder, 'victim'), 'utf8'), 'precious');
    }
  }
});

t.test('other bytes than the signed ones leave everything as it was', async (t) => {
  const cases: [string, Uint8Array, string][] = [
    ['one bit', CONTENT.map((byte, i) => (i === 2_999_999 ? byte ^ 0x80 : byte)), 'E_HASH'],
    ['shorter', CONTENT.subarray(0, 2_999_999), 'E_LENGTH'],
    ['empty', new Uint8Array(), 'E_LENGTH'],
  ];
  for (const [name, served, code] of cases) {
    const { folder, out } = await place();
    await writeFile(out, 'what was there before');
    const fetcher = new Sender();
    fetcher.content = served;
    await t.rejects(downloadTarget({ fetcher, target, out }), { code }, name);
    t.strictSame(await readdir(folder), ['out.bin'], 'what was refused is not kept');
    t.equal(await readFile(out, 'utf8'), 'what was there before');
  }
});

t.test('a small target in memory is held to the same', async (t) => {
  const fetcher = new Sender();
  t.ok(equalBytes(await fetchTarget(fetcher, target, CONTENT.length), CONTENT));
  await t.rejects(fetchTarget(fetcher, target, CONTENT.length - 1), { code: 'E_TOO_LARGE' });
  t.equal(fetcher.resumed.length, 1, 'what is over the cap is not asked for');
  fetcher.content = CONTENT.subarray(1);
  await t.rejects(fetchTarget(fetcher, target, CONTENT.length), { code: 'E_LENGTH' });
  fetcher.content = CONTENT.map((byte) => byte ^ 1);
  await t.rejects(fetchTarget(fetcher, target, CONTENT.length), { code: 'E_HASH' });
});

t.test(
  'the bytes are durable before they have their name, and the name before it returns',
  async (t) => {
    const { folder, out } = await place();
    const calls: string[] = [];
    const files: FileSystem = {
      ...systemFiles,
      async open(path, flags, mode) {
        const file = await systemFiles.open(path, flags, mode);
        const sync = async (): Promise<void> => {
          await file.sync();
          calls.push(`sync ${relative(folder, path)}`);
        };
        return Object.assign(Object.create(file), {
          read: file.read.bind(file),
          write: file.write.bind(file),
          stat: file.stat.bind(file),
          close: file.close.bind(file),
          sync,
        });
      },
      async rename(from, to) {
        await systemFiles.rename(from, to);
        if (to === out) calls.push('rename');
      },
    };
    await downloadTarget({ fetcher: new Sender(), target, out, files });
    const at = calls.indexOf('rename');
    t.equal(calls[at - 1], `sync ${PART}`);
    t.ok(calls.slice(at).includes('sync '), 'the folder');
  },
);

t.test('every signed digest counts, not only one of them', async (t) => {
  const { out } = await place();
  const hashes = new Map([...target.hashes, ['sha512', '0'.repeat(128)]]);
  await t.rejects(downloadTarget({ fetcher: new Sender(), target: { ...target, hashes }, out }), {
    code: 'E_HASH',
    message: /sha512/,
  });
});

t.test('places that are none', async (t) => {
  const { folder } = await place();
  const fetcher = new Sender();
  await t.rejects(downloadTarget({ fetcher, target, out: folder }), { code: 'E_IO' });
  await t.rejects(downloadTarget({ fetcher, target, out: join(folder, 'no', 'x') }), {
    code: 'E_IO',
  });
});

t.test(
  'two that want the same place wait for each other, and one download is enough',
  async (t) => {
    const { folder, out } = await place();
    const fetcher = new Sender();
    const options = { fetcher, target, out, lockFolder: join(folder, 'store') };
    const outcomes = await Promise.all([1, 2, 3].map(() => downloadTarget(options)));
    t.strictSame(outcomes.sort(), ['downloaded', 'kept', 'kept']);
    t.equal(fetcher.resumed.length, 1);
  },
);

for (const errno of ['ENOSPC', 'EIO', undefined]) {
  t.test(`${errno ?? 'the end of the process'} at every call`, async (t) => {
    let faults = 0;
    for (let at = 1; ; at++) {
      const { folder, out } = await place();
      await writeFile(out, 'before');
      const files = new FaultyFiles(errno === undefined ? { at } : { at, errno });
      const outcome = await downloadTarget({ fetcher: new Sender(), target, out, files }).catch(
        (error) => error,
      );
      const found = await readFile(out);
      const isBefore = found.toString() === 'before';
      if (!isBefore && digest('sha256', found) !== target.hashes.get('sha256')) {
        t.fail(`half a file under its final name, after call ${at}`);
      }
      if (outcome === 'downloaded' && isBefore) t.fail(`said to be there, and is not: call ${at}`);
      if (typeof outcome !== 'string' && errno !== undefined && !(outcome instanceof IronError)) {
        t.fail(`call ${at}: an error without a code: ${outcome}`);
      }
      const left = (await readdir(folder)).filter((name) => name.endsWith('.part'));
      if (errno === 'ENOSPC' && outcome?.code === 'E_NO_SPACE' && left.length > 0) {
        t.fail(`call ${at}: what fills the disk stays on it`);
      }
      t.equal(typeof (await downloadTarget({ fetcher: new Sender(), target, out })), 'string');
      if (digest('sha256', await content(out)) !== target.hashes.get('sha256'))
        t.fail(`call ${at}`);
      await rm(folder, { recursive: true });
      if (files.calls < at) break;
      faults++;
    }
    t.ok(faults > 10, `${faults} faults`);
  });
}
