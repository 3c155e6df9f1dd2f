/** Names of blobs are durable before a submission rests on them: at once, half given, after a restart. */

import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { BlobIndex } from '../../server/db/blob-index.ts';
import { openDatabase } from '../../server/db/open.ts';
import { writeBatch } from '../../server/intake/receive-batch.ts';
import { Quarantine } from '../../server/storage/quarantine.ts';
import { utf8 } from '../../shared/bytes.ts';
import { TODAY } from '../support/clock.ts';
import { sha256 } from '../support/repository.ts';
import { temporaryHome } from './support.ts';

/** A quarantine; `hide` takes its folder away, so that a wait for the disk fails and is seen. */
function place(t: Test) {
  const home = temporaryHome(t);
  const db = openDatabase(join(home, 'state.sqlite'));
  t.teardown(() => db.close());
  const quarantine = new Quarantine(home);
  const write = (...texts: string[]) =>
    writeBatch(
      quarantine,
      new BlobIndex(db),
      TODAY,
      'acme',
      texts.map((text) => ({ sha256: sha256(utf8(text)), bytes: utf8(text) })),
    );
  const folder = quarantine.folder('acme');
  const hide = () => renameSync(folder, `${folder}.hidden`);
  return { home, quarantine, write, hide };
}

t.test('two submissions at once both wait for the disk', async (t) => {
  const { quarantine, write, hide } = place(t);
  await write('one');
  hide();
  const ended = await Promise.allSettled([quarantine.settle('acme'), quarantine.settle('acme')]);
  t.strictSame(
    ended.map(({ status }) => status),
    ['rejected', 'rejected'],
    'and both hear that it failed',
  );
  await t.rejects(quarantine.settle('acme'), 'what failed is asked for again');
});

t.test('a batch that ends half way', async (t) => {
  const { quarantine, write, hide } = place(t);
  await quarantine.prepare('acme');
  mkdirSync(quarantine.path('acme', sha256(utf8('two'))));
  await t.rejects(write('one', 'two'), 'a folder has the name of the second');
  t.equal(await quarantine.length('acme', sha256(utf8('one'))), 3, 'the first is here');
  hide();
  await t.rejects(quarantine.settle('acme'), 'and its name is made durable');
});

t.test('names that a service gave before it was killed', async (t) => {
  const { home, quarantine, write, hide } = place(t);
  await write('one');
  await quarantine.settle('acme');
  const next = new Quarantine(home);
  t.equal(await next.length('acme', sha256(utf8('one'))), 3);
  hide();
  await t.rejects(next.settle('acme'), 'nobody knows whether they are durable');
});
