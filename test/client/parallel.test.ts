// Several artifacts at once: a few side by side, each verified on its own, in the order asked for.

import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import t from 'tap';
import type { Fetcher } from '../../client/index.ts';
import { program } from '../../client/main.ts';
import { inParallel } from '../../client/parallel.ts';
import { equalBytes } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import { TRANSPORT_LIMITS } from '../../shared/limits.ts';
import { addArtifact } from '../support/artifact.ts';
import { Fleet, mirror, placeOf, refusal, state } from '../support/fleet.ts';
import { documentOf, runInProcess } from '../support/program.ts';

const PATHS = Array.from({ length: 7 }, (_, i) => `acme/edu/1.0.${i + 1}/edu.js`);
const contentOf = (path: string): Uint8Array => new TextEncoder().encode(`driver ${path}\n`);

t.test('so many at once, in their order, and results in it', async (t) => {
  let running = 0;
  let most = 0;
  const begun: number[] = [];
  const results = await inParallel([5, 1, 4, 2, 3, 0, 6], async (item) => {
    begun.push(item);
    most = Math.max(most, ++running);
    for (let i = 0; i < item; i++) await setImmediate();
    running--;
    return item * 2;
  });
  t.strictSame(results, [10, 2, 8, 4, 6, 0, 12]);
  t.strictSame(begun, [5, 1, 4, 2, 3, 0, 6]);
  t.equal(most, TRANSPORT_LIMITS.parallel);
  t.strictSame(await inParallel([], async () => 1), []);
});

t.test('the first failure stops the others, and is thrown when they have ended', async (t) => {
  const ended: unknown[] = [];
  const begun: number[] = [];
  const failing = inParallel([1, 2, 3, 4, 5, 6], async (item, signal) => {
    begun.push(item);
    await setImmediate();
    if (item === 2) throw new IronError('E_HASH', 'the second');
    while (!signal.aborted) await setImmediate();
    await setImmediate();
    ended.push(item);
    signal.throwIfAborted();
  });
  await t.rejects(failing, { code: 'E_HASH', message: 'the second' });
  t.strictSame(ended.sort(), [1, 3, 4], 'nothing goes on behind the caller');
  t.strictSame(begun, [1, 2, 3, 4], 'and nothing more is begun');
  const reason = new Error('enough');
  const act = async (): Promise<boolean> => t.fail('begun');
  await t.rejects(inParallel([1], act, AbortSignal.abort(reason)), reason);
});

t.test('several artifacts', async (t) => {
  const sim = await state(1);
  for (const path of PATHS) await addArtifact(sim, path, contentOf(path));
  sim.publish('acme');
  const fleet = new Fleet(t);
  const honest = mirror('honest', sim);
  const outOf = (path: string, folder = 'out'): string =>
    join(fleet.folder, folder, path.replaceAll('/', '-'));
  const wanted = PATHS.map((path) => ({ path, out: outOf(path) }));
  for (const folder of ['out', 'bad', 'stopped']) await mkdir(join(fleet.folder, folder));

  const repository = await fleet.open(honest);
  const gotten = await repository.getAllVerified(wanted);
  t.strictSame(
    gotten.map(({ verdict, outcome }) => [verdict.path, outcome]),
    PATHS.map((path) => [path, 'downloaded']),
  );
  for (const { path, out } of wanted) t.ok(equalBytes(await readFile(out), contentOf(path)), path);
  for (const { checks } of gotten) {
    t.equal(checks.filter(({ rule }) => rule === 'TUF 5.7.2').length, 1, 'each has its own checks');
  }
  const again = await repository.getAllVerified(wanted);
  t.ok(again.every(({ outcome }) => outcome === 'kept'));

  t.test('one artifact for two places, and two for one', async (t) => {
    const [path = ''] = PATHS;
    const outs = ['x', 'y'].map((name) => join(fleet.folder, name));
    await repository.getAllVerified(outs.map((out) => ({ path, out })));
    for (const out of outs) t.ok(equalBytes(await readFile(out), contentOf(path)));
    const twice = PATHS.slice(0, 2).map((one) => ({ path: one, out: join(fleet.folder, 'z') }));
    t.equal((await refusal(repository.getAllVerified(twice))).code, 'E_USAGE');
  });

  t.test('two artifacts of the same bytes, side by side in one folder', async (t) => {
    const twins = ['acme/nic/1.0.0/a.js', 'acme/nic/1.0.1/b.js'];
    const content = new Uint8Array(200_000).map((_, i) => (i * 31) & 0xff);
    for (const path of twins) await addArtifact(sim, path, content);
    sim.publish('acme');
    const there = twins.map((path) => ({ path, out: outOf(path) }));
    for (let round = 0; round < 3; round++) {
      const outcomes = await (await fleet.open(honest)).getAllVerified(there);
      t.strictSame(
        outcomes.map(({ outcome }) => outcome),
        ['downloaded', 'downloaded'],
      );
      for (const { out } of there) {
        t.ok(equalBytes(await readFile(out), content));
        await rm(out);
      }
    }
  });

  t.test('one that is not what was signed: nothing unverified has a name', async (t) => {
    const [, , third = ''] = PATHS;
    const bad = placeOf(sim, third);
    const tampering: Fetcher = {
      ...honest,
      openFile: async (place, ...rest) => {
        const opened = await honest.openFile(place, ...rest);
        if (place !== bad) return opened;
        const pieces = (async function* () {
          for await (const piece of opened.pieces) yield piece.map((byte) => byte ^ 1);
        })();
        return { ...opened, pieces };
      },
    };
    const alone = await fleet.open(tampering);
    const there = PATHS.map((path) => ({ path, out: outOf(path, 'bad') }));
    t.equal((await refusal(alone.getAllVerified(there))).code, 'E_HASH');
    const names = (await readdir(join(fleet.folder, 'bad'))).filter(
      (name) => !name.startsWith('.'),
    );
    t.notOk(names.includes(third.replaceAll('/', '-')));
    for (const { path, out } of there) {
      const isThere = names.includes(path.replaceAll('/', '-'));
      if (isThere) t.ok(equalBytes(await readFile(out), contentOf(path)), 'whole and verified');
    }
    const both = await fleet.open(tampering, honest);
    t.equal((await both.getAllVerified(there)).length, PATHS.length, 'with another mirror, all');
  });

  t.test('stopped by its caller', async (t) => {
    const stop = new AbortController();
    const stuck: Fetcher = {
      ...honest,
      openFile: async (place, length, resume, options) => {
        if (!place.endsWith('edu.js')) return honest.openFile(place, length, resume, options);
        stop.abort(new Error('enough'));
        options?.signal?.throwIfAborted();
        throw new Error('the signal did not arrive');
      },
    };
    const there = PATHS.map((path) => ({ path, out: outOf(path, 'stopped') }));
    const stopped = (await fleet.open(stuck, honest)).getAllVerified(there, {
      signal: stop.signal,
    });
    await t.rejects(stopped, { message: 'enough' });
    const names = await readdir(join(fleet.folder, 'stopped'));
    t.strictSame(
      names.filter((name) => !name.startsWith('.')),
      [],
      'and no mirror went on',
    );
  });
});

t.test('get-all: the command', async (t) => {
  // By the machine's clock, since the program has no other.
  const now = Math.floor(Date.now() / 1000);
  const sim = await state(1, now);
  for (const path of PATHS) await addArtifact(sim, path, contentOf(path));
  const clash = 'acme/nic/1.0.0/EDU-1.js';
  const names = ['acme/edu/1.0.1/edu-1.js', 'acme/edu/1.0.2/edu-2.js'];
  for (const path of [clash, ...names]) await addArtifact(sim, path, contentOf(path));
  sim.publish('acme');
  const fleet = new Fleet(t);
  const { url } = await fleet.serve(sim);
  const root = join(fleet.folder, 'root.json');
  await writeFile(root, (await sim.fetchFile('metadata/1.root.json', 1e6)) ?? '');
  const folder = join(fleet.folder, 'drivers');
  const run = (...words: string[]) =>
    runInProcess(program, [
      ...[url, 'get-all', folder, ...words, '--json'],
      ...['--root', root, '--store', join(fleet.folder, 'store')],
    ]);

  const ran = await run(...names, names[0] ?? '');
  t.equal(ran.exit, 0, ran.stderr);
  const { artifacts } = documentOf(ran).data;
  t.strictSame(
    artifacts.map((one: { out: string; outcome: string }) => [one.out, one.outcome]),
    names.map((path) => [join(folder, basename(path)), 'downloaded']),
    'in the order of the words, each once',
  );
  for (const path of names) {
    t.ok(equalBytes(await readFile(join(folder, basename(path))), contentOf(path)));
  }
  t.equal(documentOf(await run(...names)).data.artifacts[0].outcome, 'kept');

  const asked = await run(clash, ...names);
  t.equal(documentOf(asked).error.code, 'E_USAGE');
  t.match(documentOf(asked).error.message, 'EDU-1.js', 'one name but for its case');
  for (const name of ['acme/edu/1.0.9/none.js', 'acme/edu/1.0.9/..', 'mallory/x/1.0.0/x.js']) {
    t.match(
      documentOf(await run(names[0] ?? '', name)).error.code,
      /^E_(TARGET_UNKNOWN|NAME)$/,
      name,
    );
  }
  t.equal((await run()).exit, 2, 'nothing is named');
  t.strictSame((await readdir(folder)).sort(), names.map((path) => basename(path)).sort());
});
