// Several mirrors of one repository over real sockets: what one of them lacks or lies about costs a
// try elsewhere, and never acceptance of what a single mirror could not have made us accept.

import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { openRepository } from '../../client/index.ts';
import { program } from '../../client/main.ts';
import { equalBytes, toHex, utf8 } from '../../shared/bytes.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { EDU } from '../support/artifact.ts';
import { TODAY } from '../support/clock.ts';
import { DRIVER, Fleet, placeOf, refusal, state } from '../support/fleet.ts';
import { documentOf, runInProcess } from '../support/program.ts';
import { type Served, serve } from '../support/serve.ts';
import { signFile } from '../support/simulator.ts';

t.test('a mirror with an older timestamp costs a try at the next one', async (t) => {
  const fleet = new Fleet(t);
  const [old, current] = [await fleet.serve(await state(1)), await fleet.serve(await state(2))];
  await (await fleet.open(current)).refresh();
  const alone = await fleet.open(old);
  t.equal((await refusal(alone.refresh())).code, 'E_ROLLBACK', 'alone it is what it looks like');

  const repository = await fleet.open(old, current);
  t.equal((await repository.refresh()).snapshot().version, 3);
  t.equal(fleet.notes.length, 1);
  t.match(fleet.notes[0], `${old.url}metadata/ was left with E_ROLLBACK`);
  t.match(fleet.notes[0], `asking ${current.url}metadata/`);
  const asked = old.log.length;
  await repository.refresh();
  t.equal(old.log.length, asked, 'who served last is asked first');
});

t.test('a rollback on which all mirrors agree is a rollback', async (t) => {
  const fleet = new Fleet(t);
  await (await fleet.open(await fleet.serve(await state(3)))).refresh();
  const before = await fleet.stored();
  const mirrors = [await fleet.serve(await state(1)), await fleet.serve(await state(2))];
  const error = await refusal((await fleet.open(...mirrors)).refresh());
  t.equal(error.code, 'E_ROLLBACK');
  for (const { url } of mirrors) t.match(error.why, `${url}metadata/ was left with E_ROLLBACK`);
  t.strictSame(await fleet.stored(), before, 'nothing changed');
});

t.test(
  'a half-synced tree: the list of roles, a role or the artifact is not there yet',
  async (t) => {
    const sim = await state(1);
    for (const missing of ['metadata/2.snapshot.json', 'metadata/2.acme.json', placeOf(sim, EDU)]) {
      const fleet = new Fleet(t);
      const half = await state(1);
      half.overrides.set(missing, null);
      const [first, second] = [await fleet.serve(half), await fleet.serve(sim)];
      const out = join(fleet.folder, 'edu.js');
      const alone = await refusal((await fleet.open(first)).getVerified(EDU, out));
      const code = missing.startsWith('metadata') ? 'E_NETWORK' : 'E_NOT_FOUND';
      t.equal(alone.code, code, missing);
      t.strictSame(await readdir(fleet.folder), ['store'], 'nothing is left of it');
      const repository = await fleet.open(first, second);
      await repository.getVerified(EDU, out);
      t.ok(equalBytes(await readFile(out), DRIVER), missing);
      t.equal(fleet.notes.length, 1, missing);
      t.match(fleet.notes[0], code);
      if (missing.startsWith('metadata')) {
        t.ok(
          second.log.includes('metadata/timestamp.json'),
          'the whole refresh is done again there',
        );
        t.ok(second.log.includes(placeOf(sim, EDU)), 'and what it lists comes from there');
        t.notOk(first.log.includes(placeOf(sim, EDU)));
      }
    }
  },
);

t.test('a mirror that tampers', async (t) => {
  const honest = await state(1);
  const [stranger] = [honest.newKey()];
  const forged = signFile({ ...honest.timestamp, version: 99 }, [stranger]);
  for (const [code, path, bytes] of [
    ['E_JSON', 'metadata/timestamp.json', utf8('<html>please log in</html>')],
    ['E_THRESHOLD', 'metadata/timestamp.json', forged],
    ['E_SCHEMA', 'metadata/2.root.json', utf8('{}')],
    [
      'E_MIX_AND_MATCH',
      'metadata/2.snapshot.json',
      signFile({ ...honest.snapshot, version: 1 }, honest.signers.get('snapshot') ?? []),
    ],
    ['E_HASH', placeOf(honest, EDU), DRIVER.map((byte) => byte ^ 1)],
    ['E_LENGTH', placeOf(honest, EDU), DRIVER.subarray(1)],
  ] as const) {
    const fleet = new Fleet(t);
    const bad = await state(1);
    bad.overrides.set(path, bytes);
    const mirrors = [await fleet.serve(bad), await fleet.serve(await state(1))];
    const out = join(fleet.folder, 'edu.js');
    await writeFile(out, 'what was there');
    const alone = await refusal((await fleet.open(mirrors[0] as Served)).getVerified(EDU, out));
    t.equal(alone.code, code, path);
    t.equal(await readFile(out, 'utf8'), 'what was there');
    let shown = 0;
    const repository = await fleet.open(...mirrors);
    await repository.getVerified(EDU, out, { onBytes: (count) => (shown += count) });
    t.ok(equalBytes(await readFile(out), DRIVER), `${code} ${path}`);
    t.equal(shown, DRIVER.length, 'what came twice is shown once');
    t.match(fleet.notes, [new RegExp(code)]);
  }
});

t.test('a mirror that is dead, that never ends, and one that is expired', async (t) => {
  const fleet = new Fleet(t);
  const dead = await serve(await state(1));
  await dead.close();
  const endless = await fleet.serve(await state(1));
  endless.misbehave = (_, response) => {
    response.writeHead(200);
    const more = (): void => {
      while (!response.destroyed && response.write(DRIVER));
    };
    response.on('drain', more);
    more();
    return true;
  };
  const expired = await state(1);
  expired.timestamp.expires = expired.expiry(-1);
  const stale = await fleet.serve(expired);
  const bad = [dead, endless, stale];

  const before = await fleet.open(...bad);
  const stored = await fleet.stored();
  const error = await refusal(before.refresh());
  t.equal(error.code, 'E_EXPIRED', 'what the repository itself signed tells the most');
  t.match(error.why, `${dead.url}metadata/ was left with E_NETWORK`);
  t.match(error.why, `${endless.url}metadata/ was left with E_TOO_LARGE`);
  t.match(error.why, `${stale.url}metadata/ was left with E_EXPIRED`);
  t.match(error.context, { mirrors: 3, mirror: `${stale.url}metadata/` });
  t.match(error.hint, /./);
  t.strictSame(await fleet.stored(), stored, 'nothing changed');

  const repository = await fleet.open(...bad, await fleet.serve(await state(1)));
  t.equal((await repository.refresh()).snapshot().version, 2);
});

t.test('a download that breaks off goes on elsewhere, from its beginning', async (t) => {
  const fleet = new Fleet(t);
  const [broken, whole] = [await fleet.serve(await state(1)), await fleet.serve(await state(1))];
  broken.misbehave = (_, response, path) => {
    if (!path.endsWith('.edu.js')) return false;
    response.writeHead(200, { etag: '"mine"', 'content-length': DRIVER.length });
    response.write(DRIVER.subarray(0, 100_000), () => response.destroy());
    return true;
  };
  const out = join(fleet.folder, 'edu.js');
  const repository = await fleet.open(broken, whole);
  await repository.getVerified(EDU, out);
  t.ok(equalBytes(await readFile(out), DRIVER));
  const asked = whole.log.filter((line) => line.includes('.edu.js'));
  t.equal(asked.length, 1);
  t.notMatch(asked[0], 'bytes=', 'the name that one mirror gave a file means nothing to another');
  t.strictSame((await readdir(fleet.folder)).sort(), ['edu.js', 'store']);
});

t.test('what is no mirror’s fault is not asked of the next one', async (t) => {
  const fleet = new Fleet(t);
  const mirrors = [await fleet.serve(await state(1)), await fleet.serve(await state(1))];
  const repository = await openRepository({
    address: mirrors[0]?.url as string,
    mirrors: [mirrors[1]?.url as string],
    store: join(fleet.folder, 'unpinned'),
    clock: () => TODAY,
  });
  t.teardown(() => repository.close());
  t.equal((await refusal(repository.refresh())).code, 'E_NO_PIN');
  const pinned = await fleet.open(...mirrors);
  t.equal((await refusal(pinned.verify('../etc/passwd'))).code, 'E_NAME');
  t.equal(
    (await refusal(pinned.getVerified(EDU, join(fleet.folder, 'no', 'edu.js')))).code,
    'E_IO',
  );
  t.strictSame(mirrors[1]?.log, []);
  t.strictSame(fleet.notes, []);
  const many = Array.from({ length: 16 }, (_, i) => `127.0.0.1:${i + 1}`);
  await t.rejects(openRepository({ address: '127.0.0.1:80', mirrors: many }), { code: 'E_USAGE' });
});

t.test('a folder that cannot be read is left like any other mirror', async (t) => {
  const fleet = new Fleet(t);
  const served = await fleet.serve(await state(1));
  const copy = join(fleet.folder, 'copy');
  await mkdir(join(copy, 'metadata', 'timestamp.json'), { recursive: true });
  const repository = await openRepository({
    address: copy,
    mirrors: [served.url],
    store: join(fleet.folder, 'store'),
    clock: () => TODAY,
    onMirrorLeft: (text) => fleet.notes.push(text),
  });
  t.teardown(() => repository.close());
  await fleet.open(served);
  t.equal((await repository.refresh()).snapshot().version, 2);
  t.match(fleet.notes, [/copy was left with E_NETWORK/]);
});

t.test('an index comes from the mirror that has all of it', async (t) => {
  const fleet = new Fleet(t);
  const half = await state(1);
  half.overrides.set('metadata/2.acme.json', null);
  const [first, second] = [await fleet.serve(half), await fleet.serve(await state(1))];
  const partial = await (await fleet.open(first, first)).list();
  t.strictSame([...partial.failed.keys()], ['acme'], 'where none has it, the rest is listed');
  const list = await (await fleet.open(first, second)).list();
  t.equal(list.failed.size, 0);
  t.ok(list.targets.some(({ entry }) => entry.path === EDU));
});

t.test('the command line', async (t) => {
  const fleet = new Fleet(t);
  // No jitter: what failed is asked again at once.
  const { random } = Math;
  Math.random = () => 0;
  t.teardown(() => (Math.random = random));
  const dead = await serve(await state(1));
  await dead.close();
  const now = Math.floor(Date.now() / 1000);
  const sim = await state(1, now);
  const good = await fleet.serve(sim);
  const root = sim.roots.get(1) as Uint8Array;
  const file = join(fleet.folder, 'root.json');
  await writeFile(file, root);
  const store = (name: string): string[] => ['--store', join(fleet.folder, name)];
  const run = (words: readonly string[], env: Record<string, string> = {}) =>
    runInProcess(program, [dead.url, ...words], { XDG_CONFIG_HOME: fleet.folder, ...env });

  const given = await run(['refresh', '--root', file, '--mirror', good.url, ...store('a')]);
  t.equal(given.exit, 0, given.stderr);
  t.match(given.stderr, /^note: .* was left with E_NETWORK/m);
  const several = `${dead.url}  ${good.url}`;
  const named = await run(['refresh', '--root', file, ...store('b')], {
    IRONPORT_MIRRORS: several,
  });
  t.equal(named.exit, 0, named.stderr);
  await writeFile(join(fleet.folder, 'config.json'), JSON.stringify({ mirrors: several }));
  const configured = await run(
    ['handoff', EDU, join(fleet.folder, 'h'), '--root', file, ...store('c')],
    {
      IRONPORT_CONFIG: join(fleet.folder, 'config.json'),
    },
  );
  t.equal(configured.exit, 0, configured.stderr);
  const bundle = ['bundle', 'create', join(fleet.folder, 'edu.bundle'), EDU, '--mirror', good.url];
  const created = await run([...bundle, ...store('c')]);
  t.equal(created.exit, 0, created.stderr);

  const digest = toHex(platformCrypto.sha256(root));
  const pinned = await run(['init', '--root-sha256', digest, '--mirror', good.url, ...store('d')]);
  t.equal(pinned.exit, 0, pinned.stderr);
  const unseen = await run(['init', '--trust-on-first-use', '--mirror', good.url, ...store('e')]);
  t.equal(unseen.exit, 5, 'nobody is trusted unseen in the place of who was named');

  const failed = await run([
    'refresh',
    '--json',
    '--mirror',
    dead.url,
    '--root',
    file,
    ...store('f'),
  ]);
  t.equal(documentOf(failed).error.code, 'E_NETWORK');
  const bad = await run(['refresh', '--mirror', 'ftp://x/', '--root', file, ...store('g')]);
  t.equal(bad.exit, 2);
});
