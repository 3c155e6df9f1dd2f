/** The table of codes and the page about them say the same, in both directions. */

import { readFileSync } from 'node:fs';
import t from 'tap';
import { exitStatuses } from '../../shared/cli/errors.ts';
import { CODES, type Code, docsAnchor } from '../../shared/errors.ts';

const page = readFileSync(new URL('../../docs/reference/errors.md', import.meta.url), 'utf8');
const codes = Object.keys(CODES) as Code[];

/** Code → the text under its heading. */
const sections = new Map(
  page
    .split(/^### /m)
    .slice(1)
    .map((section): [string, string] => {
      const [heading = '', ...rest] = section.split('\n');
      return [heading, rest.join('\n').replace(/^## [\s\S]*/m, '')];
    }),
);

t.test(
  'every code has a section and every section is of a code, in the order of the table',
  async (t) => {
    t.strictSame(Array.from(sections.keys()), codes);
  },
);

t.test('a code stands under the heading that its anchor points to', async (t) => {
  for (const code of codes)
    t.equal(docsAnchor(code), `docs/reference/errors.md#${code.toLowerCase()}`);
});

t.test('a section says what the table says, a cause, and what to do', async (t) => {
  for (const code of codes) {
    const { meaning, exit, http } = CODES[code];
    const section = sections.get(code) ?? '';
    const sentence = `${meaning.charAt(0).toUpperCase()}${meaning.slice(1)}.`;
    t.equal(section.trim().split('\n')[0], sentence, `${code}: its meaning`);
    t.match(section, `- Exit status ${exit}, HTTP status ${http}.\n`, `${code}: its statuses`);
    t.match(section, /^- Usual cause: \S.{20,}$/m, `${code}: a cause`);
    t.match(section, /^- What to do: \S.{5,}$/m, `${code}: what to do`);
  }
});

t.test('the table of exit statuses', async (t) => {
  const rows = Array.from(
    page.matchAll(/^\| (\d+) \| ([^|]+) \|([^|]*)\|$/gm),
    ([, status, , cell]) => [Number(status), (cell as string).match(/E_[A-Z_]+/g) ?? []],
  );
  t.strictSame(rows, [[0, []], ...exitStatuses()]);
});

t.test('no other code is spoken of', async (t) => {
  const named = new Set(page.match(/\bE_[A-Z_]+\b/g));
  t.strictSame(Array.from(named).sort(), codes.toSorted());
});
