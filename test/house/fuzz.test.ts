// Every parser of bytes is fuzzed, or it is said why not.

import { globSync, readFileSync } from 'node:fs';
import t from 'tap';
import { MOST, mutate, numbers } from '../../scripts/fuzz/mutate.ts';
import { TARGETS, WITHOUT } from '../../scripts/fuzz/targets.ts';

const PARSER = /^export function (parse\w*)\(\s*(?:\w+): Uint8Array/gm;

t.test('each parser of bytes has a row, and each row a parser', async (t) => {
  const files = globSync('{shared,client,server,publisher,agent}/**/*.ts', {
    cwd: new URL('../..', import.meta.url),
  });
  const found = files.flatMap((file) => {
    const text = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
    return Array.from(text.matchAll(PARSER), ([, name]) => `${file.replaceAll('\\', '/')}#${name}`);
  });
  t.ok(found.length > 20, 'the sources were read');
  const rows = [...TARGETS.map(({ name }) => name), ...Object.keys(WITHOUT)];
  t.strictSame(
    found.filter((name) => !rows.includes(name)),
    [],
    'add a row to scripts/fuzz/targets.ts',
  );
  // A statement is read from an envelope; its row gives it one.
  const others = ['shared/evidence/statement.ts#parseStatement'];
  t.strictSame(
    rows.filter((name) => !found.includes(name) && !others.includes(name)),
    [],
    'a row about nothing',
  );
  t.equal(new Set(rows).size, rows.length);
});

t.test('mutations are the same for the same seed, and never too large', async (t) => {
  const [seed, other] = [Buffer.from('{"a":[1,2,3]}'), Buffer.from('{"b":"c"}')];
  const run = (start: number): string[] => {
    const next = numbers(start);
    return Array.from({ length: 500 }, () =>
      Buffer.from(mutate(seed, other, next)).toString('latin1'),
    );
  };
  const first = run(7);
  t.strictSame(run(7), first);
  t.notSame(run(8), first);
  t.ok(new Set(first).size > 300, 'they differ');
  t.ok(first.every((text) => text.length <= MOST));
  t.ok(
    first.some((text) => text.length > 1000),
    'some are large',
  );
});
