import t from 'tap';
import { CODES } from '../../shared/errors.ts';
import { run, sample } from './support.ts';

t.test('the help of a program', async (t) => {
  const { exit, stdout, stderr } = await run(sample, ['--help']);
  t.equal(exit, 0);
  t.equal(stderr, '');
  for (const { name, summary } of sample.commands)
    t.match(stdout, new RegExp(`^ {2}${name} +${summary}$`, 'm'));
  for (const [code, { exit: status }] of Object.entries(CODES)) {
    t.match(stdout, new RegExp(`^ {2}${status} .*\\b${code}\\b`, 'm'), code);
  }
  t.match(stdout, /sample ADDRESS \[FOLDER\]/, 'the form without a command');
  t.equal((await run(sample, ['-h'])).stdout, stdout);
  t.equal((await run(sample, ['help'])).stdout, stdout);
  t.equal((await run(sample, ['127.0.0.1:80', '--help'])).stdout, stdout);
});

t.test('the help of a command', async (t) => {
  const { exit, stdout } = await run(sample, ['get-verified', '--help']);
  t.equal(exit, 0, 'although its arguments are missing');
  t.match(stdout, /sample \[ADDRESS\] get-verified NAME OUT \[OPTION\]…/);
  t.ok(stdout.indexOf('Examples:') < stdout.indexOf('Options:'), 'examples come first');
  t.match(stdout, / {4}--wait <seconds> {2}how long \(default 5; or SAMPLE_WAIT\)/);
  t.match(stdout, / {2}-o, --tag <text> +a tag \(may be repeated\)/);
  t.match(stdout, /docs\/reference\/errors\.md/);
  t.equal((await run(sample, ['help', 'get-verified'])).stdout, stdout);
  t.equal(
    (await run(sample, ['get-verified', 'N', '-h', '--nonsense'])).stdout,
    stdout,
    'whatever else is given',
  );
  t.match((await run(sample, ['vendor', 'add', '-h'])).stdout, /vendor add FILES… --name <vendor>/);
  const own = (await run(sample, ['publish', '--help'])).stdout;
  t.equal(own.match(/--version/g)?.length, 2, 'the example and its own option, not the global one');
});

t.test('help as a document', async (t) => {
  const document = JSON.parse((await run(sample, ['--help', '--json'])).stdout);
  t.match(document, {
    schema: 'sample/help/v1',
    ok: true,
    data: { text: /^sample: one of everything/ },
  });
});

t.test('what is no command has no help', async (t) => {
  const lost = async (...argv: string[]) => {
    const { exit, stdout, stderr } = await run(sample, argv);
    t.equal(exit, 2, argv.join(' '));
    t.equal(stdout, '');
    t.match(stderr, /E_USAGE/);
  };
  await lost('nonsense', '--help');
  await lost('nonsense', '-h');
  await lost('--help', 'nonsense');
  await lost('help', 'nonsense');
  await lost('nonsense', '--version');
  await lost('vendor', 'nonsense', '--help');
  const { stdout } = await run(sample, ['--help']);
  const known = [
    ['vendor', '--help'],
    ['help', 'vendor'],
    ['127.0.0.1:80', 'DIR', '--help'],
  ];
  for (const argv of known) t.equal((await run(sample, argv)).stdout, stdout, argv.join(' '));
});
