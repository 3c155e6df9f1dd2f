import { spawnSync } from 'node:child_process';
import t from 'tap';
import { run, sample } from './support.ts';

type Tap = Pick<typeof t, 'equal'>;

const has = (shell: string): boolean => spawnSync(shell, ['-c', 'true']).status === 0;

/** What bash would offer at the end of a command line. */
function offers(t: Tap, script: string, line: string): string[] {
  const act = `COMP_LINE="$LINE" COMP_POINT=\${#LINE}; _sample; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', `${script}\n${act}`], {
    env: { LINE: line, PATH: process.env.PATH },
  });
  t.equal(String(stderr), '', line);
  return String(stdout)
    .split('\n')
    .filter((word) => word !== '');
}

t.test('bash', { skip: !has('bash') && 'needs bash' }, async (t) => {
  const { stdout: script, exit } = await run(sample, ['completion', 'bash']);
  t.equal(exit, 0);
  const commands = ['completion', 'get-verified', 'publish', 'refuse', 'say', 'serve', 'vendor'];
  t.strictSame(
    offers(t, script, 'sample ')
      .filter((word) => !word.startsWith('-'))
      .sort(),
    commands,
  );
  t.strictSame(
    offers(t, script, 'sample 127.0.0.1:8080 get'),
    ['get-verified'],
    'after an address',
  );
  t.strictSame(offers(t, script, 'sample get-verified N O --ro'), ['--root']);
  t.strictSame(offers(t, script, 'sample vendor '), ['add', 'list']);
  t.strictSame(offers(t, script, 'sample 127.0.0.1:80 vendor add --n'), ['--name', '--no-color']);
  t.strictSame(
    offers(t, script, 'sample get-verified --root '),
    [],
    'a value is a file name, which bash completes itself',
  );
  t.strictSame(
    offers(t, script, 'sample get-verified --keep --r'),
    ['--root'],
    'a switch has no value',
  );
  t.strictSame(offers(t, script, 'sample get-verified vendor a'), [], 'an argument is no noun');
});

t.test('zsh and fish read their scripts', async (t) => {
  for (const shell of ['zsh', 'fish']) {
    const { stdout: script } = await run(sample, ['completion', shell]);
    for (const word of ['get-verified', 'vendor', 'root', 'admit a vendor'])
      t.ok(script.includes(word), `${shell}: ${word}`);
    await t.test(shell, { skip: !has(shell) && `needs ${shell}` }, async (t) => {
      const { status, stderr } = spawnSync(shell, ['-n'], { input: script });
      t.equal(status, 0, String(stderr));
    });
  }
});

t.test('an unknown shell', async (t) => {
  const { exit, stderr } = await run(sample, ['completion', 'tcsh']);
  t.equal(exit, 2);
  t.match(stderr, /do: +one of: bash, zsh, fish/);
});
