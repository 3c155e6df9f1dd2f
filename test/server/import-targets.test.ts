/** What is looked at of each target of a repository that is taken over, one check at a time. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { Obstacles } from '../../server/takeover/obstacles.ts';
import { openSource, type Source } from '../../server/takeover/source.ts';
import { takeTarget, type WantedTarget, wantedTargets } from '../../server/takeover/targets.ts';
import { utf8 } from '../../shared/bytes.ts';
import { tree } from '../../shared/layout.ts';
import { hashPieces } from '../../shared/node/hash.ts';
import { parseTargets, type Targets } from '../../shared/tuf/targets.ts';
import { FOREIGN_KEYS, foreignFile } from '../support/foreign.ts';
import { sha256 } from '../support/repository.ts';
import { temporaryHome } from './support.ts';

const PATH = 'acme/edu/1.0.0/edu.js';
const BYTES = utf8('the driver');
const OTHER = 'ab'.repeat(64);

type Entry = { readonly length: number; readonly hashes: Readonly<Record<string, string>> };
const ENTRY: Entry = { length: BYTES.length, hashes: { sha256: sha256(BYTES) } };

async function listing(targets: Readonly<Record<string, Entry>>): Promise<Targets> {
  const signed = {
    _type: 'targets',
    spec_version: '1.0.31',
    version: 1,
    expires: '2031-01-01T00:00:00Z',
    targets,
  };
  return parseTargets(await foreignFile(signed, FOREIGN_KEYS.targets), 'targets');
}

async function look(...files: Readonly<Record<string, Entry>>[]) {
  const roles = new Map<string, Targets>();
  for (const [at, file] of files.entries()) roles.set(`role ${at}`, await listing(file));
  const obstacles = new Obstacles();
  const wanted = wantedTargets(roles, obstacles);
  return { wanted, said: obstacles.list };
}

t.test('each file once, where it will lie', async (t) => {
  const { wanted, said } = await look({ [PATH]: ENTRY }, { [PATH]: ENTRY });
  const place = tree.target(PATH, sha256(BYTES));
  t.same(wanted, [{ path: PATH, place, sha256: sha256(BYTES), length: BYTES.length }]);
  t.same(said, []);
  const both = { ...ENTRY, hashes: { sha256: sha256(BYTES), sha512: OTHER } };
  t.equal((await look({ [PATH]: both })).wanted.length, 1, 'another digest after it is no matter');
});

t.test('what cannot lie here', async (t) => {
  const long = 'x'.repeat(191);
  const cases: readonly (readonly [path: string, entry: Entry, says: RegExp])[] = [
    [PATH, { ...ENTRY, hashes: { sha512: OTHER, sha256: sha256(BYTES) } }, /begin with a SHA-256/],
    [PATH, { ...ENTRY, hashes: { sha512: OTHER } }, /begin with a SHA-256/],
    ['acme/.git/config', ENTRY, /begins with a dot/],
    [`acme/${long}`, ENTRY, /too long/],
    [`acme/${'x'.repeat(256)}/y`, ENTRY, /too long|256|255/],
  ];
  for (const [path, entry, says] of cases) {
    const { wanted, said } = await look({ [path]: entry, 'firmware-1.bin': ENTRY });
    t.same(
      wanted.map((one) => one.path),
      ['firmware-1.bin'],
      path,
    );
    t.match(said, [{ at: path.slice(0, 255), what: says }], path);
  }
  const dot = await look({ 'acme/.edu.js': ENTRY, [`acme/${'x'.repeat(190)}`]: ENTRY });
  t.same(dot.said, [], 'a file may begin with a dot: its digest comes first; 255 bytes fit');
});

t.test('two roles that differ in its length', async (t) => {
  const longer = { ...ENTRY, length: BYTES.length + 1 };
  const { said } = await look({ [PATH]: ENTRY }, { [PATH]: longer });
  t.match(said, [{ at: PATH, what: /different lengths/ }]);
});

/** A folder with this file in it, and the target that is to be it. */
function given(
  t: Test,
  place: string,
  bytes: Uint8Array,
): { source: Source; target: WantedTarget } {
  const from = temporaryHome(t);
  mkdirSync(dirname(join(from, 'targets', place)), { recursive: true });
  writeFileSync(join(from, 'targets', place), bytes);
  const places = { from, metadata: 'metadata', targets: 'targets' };
  const source = openSource(places, new AbortController().signal);
  const digest = sha256(BYTES);
  const target = {
    path: PATH,
    place: tree.target(PATH, digest),
    sha256: digest,
    length: BYTES.length,
  };
  return { source, target };
}

t.test('bytes from where the specification has them, and from where others do', async (t) => {
  const digest = sha256(BYTES);
  for (const place of [`acme/edu/1.0.0/${digest}.edu.js`, `${digest}.${PATH}`]) {
    const { source, target } = given(t, place, BYTES);
    let caps: (number | undefined)[] = [];
    await takeTarget(source, target, (pieces, { cap }) => {
      caps = [...caps, cap];
      return hashPieces(pieces, PATH, cap === undefined ? {} : { cap });
    });
    t.same(caps, [BYTES.length], place);
  }
  const { source, target } = given(t, PATH, BYTES);
  const none = takeTarget(source, target, (pieces) => hashPieces(pieces, PATH));
  await t.rejects(
    none,
    { code: 'E_NOT_FOUND' },
    'without a digest in its name it is not looked for',
  );
});

t.test('bytes that are not those that were signed', async (t) => {
  const place = `acme/edu/1.0.0/${sha256(BYTES)}.edu.js`;
  const cases = [
    { bytes: BYTES.subarray(1), code: 'E_LENGTH' },
    { bytes: utf8('the drivel'), code: 'E_HASH' },
    { bytes: utf8('the driver and more'), code: 'E_TOO_LARGE' },
  ];
  for (const { bytes, code } of cases) {
    const { source, target } = given(t, place, bytes);
    let closed = 0;
    const watched: Source = {
      ...source,
      async target(path) {
        const file = await source.target(path);
        return (
          file && {
            pieces: file.pieces,
            async close() {
              closed += 1;
              await file.close();
            },
          }
        );
      },
    };
    const take = takeTarget(watched, target, (pieces, options) =>
      hashPieces(pieces, PATH, options),
    );
    await t.rejects(take, { code }, code);
    t.equal(closed, 1, `${code}: the file is let go`);
  }
});
