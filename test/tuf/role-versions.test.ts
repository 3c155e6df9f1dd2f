// What a snapshot lists, seen with changes, must be what a map with these changes would say.

import fc from 'fast-check';
import t from 'tap';
import { RoleVersions } from '../../shared/tuf/role-versions.ts';

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
