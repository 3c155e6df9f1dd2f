// From an original and its port to a pattern, and from a pattern to proposals.
import fc from 'fast-check';
import t from 'tap';
import { loadCGrammar } from '../../publisher/pipeline/c/grammar.ts';
import { renameC } from '../../publisher/pipeline/c/rename.ts';
import { deriveMapping } from '../../publisher/pipeline/extract/derive.ts';
import { extractPattern } from '../../publisher/pipeline/extract/extract.ts';
import { parsePattern } from '../../publisher/pipeline/pattern/pattern.ts';
import { suggest } from '../../publisher/pipeline/suggest/suggest.ts';
import { utf8 } from '../../shared/bytes.ts';
import { isIronError } from '../../shared/errors.ts';
import { patternText } from './support.ts';

const grammar = await loadCGrammar();

const ORIGINAL = `#include <linux/pci.h>
static int helper(int x) { return x; }
static int probe(struct pci_dev *pdev)
{
	void *p = kzalloc(sizeof(*p), GFP_KERNEL);
	if (pci_enable_device(pdev))
		return -1;
	pci_set_master(pdev);
	p = pci_iomap(pdev, 0, 0x1000);
	dev_info(&pdev->dev, "up %d", helper(1));
	kfree(p);
	return request_irq(pdev->irq, handler, 0, "x", p);
}
static void gone(struct pci_dev *pdev)
{
	kfree(pci_get_drvdata(pdev));
}
`;
const PORT = `#include "shim.h"
static int helper(int x) { return x; }
static int probe(struct pci_dev *pdev)
{
	void *p = shim_alloc(sizeof(*p), GFP_KERNEL);
	if (shim_enable(ctx, pdev))
		return -1;
	p = shim_iomap(pdev, 0, 0x1000);
	dev_info(&pdev->dev, "up %d", helper(1));
	shim_free(p);
	return shim_irq(pdev->irq, handler, 0, "x", p);
}
static void gone(struct pci_dev *pdev)
{
	shim_free(shim_data(pdev));
}
`;

const extract = (original: string, ported: string) =>
  extractPattern(grammar, {
    original,
    ported,
    head: ['a test'],
    version: '1.0',
    linuxVersion: '6.1',
    driverFamily: 'test',
    macros: new Map(),
  });

t.test('what stands in the place of what', async (t) => {
  const { text, undecided, decided, confidence } = extract(ORIGINAL, PORT);
  const { mapping, metadata, manifest } = parsePattern(utf8(text));
  t.strictSame(Object.fromEntries(mapping), {
    dev_info: 'dev_info',
    kfree: 'shim_free',
    kzalloc: 'shim_alloc',
    pci_enable_device: 'shim_enable',
    pci_get_drvdata: 'shim_data',
    pci_iomap: 'shim_iomap',
    pci_set_master: 'UNKNOWN',
    request_irq: 'shim_irq',
  });
  t.strictSame(undecided, ['pci_set_master']);
  t.equal(decided, 7);
  t.strictSame(manifest, { bars: [0], irqs: ['intx'] });
  t.equal(metadata.reviewRequired, true);
  t.equal(metadata.confidence, confidence);
  t.ok(confidence > 0.7 && confidence < 0.75, 'never enough to be applied unread');
  t.match(text, /pci_set_master = "UNKNOWN" {2}# line 8: nothing in its place/);
});

t.test('the same inputs give the same file', async (t) => {
  t.equal(extract(ORIGINAL, PORT).text, extract(ORIGINAL, PORT).text);
});

t.test('places that disagree leave a name open, with what was seen', async (t) => {
  const body = (a: string, b: string): string =>
    `void f(void) { ${a}(x); }\nvoid g(void) { ${b}(x); }\n`;
  const { text } = extract(body('lock', 'lock'), body('lock_a', 'lock_b'));
  t.match(text, 'lock = "UNKNOWN"  # line 1, 2: lock_a 1 times, lock_b 1 times');
});

t.test('a call of the port’s own function is no mapping for other drivers', async (t) => {
  const { mapping } = parsePattern(
    utf8(
      extract(
        'void f(void) { a(x); }\n',
        'static void mine(int x) { }\nvoid f(void) { mine(x); }\n',
      ).text,
    ),
  );
  t.equal(mapping.get('a'), 'UNKNOWN');
});

t.test('nothing to compare gives a pattern that decides nothing', async (t) => {
  const { confidence, decided, text } = extract('', 'int x;');
  t.equal(confidence, 0);
  t.equal(decided, 0);
  t.equal(parsePattern(utf8(text)).mapping.size, 0);
  t.equal(extract(ORIGINAL, '').decided, 0);
});

t.test('a mapping that was applied is found again', async (t) => {
  const names = ['alpha', 'beta', 'gamma', 'delta', 'eps'] as const;
  const call = fc.tuple(fc.constantFrom(...names), fc.constantFrom('a', 'b, c', 'p->x, 1', ''));
  const program = fc
    .array(fc.array(call, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 4 })
    .map((functions) =>
      functions
        .map(
          (calls, i) =>
            `void f${i}(void)\n{\n${calls.map(([name, list]) => `\t${name}(${list});\n`).join('')}}\n`,
        )
        .join(''),
    );
  const mapping = new Map(names.map((name) => [name, `port_${name}_x`]));
  fc.assert(
    fc.property(program, (text) => {
      const { entries } = deriveMapping(grammar, text, renameC(grammar, text, mapping).text);
      return entries.every(({ from, to }) => to === mapping.get(from as (typeof names)[number]));
    }),
    { numRuns: 150 },
  );
  t.pass();
});

const PATTERN = `# kept comment
[metadata]
version = "1"          # mine
confidence = 0.9 # sure
review_required = false

[mapping]
# before
pci_iomap = "shim_pci_iomap"   # a person's
"pci_set_master" = 'UNKNOWN' # ask Ada
pci_read = "shim_pci_read"
kfree = "my_free"
odd = "UNKNOWN"

[build]
incremental = false
`;
const SOURCE = `static void own(void) { }
void f(int (*cb)(int))
{
	own(); cb(1); kfree(p); pci_set_master(p);
	pci_new(p); BIT(3); plain(1); __builtin_expect(1, 2);
	list_for_each(a, b) { }
	plain(2);
}
`;

t.test('suggest proposes and never overwrites an entry of a person', async (t) => {
  const { text, proposals } = suggest(grammar, utf8(PATTERN), SOURCE, 'p.toml');
  t.strictSame(
    proposals.map(({ from, to }) => [from, to]),
    [
      ['BIT', 'BIT'],
      ['__builtin_expect', '__builtin_expect'],
      ['list_for_each', 'list_for_each'],
      ['pci_new', 'shim_pci_new'],
      ['pci_set_master', 'shim_pci_set_master'],
      ['plain', 'shim_plain'],
    ],
  );
  const after = parsePattern(utf8(text));
  t.equal(after.mapping.get('kfree'), 'my_free');
  t.equal(after.mapping.get('odd'), 'UNKNOWN', 'it is not called here');
  t.equal(after.metadata.reviewRequired, true);
  t.equal(after.metadata.confidence, 0.5);
  t.equal(after.metadata.version, '1');
  t.equal(after.build.incremental, false);
  const lines = text.split('\n');
  const changed = [
    'confidence = 0.9 # sure',
    'review_required = false',
    '"pci_set_master" = \'UNKNOWN\' # ask Ada',
  ];
  for (const line of PATTERN.split('\n').filter((line) => !changed.includes(line)))
    t.ok(lines.includes(line), `still there: ${line}`);
  t.match(text, 'confidence = 0.5 # sure');
  t.match(
    text,
    'pci_set_master = "shim_pci_set_master"  # ask Ada; suggested, like other pci_ calls; line 4',
  );
  t.equal(suggest(grammar, utf8(text), SOURCE, 'p.toml').text, text, 'once is enough');
});

t.test('a pattern that knows everything is given back byte for byte', async (t) => {
  const odd = `\r\n[metadata]\r\nversion="1"\r\n`;
  t.equal(suggest(grammar, utf8(odd), 'int x;', 'p').text, odd);
});

t.test('line ends stay what they are', async (t) => {
  const text = suggest(grammar, utf8(PATTERN.replaceAll('\n', '\r\n')), SOURCE, 'p').text;
  t.notMatch(text.replaceAll('\r\n', ''), '\n');
});

t.test('patterns in forms that are edited, and in forms that are refused', async (t) => {
  const outcome = (pattern: string): string => {
    try {
      const { mapping } = parsePattern(
        utf8(suggest(grammar, utf8(pattern), 'int x = a(1);\n', 'p').text),
      );
      return mapping.get('a') ?? 'lost';
    } catch (error) {
      return isIronError(error) ? error.code : String(error);
    }
  };
  t.equal(outcome('[metadata]\nversion = "1"'), 'shim_a', 'no mapping yet');
  t.equal(outcome('[mapping]\n[metadata]\nversion = "1"'), 'shim_a', 'an empty one');
  t.equal(outcome('[ mapping ] # x\na = "UNKNOWN"\n[metadata]\nversion = "1"'), 'shim_a');
  t.equal(
    outcome('metadata = {version = "1", confidence = 0.9}\n'),
    'E_CONFLICT',
    'an inline table',
  );
  t.equal(
    outcome('metadata.version = "1"\nmetadata.confidence = 0.9\n'),
    'E_CONFLICT',
    'dotted keys',
  );
  t.equal(
    outcome('[metadata]\nversion = "1"\n[stealth]\nnote = """\n[mapping]\na = "UNKNOWN"\n"""\n'),
    'E_CONFLICT',
    'a text that looks like a section',
  );
  t.equal(outcome('nonsense'), 'E_SCHEMA');
});

t.test('a pattern of which every entry was proposed is applied as proposed', async (t) => {
  const text = 'void f(void) { a(1); b(2); }\n';
  const { text: pattern } = suggest(grammar, utf8(patternText({})), text, 'p');
  t.equal(
    renameC(grammar, text, parsePattern(utf8(pattern)).mapping).text,
    'void f(void) { shim_a(1); shim_b(2); }\n',
  );
});
