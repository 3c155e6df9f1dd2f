import t from 'tap';
import { formatBytes, table } from '../../shared/cli/table.ts';

t.test('columns', async (t) => {
  t.equal(table([['a', 'bb', 'c'], ['ééé', '', 'd'], ['x']]), 'a    bb  c\nééé      d\nx');
  t.equal(table([['a', 'b']], '  '), '  a  b');
  t.equal(table([]), '');
});

t.test('amounts', async (t) => {
  t.equal(formatBytes(0), '0 B');
  t.equal(formatBytes(1023), '1023 B');
  t.equal(formatBytes(1024), '1.0 KiB');
  t.equal(formatBytes(1536 * 1024), '1.5 MiB');
  t.equal(formatBytes(1024 ** 3), '1.0 GiB');
});
