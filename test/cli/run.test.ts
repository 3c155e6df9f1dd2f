import t from 'tap';
import type { ProgramSpec } from '../../shared/cli/command.ts';
import { run, sample } from './support.ts';

/** `sample` with one more command, `act`. */
function acting(act: (signal: AbortSignal) => Promise<never>): ProgramSpec {
  const command = {
    name: 'act',
    summary: 'act',
    examples: ['sample act'],
    schema: 'sample/act/v1',
  } as const;
  return {
    ...sample,
    commands: [...sample.commands, { ...command, run: ({ signal }) => act(signal) }],
  };
}

t.test('an error for people is four lines on stderr', async (t) => {
  const { exit, stdout, stderr } = await run(sample, ['refuse']);
  t.equal(exit, 12);
  t.equal(stdout, '');
  t.equal(
    stderr,
    [
      'error[E_ROLLBACK]: timestamp went back from version 41 to 40',
      '  why:  the repository served an older file\\nthan the one trusted',
      '  do:   nothing was changed; try another mirror',
      '  more: docs/reference/errors.md#e_rollback',
      '',
    ].join('\n'),
  );
});

t.test('an error under --json is a document on stdout', async (t) => {
  const { exit, stdout, stderr } = await run(sample, ['refuse', '--json']);
  t.equal(exit, 12);
  t.equal(stderr, '');
  t.strictSame(JSON.parse(stdout), {
    schema: 'sample/refuse/v1',
    ok: false,
    error: {
      code: 'E_ROLLBACK',
      message: 'timestamp went back from version 41 to 40',
      why: 'the repository served an older file\nthan the one trusted',
      hint: 'nothing was changed; try another mirror',
      context: { from: 41, to: 40 },
    },
  });
});

t.test('a usage error comes before any command, and has a schema of its own', async (t) => {
  const { stdout } = await run(sample, ['--json', 'nonsense']);
  t.match(JSON.parse(stdout), { schema: 'sample/error/v1', ok: false, error: { code: 'E_USAGE' } });
});

t.test('a result', async (t) => {
  const people = await run(sample, ['vendor', 'list']);
  t.equal(people.exit, 3, 'a command chooses its status');
  t.equal(
    people.stdout,
    'none\\u001b[2J\\u202e yet\n',
    'what came from outside cannot steer the terminal',
  );
  const machine = await run(sample, ['vendor', 'list', '--json']);
  t.equal(machine.stdout, '{"schema":"sample/vendor-list/v1","ok":true,"data":[]}\n');
  t.equal((await run(sample, ['publish', '--json'])).stdout, '{"version":null}\n', 'bare');
});

t.test('what is said on the way goes to stderr', async (t) => {
  const plain = await run(sample, ['say']);
  t.equal(plain.stdout, 'said\n');
  t.match(
    plain.stderr,
    /^fetching root\nnote: a note\nwarning: a \\u001b\[31mwarning\nedu\.js: 4\.0 KiB in \d+\.\d s\n$/,
  );
  const quiet = await run(sample, ['say', '--quiet']);
  t.equal(quiet.stderr, 'warning: a \\u001b[31mwarning\n');
});

t.test('a bar only where a line can be redrawn', async (t) => {
  const bar = /\[#{10}\.{10}\] {2}50 % of 4\.0 KiB/;
  t.match((await run(sample, ['say'], { tty: true })).stderr, bar);
  t.notMatch((await run(sample, ['say'])).stderr, bar, 'not into a file');
  t.notMatch((await run(sample, ['say', '--json'], { tty: true })).stderr, bar);
  t.notMatch((await run(sample, ['say'], { tty: true, env: { CI: 'true' } })).stderr, bar);
  t.notMatch((await run(sample, ['say'], { tty: true, env: { TERM: 'dumb' } })).stderr, bar);
});

t.test('colour', async (t) => {
  const isColoured = async (
    tty: boolean,
    env: Record<string, string>,
    ...more: string[]
  ): Promise<boolean> =>
    (await run(sample, ['refuse', ...more], { tty, env })).stderr.includes('\u001b[31m');
  t.ok(await isColoured(true, {}));
  t.notOk(await isColoured(false, {}));
  t.notOk(await isColoured(true, {}, '--no-color'));
  t.notOk(await isColoured(true, { NO_COLOR: '1' }));
  t.ok(await isColoured(true, { NO_COLOR: '' }), 'an empty NO_COLOR is none');
  t.notOk(await isColoured(true, { TERM: 'dumb' }));
  t.ok(await isColoured(false, { FORCE_COLOR: '1' }));
  t.notOk(await isColoured(true, { FORCE_COLOR: '0' }));
  t.notOk(await isColoured(false, { FORCE_COLOR: '1', NO_COLOR: '1' }));
});

t.test('errors of the system and defects', async (t) => {
  const errno = (code: string, more: object = {}): Error =>
    Object.assign(new Error(`${code}: it failed`), { code, syscall: 'open', errno: -1, ...more });
  const end = async (error: unknown, env: Record<string, string> = {}) => {
    const program = acting(async () => {
      throw error;
    });
    const people = await run(program, ['act'], { env });
    const { error: document } = JSON.parse((await run(program, ['act', '--json'], { env })).stdout);
    return { ...people, code: document.code, context: document.context };
  };
  t.match(await end(errno('ENOSPC', { path: '/x' })), { code: 'E_NO_SPACE', exit: 6 });
  t.match(await end(errno('EDQUOT', { path: '/x' })), { code: 'E_NO_SPACE' });
  t.match(await end(errno('EACCES', { path: '/x' })), {
    code: 'E_IO',
    exit: 6,
    context: { path: '/x', errno: 'EACCES' },
  });
  t.match(await end(errno('EWEIRD', { path: '/x' })), {
    code: 'E_IO',
    stderr: /open \/x failed: EWEIRD/,
  });
  t.match(await end(errno('ECONNREFUSED', { syscall: 'connect', address: '127.0.0.1', port: 9 })), {
    code: 'E_NETWORK',
    exit: 5,
    stderr: /connect 127\.0\.0\.1:9 failed: nothing listens there/,
  });
  const defect = await end(new RangeError('off by one'));
  t.match(defect, { code: 'E_INTERNAL', exit: 1, stderr: /RangeError: off by one/ });
  t.notMatch(defect.stderr, /run\.test\.ts/, 'no stack unless asked for');
  t.match(
    (await end(new RangeError('off by one'), { IRONPORT_DEBUG: '1' })).stderr,
    /run\.test\.ts/,
  );
  t.match(await end('a thrown string'), { code: 'E_INTERNAL', stderr: /a thrown string/ });
});

t.test('a signal', async (t) => {
  const stopped = (act: (signal: AbortSignal) => Promise<never>) =>
    run(acting(act), ['act'], { signal: (stop) => setImmediate(stop, 'SIGTERM') });
  const aborted = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      // The signal may have come before anybody listened.
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve());
    });
  const passedOn = await stopped(async (signal) => {
    await aborted(signal);
    throw signal.reason;
  });
  t.equal(passedOn.exit, 1);
  t.match(passedOn.stderr, /SIGTERM: stopping[\s\S]*error\[E_CANCELLED\]: stopped/);
  const wrapped = await stopped(async (signal) => {
    await aborted(signal);
    throw new Error('the download failed', { cause: new DOMException('aborted', 'AbortError') });
  });
  t.match(wrapped.stderr, /error\[E_CANCELLED\]/, 'an abort is found under what wraps it');
  const unrelated = await stopped(async (signal) => {
    await aborted(signal);
    throw Object.assign(new Error('full'), { code: 'ENOSPC', syscall: 'write', path: '/x' });
  });
  t.match(unrelated.stderr, /error\[E_NO_SPACE\]/, 'another failure keeps its own code');
});

t.test('--version', async (t) => {
  t.match(await run(sample, ['--version']), { exit: 0, stdout: /^sample \d+\.\d+\.\d+\n$/ });
  const document = JSON.parse((await run(sample, ['-V', '--json'])).stdout);
  t.match(document, {
    schema: 'sample/version/v1',
    ok: true,
    data: { name: 'sample', node: process.versions.node },
  });
});
