/** Names, patterns and owners of nested roles: whose a path is, and what a vendor may not delegate. */

import t from 'tap';
import { Node } from '../../shared/json/decode.ts';
import { type JsonObject, jsonObject } from '../../shared/json/value.ts';
import { NESTED_LIMITS } from '../../shared/limits.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { delegationTree, keyTable, targetsTree } from '../../shared/tuf/build.ts';
import { edgesFor, parseDelegations } from '../../shared/tuf/delegations.ts';
import {
  delegatesAlike,
  demandNested,
  isWithin,
  nestedRole,
  Owners,
  parseNestedPattern,
  rolesBelow,
} from '../../shared/tuf/nested.ts';
import { Targets } from '../../shared/tuf/targets.ts';
import { testKey } from '../support/keys.ts';

const KEY = testKey('nested').key;
const OTHER = testKey('nested 2').key;

type Role = readonly [name: string, paths: readonly string[], change?: JsonObject];

function delegations(roles: readonly Role[], key = KEY): JsonObject {
  return jsonObject([
    ['keys', keyTable(crypto, [key])],
    [
      'roles',
      roles.map(([name, paths, change = {}]) => {
        const tree = delegationTree(crypto, name, { keys: [key], threshold: 1 }, paths, true);
        return jsonObject([...Object.entries(tree), ...Object.entries(change)]);
      }),
    ],
  ]);
}

const parsed = (tree: JsonObject) => parseDelegations(new Node(tree, 'delegations'));
const role = (tree: JsonObject): Targets =>
  new Targets(
    {
      version: 1,
      expires: 0,
      envelope: { tree: targetsTree(1, 0, { targets: new Map(), delegations: tree }) } as never,
    } as never,
    parsed(tree),
  );

t.test('names', async (t) => {
  t.equal(nestedRole('3ware', 'raid'), '3ware.raid');
  t.equal(nestedRole('team', 'qa'), 'team.qa');
  t.equal(nestedRole('acme', 'root'), 'acme.root', 'what other services take for the root');
  t.equal(nestedRole('acme', `a${'b'.repeat(94)}`).length, 100);
  t.equal(nestedRole('acme', 'wifi.ax.usb'), 'acme.wifi.ax.usb', 'three deep');
  const deep = ['a.b.c.d', 'a.', '.a', 'a..b', 'a.b4-0', 'a.B'];
  for (const name of ['', '-a', 'A', 'a/b', '..', 'a b', 'b4-0', 'b14-3fff', 'ä', ...deep])
    t.throws(() => nestedRole('acme', name), { code: 'E_NAME' }, JSON.stringify(name));
  t.throws(() => nestedRole('acme', `a${'b'.repeat(95)}`), { code: 'E_NAME' }, '101 bytes');
  t.equal(nestedRole('acme', 'b4'), 'acme.b4', 'a bin has a number behind it');
});

t.test('patterns', async (t) => {
  for (const good of [
    'acme/edu/*/*',
    'acme/edu-*/*/*',
    'acme/*/*/*',
    'acme/edu/1.*/*',
    'acme/edu/1.0.0/*',
  ])
    t.doesNotThrow(() => parseNestedPattern('acme', good), good);
  const bad = [
    ...[
      '',
      '*',
      'acme',
      'acme/edu/*',
      'acme/edu/*/*/*',
      'other/edu/*/*',
      '*/edu/*/*',
      'acm*/edu/*/*',
    ],
    ...[
      'acme/edu/*/edu.js',
      'acme//*/*',
      'acme/e*u/*/*',
      'acme/e?u/*/*',
      'acme/**/*/*',
      'acme/../*/*',
    ],
    ...[`acme/${'x'.repeat(NESTED_LIMITS.pattern)}/*/*`, 'acme/edu/*/* '],
  ].filter((pattern) => pattern !== 'acme/../*/*');
  for (const pattern of bad)
    t.throws(() => parseNestedPattern('acme', pattern), { code: 'E_DELEGATION' }, pattern);
  t.ok(isWithin('acme/edu/*/*', ['acme/*/*/*']));
  t.ok(isWithin('acme/edu-a/*/*', ['other/*/*/*', 'acme/edu-*/*/*']));
  t.notOk(isWithin('acme/*/*/*', ['acme/edu/*/*']));
  t.notOk(isWithin('acme/edu/*/*', ['acme/*/1/*', 'acme/*/*']));
  t.notOk(isWithin('acme/edu*/*/*', ['acme/edu-*/*/*']));
});

t.test('what a vendor may not delegate', async (t) => {
  const refuses = (roles: readonly Role[], within = ['acme/*/*/*']) => {
    try {
      demandNested('acme', parsed(delegations(roles)), within);
      return 'taken';
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  t.equal(
    refuses([
      ['acme.edu', ['acme/edu/*/*']],
      ['acme.net', ['acme/net-*/*/*', 'acme/wifi/*/*']],
    ]),
    'taken',
  );
  t.equal(
    refuses([
      ['acme.a', ['acme/edu/1.*/*']],
      ['acme.b', ['acme/edu/2.*/*']],
    ]),
    'taken',
  );
  for (const name of [
    'acme',
    'acmeedu',
    'other.edu',
    'acme.',
    'acme.b2-0',
    'acme.a.b',
    'revocations',
    'other',
  ])
    t.equal(refuses([[name, ['acme/edu/*/*']]]), 'E_NAME', name);
  t.equal(refuses([]), 'E_DELEGATION', 'nobody');
  t.equal(refuses([['acme.edu', []]]), 'E_DELEGATION', 'no path');
  t.equal(refuses([['acme.edu', ['other/edu/*/*']]]), 'E_DELEGATION', "another's path");
  t.equal(
    refuses([['acme.edu', ['acme/edu/*/*']]], ['acme/net/*/*']),
    'E_DELEGATION',
    'beyond its own',
  );
  t.equal(
    refuses([['acme.edu', ['acme/edu/*/*'], { terminating: false }]]),
    'E_DELEGATION',
    'it goes on',
  );
  t.equal(
    refuses([['acme.edu', ['acme/edu/*/*'], { threshold: 2 }]]),
    'E_THRESHOLD',
    'for ever unsigned',
  );
  for (const [a, b] of [
    ['acme/edu/*/*', 'acme/edu/*/*'],
    ['acme/edu/*/*', 'acme/*/*/*'],
    ['acme/edu-*/*/*', 'acme/edu*/*/*'],
    ['acme/edu/1.*/*', 'acme/ed*/1.0*/*'],
  ] as const) {
    t.equal(
      refuses([
        ['acme.a', [a]],
        ['acme.b', [b]],
      ]),
      'E_DELEGATION',
      `${a} and ${b}`,
    );
    t.equal(refuses([['acme.a', [b, a]]]), 'E_DELEGATION', 'in one role, too');
  }
  const many = Array.from(
    { length: NESTED_LIMITS.roles + 1 },
    (_, i): Role => [`acme.r${i}`, [`acme/p${i}/*/*`]],
  );
  t.equal(refuses(many.slice(1)), 'taken');
  t.equal(refuses(many), 'E_QUOTA');
  const patterns = Array.from({ length: NESTED_LIMITS.patterns + 1 }, (_, i) => `acme/p${i}/*/*`);
  t.equal(refuses([['acme.a', patterns]]), 'E_QUOTA');
  const hashes = jsonObject([
    ...Object.entries(
      delegationTree(crypto, 'acme.a', { keys: [KEY], threshold: 1 }, [], true),
    ).filter(([key]) => key !== 'paths'),
    ['path_hash_prefixes', ['00']],
  ]);
  const byHash = jsonObject([
    ['keys', keyTable(crypto, [KEY])],
    ['roles', [hashes]],
  ]);
  t.throws(
    () => demandNested('acme', parsed(byHash), ['acme/*/*/*']),
    { code: 'E_DELEGATION' },
    'by hash',
  );
});

t.test('whose a path is, is what a client finds', async (t) => {
  const own = role(
    delegations([
      ['acme.edu', ['acme/edu/*/*']],
      ['acme.net', ['acme/net-*/*/*', 'acme/wifi/*/*']],
      ['acme.two', ['acme/both/2.*/*']],
    ]),
  );
  t.strictSame(rolesBelow(own), ['acme.edu', 'acme.net', 'acme.two']);
  const owners = new Owners(crypto, 'acme', own);
  for (const [path, wanted] of [
    ['acme/edu/1.0.0/x', 'acme.edu'],
    ['acme/edu/index/index.json', 'acme.edu'],
    ['acme/edu-lite/1.0.0/x', 'acme'],
    ['acme/net-a/1/x', 'acme.net'],
    ['acme/net-/1/x', 'acme.net'],
    ['acme/net/1/x', 'acme'],
    ['acme/wifi/1/x', 'acme.net'],
    ['acme/both/1.0/x', 'acme'],
    ['acme/both/2.0/x', 'acme.two'],
  ] as const) {
    t.equal(owners.of(path), wanted, path);
    const [edge] = edgesFor(crypto, own.delegations as never, path);
    t.equal(edge?.role ?? 'acme', wanted, `${path} for a client`);
  }
});

t.test('whether two roles delegate alike to a third', async (t) => {
  const one = role(delegations([['acme.a', ['acme/a/*/*']]]));
  const same = role(
    delegations([
      ['acme.b', ['acme/b/*/*']],
      ['acme.a', ['acme/a/*/*']],
    ]),
  );
  t.ok(delegatesAlike(one, same, 'acme.a'));
  t.notOk(delegatesAlike(one, same, 'acme.b'), 'only one does at all');
  t.notOk(delegatesAlike(one, undefined, 'acme.a'));
  t.notOk(delegatesAlike(undefined, undefined, 'acme.a'), 'neither does');
  t.notOk(
    delegatesAlike(one, role(delegations([['acme.a', ['acme/c/*/*']]])), 'acme.a'),
    'other paths',
  );
  t.notOk(
    delegatesAlike(one, role(delegations([['acme.a', ['acme/a/*/*']]], OTHER)), 'acme.a'),
    'other keys',
  );
});
