// LLVM text: callees change, declarations follow, and what LLVM itself thinks of the result.
import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import t from 'tap';
import { readLlvm } from '../../publisher/pipeline/llvm/calls.ts';
import { renameLlvm } from '../../publisher/pipeline/llvm/rename.ts';

const MODULE = String.raw`; call void @kfree(i8* %p) in a comment
source_filename = "call @kfree("
%struct.s = type { i32 }
@str = private constant [14 x i8] c"call @kfree(\00\00"
@free = global void (i8*)* @kfree
@other = alias void (i8*), void (i8*)* @own

declare void @kfree(i8*) #0
declare i32 @printf(i8*, ...)
declare %struct.s @"make it"(i32)
declare void @kfree_rcu(i8*)
declare void @known(i8*)
declare void @llvm.donothing()
declare i32 @personality(...)

define void @own(i8* %p) {
  ret void
}

define void @f(i8* %p, void (i8*)* %q) personality i32 (...)* @personality {
  call void @kfree(i8* %p)
  tail call fastcc void @kfree(i8* %p) #1
  %a = call i32 (i8*, ...) @printf(i8* getelementptr ([14 x i8], [14 x i8]* @str, i32 0, i32 0))
  %s = call %struct.s @"make it"(i32 1)
  call void %q(i8* %p)
  call void asm sideeffect "call @kfree(", ""()
  call void bitcast (void (i8*)* @kfree to void (i32)*)(i32 1)
  call void @f(i8* %p, void (i8*)* @kfree)
  call void @kfree_rcu(i8* %p)
  call void @own(i8* %p)
  call void @llvm.donothing()
  call void @known(i8* %p) [ "deopt"(i32 1) ]
  invoke void @kfree(i8* %p)
          to label %call unwind label %lpad
call:
  ret void
lpad:
  %l = landingpad { i8*, i32 } cleanup
  ret void
}
attributes #0 = { nounwind "call"="@kfree(" }
attributes #1 = { nounwind }
`;
const MAPPING = new Map([
  ['kfree', 'shim_kfree'],
  ['printf', 'shim_printf'],
  ['make it', 'shim.make'],
  ['known', 'kfree_rcu'],
  ['own', 'shim_own'],
  ['kfree_rcu', 'UNKNOWN'],
]);

t.test('the callees of calls are renamed, and nothing else', async (t) => {
  const { text, report } = renameLlvm(MODULE, MAPPING);
  const expected = MODULE.replaceAll(
    /^(.*(?:call|invoke) [a-z ]*)@kfree\(i8\* %p\)(.*)$/gm,
    (line, before, after) => (line.startsWith(';') ? line : `${before}@shim_kfree(i8* %p)${after}`),
  )
    .replace('...) @printf(i8* get', '...) @shim_printf(i8* get')
    .replace('= call %struct.s @"make it"', '= call %struct.s @shim.make')
    .replace('call void @known(', 'call void @kfree_rcu(')
    .replace('@kfree(i8*) #0\n', '@kfree(i8*) #0\ndeclare void @shim_kfree(i8*) #0\n')
    .replace('@printf(i8*, ...)\n', '@printf(i8*, ...)\ndeclare i32 @shim_printf(i8*, ...)\n')
    .replace('@"make it"(i32)\n', '@"make it"(i32)\ndeclare %struct.s @shim.make(i32)\n');
  t.equal(text, expected);
  t.strictSame(
    report.renamed.map(({ from, to, lines }) => [from, to, lines.length]),
    [
      ['kfree', 'shim_kfree', 3],
      ['known', 'kfree_rcu', 1],
      ['make it', 'shim.make', 1],
      ['printf', 'shim_printf', 1],
    ],
  );
  t.strictSame(
    report.findings.map(({ kind, name }) => `${kind} ${name}`.trim()),
    [
      'value kfree',
      'value own',
      'indirect-call',
      'assembly',
      'indirect-call',
      'value kfree',
      'value kfree',
      'undecided-call kfree_rcu',
      'own-function own',
    ],
  );
});

t.test('LLVM takes the result', async (t) => {
  if (spawnSync('llvm-as', ['--version']).error !== undefined) {
    t.pass('llvm-as is not here', { skip: true });
    return;
  }
  const assemble = (input: string): string =>
    spawnSync('llvm-as', ['-o', '/dev/null'], { input, encoding: 'utf8' }).stderr;
  t.equal(assemble(MODULE), '', 'the module itself is one');
  t.equal(assemble(renameLlvm(MODULE, MAPPING).text), '');
  t.equal(assemble(renameLlvm(renameLlvm(MODULE, MAPPING).text, MAPPING).text), '', 'twice');
});

t.test('a declaration is not made twice, and not when the module has the name', async (t) => {
  const text =
    'declare void @a()\ndeclare void @b()\ndefine void @f() {\n call void @a()\n call void @b()\n ret void\n}\n';
  const both = renameLlvm(
    text,
    new Map([
      ['a', 'c'],
      ['b', 'c'],
    ]),
  ).text;
  t.equal(both.split('declare void @c()').length, 2);
  t.notMatch(renameLlvm(text, new Map([['a', 'b']])).text, /declare void @b\(\)\ndeclare void @b/);
});

t.test('debug information of a declaration stays with its old name', async (t) => {
  const text =
    'declare !dbg !5 void @a()\ndefine void @f() {\n call void @a(), !dbg !6\n ret void\n}\n';
  t.match(
    renameLlvm(text, new Map([['a', 'b']])).text,
    'declare !dbg !5 void @a()\ndeclare void @b()\n',
  );
});

t.test('CRLF stays CRLF', async (t) => {
  const text = 'declare void @a()\r\ndefine void @f() {\r\n call void @a()\r\n}\r\n';
  const { text: after } = renameLlvm(text, new Map([['a', 'b']]));
  t.equal(after.split('\n').filter((line) => line !== '' && !line.endsWith('\r')).length, 0);
});

t.test('hostile text ends soon', async (t) => {
  const size = 1 << 20;
  const began = process.cpuUsage();
  for (const unit of [
    'call ',
    'call (',
    'call @a(',
    '(',
    ')',
    '"',
    '@"',
    'call @a to ',
    '%',
    ';',
    '\n',
    'declare @a(',
    'call ()',
  ])
    renameLlvm(unit.repeat(size / unit.length), MAPPING);
  const { user } = process.cpuUsage(began);
  t.ok(user < 20e6, `${user / 1e6} s of a processor`);
});

t.test('whatever the text is, only callees change', async (t) => {
  const word = fc.constantFrom(
    'call ',
    '@kfree',
    '@printf',
    '(',
    ')',
    'void ',
    '\n',
    '"',
    ';',
    'define ',
    '%x',
    ', ',
    'asm ',
    ' = ',
    '[',
    ']',
    '{',
    '!dbg ',
  );
  // Without declarations, nothing is added: taking the new names back gives the text.
  fc.assert(
    fc.property(fc.array(word, { maxLength: 50 }), (words) => {
      const text = words.join('');
      return renameLlvm(text, MAPPING).text.replaceAll('@shim_', '@') === text;
    }),
    { numRuns: 1000 },
  );
  t.strictSame(readLlvm('').calls, []);
});
