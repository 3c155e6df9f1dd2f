// Sources that nobody wrote as C: read in time or refused, and never changed in the wrong place.
import t from 'tap';
import { loadCGrammar } from '../../publisher/pipeline/c/grammar.ts';
import { renameC } from '../../publisher/pipeline/c/rename.ts';
import { scanC } from '../../publisher/pipeline/c/tokens.ts';
import { deriveMapping } from '../../publisher/pipeline/extract/derive.ts';
import { readMacros } from '../../publisher/pipeline/resources/constants.ts';
import { bytesToText, lineCounter, splice, textToBytes } from '../../publisher/pipeline/source.ts';
import { propose } from '../../publisher/pipeline/suggest/propose.ts';
import { isIronError } from '../../shared/errors.ts';
import { PIPELINE_LIMITS } from '../../shared/limits.ts';
import { tokenDifferences } from '../pipeline/support.ts';

const grammar = await loadCGrammar();
const MAPPING = new Map([['a', 'b']]);
const SIZE = 64 * 1024;
const SECONDS = 15;

const UNITS = [
  '(',
  ')',
  '{',
  '}',
  '[',
  'a(',
  '(a)',
  '(a*)',
  '"',
  "'",
  '*',
  'a ',
  ',',
  'if(a)else ',
  '({',
  'a?a:',
  'a+',
  'a=',
  'int a;',
  '#if X\n',
  '#elif a\n',
  '#define a(b) \\\n',
  'a b(',
  'a<',
  'a*b*',
  '/*',
  '//',
  '__attribute__((',
  '(*',
  'struct a{',
  'enum{a,',
  '_Generic(a,',
  'asm("a":',
  'case a:',
  'if(a){}else ',
  '{',
  '\\\n',
  '\\',
  '#',
  '##',
  '%:',
  '??/',
  '\u00ff',
  '\r',
  '\f',
  '0x',
  '1e+',
  "1'",
  'a\\\n',
  'L"',
  'R"(',
  '<',
  '#include <',
  'a(1);',
  'struct pci_device_id a[] = {{',
];

t.test('one thing over and over', async (t) => {
  for (const unit of UNITS) {
    const text = `void f(void) { ${unit.repeat(SIZE / unit.length)}`;
    const began = process.cpuUsage();
    try {
      const { text: after, report } = renameC(grammar, text, MAPPING);
      const calls = report.renamed.reduce((sum, { lines }) => sum + lines.length, 0);
      t.equal(tokenDifferences(text, after)?.length, calls, JSON.stringify(unit));
    } catch (error) {
      t.ok(isIronError(error, 'E_TOO_LARGE'), `${JSON.stringify(unit)}: ${error}`);
    }
    t.ok(process.cpuUsage(began).user < SECONDS * 1e6, `${JSON.stringify(unit)} in time`);
  }
});

t.test('what goes over the tokens alone is linear', async (t) => {
  const began = process.cpuUsage();
  for (const unit of UNITS) {
    const text = unit.repeat((1 << 20) / unit.length);
    scanC(text, () => {});
    readMacros(text);
    lineCounter(text)(text.length);
  }
  const { user } = process.cpuUsage(began);
  t.ok(user / UNITS.length < 1e6, `${user / 1e6} s for ${UNITS.length} MiB`);
});

t.test('many calls, nested and in a row', async (t) => {
  const nested = `void f(void) { ${'a('.repeat(4000)}${')'.repeat(4000)}; }`;
  t.equal(renameC(grammar, nested, MAPPING).report.renamed[0]?.lines.length, 4000);
  const row = `void f(void) {\n${'a(1);\n'.repeat(20_000)}}`;
  const began = process.cpuUsage();
  t.equal(renameC(grammar, row, MAPPING).report.renamed[0]?.lines.length, 20_000);
  t.strictSame(deriveMapping(grammar, row, row).skipped, ['f'], 'too many to be compared');
  t.equal(propose(grammar, row, new Map()).length, 1);
  propose(grammar, nested, new Map());
  deriveMapping(grammar, nested, nested);
  t.ok(process.cpuUsage(began).user < SECONDS * 1e6);
});

t.test('too large, and zero bytes', async (t) => {
  t.throws(() => renameC(grammar, ' '.repeat(PIPELINE_LIMITS.source + 1), MAPPING), {
    code: 'E_TOO_LARGE',
  });
  t.throws(() => bytesToText(Uint8Array.from([97, 0, 98])), { code: 'E_SCHEMA' });
});

t.test('bytes and text', async (t) => {
  const all = Uint8Array.from({ length: 255 }, (_, i) => i + 1);
  t.strictSame(textToBytes(bytesToText(all)), all);
  t.equal(
    splice('abcdef', [
      { start: 4, end: 5, text: 'X' },
      { start: 0, end: 0, text: '-' },
    ]),
    '-abcdXf',
  );
  t.throws(() =>
    splice('abc', [
      { start: 0, end: 2, text: '' },
      { start: 1, end: 2, text: '' },
    ]),
  );
  const line = lineCounter('a\nb\n\nc');
  t.strictSame([0, 1, 2, 4, 5, 6].map(line), [1, 1, 2, 3, 4, 4]);
});
