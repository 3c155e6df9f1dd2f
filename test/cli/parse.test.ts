import t from 'tap';
import { run, sample } from './support.ts';

/** The `data` of a `--json` run. */
async function data(
  argv: string[],
  env: Record<string, string> = {},
): Promise<Record<string, unknown>> {
  const { stdout, exit } = await run(sample, [...argv, '--json'], { env });
  const document = JSON.parse(stdout);
  t.equal(exit, 0, argv.join(' '));
  return document.data ?? document;
}

/** The `error` of a `--json` run. */
async function refusal(
  argv: string[],
): Promise<{ code: string; message: string; hint: string | null }> {
  const { stdout, exit } = await run(sample, ['--json', ...argv]);
  const document = JSON.parse(stdout);
  t.equal(exit, 2, argv.join(' '));
  t.equal(document.ok, false);
  return document.error;
}

t.test('a leading address', async (t) => {
  t.match(await data(['127.0.0.1:8080', 'get-verified', 'N', 'OUT']), {
    address: '127.0.0.1:8080',
    args: ['N', 'OUT'],
  });
  t.match(await data(['https://repo.example', 'vendor', 'add', '--name', 'a', 'f']), {
    address: 'https://repo.example',
  });
  t.match(
    await data(['get-verified', 'a:b', 'OUT']),
    { address: null, args: ['a:b', 'OUT'] },
    'a later colon is an argument',
  );
  t.match(
    await data(['--root', 'C:root.json', 'get-verified', 'N', 'OUT']),
    { address: null, root: 'C:root.json' },
    'nor is the value of an option an address',
  );
});

t.test('an address and no command is the default command', async (t) => {
  t.match(await data(['127.0.0.1:8080', 'DIR']), {
    command: 'serve',
    address: '127.0.0.1:8080',
    args: ['DIR'],
  });
  t.match(await data(['127.0.0.1:8080']), { command: 'serve', address: '127.0.0.1:8080' });
  t.match(
    await data(['127.0.0.1:8080', 'vendor', 'add', '--name', 'a', 'f']),
    { name: 'a' },
    'but a command wins',
  );
});

t.test('options before, between and after', async (t) => {
  const expected = { args: ['N', 'OUT'], root: 'r.json', tags: ['x', 'y'], wait: 7, keep: true };
  t.match(
    await data([
      'get-verified',
      'N',
      'OUT',
      '--root',
      'r.json',
      '-o',
      'x',
      '-oy',
      '--wait=7',
      '--keep',
    ]),
    expected,
  );
  t.match(
    await data([
      '--root=r.json',
      '-ox',
      'get-verified',
      '--keep',
      'N',
      '--tag',
      'y',
      '--wait',
      '7',
      'OUT',
    ]),
    expected,
  );
  t.match(await data(['-qo', 'get-verified', 'get-verified', 'N', 'OUT']), {
    tags: ['get-verified'],
    args: ['N', 'OUT'],
  });
  t.match(await data(['vendor', '--name', 'a', 'add', 'f', 'g']), { name: 'a', rest: ['f', 'g'] });
});

t.test('after -- everything is an argument', async (t) => {
  const { stdout } = await run(sample, ['--json', 'get-verified', '--', '--root', '-o']);
  t.match(JSON.parse(stdout).data, { args: ['--root', '-o'], root: null });
  const alone = await run(sample, ['--json', '--', 'get-verified', 'N', 'OUT']);
  t.match(JSON.parse(alone.stdout).error, { code: 'E_USAGE' });
});

t.test('defaults and the environment', async (t) => {
  t.match(await data(['get-verified', 'N', 'OUT']), { wait: 5, tags: [], keep: false, root: null });
  t.match(await data(['get-verified', 'N', 'OUT'], { SAMPLE_WAIT: '9' }), { wait: 9 });
  t.match(
    await data(['get-verified', 'N', 'OUT'], { SAMPLE_WAIT: '' }),
    { wait: 5 },
    'an empty variable is none',
  );
  t.match(await data(['get-verified', 'N', 'OUT', '--wait', '1'], { SAMPLE_WAIT: '9' }), {
    wait: 1,
  });
  t.match(
    await data(['vendor', 'add', 'f'], { SAMPLE_NAME: 'acme' }),
    { name: 'acme' },
    'also where it is needed',
  );
});

t.test('a command may use --version for itself', async (t) => {
  t.strictSame(await data(['publish', '--version', '1.0.0']), { version: '1.0.0' });
  t.match(await data(['--version']), { name: 'sample' }, 'and takes no --json for its value');
});

t.test('usage errors say what is near', async (t) => {
  t.match(await refusal(['get-verifed', 'N', 'O']), {
    code: 'E_USAGE',
    message: /unknown command/,
    hint: /get-verified/,
  });
  t.match(await refusal(['vendor', 'ad']), {
    message: /unknown command 'vendor ad'/,
    hint: /vendor add/,
  });
  t.match(await refusal(['vendor']), {
    message: 'vendor needs a verb',
    hint: /vendor add, vendor list/,
  });
  t.match(await refusal(['get-verified', 'N', 'O', '--rot', 'x']), {
    message: /unknown option '--rot'/,
    hint: /--root/,
  });
  t.match(await refusal([]), { message: 'no command was given', hint: /--help/ });
});

t.test('usage errors of the form', async (t) => {
  t.match(await refusal(['get-verified', 'N']), { message: /missing required argument 'out'/ });
  t.match(await refusal(['get-verified', 'N', 'O', 'P']), { message: /too many arguments/ });
  t.match(await refusal(['get-verified', 'N', 'O', '--root']), { code: 'E_USAGE' });
  t.match(await refusal(['get-verified', 'N', 'O', '--keep=x']), { code: 'E_USAGE' });
  t.match(await refusal(['vendor', 'add', 'f']), {
    message: /--name is needed/,
    hint: /SAMPLE_NAME/,
  });
  t.match(await refusal(['vendor', 'add', '--name', 'a']), {
    message: /missing required argument 'files'/,
  });
  for (const wait of ['x', '-1', '1.5', '', '99999999999999999']) {
    t.match(
      await refusal(['get-verified', 'N', 'O', `--wait=${wait}`]),
      { message: /whole number/ },
      `--wait=${wait}`,
    );
  }
});
