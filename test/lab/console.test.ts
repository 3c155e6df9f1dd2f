/** Whose line it is, when two machines run side by side. */

import t from 'tap';
import { consoleOf } from '../../scripts/lab/console.ts';

t.test('each line bears the name of its machine, and is written whole', async (t) => {
  const written: string[] = [];
  const [lab, stock] = ['lab', 'stock'].map((machine) =>
    consoleOf(machine, (text) => written.push(text)),
  );
  lab?.('hello');
  stock?.('| a line of its own');
  lab?.('');
  t.strictSame(written, ['lab | hello\n', 'stock | | a line of its own\n', 'lab | \n']);
});
