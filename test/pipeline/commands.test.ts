// The three commands as people call them: what they write, what they refuse, what they leave alone.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { apply } from '../../publisher/commands/apply.ts';
import { pipelineCommands } from '../../publisher/pipeline/commands.ts';
import type { ProgramSpec } from '../../shared/cli/command.ts';
import { parseEnvelope, verifyEnvelope } from '../../shared/evidence/dsse.ts';
import { parseProvenance } from '../../shared/evidence/provenance.ts';
import { parseStatement, subjectMatches } from '../../shared/evidence/statement.ts';
import { Node } from '../../shared/json/decode.ts';
import { parseJson } from '../../shared/json/read.ts';
import { parseCeiling } from '../../shared/manifest/ceiling.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { writeNewKey } from '../../shared/node/signers/write-key.ts';
import { run } from '../cli/support.ts';
import { BAD_LABELS, patternText } from './support.ts';

const program: ProgramSpec = { name: 'ironport', summary: 'test', commands: pipelineCommands };

const SOURCE = 'void f(void *p)\n{\n\tkfree(p);\n\tother(p); /* kfree(p) */\n}\n';
const DONE = SOURCE.replace('\tkfree', '\tshim_free');

/** A folder with a pattern and a source, and a way to run the program in it. */
function workshop(t: Test, rest = '') {
  const folder = t.testdir({
    'p.toml': patternText({ kfree: 'shim_free' }, rest),
    'in.c': SOURCE,
    cache: {},
    state: {},
  });
  const at = (name: string): string => join(folder, name);
  const env = { XDG_CACHE_HOME: at('cache'), XDG_STATE_HOME: at('state'), HOME: folder };
  return {
    at,
    env,
    read: (name: string): string => readFileSync(at(name), 'utf8'),
    async go(argv: string[], more: Record<string, string> = {}) {
      const words = argv.map((word) => word.replace(/^@/, `${folder}/`));
      return await run(program, words, { env: { ...env, ...more } });
    },
    async json(argv: string[], more: Record<string, string> = {}) {
      const { stdout } = await this.go([...argv, '--json'], more);
      return JSON.parse(stdout);
    },
    audit: (): Record<string, unknown>[] =>
      readFileSync(at('state/ironport/pipeline.jsonl'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
  };
}

t.test('apply writes the result, reports with lines, and keeps an audit', async (t) => {
  const shop = workshop(t);
  const { exit, stdout } = await shop.go(['apply', '@p.toml', '@in.c', '@out.c']);
  t.equal(exit, 0);
  t.equal(shop.read('out.c'), DONE);
  t.match(stdout, 'renamed 1 calls of 1 names\n  kfree -> shim_free  line 3');
  t.match(stdout, 'other  line 4');
  const [line] = shop.audit();
  t.match(line, { command: 'apply', forced: false, cache: 'miss', signed: false });
  t.notOk(readdirSync(shop.at('.')).some((name) => name.startsWith('.tmp')));
});

t.test('the flags of IronShim in the form of IronShim', async (t) => {
  const shop = workshop(t, 'linux_version = "6.1"\ndriver_family = "edu"\n');
  const flags = [
    '--stealth',
    '--no-sign',
    '--force',
    '--no-cache',
    '--linux-version=6.1',
    '--driver-family=edu',
  ];
  const { exit, stderr } = await shop.go(['apply', ...flags, '@p.toml', '@in.c', '@out.c']);
  t.equal(exit, 0);
  t.match(stderr, '--stealth does nothing');
  t.notOk(existsSync(shop.at('cache/ironport')), '--no-cache leaves the cache alone');
  const other = await shop.json(['apply', '--linux-version=6.12', '@p.toml', '@in.c', '@new.c']);
  t.match(other.error, { code: 'E_POLICY', context: { gate: 'linux_version' } });
  t.notOk(existsSync(shop.at('new.c')));
});

t.test('a pattern that nobody reviewed is refused, and the refusal is in the audit', async (t) => {
  const shop = workshop(t);
  writeFileSync(
    shop.at('p.toml'),
    shop.read('p.toml').replace('1.0', '0.5').replace('false', 'true'),
  );
  const { error } = await shop.json(['apply', '@p.toml', '@in.c', '@out.c']);
  t.match(error, { code: 'E_POLICY', context: { gate: 'review' } });
  t.notOk(existsSync(shop.at('out.c')));
  t.match(shop.audit().at(-1), { refused: 'E_POLICY' });
  const forced = await shop.json([
    'apply',
    '--force',
    '@p.toml',
    '@in.c',
    '@out.c',
    '--provenance-out',
    '@prov.json',
  ]);
  t.equal(forced.data.forced, true);
  t.match(JSON.parse(shop.read('prov.json')), {
    buildDefinition: { externalParameters: { force: true } },
  });
});

t.test('the cache: the same result, checked before it is used', async (t) => {
  const shop = workshop(t);
  const first = await shop.json(['apply', '@p.toml', '@in.c', '@a.c']);
  const second = await shop.json(['apply', '@p.toml', '@in.c', '@b.c']);
  t.strictSame([first.data.cache, second.data.cache], ['miss', 'hit']);
  t.strictSame(second.data.report, first.data.report);
  t.equal(shop.read('b.c'), shop.read('a.c'));

  const folder = shop.at('cache/ironport/apply');
  const [entry = ''] = readdirSync(folder);
  const whole = readFileSync(join(folder, entry), 'latin1');
  for (const [what, damaged] of [
    ['another byte', whole.replace('shim_free(p);\n\tother', 'shim_evil(p);\n\tother')],
    ['a byte less', whole.slice(0, -1)],
    ['nothing', ''],
    ['no header', whole.slice(whole.indexOf('\n') + 1)],
    ['another key', whole.replace(entry, '0'.repeat(64))],
  ] as const) {
    writeFileSync(join(folder, entry), damaged, 'latin1');
    const { exit, stderr } = await shop.go(['apply', '@p.toml', '@in.c', '@c.c']);
    t.equal(exit, 0, what);
    t.match(stderr, 'a cache entry was damaged', what);
    t.equal(shop.read('c.c'), DONE, what);
    t.equal(readFileSync(join(folder, entry), 'latin1'), whole, `${what}: made again`);
  }

  writeFileSync(shop.at('p.toml'), patternText({ kfree: 'other_free' }));
  const changed = await shop.json(['apply', '@p.toml', '@in.c', '@d.c']);
  t.equal(changed.data.cache, 'miss', 'another pattern is another entry');
  writeFileSync(
    shop.at('p.toml'),
    `${patternText({ kfree: 'x' })}[build]\nincremental = false\nlto_cache = false\n`,
  );
  t.equal((await shop.json(['apply', '@p.toml', '@in.c', '@d.c'])).data.cache, 'off');
});

t.test('the same inputs give the same bytes, provenance too', async (t) => {
  const shop = workshop(t);
  const once = async (out: string, epoch: Record<string, string>): Promise<string> => {
    const argv = [
      'apply',
      '--no-cache',
      '@p.toml',
      '@in.c',
      `@${out}`,
      '--provenance-out',
      `@${out}.prov`,
    ];
    t.equal((await shop.go(argv, epoch)).exit, 0);
    return shop.read(out) + shop.read(`${out}.prov`);
  };
  t.equal(await once('a.c', {}), await once('b.c', {}));
  const dated = await once('c.c', { SOURCE_DATE_EPOCH: '1700000000' });
  t.equal(dated, await once('d.c', { SOURCE_DATE_EPOCH: '1700000000' }));
  t.match(dated, '2023-11-14T22:13:20Z');
  for (const bad of ['yesterday', '-1', '1.5', '9999999999999'])
    t.equal(
      (await shop.go(['apply', '@p.toml', '@in.c', '@e.c'], { SOURCE_DATE_EPOCH: bad })).exit,
      2,
      bad,
    );
});

t.test('the provenance is one that this project reads', async (t) => {
  const shop = workshop(t);
  await shop.go([
    'apply',
    '--linux-version=6.1',
    '@p.toml',
    '@in.c',
    '@out.c',
    '--provenance-out',
    '@prov.json',
  ]);
  const bytes = readFileSync(shop.at('prov.json'));
  const provenance = parseProvenance(new Node(parseJson(bytes, { length: 65_536 }), 'predicate'));
  t.equal(provenance.buildType, 'https://ironshim.dev/ironport/apply/v1');
  t.strictSame(Object.entries(provenance.externalParameters), [
    ['input', 'in.c'],
    ['pattern', 'p.toml'],
    ['pattern_version', '1'],
    ['linux_version', '6.1'],
  ]);
});

t.test('the external step runs without a shell', async (t) => {
  const shop = workshop(t);
  const tool = shop.at('tool.cjs');
  writeFileSync(
    tool,
    `const fs = require('fs');
const [input, output, ...rest] = process.argv.slice(2);
fs.writeFileSync(output, input.split('/').pop() + '|' + rest.join('|') + '|' + process.env.SOURCE_DATE_EPOCH + '|' + fs.readFileSync(input, 'utf8'));
console.log('noise');
`,
  );
  const IRONPORT_LTO_CMD = `${process.execPath} ${tool} {input} {output} $(touch\tx) ; a&&b {input}x`;
  const { data } = await shop.json(['apply', '@p.toml', '@in.c', '@out.o'], { IRONPORT_LTO_CMD });
  const [name, ...rest] = shop.read('out.o').split('|');
  t.equal(name, 'in.c');
  t.strictSame(rest.slice(0, 4), ['$(touch', 'x)', ';', 'a&&b'], 'words, not shell');
  t.match(rest[4], /in\.cx$/, 'the placeholder inside a word');
  t.equal(rest[5], '0', 'a date that does not change');
  t.equal(rest[6], DONE);
  t.equal(data.external_step.length, 9);
  t.strictSame(readdirSync(shop.at('cache/ironport/step')).length, 1);
  const before = shop.read('out.o');
  await shop.go(['apply', '@p.toml', '@in.c', '@out2.o'], { IRONPORT_LTO_CMD });
  t.equal(shop.read('out2.o'), before, 'the path that the tool is given is the same again');

  writeFileSync(shop.at('p.toml'), `${shop.read('p.toml')}[build]\nthin_lto = false\n`);
  const off = await shop.json(['apply', '@p.toml', '@in.c', '@off.c'], { IRONPORT_LTO_CMD });
  t.equal(off.data.external_step, null);
  t.equal(shop.read('off.c'), DONE);
});

t.test('an external step that fails leaves what was there', async (t) => {
  const shop = workshop(t);
  writeFileSync(shop.at('out.o'), 'before');
  const fails = async (command: string): Promise<string> => {
    const { error } = await shop.json(['apply', '@p.toml', '@in.c', '@out.o'], {
      IRONPORT_LTO_CMD: command,
    });
    t.equal(shop.read('out.o'), 'before', command);
    return `${error?.code} ${error?.message} ${error?.why}`;
  };
  t.match(await fails('/bin/sh -c {input}{output}'), /^E_IO .*exit status is/);
  t.match(await fails('/bin/true {input} {output}'), /^E_IO .*left no output/);
  t.match(await fails('/nowhere/tool {input} {output}'), /^E_IO .*ENOENT/);
  t.match(await fails('cc {input}'), /^E_CONFIG .*no \{output\}/);
  t.match(await fails('{input} {output}'), /^E_CONFIG .*no \{input\}/, 'not as the program');
  t.match(await fails('/bin/mkdir {output} {input}x'), /^E_IO .*left no output/, 'a folder');
});

t.test('signing: with a key, and only then', async (t) => {
  const shop = workshop(t);
  const { key } = await writeNewKey(shop.at('key.json'), 'ed25519', { created: 0 });
  const none = await shop.json(['apply', '@p.toml', '@in.c', '@out.c']);
  t.equal(none.data.statements, null);
  const { data } = await shop.json([
    'apply',
    '@p.toml',
    '@in.c',
    '@out.c',
    '--key',
    `file:${shop.at('key.json')}`,
  ]);
  t.equal(data.statements, shop.at('out.c.intoto.jsonl'));
  const envelope = parseEnvelope(readFileSync(data.statements));
  t.equal(verifyEnvelope(crypto, envelope, [key], 1).length, 1);
  t.ok(subjectMatches(parseStatement(envelope), { sha256: data.output.sha256 }));

  writeFileSync(
    shop.at('p.toml'),
    `${shop.read('p.toml')}[signing]\nkey = "${shop.at('key.json')}"\n`,
  );
  t.ok((await shop.json(['apply', '@p.toml', '@in.c', '@named.c'])).data.statements);
  t.notOk((await shop.json(['apply', '--no-sign', '@p.toml', '@in.c', '@un.c'])).data.statements);
  rmSync(shop.at('key.json'));
  const { exit } = await shop.go(['apply', '@p.toml', '@in.c', '@lost.c']);
  t.equal(exit, 4);
  t.notOk(existsSync(shop.at('lost.c')), 'no key, no output');

  writeFileSync(shop.at('p.toml'), patternText({}, '[signing]\nmode = "sig2"\n'));
  const { stderr } = await shop.go(['apply', '@p.toml', '@in.c', '@sig2.c']);
  t.match(stderr, /sig2.*is not used/);
  t.match(stderr, 'the output is not signed');
});

t.test('without an audit there is no output', async (t) => {
  const shop = workshop(t);
  mkdirSync(shop.at('taken'));
  const { exit } = await shop.go(['apply', '@p.toml', '@in.c', '@out.c', '--audit', '@taken']);
  t.equal(exit, 6);
  t.notOk(existsSync(shop.at('out.c')));
});

t.test('files of other kinds', async (t) => {
  const shop = workshop(t);
  const patch = '[binary_patch.x]\nfind = "01 02"\nreplace = "03 04"\n';
  writeFileSync(shop.at('in.ko'), Uint8Array.from([0, 1, 2, 255]));
  t.equal((await shop.go(['apply', '@p.toml', '@in.ko', '@out.ko'])).exit, 3, 'nothing to do');
  writeFileSync(shop.at('p.toml'), patternText({ a: 'b' }, patch));
  const { data } = await shop.json(['apply', '@p.toml', '@in.ko', '@out.ko']);
  t.strictSame(data.patched, [{ name: 'x', offsets: [1] }]);
  t.strictSame([...readFileSync(shop.at('out.ko'))], [0, 3, 4, 255]);
  writeFileSync(shop.at('in.ll'), 'declare void @a()\ndefine void @f() {\n call void @a()\n}\n');
  await shop.go(['apply', '@p.toml', '@in.ll', '@out.ll']);
  t.match(shop.read('out.ll'), 'call void @b()');
  writeFileSync(shop.at('zero.c'), 'int x;\0');
  t.equal((await shop.go(['apply', '@p.toml', '@zero.c', '@out.c'])).exit, 9);
  t.notOk(existsSync(shop.at('out.c')));
});

t.test('an output is not an input', async (t) => {
  const shop = workshop(t);
  t.equal((await shop.go(['apply', '@p.toml', '@in.c', '@./p.toml'])).exit, 2);
  t.equal((await shop.go(['extract', '@in.c', '@in.c', '1', '@in.c'])).exit, 2);
  t.equal((await shop.go(['suggest', '@p.toml', '@in.c', '@in.c'])).exit, 2);
  const apply = ['apply', '--force', '@p.toml', '@in.c', '@out.c'];
  const extract = ['extract', '--force', '@in.c', '@in.c', '1', '@out.toml'];
  for (const [line, clash] of [
    [apply, ['--provenance-out', '@in.c']],
    [apply, ['--provenance-out', '@p.toml']],
    [apply, ['--provenance-out', '@out.c']],
    [apply, ['--provenance-out', '@out.c.intoto.jsonl']],
    [apply, ['--ceiling-out', '@in.c']],
    [apply, ['--ceiling-out', '@out.c']],
    [apply, ['--ceiling-out', '@x.json', '--provenance-out', '@./x.json']],
    [apply, ['--header', '@in.h', '--ceiling-out', '@in.h']],
    [apply, ['--header', '@out.c']],
    [apply, ['--audit', '@in.c']],
    [extract, ['--ceiling-out', '@in.c']],
    [extract, ['--ceiling-out', '@out.toml']],
    [extract, ['--audit', '@out.toml']],
    [
      ['suggest', '@p.toml', '@in.c', '@out.toml'],
      ['--audit', '@p.toml'],
    ],
  ] as const)
    t.equal((await shop.go([...line, ...clash])).exit, 2, `${line[0]} ${clash.join(' ')}`);
  t.equal(shop.read('in.c'), SOURCE, 'nothing was written over');
  for (const name of ['out.c', 'out.toml', 'x.json']) t.notOk(existsSync(shop.at(name)), name);
  t.equal((await shop.go(['apply', '@p.toml', '@in.c', '@in.c'])).exit, 0, 'in place is meant');
  t.equal(shop.read('in.c'), DONE);
});

t.test('a version that the reader of patterns refuses is never written', async (t) => {
  const shop = workshop(t);
  const beside = ['--ceiling-out', '@draft.json', '--audit', '@audit.jsonl'];
  const extract = (version: string, ...more: string[]) =>
    shop.json(['extract', '@in.c', '@in.c', version, '@out.toml', ...beside, ...more]);
  const nothing = (what: string): void => {
    for (const name of ['out.toml', 'draft.json', 'audit.jsonl'])
      t.notOk(existsSync(shop.at(name)), `${what}: no ${name}`);
  };
  for (const [what, bad] of BAD_LABELS) {
    const { ok, error } = await extract(bad);
    t.match(
      [ok, error],
      [false, { code: 'E_USAGE', message: /^the version of the pattern is/ }],
      what,
    );
    t.ok(error.message.length < 500, `${what}: said in short`);
    nothing(what);
    const { error: kernel } = await extract('1', `--linux-version=${bad}`);
    t.match(kernel, { code: 'E_USAGE', message: /^--linux-version is/ }, `${what}, as a kernel`);
    nothing(what);
    const apply = ['apply', `--driver-family=${bad}`, '@p.toml', '@in.c', '@out.c'];
    t.match(
      (await shop.json(apply)).error,
      { code: 'E_USAGE', message: /^--driver-family is/ },
      what,
    );
    t.notOk(existsSync(shop.at('out.c')));
  }
  t.match(await extract('1.0 beta'), { ok: true }, 'and what it takes is');
  t.match(shop.read('out.toml'), 'version = "1.0 beta"');
  t.equal((await shop.go(['apply', '--force', '@out.toml', '@in.c', '@out.c'])).exit, 0);
});

t.test('extract, suggest and apply in a row', async (t) => {
  const shop = workshop(t);
  const linux = `static const struct pci_device_id ids[] = { { PCI_DEVICE(VENDOR, 0x11e8) }, { } };
void f(struct pci_dev *d) { m = pci_iomap(d, 0, 4096); kfree(m); gone(m); }
`;
  writeFileSync(shop.at('linux.c'), linux);
  writeFileSync(shop.at('ids.h'), '#define VENDOR 0x1234\n');
  writeFileSync(
    shop.at('port.c'),
    linux.replace('pci_iomap', 'shim_iomap').replace('kfree', 'shim_free').replace('gone(m);', ''),
  );
  const argv = [
    'extract',
    '@linux.c',
    '@port.c',
    '2.0',
    '@new.toml',
    '--ceiling-out',
    '@ceiling.json',
    '--header',
    '@ids.h',
  ];
  const { data } = await shop.json(argv);
  t.strictSame(data.undecided, ['gone']);
  const ceiling = parseCeiling(
    new Node(parseJson(readFileSync(shop.at('ceiling.json')), { length: 65_536 }), 'draft'),
  );
  t.strictSame(ceiling.devices, [{ vendor: 0x1234, device: 0x11e8 }]);
  t.equal((await shop.go(argv)).exit, 0, 'the same again is fine');
  writeFileSync(shop.at('new.toml'), `${shop.read('new.toml')}# edited\n`);
  t.equal((await shop.go(argv)).exit, 18, 'an edited file is not replaced');
  t.match(shop.read('new.toml'), '# edited');

  const { data: suggested } = await shop.json(['suggest', '@new.toml', '@linux.c', '@new.toml']);
  t.match(suggested.proposals, [{ from: 'gone', to: 'shim_gone' }]);
  t.match(shop.read('new.toml'), '# edited');
  t.equal(
    (await shop.go(['apply', '@new.toml', '@linux.c', '@out.c'])).exit,
    16,
    'it wants review',
  );
  await shop.go(['apply', '--force', '@new.toml', '@linux.c', '@out.c']);
  t.match(shop.read('out.c'), 'shim_iomap(d, 0, 4096); shim_free(m); shim_gone(m);');
  t.equal((await shop.go(['suggest', '@new.toml', '@p.toml', '@x.toml'])).exit, 2, 'not a source');
});

t.test('a folder of the cache that others could write is tightened', async (t) => {
  const shop = workshop(t);
  await shop.go(['apply', '@p.toml', '@in.c', '@out.c']);
  chmodSync(shop.at('cache/ironport/apply'), 0o777);
  await shop.go(['apply', '@p.toml', '@in.c', '@out.c']);
  t.equal(statSync(shop.at('cache/ironport/apply')).mode & 0o777, 0o700);
});

t.test('the program’s own list has the three commands', async (t) => {
  t.strictSame(
    pipelineCommands.map(({ name }) => name),
    ['extract', 'apply', 'suggest'],
  );
  t.equal(apply.arguments?.length, 3);
});
