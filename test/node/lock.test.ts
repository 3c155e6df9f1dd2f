import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { takeLock, withLock } from '../../shared/node/lock.ts';

const WORKER = fileURLToPath(new URL('lock-worker.ts', import.meta.url));

function worker(...args: string[]): ChildProcess {
  return spawn(process.execPath, [WORKER, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** A process that has the lock. */
async function holder(lock: string): Promise<ChildProcess> {
  const child = worker(lock, '', 'hold');
  await once(child.stdout as NodeJS.ReadableStream, 'data');
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

t.test('within a process', async (t) => {
  const lock = join(t.testdir({}), 'lock');
  const first = await takeLock(lock, { purpose: 'the first' });
  await t.rejects(takeLock(lock), {
    code: 'E_LOCKED',
    message: new RegExp(`process ${process.pid}: the first`),
  });
  first.release();
  first.release();
  t.equal(await withLock(lock, async () => 7), 7);
  await t.rejects(
    withLock(lock, () => Promise.reject(new Error('x'))),
    { message: 'x' },
  );
  t.equal(await withLock(lock, async () => 8), 8, 'a failure releases it');
  t.notOk(existsSync(`${lock}.holder`));
  t.equal(readFileSync(lock).length, 0, 'nothing is written into the lock');
});

t.test('waiting', async (t) => {
  const lock = join(t.testdir({}), 'lock');
  const first = await takeLock(lock);
  const began = performance.now();
  await t.rejects(takeLock(lock, { waitMs: 150 }), { code: 'E_LOCKED' });
  t.ok(performance.now() - began >= 149, 'it waited');
  const waiting = takeLock(lock, { waitMs: 10_000 });
  first.release();
  (await waiting).release();
  const held = await takeLock(lock);
  const stop = new AbortController();
  const stopped = takeLock(lock, { waitMs: 10_000, signal: stop.signal });
  stop.abort(new Error('enough'));
  await t.rejects(stopped, { message: 'enough' });
  held.release();
});

t.test('a place where no lock can be', async (t) => {
  const folder = t.testdir({
    text: 'this is a text and not a lock file, and long enough to be seen as one'.repeat(3),
  });
  await t.rejects(takeLock(join(folder, 'no', 'lock')), { code: 'E_IO' });
  await t.rejects(takeLock(folder), { code: 'E_IO' });
  await t.rejects(takeLock(join(folder, 'text')), { code: 'E_IO', why: /not a database/ });
});

t.test('kill -9 of the holder releases it', async (t) => {
  const lock = join(t.testdir({}), 'lock');
  const child = await holder(lock);
  await t.rejects(takeLock(lock), {
    code: 'E_LOCKED',
    message: new RegExp(`process ${child.pid}: sitting`),
  });
  const waiting = takeLock(lock, { waitMs: 10_000 });
  await kill(child);
  (await waiting).release();
});

t.test(
  'eight processes, and holders that are killed, lose no addition',
  { timeout: 60_000 },
  async (t) => {
    const folder = t.testdir({});
    const [lock, counter] = [join(folder, 'lock'), join(folder, 'counter')];
    writeFileSync(counter, '0');
    const ended = Array.from({ length: 8 }, () => once(worker(lock, counter, '25'), 'exit'));
    for (let i = 0; i < 3; i++) await kill(await holder(lock));
    for (const [exit] of await Promise.all(ended)) t.equal(exit, 0);
    t.equal(readFileSync(counter, 'utf8'), '200');
  },
);

t.test('whether it is held', async (t) => {
  const folder = t.testdir({});
  const deleted = await takeLock(join(folder, 'deleted'));
  const dropped = await takeLock(join(folder, 'dropped'));
  const released = await takeLock(join(folder, 'released'));
  for (const lock of [deleted, dropped, released]) t.ok(lock.isHeld());
  unlinkSync(join(folder, 'deleted'));
  t.notOk(deleted.isHeld(), 'a file that was deleted locks nobody out');
  // fcntl(2): the lock ends with any descriptor of the file.
  closeSync(openSync(join(folder, 'dropped'), 'r'));
  t.equal(dropped.isHeld(), !existsSync('/proc/self/fdinfo'), 'the kernel dropped it');
  t.ok(released.isHeld(), 'others are not meant by that');
  released.release();
  t.notOk(released.isHeld());
  for (const lock of [deleted, dropped]) lock.release();
});
