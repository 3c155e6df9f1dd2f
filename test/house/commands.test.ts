/** The page of commands is what the commands say of themselves today. */

import { readFileSync } from 'node:fs';
import t from 'tap';
import { commandsPage, PAGE, PROGRAMS } from '../../scripts/docs/commands.ts';

t.test('docs/reference/commands.md is up to date', async (t) => {
  const page = readFileSync(PAGE, 'utf8');
  t.equal(page, commandsPage(PROGRAMS), 'otherwise: node scripts/docs/commands.ts');
});

t.test('the page has every command, with all of its options and examples', async (t) => {
  const page = readFileSync(PAGE, 'utf8');
  for (const { name, commands } of PROGRAMS) {
    for (const command of commands) {
      const [, section = ''] = page.split(`\n### ${name} ${command.name}\n`);
      const [text = ''] = section.split(/^##+ /m);
      for (const { flags } of command.options ?? []) t.match(text, `| \`${flags}\` |`, flags);
      for (const example of command.examples) t.match(text, `\n${example}\n`, example);
    }
  }
});
