import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const PROGRAM = fileURLToPath(new URL('process-program.ts', import.meta.url));

interface Ended {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command; sends each signal of `signals` when stderr has the text that it belongs to. */
function run(
  args: string[],
  signals: readonly (readonly [text: string, signal: NodeJS.Signals])[] = [],
): Promise<Ended> {
  const child = spawn(process.execPath, [PROGRAM, ...args]);
  const waiting = [...signals];
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
    while (waiting[0] !== undefined && stderr.includes(waiting[0][0]))
      child.kill(waiting.shift()?.[1]);
  });
  return new Promise((resolve) => {
    child.on('close', (status, signal) => resolve({ status, signal, stdout, stderr }));
  });
}

/** Through a shell, for redirections. */
function shell(line: string): { status: number | null; stdout: string; stderr: string } {
  const env = { ...process.env, NODE: process.execPath, PROGRAM };
  return spawnSync('bash', ['-o', 'pipefail', '-c', line], { env, encoding: 'utf8' });
}

t.test('a large result arrives whole', async (t) => {
  const { status, stdout } = await run(['large']);
  t.equal(status, 0);
  t.equal(stdout.length, 4_000_001);
});

t.test('a reader that has seen enough is no error', async (t) => {
  const { status, stdout, stderr } = shell('"$NODE" "$PROGRAM" large | head -c 5');
  t.equal(status, 0);
  t.equal(stdout, 'xxxxx');
  t.equal(stderr, '');
});

t.test(
  'a result that cannot be written is an error',
  { skip: !existsSync('/dev/full') && 'needs /dev/full' },
  async (t) => {
    const { status, stderr } = shell('"$NODE" "$PROGRAM" large > /dev/full');
    t.equal(status, 6);
    t.match(stderr, /error\[E_NO_SPACE\]/);
    t.equal(
      shell('"$NODE" "$PROGRAM" large --json > /dev/full').status,
      6,
      'also where nothing can say so',
    );
    t.equal(
      shell('"$NODE" "$PROGRAM" nonsense 2> /dev/full').status,
      2,
      'and where the error cannot be written',
    );
  },
);

t.test('a signal stops a command', async (t) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const stopped = await run(['wait'], [['waiting', signal]]);
    t.equal(stopped.status, 1, signal);
    t.match(stopped.stderr, /error\[E_CANCELLED\]/);
  }
  const document = await run(['wait', '--json'], [['waiting', 'SIGINT']]);
  t.match(JSON.parse(document.stdout), { ok: false, error: { code: 'E_CANCELLED' } });
});

t.test('a service ends in order', async (t) => {
  t.match(await run(['serve'], [['waiting', 'SIGTERM']]), {
    status: 0,
    stdout: 'ended in order\n',
  });
});

t.test('a second signal ends what does not listen', async (t) => {
  const twice = [
    ['waiting', 'SIGINT'],
    ['once more', 'SIGINT'],
  ] as const;
  t.match(await run(['stubborn'], twice), { status: null, signal: 'SIGINT' });
});
