import { spawn, spawnSync } from 'node:child_process';
import t from 'tap';

/** A program that asks, and prints what it got. */
const PROGRAM = `
  import { secretPrompt } from ${JSON.stringify(new URL('../../shared/cli/secret.ts', import.meta.url).href)};
  const ask = secretPrompt();
  if (ask === undefined) console.log('nobody to ask');
  else console.log('got', JSON.stringify(await ask('passphrase for key.json').catch((error) => error.code)));`;

const hasScript = spawnSync('script', ['--version']).status === 0;

/** Runs it on a terminal of its own, types once the question is there, answers with the screen. */
function onTerminal(typed: string): Promise<string> {
  const line = `'${process.execPath}' --input-type=module -e "$PROGRAM" < /dev/null`;
  const child = spawn('script', ['-qec', line, '/dev/null'], { env: { ...process.env, PROGRAM } });
  let screen = '';
  let isTyped = false;
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    screen += chunk;
    if (isTyped || !screen.includes('passphrase for key.json: ')) return;
    isTyped = true;
    child.stdin.write(typed);
  });
  return new Promise((resolve) => child.on('close', () => resolve(screen)));
}

t.test('on a terminal', { skip: !hasScript && 'needs script(1)' }, async (t) => {
  const screen = await onTerminal('secrxx\u007f\u007fe\u007f\u007fret é\r');
  t.match(screen, /got "secret é"/, 'erasing works, and stdin was not what was read');
  t.equal(screen.match(/secr/g)?.length, 1, 'what was typed is not shown');
  t.match(await onTerminal('\u0003'), /got "E_CANCELLED"/);
});

t.test('without a terminal', async (t) => {
  const child = spawn('setsid', ['-w', process.execPath, '--input-type=module', '-e', PROGRAM]);
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  await new Promise((resolve) => child.on('close', resolve));
  t.equal(output, 'nobody to ask\n');
});
