// A snapshot's entries: what is plain is read in one step, and what is not is refused with its place.

import fc from 'fast-check';
import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { parseSnapshot, type Snapshot } from '../../shared/tuf/snapshot.ts';
import { SnapshotRoles } from '../../shared/tuf/snapshot-roles.ts';
import { parseFloors } from '../../shared/verify/floors.ts';

const parse = (meta: string, before?: Snapshot): Snapshot =>
  parseSnapshot(
    utf8(
      `{"signatures":[],"signed":{"_type":"snapshot","expires":"2030-01-01T00:00:00Z","meta":${meta},"spec_version":"1.0.34","version":3}}`,
    ),
    undefined,
    before,
  );
const sha256 = 'a'.repeat(64);

t.test('entries, plain and not', async (t) => {
  const { roles } = parse(
    `{"targets.json":{"version":1},"a.json":{"version":9007199254740991,"x":[]},"b.json":{"length":5,"version":2},"__proto__.json":{"version":3},"c.json":{"hashes":{"sha256":"${sha256}"},"version":4}}`,
  );
  t.strictSame([...roles.keys()], ['targets', 'a', 'b', '__proto__', 'c']);
  t.strictSame(roles.get('targets'), { version: 1, length: undefined, hashes: undefined });
  t.strictSame(roles.get('a')?.version, Number.MAX_SAFE_INTEGER, 'unknown fields are left alone');
  t.strictSame(roles.get('b'), { version: 2, length: 5, hashes: undefined });
  t.strictSame(roles.get('c')?.hashes, new Map([['sha256', sha256]]));
});

t.test('what is no entry', async (t) => {
  const cases: [entry: string, says: RegExp][] = [
    ['{}', /meta\.a\.json: the field "version" is missing/],
    ['{"version":0}', /meta\.a\.json\.version: an integer from 1/],
    ['{"version":-1}', /an integer from 1/],
    ['{"version":"1"}', /an integer is expected/],
    ['{"version":null}', /an integer is expected/],
    ['{"version":true}', /an integer is expected/],
    ['{"version":[1]}', /an integer is expected/],
    ['1', /an object is expected/],
    ['null', /an object is expected/],
    ['[]', /an object is expected/],
    ['{"version":1,"length":-1}', /length: an integer from 0/],
    ['{"version":1,"length":null}', /length: an integer/],
    ['{"version":1,"hashes":{}}', /no sha256 or sha512/],
    ['{"version":1,"hashes":null}', /an object is expected/],
    ['{"version":1,"hashes":{"sha256":"a"}}', /not a sha256 digest/],
  ];
  for (const [entry, says] of cases)
    t.throws(() => parse(`{"a.json":${entry}}`), { code: 'E_SCHEMA', message: says }, entry);
  for (const file of ['', 'a', '.json', 'a.JSON', 'a.json '])
    t.throws(() => parse(`{"${file}":{"version":1}}`), { code: 'E_SCHEMA' }, file);
  t.throws(() => parse('{"a.json":{"version":1.5}}'), { code: 'E_JSON' });
  t.throws(() => parse('{"a.json":{"version":1},"a.json":{"version":2}}'), { code: 'E_JSON' });
  t.throws(() => parse('[]'), { code: 'E_SCHEMA' });
});

t.test('the floors of roles likewise', async (t) => {
  const floors = (roles: string) =>
    parseFloors(
      utf8(`{"schema":"ironport.floors/v1","root":1,"timestamp":1,"snapshot":1,"roles":${roles}}`),
    ).roles;
  t.strictSame(
    floors('{"a":1,"__proto__":2}'),
    new Map([
      ['a', 1],
      ['__proto__', 2],
    ]),
  );
  for (const bad of ['{"a":0}', '{"a":-1}', '{"a":"1"}', '{"a":null}', '{"a":{}}', '[]', '1'])
    t.throws(() => floors(bad), { code: 'E_SCHEMA' }, bad);
});

t.test('read after another one, it says the same as alone', async (t) => {
  const role = fc.constantFrom('a', 'b', 'acme.b1-0', '__proto__', 'constructor');
  const entry = fc.oneof(
    fc.record({ version: fc.integer({ min: 1, max: 12 }) }),
    fc.record({ length: fc.nat(9), version: fc.integer({ min: 1, max: 3 }) }),
  );
  const meta = fc.array(fc.tuple(role, entry)).map((entries) => {
    const said = new Map(entries.map(([name, value]) => [`${name}.json`, JSON.stringify(value)]));
    return [...said].map(([name, value]) => `"${name}":${value}`);
  });
  const read = (entries: readonly string[], before?: ReturnType<typeof parse>) =>
    parse(`{${entries.join()}}`, before);
  let shared = 0;
  fc.assert(
    fc.property(meta, meta, fc.boolean(), (first, second, isAlike) => {
      const versions = first.map((text) => text.replace(/version":\d+/, 'version":7'));
      const next = isAlike ? versions : second;
      const before = read(first);
      const after = read(next, before);
      const alone = read(next);
      if (after.roles.names === before.roles.names) shared += 1;
      // Where the names are the same the reader was told them, and need not make them anew.
      const isTold = after.roles.names === before.roles.names && after.roles.size > 0;
      t.equal(after.envelope.guessed === after.envelope.tree.meta, isTold);
      t.strictSame([...after.roles], [...alone.roles]);
      t.strictSame([...after.roles.keys()], [...alone.roles.keys()]);
      t.strictSame([...after.roles.values()], [...alone.roles.values()]);
      t.equal(after.roles.size, alone.roles.size);
      t.strictSame(after.envelope.tree, alone.envelope.tree);
      for (const name of ['a', 'b', 'acme.b1-0', '__proto__', 'constructor', 'toString', 'c']) {
        t.strictSame(after.roles.get(name), alone.roles.get(name));
        t.equal(after.roles.has(name), alone.roles.has(name));
      }
    }),
    { numRuns: 60 },
  );
  t.ok(shared > 10, 'names were taken from the one before');
});

t.test('as a map, it is one that others walk', async (t) => {
  const { roles } = parse('{"b.json":{"version":2},"a.json":{"version":1}}');
  t.ok(roles instanceof SnapshotRoles);
  const seen: [string, number][] = [];
  roles.forEach(({ version }, role, map) => {
    t.equal(map, roles);
    seen.push([role, version]);
  });
  t.strictSame(seen, [
    ['b', 2],
    ['a', 1],
  ]);
});
