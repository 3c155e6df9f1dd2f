/** What a folder remembers of what it signed: as long as it may be published, and no longer. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { BinLog, type SignedBinLine } from '../../publisher/rebase/bin-log.ts';
import { vendorFolder } from '../../shared/layout.ts';

const ROLE = 'acme.b1-0';
const line = (version: number, says: string, role = ROLE): SignedBinLine => ({
  ...{ role, version },
  says: says.repeat(64),
});

async function logOf(t: Test, lines: readonly SignedBinLine[]): Promise<BinLog> {
  const dir = t.testdir({ signed: {} });
  for (const one of lines) await (await BinLog.load(dir)).add([one]);
  return await BinLog.load(dir);
}

t.test('of many changes that wait each is known, and what they are built on', async (t) => {
  const waiting = ['b', 'c', 'd', 'e'].map((says) => line(2, says));
  const log = await logOf(t, [line(1, 'a'), ...waiting]);
  for (const one of [line(1, 'a'), ...waiting]) t.ok(log.knows(one) && log.signed(one));
});

t.test('what was signed long ago is not known in a later version', async (t) => {
  const log = await logOf(t, [line(1, 'a'), line(2, 'b'), line(3, 'c'), line(3, 'd')]);
  t.notOk(log.knows(line(4, 'b')), 'a thief who brings it back');
  t.notOk(log.knows(line(1, 'a')), 'nor is it kept');
  t.ok(log.knows(line(2, 'b')), 'as the version that it was');
  t.ok(log.knows(line(4, 'c')), 'one of the last two, renewed elsewhere');
  t.notOk(log.signed(line(4, 'c')), 'though not signed so here');
});

t.test('the own role is no role below it', async (t) => {
  const log = await logOf(t, [line(1, 'a', 'acme')]);
  t.ok(log.isEmpty);
  t.ok(log.signed(line(1, 'a', 'acme')));
});

t.test('it does not grow without end', async (t) => {
  const dir = t.testdir({ signed: {} });
  const lines = Array.from({ length: 5_000 }, (_, at) => line(at + 1, 'abcdef'.charAt(at % 6)));
  await (await BinLog.load(dir)).add(lines);
  const log = await BinLog.load(dir);
  t.ok(log.signed(line(5_000, 'b')));
  const text = await readFile(join(dir, vendorFolder.signedBins), 'utf8');
  t.ok(text.split('\n').length < 10, 'what nobody asks for is gone');
});
