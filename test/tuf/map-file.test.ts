// The map file (TAP 4): what is one, and what is refused with its place.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { MAP_LIMITS } from '../../shared/limits.ts';
import { parseMapFile } from '../../shared/tuf/map-file.ts';

const MAPPING = {
  paths: ['acme/*/*/*'],
  repositories: ['vendors', 'fleet'],
  threshold: 2,
  terminating: true,
};
const GOOD = {
  repositories: { vendors: ['https://a.example/', 'https://b.example/'], fleet: ['c.example:80'] },
  mapping: [MAPPING],
};
const parse = (value: unknown) => parseMapFile(utf8(JSON.stringify(value)));
const many = (count: number, form: (i: number) => string): string[] =>
  Array.from({ length: count }, (_, i) => form(i));

t.test('a map is read in its order', async (t) => {
  const map = parse({ ...GOOD, mapping: [MAPPING, { ...MAPPING, paths: ['*'], threshold: 1 }] });
  t.strictSame([...map.repositories.keys()], ['vendors', 'fleet']);
  t.strictSame(map.repositories.get('vendors'), ['https://a.example/', 'https://b.example/']);
  t.strictSame(map.mapping[0], MAPPING);
  t.equal(map.mapping[1]?.threshold, 1);
});

t.test('what is no map is refused with its place', async (t) => {
  const mapping = (change: object): object => ({ ...GOOD, mapping: [{ ...MAPPING, ...change }] });
  const urls = (vendors: unknown): object => ({ ...GOOD, repositories: { vendors, fleet: ['x'] } });
  const without = (key: string): object =>
    mapping(Object.fromEntries(Object.entries(MAPPING).map(([k, v]) => [k === key ? 'x' : k, v])));
  const cases: [name: string, value: unknown, says: RegExp][] = [
    ['nothing', {}, /"repositories" is missing/],
    ['no mapping', { repositories: GOOD.repositories }, /"mapping" is missing/],
    ['an empty mapping', { ...GOOD, mapping: [] }, /at least one mapping/],
    ['another field', { ...GOOD, delegations: [] }, /"delegations" is unknown/],
    ['threshold 0', mapping({ threshold: 0 }), /threshold: an integer from 1 to 2/],
    ['threshold -1', mapping({ threshold: -1 }), /from 1 to 2/],
    ['a threshold that nobody meets', mapping({ threshold: 3 }), /from 1 to 2/],
    ['a threshold in words', mapping({ threshold: '2' }), /an integer/],
    ['no repositories', mapping({ repositories: [] }), /at least one repository/],
    ['one twice', mapping({ repositories: ['fleet', 'fleet'] }), /stands twice/],
    ['an unknown one', mapping({ repositories: ['fleet', 'other'] }), /no repository "other"/],
    ['one of the prototype', mapping({ repositories: ['constructor'], threshold: 1 }), /no repos/],
    ['no paths', mapping({ paths: [] }), /at least one path pattern/],
    ['an empty pattern', mapping({ paths: [''] }), /1 to 2048 characters/],
    ['a pattern twice', mapping({ paths: ['*', '*'] }), /stands twice/],
    ['terminating in words', mapping({ terminating: 'false' }), /true or false/],
    ['another field of a mapping', mapping({ quorum: 1 }), /"quorum" is unknown/],
    ['no threshold', without('threshold'), /unknown/],
    ['no terminating', without('terminating'), /unknown/],
    ['a repository without an address', urls([]), /at least one address/],
    ['an address that is none', urls([1]), /a string is expected/],
    ['an address twice', urls(['a', 'a']), /stands twice/],
    ['an address of two', urls(['x']), /that of "vendors" as well/],
    ['a long address', urls(['x'.repeat(MAP_LIMITS.text + 1)]), /1 to 2048/],
    ['many addresses', urls(many(17, String)), /more than 16 items/],
    ['many patterns', mapping({ paths: many(1025, String) }), /more than 1024 items/],
    ['many mappings', { ...GOOD, mapping: new Array(257).fill(MAPPING) }, /more than 256 items/],
    [
      'many repositories',
      { ...GOOD, repositories: Object.fromEntries(many(33, (i) => `r${i}`).map((r) => [r, [r]])) },
      /more than 32 members/,
    ],
    ['a list', [], /an object is expected/],
  ];
  for (const [name, value, says] of cases)
    t.throws(() => parse(value), { code: 'E_CONFIG', message: says }, name);
});

t.test('names of repositories', async (t) => {
  const names = [
    '..',
    '.',
    '',
    'a/b',
    'a\\b',
    '/a',
    'A',
    'Vendors',
    'ä',
    'a\u0000',
    '-a',
    'a.b',
    'a_b',
  ];
  for (const name of [...names, 'x'.repeat(33), '\u2024\u2024', 'a ', '%2e%2e', '__proto__']) {
    const repositories = Object.fromEntries([[name, ['a']]]);
    const mapping = [{ ...MAPPING, repositories: [name], threshold: 1 }];
    const text = JSON.stringify({ repositories, mapping });
    t.match(text, JSON.stringify(name));
    t.throws(
      () => parseMapFile(utf8(text)),
      { code: 'E_CONFIG', message: /not the name of a repository/ },
      JSON.stringify(name),
    );
  }
});

t.test('bytes that are no JSON, or more than is read', async (t) => {
  const text = JSON.stringify(GOOD);
  const twice = text.replace('"fleet":', '"vendors":');
  for (const bad of ['', text.slice(0, -1), `${text}x`, '['.repeat(100), twice])
    t.throws(() => parseMapFile(utf8(bad)), { code: 'E_CONFIG' }, bad.slice(0, 20));
  const mapping = '"threshold":2,"threshold":1';
  t.throws(() => parseMapFile(utf8(text.replace('"threshold":2', mapping))), /stands twice/);
  t.throws(() => parseMapFile(new Uint8Array(MAP_LIMITS.file + 1)), { code: 'E_CONFIG' });
});
