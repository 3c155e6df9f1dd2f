/** What a fleet policy says about drivers that are run, and what it may not say. */

import { readFileSync } from 'node:fs';
import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { parsePolicy } from '../../shared/manifest/policy.ts';
import { refused } from './support.ts';

const edu = JSON.parse(
  readFileSync(new URL('../../examples/edu/policy.json', import.meta.url), 'utf8'),
);
const SHA = 'ab'.repeat(32);
const NODE = {
  name: 'node',
  path: '/usr/bin/node',
  sha256: SHA,
  arguments: ['--preserve-symlinks-main'],
  files: [{ path: '/lib64/ld-linux-x86-64.so.2', sha256: SHA }],
};
const RUN = { users: { first: 64_000, count: 64 }, runtimes: [NODE] };
const ENTRY = {
  program: 'node',
  memory_bytes: '0x10000000',
  processes: 32,
  accesses_per_second: 100_000,
};

const parse = (run: unknown, entry: unknown) =>
  parsePolicy(
    utf8(
      JSON.stringify({
        ...edu,
        run,
        allow: [{ ...edu.allow[0], run: entry }],
      }),
    ),
  );

t.test('as whom, by what, and how much', async (t) => {
  const policy = parse(RUN, ENTRY);
  t.strictSame(policy.run, RUN);
  t.strictSame(policy.allow[0]?.run, {
    program: 'node',
    memoryBytes: 0x10000000n,
    processes: 32,
    accessesPerSecond: 100_000,
    mode: 'brokered',
    leak: {
      ...{ windowSeconds: 60, windows: 10, memoryGrowthBytes: 0x800_0000, descriptorGrowth: 64 },
    },
  });
  const leak = { window_seconds: 1, windows: 4, memory_growth_bytes: '0x1000' };
  t.match(parse(RUN, { ...ENTRY, leak }).allow[0]?.run?.leak, {
    ...{ windowSeconds: 1, windows: 4, memoryGrowthBytes: 4096, descriptorGrowth: 64 },
  });
  t.equal(parse(RUN, { ...ENTRY, mode: 'direct' }).allow[0]?.run?.mode, 'direct');
  const least = parse({ users: RUN.users }, { ...ENTRY, program: 'static' });
  t.strictSame(least.run?.runtimes, []);
  const bare = parse(
    { ...RUN, runtimes: [{ ...NODE, arguments: undefined, files: undefined }] },
    ENTRY,
  );
  t.match(bare.run?.runtimes, [{ arguments: [], files: [] }]);
});

t.test('without it nothing is run', async (t) => {
  t.equal(parse(undefined, undefined).run, null);
  t.equal(parse(RUN, undefined).allow[0]?.run, null);
});

t.test('what is not valid', async (t) => {
  const users = (change: object) => ({ ...RUN, users: { ...RUN.users, ...change } });
  const node = (change: object) => ({ ...RUN, runtimes: [{ ...NODE, ...change }] });
  const bad: [run: unknown, entry: unknown, message: RegExp][] = [
    [undefined, ENTRY, /no "run"/],
    [null, ENTRY, /object/],
    [{ ...RUN, more: 1 }, ENTRY, /unknown/],
    [users({ first: 0 }), ENTRY, /first/],
    [users({ first: 999 }), ENTRY, /first/],
    [users({ first: 0xffff_fffd }), ENTRY, /first/],
    [users({ first: -1 }), ENTRY, /first/],
    [users({ count: 1 }), ENTRY, /count/],
    [users({ count: 65_537 }), ENTRY, /count/],
    [node({ name: 'static' }), ENTRY, /not called/],
    [node({ name: '../node' }), ENTRY, /name/],
    [node({ path: 'node' }), ENTRY, /path/],
    [node({ path: '/usr/../bin/node' }), ENTRY, /path/],
    [node({ path: '/usr/./node' }), ENTRY, /path/],
    [node({ path: '/usr//node' }), ENTRY, /path/],
    [node({ path: '/usr/bin/' }), ENTRY, /path/],
    [node({ path: '/bin/no\0de' }), ENTRY, /path/],
    [node({ sha256: SHA.toUpperCase() }), ENTRY, /SHA-256/],
    [node({ sha256: undefined }), ENTRY, /sha256/],
    [node({ arguments: ['a\0b'] }), ENTRY, /argument/],
    [node({ arguments: 'a' }), ENTRY, /array/],
    [node({ files: [{ path: '/a' }] }), ENTRY, /sha256/],
    [node({ files: [{ path: '/a', sha256: SHA, mode: 1 }] }), ENTRY, /unknown/],
    [{ ...RUN, runtimes: [NODE, NODE] }, ENTRY, /one name/],
    [RUN, { ...ENTRY, program: 'deno' }, /runtime/],
    [RUN, { ...ENTRY, user: 0 }, /unknown/],
    [RUN, { ...ENTRY, memory_bytes: '0xfffff' }, /memory_bytes/],
    [RUN, { ...ENTRY, memory_bytes: '0x10000000001' }, /terabyte/],
    [RUN, { ...ENTRY, memory_bytes: 1e9 }, /memory_bytes/],
    [RUN, { ...ENTRY, processes: 0 }, /processes/],
    [RUN, { ...ENTRY, accesses_per_second: 0 }, /accesses_per_second/],
    [RUN, { ...ENTRY, accesses_per_second: 1e9 }, /accesses_per_second/],
  ];
  for (const [run, entry, message] of bad) refused(t, () => parse(run, entry), 'E_CONFIG', message);
});
