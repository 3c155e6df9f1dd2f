// What a snapshot lists, seen with changes, must be what a map with these changes would say.

import fc from 'fast-check';
import t from 'tap';
import { RoleVersions } from '../../shared/tuf/role-versions.ts';
import { roleNames, SnapshotRoles } from '../../shared/tuf/snapshot-roles.ts';

t.test('as a map that was copied and changed', async (t) => {
  const role = fc.constantFrom<string>('a', 'b', 'c', 'd', '__proto__', 'constructor');
  const versions = fc.array(fc.tuple(role, fc.integer({ min: 1 })));
  fc.assert(
    fc.property(versions, versions, (listed, changed) => {
      const standing = new Map(listed.map(([role, version]) => [role, { version }]));
      const changes = new Map(changed);
      const copy = new Map([...new Map(listed), ...changes]);
      const view = new RoleVersions(standing, changes);
      const seen: [string, number][] = [];
      view.forEach((version, role, map) => {
        if (map.get(role) !== version) throw new Error(`${role} is two things`);
        seen.push([role, version]);
      });
      for (const role of ['a', 'b', 'c', 'd', '__proto__', 'constructor', 'toString'])
        if (view.get(role) !== copy.get(role) || view.has(role) !== copy.has(role)) return false;
      const say = JSON.stringify;
      return (
        view.size === copy.size &&
        say([...view]) === say([...copy]) &&
        say([...view.entries()]) === say(seen) &&
        say([...view.keys()]) === say([...copy.keys()]) &&
        say([...view.values()]) === say([...copy.values()])
      );
    }),
  );
  t.pass('whatever is listed and changed');
});

t.test('what went back, as each role by itself says it', async (t) => {
  const names = ['a', 'b', 'c', '__proto__'];
  const role = fc.constantFrom(...names);
  const versions = fc.array(fc.tuple(role, fc.integer({ min: 1, max: 3 })));
  const changes = fc.oneof(fc.constant([]), versions);
  const shared = roleNames(names.map((name) => `${name}.json`));
  /** A map; or what is read of a snapshot, of all roles and with names that others share. */
  const listedBy = (entries: readonly [string, number][], kind: 'map' | 'own' | 'shared') => {
    const map = new Map(entries.map(([name, version]) => [name, { version }]));
    if (kind === 'map') return map;
    const files = names.map((name) => ({
      version: map.get(name)?.version ?? 1,
      length: undefined,
      hashes: undefined,
    }));
    return new SnapshotRoles(kind === 'shared' ? shared : roleNames(shared.files), files);
  };
  const kind = fc.constantFrom('map' as const, 'own' as const, 'shared' as const);
  const side = fc.tuple(versions, kind, changes);
  let back = 0;
  fc.assert(
    fc.property(side, side, ([a, kindA, changedA], [b, kindB, changedB]) => {
      const before = new RoleVersions(listedBy(a, kindA), new Map(changedA));
      const after = new RoleVersions(listedBy(b, kindB), new Map(changedB));
      const expected = [...before]
        .map(([role, version]) => ({ role, version, offered: after.get(role) }))
        .filter(({ version, offered }) => offered === undefined || offered < version);
      back += expected.length;
      t.strictSame([...after.wentBack(before)], expected);
      t.strictSame([...after.wentBack(new Map(before))], expected);
      t.strictSame([...after.wentBack(after)], []);
    }),
    { numRuns: 300 },
  );
  t.ok(back > 100);
});
