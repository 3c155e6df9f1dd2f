// A snapshot that is written straight from its roles must be the canonical form of its tree.

import fc from 'fast-check';
import t from 'tap';
import { canonicalBytes } from '../../shared/json/canonical.ts';
import { snapshotTree } from '../../shared/tuf/build.ts';
import { canonicalSnapshot } from '../../shared/tuf/canonical-snapshot.ts';
import { TODAY } from '../support/clock.ts';

const same = (roles: ReadonlyMap<string, number>): boolean =>
  Buffer.from(canonicalSnapshot(7, TODAY, roles)).equals(
    canonicalBytes(snapshotTree(7, TODAY, roles)),
  );

t.test('whatever the names are, and whatever their order', async () => {
  const name = fc.oneof(
    fc.stringMatching(/^[a-z0-9.-]{1,8}$/),
    fc.constantFrom('a"b', 'a\\b', 'é', '\u{10000}', '\uffff', '', '__proto__', 'a.b', 'a-b', 'a'),
  );
  const roles = fc.uniqueArray(fc.tuple(name, fc.integer({ min: 1 })), {
    selector: ([role]) => role,
  });
  fc.assert(fc.property(roles, (entries) => same(new Map(entries))));
  fc.assert(
    fc.property(roles, (entries) => same(new Map(entries.sort(([a], [b]) => (a < b ? -1 : 1))))),
  );
});

t.test('none, and thousands', async (t) => {
  t.ok(same(new Map()));
  const bins = Array.from({ length: 16_384 }, (_, i) => i.toString(16).padStart(4, '0'));
  t.ok(same(new Map(bins.map((bin, i) => [`acme.b14-${bin}`, i + 1]))));
  t.throws(() => canonicalSnapshot(1, TODAY, new Map([['a', 1.5]])), { code: 'E_SCHEMA' });
});
