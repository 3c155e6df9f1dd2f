/** What may become of an index: versions are added and promoted, and what is withdrawn stays so. */

import t from 'tap';
import {
  promoted,
  verifyFollows,
  withdrawn,
  withEntry,
} from '../../shared/product/change-index.ts';
import type { ProductIndex } from '../../shared/product/index-file.ts';
import { TODAY } from '../support/clock.ts';
import { entry, index } from './support.ts';

const PRODUCT = { vendor: 'acme', product: 'edu' };
const two = index(entry('1.0.0', { generation: 2 }), entry('1.1.0', { generation: 2 }));
const bad = { at: TODAY, reason: 'bad' };

t.test('a version is added once, and never behind the generation that stands', async (t) => {
  const first = withEntry(undefined, PRODUCT, entry('1.0.0'));
  t.match(first, { revision: 1, entries: [{ version: '1.0.0' }] });
  const second = withEntry(first, PRODUCT, entry('1.1.0', { generation: 2 }));
  t.strictSame(
    [second.revision, second.entries.map(({ version }) => version)],
    [2, ['1.0.0', '1.1.0']],
  );
  const add =
    (change: Parameters<typeof entry>[1], version = '1.0.0') =>
    () =>
      withEntry(second, PRODUCT, entry(version, change));
  t.throws(add({}), { code: 'E_NOTHING_TO_DO' });
  t.throws(add({ sha256: 'b'.repeat(64) }), { code: 'E_EXISTS' });
  t.throws(add({}, '2.0.0'), { code: 'E_VERSION' });
  const gone = withdrawn(second, '1.0.0', bad);
  t.throws(() => withEntry(gone, PRODUCT, entry('1.0.0')), { code: 'E_WITHDRAWN' });
});

t.test('a version is promoted, with all of its files', async (t) => {
  const files = index(
    entry('1.0.0', { channel: 'testing' }),
    entry('1.0.0', { channel: 'testing', path: 'acme/edu/1.0.0/other.js' }),
    entry('1.1.0', { channel: 'testing' }),
  );
  const after = promoted(files, '1.0.0', { channel: 'stable', rolloutPercent: 10 });
  t.strictSame(
    after.entries.map(({ channel, rolloutPercent }) => [channel, rolloutPercent]),
    [
      ['stable', 10],
      ['stable', 10],
      ['testing', 100],
    ],
  );
  t.equal(after.revision, 2);
  t.doesNotThrow(() => verifyFollows(files, after));
  t.throws(() => promoted(after, '1.0.0', { rolloutPercent: 10 }), { code: 'E_NOTHING_TO_DO' });
  t.throws(() => promoted(after, '3.0.0', {}), { code: 'E_TARGET_UNKNOWN' });
});

t.test('what is withdrawn stays withdrawn', async (t) => {
  const gone = withdrawn(two, '1.0.0', { ...bad, supersededBy: '1.1.0' });
  t.match(gone.entries, [{ withdrawn: { reason: 'bad', supersededBy: '1.1.0' } }, {}]);
  t.doesNotThrow(() => verifyFollows(two, gone));
  t.throws(() => withdrawn(gone, '1.0.0', bad), { code: 'E_NOTHING_TO_DO' });
  t.throws(() => promoted(gone, '1.0.0', { rolloutPercent: 50 }), { code: 'E_WITHDRAWN' });
  t.throws(() => withdrawn(gone, '1.1.0', { ...bad, supersededBy: '1.0.0' }), { code: 'E_USAGE' });
  t.throws(() => withdrawn(two, '1.1.0', { ...bad, supersededBy: '9' }), {
    code: 'E_TARGET_UNKNOWN',
  });
});

t.test('an index that may not follow', async (t) => {
  const gone = withdrawn(two, '1.0.0', bad);
  const [first, second] = two.entries as [ReturnType<typeof entry>, ReturnType<typeof entry>];
  const next = (...entries: ReturnType<typeof entry>[]): ProductIndex => ({
    ...index(...entries),
    revision: 7,
  });
  const cases: [name: string, code: string, before: ProductIndex, after: ProductIndex][] = [
    ['the same revision with other words', 'E_ROLLBACK', two, { ...gone, revision: 1 }],
    ['an older revision', 'E_ROLLBACK', gone, { ...two, revision: 1 }],
    ['one that forgets a version', 'E_CONFLICT', two, next(first)],
    ['one that forgets the first', 'E_CONFLICT', two, next(second)],
    ['one in another order', 'E_CONFLICT', two, next(second, first)],
    ['other bytes', 'E_CONFLICT', two, next({ ...first, sha256: 'c'.repeat(64) }, second)],
    ['another generation', 'E_CONFLICT', two, next({ ...first, generation: 1 }, second)],
    [
      'other devices',
      'E_CONFLICT',
      two,
      next({ ...first, devices: [{ vendor: 1, device: 1 }] }, second),
    ],
    ['one that brings a version back', 'E_WITHDRAWN', gone, next(first, second)],
    [
      'one that gives another reason',
      'E_WITHDRAWN',
      gone,
      next({ ...first, withdrawn: { ...bad, reason: 'fine' } }, second),
    ],
  ];
  for (const [name, code, before, after] of cases)
    t.throws(() => verifyFollows(before, after), { code }, name);
});
