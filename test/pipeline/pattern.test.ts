// Pattern files: what IronShim wrote is read, and what could be misread is refused.
import t from 'tap';
import { assertApplicable } from '../../publisher/pipeline/gates.ts';
import { parsePattern } from '../../publisher/pipeline/pattern/pattern.ts';
import { entryLine, renderPattern, tomlString } from '../../publisher/pipeline/pattern/render.ts';
import { concatBytes, utf8 } from '../../shared/bytes.ts';
import { isIronError } from '../../shared/errors.ts';
import { PIPELINE_LIMITS } from '../../shared/limits.ts';
import { BAD_LABELS, patternOf, patternText } from './support.ts';

const HEAD = '[metadata]\nversion = "1"\n';

function refused(text: string): string {
  try {
    parsePattern(utf8(text));
    return 'accepted';
  } catch (error) {
    return isIronError(error, 'E_SCHEMA', 'E_TOO_LARGE') ? error.message : `not ours: ${error}`;
  }
}

t.test('a file as IronShim wrote it', async (t) => {
  const pattern = parsePattern(
    utf8(`[metadata]
version = "2.0"
linux_version = "6.1"
driver_family = "nvme"
confidence = 0.5
review_required = true

[mapping]
kfree = "UNKNOWN"
readl = "readl"

[build]
thin_lto = true
incremental = true
lto_cache = true

[binary_patch]
kfree = "UNKNOWN"
readl = "readl"

[manifest]
bars = [0, 0x10]
irqs = [11]

[signing]
mode = "sig2"

[stealth]
idle_priority = true
thin_lto = true
`),
  );
  t.strictSame(pattern.metadata, {
    version: '2.0',
    linuxVersion: '6.1',
    driverFamily: 'nvme',
    confidence: 0.5,
    reviewRequired: true,
  });
  t.strictSame(Array.from(pattern.mapping), [
    ['kfree', 'UNKNOWN'],
    ['readl', 'readl'],
  ]);
  t.strictSame(pattern.manifest, { bars: [0, 16], irqs: [11] });
  t.strictSame(pattern.patches, []);
  t.strictSame(pattern.signing, { mode: 'sig2' });
  t.equal(pattern.notes.length, 3, 'binary_patch, sig2 and stealth are spoken of');
});

t.test('what is not said counts against the pattern', async (t) => {
  const { metadata, build, signing } = parsePattern(utf8(HEAD));
  t.equal(metadata.reviewRequired, true);
  t.equal(metadata.confidence, 0);
  t.equal(metadata.linuxVersion, 'unknown');
  t.strictSame(build, { thinLto: true, incremental: true, ltoCache: true });
  t.equal(signing, undefined);
});

t.test('confidence is a number or a text that is one', async (t) => {
  const confidence = (text: string): number =>
    parsePattern(utf8(`${HEAD}confidence = ${text}\n`)).metadata.confidence;
  t.equal(confidence('0.85'), 0.85);
  t.equal(confidence('"0.85"'), 0.85);
  t.equal(confidence('1'), 1);
  for (const bad of ['1.01', '-0.1', 'nan', 'inf', '"high"', '"1.1"', '""', 'true', '[0.5]'])
    t.match(refused(`${HEAD}confidence = ${bad}\n`), /confidence: a number from 0 to 1/, bad);
});

t.test('names with dots and dashes belong to LLVM; a C name maps to a C name', async (t) => {
  t.equal(
    patternOf({ 'llvm.memcpy.p0': 'shim-memcpy' }).mapping.get('llvm.memcpy.p0'),
    'shim-memcpy',
  );
  t.equal(patternOf({ __proto__: 'x', constructor: 'y' }).mapping.get('constructor'), 'y');
  t.match(refused(patternText({ kfree: 'a-b' })), /no name that can be called/);
  for (const bad of ['', 'return', 'sizeof', 'a b', 'f(', '1a', 'a\u00e9', 'x'.repeat(513)]) {
    t.match(refused(patternText({ kfree: bad })), /no name that can be called/, `to ${bad}`);
    if (bad !== 'return' && bad !== 'sizeof')
      t.match(refused(patternText({ [bad]: 'kfree' })), /no name of a function/, `from ${bad}`);
  }
  t.match(refused(`${HEAD}[mapping]\nllvm.memcpy = "x"\n`), /written in quotes/);
});

t.test('refused: what is misspelt, doubled, of another type, or no TOML', async (t) => {
  const cases: [string, string, RegExp][] = [
    ['nothing', '', /metadata" is missing/],
    ['no metadata', '[mapping]\na = "b"\n', /metadata" is missing/],
    ['no version', '[metadata]\n', /version" is missing/],
    ['a misspelt field', `${HEAD}review_requried = true\n`, /review_requried" is unknown/],
    ['a misspelt section', `${HEAD}[maping]\n`, /maping" is unknown/],
    ['a key twice', `${HEAD}[mapping]\na = "b"\na = "c"\n`, /not TOML at line 5/],
    ['a section twice', `${HEAD}[mapping]\n[mapping]\n`, /not TOML at line 4/],
    ['a key twice, once in quotes', `${HEAD}[mapping]\na = "b"\n"a" = "c"\n`, /not TOML at line 5/],
    ['a version that is a number', '[metadata]\nversion = 1\n', /version: a string/],
    ['a kernel that is a number', `${HEAD}linux_version = 6.1\n`, /linux_version: a string/],
    ['a switch that is a text', `${HEAD}review_required = "false"\n`, /true or false/],
    ['a value that is a number', `${HEAD}[mapping]\na = 1\n`, /mapping\.a: a string/],
    ['a value that is a list', `${HEAD}[mapping]\na = ["b"]\n`, /mapping\.a: a string/],
    ['a time', `${HEAD}[mapping]\na = 2030-01-01\n`, /a time is no value/],
    ['metadata as a list', '[[metadata]]\nversion = "1"\n', /an object is expected/],
    ['an octal of IronShim', `${HEAD}[manifest]\nbars = [00]\n`, /not TOML at line 4/],
    ['a huge number', `${HEAD}[manifest]\nbars = [99999999999999999999]\n`, /not TOML/],
    ['a negative BAR', `${HEAD}[manifest]\nbars = [-1]\n`, /an integer from 0/],
    ['a zero byte', `${HEAD}[mapping]\na = "\0"\n`, /not TOML/],
    ['an open string', `${HEAD}[mapping]\na = "b\n`, /not TOML/],
    [
      'bytes of another length',
      `${HEAD}[binary_patch.x]\nfind = "00 01"\nreplace = "00"\n`,
      /different lengths/,
    ],
    [
      'bytes that are none',
      `${HEAD}[binary_patch.x]\nfind = "0"\nreplace = "0"\n`,
      /bytes such as/,
    ],
    ['no bytes', `${HEAD}[binary_patch.x]\nfind = ""\nreplace = ""\n`, /bytes such as/],
    [
      'a count of 0',
      `${HEAD}[binary_patch.x]\nfind = "00"\nreplace = "01"\ncount = 0\n`,
      /an integer from 1/,
    ],
    ['a patch without bytes', `${HEAD}[binary_patch.x]\ncount = 1\n`, /find" is missing/],
    ['another mode of signing', `${HEAD}[signing]\nmode = "sig3"\n`, /one of sig2/],
  ];
  for (const [what, text, message] of cases) t.match(refused(text), message, what);
});

t.test('refused in time: what is deep or large', async (t) => {
  const began = performance.now();
  t.match(refused(`a = ${'['.repeat(100_000)}`), /not TOML/, 'nested lists');
  t.match(refused(`a = ${'{a='.repeat(100_000)}`), /not TOML/, 'nested tables');
  t.match(refused(`${'a.'.repeat(400_000)}b = 1`), /not TOML|unknown/, 'a dotted key');
  t.match(refused(`[${'a.'.repeat(400_000)}b]`), /not TOML|unknown/, 'a dotted header');
  t.match(refused(`a = """${' '.repeat(1_000_000)}`), /not TOML/, 'an open string');
  t.match(refused('#'.repeat(PIPELINE_LIMITS.pattern + 1)), /more than 1048576 bytes/);
  const many = Array.from({ length: PIPELINE_LIMITS.mapping + 1 }, (_, i) => `a${i}="b"`);
  t.match(refused(`${HEAD}[mapping]\n${many.join('\n')}`), /more than 65536 members/);
  t.ok(performance.now() - began < 20_000, 'well below what a busy machine excuses');
});

t.test('bytes that are no UTF-8 are refused', async (t) => {
  t.throws(() => parsePattern(concatBytes(utf8(HEAD), new Uint8Array([0x23, 0xff, 0x0a]))), {
    code: 'E_SCHEMA',
  });
});

t.test('what is rendered is read back as it was meant', async (t) => {
  const text = renderPattern({
    head: ['from a\nline end'],
    metadata: {
      version: 'quote " backslash \\ end',
      linuxVersion: '6.1',
      driverFamily: 'x',
      confidence: 1,
      reviewRequired: false,
    },
    entries: [
      { from: 'b', to: 'c', comment: 'why\n[mapping]' },
      { from: 'a$b', to: 'UNKNOWN' },
    ],
    manifest: { bars: [0, 5], irqs: ['msix', 3] },
  }).replace('# from a\nline end', '# from a');
  const pattern = parsePattern(utf8(text));
  t.equal(pattern.metadata.version, 'quote " backslash \\ end');
  t.strictSame(Array.from(pattern.mapping), [
    ['a$b', 'UNKNOWN'],
    ['b', 'c'],
  ]);
  t.strictSame(pattern.manifest, { bars: [0, 5], irqs: ['msix', 3] });
  t.equal(entryLine({ from: 'a', to: 'b', comment: 'x\ny' }), 'a = "b"  # x y');
  t.equal(tomlString('a"b'), '"a\\"b"');
  t.equal(tomlString('line\nend \u0000 \u007f \u00e9'), '"line\\u000aend \\u0000 \\u007f \u00e9"');
});

t.test('a version, a kernel and a family are a few visible words of ASCII', async (t) => {
  const most = 'x'.repeat(PIPELINE_LIMITS.label);
  const withField = (field: string, text: string): string =>
    field === 'version'
      ? `[metadata]\nversion = ${tomlString(text)}\n`
      : `${HEAD}${field} = ${tomlString(text)}\n`;
  for (const field of ['version', 'linux_version', 'driver_family']) {
    for (const good of ['1', '1.0-rc1+b~2', '1.0 beta (second)', 'a  b', '"\\"', most])
      t.equal(refused(withField(field, good)), 'accepted', `${field} = ${good}`);
    const message = new RegExp(`${field}: 1 to ${PIPELINE_LIMITS.label} visible characters`);
    for (const [what, bad] of BAD_LABELS)
      t.match(refused(withField(field, bad)), message, `${field}: ${what}`);
  }
});

t.test('the gates', async (t) => {
  const metadata = {
    version: '1',
    linuxVersion: '6.1',
    driverFamily: 'nvme',
    confidence: 0.74,
    reviewRequired: true,
  };
  const gate = (changes: object, wanted: object): unknown => {
    try {
      return assertApplicable({ ...metadata, ...changes }, { force: false, ...wanted }).forced;
    } catch (error) {
      return isIronError(error, 'E_POLICY') ? error.context.gate : error;
    }
  };
  t.equal(gate({}, {}), 'review');
  t.equal(gate({}, { force: true }), true, 'forced');
  t.equal(gate({ confidence: 0.75 }, {}), false, 'confident enough');
  t.equal(gate({ reviewRequired: false }, {}), false, 'reviewed');
  t.equal(gate({ reviewRequired: false }, { linuxVersion: '6.12' }), 'linux_version');
  t.equal(gate({ reviewRequired: false }, { linuxVersion: '6.12', force: true }), 'linux_version');
  t.equal(gate({ reviewRequired: false }, { driverFamily: 'edu' }), 'driver_family');
  t.equal(
    gate({ reviewRequired: false, linuxVersion: 'unknown' }, { linuxVersion: '6.12' }),
    false,
  );
  t.equal(gate({ reviewRequired: false }, { linuxVersion: '6.1', driverFamily: 'nvme' }), false);
});
