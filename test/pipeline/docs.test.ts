// The page about pattern files: its example is one, and its table names every kind of finding.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { parsePattern } from '../../publisher/pipeline/pattern/pattern.ts';
import { FINDINGS } from '../../publisher/pipeline/report.ts';
import { utf8 } from '../../shared/bytes.ts';

const page = readFileSync(new URL('../../docs/reference/pattern-file.md', import.meta.url), 'utf8');

t.test('the example is a pattern', async (t) => {
  const [, example = ''] = /```toml\n(.*?)```/s.exec(page) ?? [];
  const { mapping, patches, notes } = parsePattern(utf8(example));
  t.equal(mapping.size, 3);
  t.equal(patches.length, 1);
  t.strictSame(notes, []);
});

t.test('the findings are those of the table, in both directions', async (t) => {
  const named = [...page.matchAll(/^\| `([a-z-]+)` \| (?!text|words|a number|true|whether)/gm)].map(
    ([, name]) => name,
  );
  t.strictSame(named.toSorted(), Object.keys(FINDINGS).toSorted());
});
