// Whether repositories agree (TAP 4): each answer that they can give together, and what it means.

import t from 'tap';
import { IronError } from '../../shared/errors.ts';
import type { MapFile, Mapping } from '../../shared/tuf/map-file.ts';
import { type Agreement, agree, type Word } from '../../shared/verify/agreement.ts';

const PATH = 'acme/edu/1.0.0/edu.js';
const X = { length: 1, hashes: new Map([['sha256', 'a'.repeat(64)]]) };
const Y = { length: 1, hashes: new Map([['sha256', 'b'.repeat(64)]]) };
const listed = (entry: typeof X, ...keys: string[]): Word => ({
  kind: 'listed',
  entry,
  rootKeys: new Set(keys),
});
const absent: Word = { kind: 'absent' };
const failed: Word = { kind: 'failed', error: new IronError('E_NETWORK', 'no route') };
const denied: Word = {
  kind: 'denied',
  error: new IronError('E_WITHDRAWN', 'it was withdrawn', { why: 'loses writes' }),
};

type Words = Readonly<Record<string, Word>>;
interface Row {
  readonly words: Words;
  readonly threshold: number;
  readonly terminating?: boolean;
  readonly paths?: readonly string[];
}

function run(rows: readonly Row[], path = PATH): Agreement & { readonly asked: number } {
  const mapping = rows.map(
    ({ words, threshold, terminating = false, paths = ['*/*/*/*'] }): Mapping => ({
      ...{ threshold, terminating, paths },
      repositories: Object.keys(words),
    }),
  );
  const map: MapFile = { repositories: new Map(), mapping };
  const decision = agree(map, path);
  let asked = 0;
  let step = decision.next();
  while (!step.done) {
    asked++;
    const row = rows[mapping.indexOf(step.value)] as Row;
    step = decision.next(new Map(Object.entries(row.words)));
  }
  return { ...step.value, asked };
}

t.test('enough that say the same', async (t) => {
  const both = { a: listed(X, 'ka'), b: listed(X, 'kb') };
  t.strictSame(run([{ words: both, threshold: 2 }]).agreed, ['a', 'b']);
  const others = { ...both, c: failed, d: absent, e: listed(Y, 'ke') };
  t.strictSame(run([{ words: others, threshold: 2 }]).agreed, ['a', 'b']);
  t.strictSame(run([{ words: { a: failed, b: listed(X, 'k') }, threshold: 1 }]).agreed, ['b']);
});

t.test('too few, or not the same', async (t) => {
  const cases: [name: string, words: Words, threshold: number, says: RegExp][] = [
    ['another hash', { a: listed(X, 'ka'), b: listed(Y, 'kb') }, 2, /too few.*a: 1 bytes.*b: 1/],
    ['another length', { a: listed(X, '1'), b: listed({ ...X, length: 2 }, '2') }, 2, /too few/],
    [
      'a hash more',
      {
        a: listed(X, '1'),
        b: listed({ ...X, hashes: new Map([...X.hashes, ['sha512', '0']]) }, '2'),
      },
      2,
      /too few/,
    ],
    ['one lists nothing', { a: listed(X, 'ka'), b: absent }, 2, /b: does not list it/],
    ['one cannot be asked', { a: listed(X, 'ka'), b: failed }, 2, /b: E_NETWORK, no route/],
    ['no word at all', { a: failed, b: failed }, 1, /2 of its repositories could not be asked/],
    ['one root under two names', { a: listed(X, 'k', 'l'), b: listed(X, 'l') }, 2, /too few/],
    [
      'two groups that are each large enough',
      { a: listed(X, '1'), b: listed(X, '2'), c: listed(Y, '3'), d: listed(Y, '4') },
      2,
      /contradict/,
    ],
    ['two groups of one', { a: listed(X, '1'), b: listed(Y, '2') }, 1, /contradict/],
  ];
  for (const [name, words, threshold, says] of cases) {
    t.throws(() => run([{ words, threshold }]), { code: 'E_NOT_AGREED', why: says }, name);
  }
  const nobody = { words: { a: absent, b: absent }, threshold: 1 };
  t.throws(() => run([nobody]), { code: 'E_TARGET_UNKNOWN', why: /a: does not list it/ });
});

t.test('mappings in order: the next one only when this one has no answer', async (t) => {
  const next: Row = { words: { z: listed(Y, 'kz') }, threshold: 1 };
  const first = (words: Words, more: object = {}): Row => ({ words, threshold: 2, ...more });
  const agreeing = { a: listed(X, 'ka'), b: listed(X, 'kb') };
  t.equal(run([first(agreeing), next]).asked, 1, 'the first that agrees');
  // TAP 4, searching 5.2
  for (const words of [
    { a: absent, b: absent },
    { a: listed(X, 'ka'), b: absent },
    { a: listed(X, 'ka'), b: listed(Y, 'kb') },
  ]) {
    t.strictSame(run([first(words), next]).agreed, ['z']);
    // TAP 4, searching 5.1
    t.throws(() => run([first(words, { terminating: true }), next]), /./);
  }
  const other = first({ a: denied, b: denied }, { paths: ['other/*/*/*'] });
  t.equal(run([other, next]).asked, 1, 'a mapping for other paths is not asked');
  t.throws(() => run([other]), { code: 'E_TARGET_UNKNOWN', why: /no mapping has a pattern/ });
});

t.test('who keeps a repository from being heard does not reach the next mapping', async (t) => {
  const next: Row = { words: { z: listed(Y, 'kz') }, threshold: 1 };
  for (const words of [
    { a: failed, b: listed(X, 'kb') },
    { a: failed, b: failed },
  ])
    t.throws(() => run([{ words, threshold: 2 }, next]), { code: 'E_NOT_AGREED' });
  // Whatever a would have said, two of them do not list it.
  const decided = { words: { a: failed, b: absent }, threshold: 2 };
  t.strictSame(run([decided, next]).agreed, ['z']);
});

t.test('one that denies it is not outvoted', async (t) => {
  const words = { a: listed(X, 'ka'), b: listed(X, 'kb'), c: denied };
  t.throws(() => run([{ words, threshold: 2 }]), {
    code: 'E_WITHDRAWN',
    message: 'c: it was withdrawn',
    why: 'loses writes',
    context: { repository: 'c' },
  });
});

t.test('patterns are those of delegations, and paths those of targets', async (t) => {
  const words = { a: listed(X, 'ka') };
  for (const pattern of ['*', 'acme/*', '*/*/*', 'acme/edu/*'])
    t.throws(() => run([{ words, threshold: 1, paths: [pattern] }]), /no repository/, pattern);
  for (const pattern of ['acme/*/*/*', '*/*/*/*', 'acme/edu/?.0.0/edu.js'])
    t.strictSame(run([{ words, threshold: 1, paths: ['x', pattern] }]).agreed, ['a'], pattern);
  for (const path of ['', '../x', 'a//b', '/a'])
    t.throws(() => run([{ words, threshold: 1 }], path), { code: 'E_NAME' }, path);
});
