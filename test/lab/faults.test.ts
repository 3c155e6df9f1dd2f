/** The faults that the lab plants fit the sources as they are, and are caught by cases that there are. */

import { readFileSync } from 'node:fs';
import t from 'tap';
import { FAULTS } from '../../scripts/lab/faults.ts';
import { CASES } from './cases/index.ts';

for (const { name, caughtBy, edits } of FAULTS) {
  t.test(name, async (t) => {
    t.ok(
      CASES.some((one) => one.name === caughtBy && (one.boot ?? 1) === 1),
      `${caughtBy} is a case of the first boot`,
    );
    for (const { file, from, to } of edits) {
      t.equal(readFileSync(file, 'utf8').split(from).length, 2, `${file}: ${from}`);
      t.not(from, to);
    }
  });
}

t.test('each name is given once', async (t) => {
  for (const names of [FAULTS, CASES].map((all) => all.map(({ name }) => name)))
    t.equal(new Set(names).size, names.length);
});
