// A mapping renames calls and nothing else: by examples of each thing that is reported, and by
// programs that are made together with what must become of them.
import fc from 'fast-check';
import t from 'tap';
import { loadCGrammar } from '../../publisher/pipeline/c/grammar.ts';
import { readC } from '../../publisher/pipeline/c/read.ts';
import { renameC } from '../../publisher/pipeline/c/rename.ts';
import { FINDINGS, type FindingKind } from '../../publisher/pipeline/report.ts';
import { tokenDifferences } from './support.ts';

const grammar = await loadCGrammar();
const MAPPING = new Map([
  ['kfree', 'shim_free'],
  ['foo', 'bar'],
  ['bar', 'foo'],
  ['kept', 'kept'],
  ['open', 'UNKNOWN'],
]);

const inFunction = (body: string): string => `static void f(struct s *p)\n{\n\t${body}\n}\n`;

function rename(text: string) {
  return renameC(grammar, text, MAPPING);
}

/** The kinds that are reported of a source, with names and lines. */
function findings(text: string): string[] {
  return rename(text).report.findings.map(({ kind, name, line }) => `${kind} ${name} ${line}`);
}

t.test('calls are renamed, wherever they stand', async (t) => {
  const cases: [string, string][] = [
    ['kfree(p);', 'shim_free(p);'],
    ['kfree (p);', 'shim_free (p);'],
    ['kfree\n(p);', 'shim_free\n(p);'],
    ['kfree(*p);', 'shim_free(*p);'],
    ['x = kfree(kfree(p), foo());', 'x = shim_free(shim_free(p), bar());'],
    ['if (kfree(p)) return foo(1);', 'if (shim_free(p)) return bar(1);'],
    ['for (kfree(a); foo(b); bar(c)) ;', 'for (shim_free(a); bar(b); foo(c)) ;'],
    ['return c ? kfree(p) : foo(p);', 'return c ? shim_free(p) : bar(p);'],
    ['y = (int)kfree(p);', 'y = (int)shim_free(p);'],
    ['list_for_each(a, b) { kfree(a); }', 'list_for_each(a, b) { shim_free(a); }'],
    ['x = ({ kfree(p); 1; });', 'x = ({ shim_free(p); 1; });'],
    ['p->ops->open(foo(1));', 'p->ops->open(bar(1));'],
    ['asm volatile("kfree" : : "r"(foo(2)));', 'asm volatile("kfree" : : "r"(bar(2)));'],
  ];
  for (const [before, after] of cases)
    t.equal(rename(inFunction(before)).text, inFunction(after), before);
  t.equal(rename('int x = foo(1);\n').text, 'int x = bar(1);\n', 'in an initializer');
  t.equal(
    rename('#if A\nvoid f(void) { foo(); }\n#else\nvoid g(void) { foo(); }\n#endif\n').text,
    '#if A\nvoid f(void) { bar(); }\n#else\nvoid g(void) { bar(); }\n#endif\n',
    'in both branches of a condition',
  );
});

t.test('nothing else is renamed, and each reason has its name', async (t) => {
  const cases: [string, string, string[]][] = [
    [
      'a longer name',
      inFunction('foobar(1); xkfree(2); kfree_(3);'),
      ['foobar', 'kfree_', 'xkfree'].map((name) => `unknown-call ${name} 3`),
    ],
    ['a comment', '/* kfree(p) */ // foo(1)\n', []],
    ['a string', inFunction('p = "kfree(p)"; c = \'f\';'), []],
    ['a member', inFunction('p->kfree = q.foo;'), []],
    ['a label', inFunction('goto kfree; kfree: ;'), []],
    ['a value', inFunction('p->free = kfree;'), ['value kfree 3']],
    ['a callback', inFunction('x = kept(kfree, &foo);'), ['value foo 3', 'value kfree 3']],
    ['a prototype', 'void kfree(void *p);\n', ['declaration kfree 1']],
    ['the body of a macro', '#define FREE(x) kfree(x)\n', ['macro-body kfree 1']],
    ['a condition', '#if foo(1)\n#endif\n', ['preprocessor foo 1']],
    ['an attribute', 'int x(int a) __attribute__((foo(1)));\n', ['attribute foo 1']],
    ['in parentheses', inFunction('(kfree)(p);'), ['indirect-call  3', 'parenthesised kfree 3']],
    ['a broken name', inFunction('kfr\\\nee(p);'), ['spliced kfree 3']],
    ['the end of a broken name', inFunction('x\\\nkfree(p);'), []],
    ['a pointer', inFunction('p->probe(p); (*q)(p);'), ['indirect-call  3', 'indirect-call  3']],
    [
      'a parameter',
      'void f(int (*foo)(int)) { foo(1); }\n',
      ['declaration foo 1', 'indirect-call foo 1'],
    ],
    [
      'a local variable',
      inFunction('{ int (*foo)(int) = q; foo(1); }'),
      ['declaration foo 3', 'indirect-call foo 3'],
    ],
    [
      'a function of its own',
      'static void foo(void) { }\nvoid g(void) { foo(); }\n',
      ['declaration foo 1', 'own-function foo 2'],
    ],
    [
      'a macro of its own',
      '#define foo(x) x\nint y = foo(1);\n',
      ['macro-body foo 1', 'own-function foo 2'],
    ],
    [
      'a shadowed new name',
      inFunction('{ int bar; foo(1); }'),
      ['declaration bar 3', 'shadowed foo 3'],
    ],
    ['undecided', inFunction('open(1);'), ['undecided-call open 3']],
    ['inline assembly', inFunction('asm("kfree");'), ['assembly  3']],
  ];
  for (const [what, text, expected] of cases) {
    t.equal(rename(text).text, text, `${what}: unchanged`);
    t.strictSame(findings(text), expected, what);
  }
});

t.test('a name that is another one outside of its scope is renamed there', async (t) => {
  const text =
    'void f(void) { { int foo; } foo(1); }\nvoid g(int foo) { }\nvoid h(void) { foo(2); }\n';
  t.equal(rename(text).text, text.replace('foo(1)', 'bar(1)').replace('foo(2)', 'bar(2)'));
});

t.test('what the grammar cannot read is left alone, and the rest is not', async (t) => {
  const text = 'static GATE(a, "foo(1)", foo(2), 0 }\n;\nvoid f(void) { foo(3); }\n';
  const { text: after, report } = rename(text);
  t.ok(report.findings.some(({ kind }) => kind === 'unreadable'));
  t.match(after, '"foo(1)"');
});

t.test('kept calls are counted, renamed ones listed with their lines', async (t) => {
  const { report } = rename(inFunction('kept(1);\n\tfoo(1);\n\tfoo(2); foo(3);'));
  t.equal(report.kept, 1);
  t.strictSame(report.renamed, [{ from: 'foo', to: 'bar', lines: [4, 5, 5] }]);
});

t.test(
  'bytes that are no UTF-8, CRLF and a byte order mark come out as they went in',
  async (t) => {
    const text =
      '\u00ef\u00bb\u00bf/* \u00ff\u00fe */\r\nvoid f(void)\r\n{\r\n\tfoo("\u0080\u00c3", \u00e9foo(1));\r\n}\r\n';
    t.equal(rename(text).text, text.replace('\tfoo', '\tbar'));
  },
);

t.test('each kind of finding is documented in its table', async (t) => {
  for (const kind of Object.keys(FINDINGS) as FindingKind[]) t.ok(FINDINGS[kind].length > 10, kind);
});

/** A piece of a program and what must become of it. */
type Piece = readonly [before: string, after: string];
const same = (text: string): Piece => [text, text];

const expression: fc.Memo<Piece> = fc.memo((depth) => {
  const leaf = fc.constantFrom<Piece>(
    same('x'),
    same('42'),
    same('"foo(1) \\" kfree"'),
    same("'\\''"),
    same('p->foo'),
    same('foobar'),
    same('sizeof(int)'),
    same('/* foo( */ y'),
    same('kfree'),
    same('(foo)(1)'),
    same('p->kfree(2)'),
  );
  if (depth <= 1) return leaf;
  const inner = expression(depth - 1);
  const call = fc
    .tuple(
      fc.constantFrom<Piece>(
        ['foo', 'bar'],
        ['kfree', 'shim_free'],
        ['bar', 'foo'],
        same('kept'),
        same('foobar'),
        same('open'),
        same('BIT'),
      ),
      fc.constantFrom('(', ' (', '\t(', '\n(', '/* foo( */('),
      fc.array(inner, { maxLength: 3 }),
    )
    .map(
      ([name, open, list]): Piece => [
        `${name[0]}${open}${list.map(([before]) => before).join(', ')})`,
        `${name[1]}${open}${list.map(([, after]) => after).join(', ')})`,
      ],
    );
  const pair = fc
    .tuple(inner, fc.constantFrom('+', '*', '==', '&&', ','), inner)
    .map(
      ([a, operator, b]): Piece => [
        `(${a[0]} ${operator} ${b[0]})`,
        `(${a[1]} ${operator} ${b[1]})`,
      ],
    );
  return fc.oneof(leaf, call, pair);
});

const statement = fc
  .tuple(
    fc.constantFrom<readonly [string, string]>(
      ['', ';'],
      ['x = ', ';'],
      ['return ', ';'],
      ['if (', ') { y(); }'],
      ['while (', ') ;'],
      ['// foo(1) kfree\n\tz = ', ';'],
      ['#ifdef foo\n\tq = ', ';\n#endif'],
    ),
    expression(4),
  )
  .map(
    ([[open, close], [before, after]]): Piece => [
      `\n\t${open.replace(/^#/, '\n#')}${before}${close}\n`,
      `\n\t${open.replace(/^#/, '\n#')}${after}${close}\n`,
    ],
  );

const program = fc
  .array(fc.tuple(fc.array(statement, { maxLength: 4 }), fc.boolean()), { maxLength: 4 })
  .map((functions): Piece => {
    const write = (side: 0 | 1): string =>
      functions
        .map(([body, isMacro], i) =>
          isMacro
            ? `#define M${i}(x) foo(x) + \\\n\tkfree(x)\n`
            : `int fun${i}(struct s *p)\n{${body.map((piece) => piece[side]).join('')}}\n`,
        )
        .join('\n');
    return [write(0), write(1)];
  });

t.test('programs become what they must, token by token', async (t) => {
  fc.assert(
    fc.property(program, ([before, expected]) => {
      const { text, report } = rename(before);
      const readable = report.findings.every(({ kind }) => kind !== 'unreadable');
      // What cannot be read is left alone; the generator's programs are C, so it is none of them.
      if (!readable) throw new Error(`unreadable:\n${before}`);
      if (text !== expected) throw new Error(`got:\n${text}\nexpected:\n${expected}`);
      const calls = report.renamed.reduce((sum, { lines }) => sum + lines.length, 0);
      return tokenDifferences(before, text)?.length === calls;
    }),
    { numRuns: 400 },
  );
  t.pass('as often as was tried');
});

t.test('the calls of the result are the calls of the source, renamed', async (t) => {
  fc.assert(
    fc.property(program, ([before]) => {
      const names = (text: string): string[] => readC(grammar, text).calls.map(({ name }) => name);
      const renamed = names(before).map((name) => {
        const to = MAPPING.get(name) ?? name;
        return to === 'UNKNOWN' ? name : to;
      });
      return JSON.stringify(names(rename(before).text)) === JSON.stringify(renamed);
    }),
    { numRuns: 200 },
  );
  t.pass('as often as was tried');
});

t.test('whatever the bytes are, only names change', async (t) => {
  const word = fc.constantFrom(
    ...'foo kfree bar ( ) { } ; , " \' /* */ // \\ # #define #if #endif \n = * & -> . int struct if else \u00e9 0x 1'.split(
      ' ',
    ),
    ' ',
    '\n',
    '\\\n',
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 60 }), (words) => {
      const text = words.join('');
      const { text: after, report } = rename(text);
      const calls = report.renamed.reduce((sum, { lines }) => sum + lines.length, 0);
      const differences = tokenDifferences(text, after);
      return (
        differences?.length === calls &&
        differences.every(({ before, after }) => MAPPING.get(before) === after)
      );
    }),
    { numRuns: 1500 },
  );
  t.pass('as often as was tried');
});
