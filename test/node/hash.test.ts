import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import t from 'tap';
import { openRegular } from '../../shared/node/files.ts';
import { copyHashing, hashFile, hashOpenFile, pieces } from '../../shared/node/hash.ts';
import { FaultyFiles } from './faults.ts';

// Not a multiple of the piece, and more than two of them.
const CONTENT = Buffer.alloc(2_500_001, 'abcdefg');
const EXPECTED = {
  length: CONTENT.length,
  sha256: createHash('sha256').update(CONTENT).digest('hex'),
};

t.test('hashFile', async (t) => {
  const folder = t.testdir({ empty: '' });
  const path = join(folder, 'file');
  writeFileSync(path, CONTENT);
  let seen = 0;
  t.strictSame(await hashFile(path, { onBytes: (length) => (seen += length) }), EXPECTED);
  t.equal(seen, CONTENT.length);
  t.match(await hashFile(join(folder, 'empty')), { length: 0, sha256: /^e3b0c442/ });
  t.strictSame(await hashFile(path, { cap: CONTENT.length }), EXPECTED);
  await t.rejects(hashFile(path, { cap: CONTENT.length - 1 }), { code: 'E_TOO_LARGE' });
  await t.rejects(hashFile(join(folder, 'none')), { code: 'E_NOT_FOUND' });
  await t.rejects(hashFile(folder), { code: 'E_IO' });
  await t.rejects(hashFile(path, { signal: AbortSignal.abort(new Error('enough')) }), {
    message: 'enough',
  });
});

t.test('the first piece, filled by a hair, exactly and not quite', async (t) => {
  const folder = t.testdir({});
  const first = 128 * 1024;
  for (const length of [
    first - 1,
    first,
    first + 1,
    first + 1024 * 1024,
    first + 1024 * 1024 + 1,
  ]) {
    const path = join(folder, `${length}`);
    const bytes = CONTENT.subarray(0, length);
    writeFileSync(path, bytes);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    t.strictSame(await hashFile(path), { length, sha256 }, `${length} bytes`);
  }
});

t.test('hashOpenFile reads the file that was opened, whatever its name means now', async (t) => {
  const path = join(t.testdir({}), 'file');
  writeFileSync(path, 'first');
  const file = await openRegular(path);
  t.teardown(() => file.close());
  t.match(await hashOpenFile(file, path), { length: 5 });
});

t.test('copyHashing', async (t) => {
  const folder = t.testdir({});
  const [from, to] = [join(folder, 'from'), join(folder, 'to')];
  writeFileSync(from, CONTENT);
  const file = await openRegular(from);
  t.teardown(() => file.close());
  t.strictSame(await copyHashing(pieces(file), to), EXPECTED);
  t.ok(readFileSync(to).equals(CONTENT));
  await t.rejects(copyHashing(Readable.from([CONTENT]), to), {
    code: 'E_IO',
    context: { errno: 'EEXIST' },
  });
  t.ok(readFileSync(to).equals(CONTENT), 'what was there stays');
});

t.test('copyHashing leaves nothing when it fails', async (t) => {
  const to = join(t.testdir({}), 'to');
  const endless = Readable.from(
    (function* () {
      for (;;) yield CONTENT;
    })(),
  );
  await t.rejects(copyHashing(endless, to, { cap: CONTENT.length + 1 }), { code: 'E_TOO_LARGE' });
  t.ok(endless.destroyed, 'an endless source is left');
  t.notOk(existsSync(to));

  const stop = new AbortController();
  const stopped = copyHashing(Readable.from([CONTENT, CONTENT]), to, {
    signal: stop.signal,
    onBytes: () => stop.abort(new Error('enough')),
  });
  await t.rejects(stopped, { message: 'enough' });
  t.notOk(existsSync(to));

  const broken = Readable.from(
    (function* () {
      yield CONTENT;
      throw new Error('the wire broke');
    })(),
  );
  await t.rejects(copyHashing(broken, to), { message: 'the wire broke' });
  t.notOk(existsSync(to));

  for (let at = 1; at <= 7; at++) {
    const files = new FaultyFiles({ at, errno: 'ENOSPC' });
    await t.rejects(
      copyHashing(Readable.from([CONTENT]), to, { files }),
      { code: 'E_NO_SPACE' },
      `call ${at}`,
    );
    t.notOk(existsSync(to), `call ${at}`);
  }
});

t.test('memory stays constant', async (t) => {
  const to = join(t.testdir({}), 'to');
  const megabyte = Buffer.alloc(1024 * 1024);
  const source = async function* (): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < 200; i++) yield megabyte;
  };
  const before = process.memoryUsage().rss;
  await copyHashing(source(), to);
  t.match(await hashFile(to), { length: 200 * megabyte.length });
  const grown = (process.memoryUsage().rss - before) / megabyte.length;
  t.ok(grown < 60, `${Math.round(grown)} MiB more for a file of 200 MiB`);
});
