/** Bytes that nothing lists any more: promised for a window, then collected, never forgotten. */

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { restoreBackup } from '../../server/backup/restore.ts';
import { makeBackup } from '../../server/backup/write.ts';
import { serveTree } from '../../server/http/static-server.ts';
import { checkTree } from '../../server/publish/fsck.ts';
import { loadHolds, saveHolds } from '../../server/storage/holds.ts';
import { utf8 } from '../../shared/bytes.ts';
import { api, data, tree } from '../../shared/layout.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { DAY } from '../../shared/time.ts';
import { sha256, type TestArtifact } from '../support/repository.ts';
import { House, SNAPSHOT, WINDOW } from './retention-house.ts';
import { call, codeOf, running, temporaryHome } from './support.ts';

// Simulated time; what is real of it is the machine's affair.
t.setTimeout(280_000);

const PATH = 'acme/edu/1.0.0/edu.js';
t.test('a window is published, passes, and ends', async (t) => {
  const house = await House.build(t, WINDOW);
  const { clock, folder } = house;
  const [old, next] = [await house.artifact('1.0.0'), await house.artifact('1.1.0')];
  const listed = sha256(utf8(`the driver at ${PATH}`));
  const place = tree.target(PATH, listed);
  t.equal((await house.list(old, next)).state, 'published');
  t.same(await house.collect(), [], 'what is listed stays');
  // The last snapshot that listed it lives for seven days from here.
  const last = clock.now;
  await house.list(next);

  await house.wait(SNAPSHOT + WINDOW.window + WINDOW.grace - 10);
  t.same(await house.collect(), [], 'inside window and grace');
  t.ok(existsSync(join(folder, place)));
  await house.wait(20);
  t.ok(clock.now > last);
  const due = await house.collect(true);
  t.ok(due.includes(PATH) && due.length === old.entries.size, 'with its sidecars');
  t.ok(existsSync(join(folder, place)), 'a dry run takes nothing');

  await saveHolds(house.home, [{ path: PATH, reason: 'case 1', since: clock.now }]);
  const { collected, held } = await house.repository.worker.collect(false);
  t.equal(collected.length, 0);
  t.equal(held.length, old.entries.size, 'a hold on an artifact keeps its sidecars');
  writeFileSync(join(house.home, data.holds), '{');
  await t.rejects(house.collect(), { code: 'E_JSON' }, 'a hold that cannot be read is one');
  await saveHolds(house.home, [{ path: 'acme/other/', reason: 'case 2', since: clock.now }]);

  t.same(await house.collect(), due);
  t.notOk(existsSync(join(folder, place)));
  t.equal(readFileSync(join(folder, tree.mark(place) ?? '')).length, 0);
  t.same(await house.collect(), [], 'once');
  const report = await house.fsck();
  t.same(report.findings, []);
  t.equal(report.collected, due.length);

  // The name is remembered, with its digest.
  const { intake } = house.repository;
  t.equal(await intake.receiver.state('acme', listed), undefined, 'bytes that are gone are gone');
  const other = await house.artifact('1.0.0', utf8('other bytes'));
  const refused = await house.list(next, other);
  t.equal(refused.state, 'refused');
  t.equal(refused.error?.code, 'E_EXISTS');
  const again = await house.list(next, old);
  t.equal(again.state, 'published', 'with its own bytes it may come back');
  t.ok(existsSync(join(folder, place)));
  t.notOk(existsSync(join(folder, tree.mark(place) ?? '')), 'and is collected no more');
  t.same((await house.fsck()).findings, []);
});

t.test('nothing is collected without a window, or by a clock that nobody renewed by', async (t) => {
  const house = await House.build(t);
  const [old, next] = [await house.artifact('1.0.0'), await house.artifact('1.1.0')];
  await house.list(old);
  await house.list(next);
  await house.wait(100 * DAY);
  await t.rejects(house.collect(), { code: 'E_POLICY' });
  // Published now, it counts from the last snapshot that had none.
  await house.list(next);
  await house.window(WINDOW);
  await house.wait(WINDOW.window);
  t.same(await house.collect(), []);
  house.clock.now += 20 * DAY;
  await t.rejects(house.collect(), { code: 'E_EXPIRED' });
  await house.repository.worker.tick();
  await t.rejects(house.collect(), { code: 'E_EXPIRED' }, 'nor by what it signed thereupon itself');
  // What it stood still is waited for.
  await house.wait(20 * DAY);
  t.equal((await house.collect()).length, old.entries.size);
  t.same((await house.fsck()).findings, []);
});

t.test('a clock that is ahead ends no window, whatever the service signs by it', async (t) => {
  const house = await House.build(t, WINDOW);
  const { clock } = house;
  const artifacts = await Promise.all(['1.0.0', '1.1.0', '1.2.0'].map((v) => house.artifact(v)));
  const [first, second, third] = artifacts as [TestArtifact, TestArtifact, TestArtifact];
  await house.list(first);
  await house.list(second);
  await house.wait(36 * DAY);
  const before = clock.now;
  await house.list(third);
  // Beyond the operators' own files nothing can be signed.
  clock.now += 3 * 365 * DAY;
  await t.rejects(house.repository.worker.tick(), { code: 'E_EXPIRED' });
  await t.rejects(house.collect(), { code: 'E_EXPIRED' });
  // As far as they hold, the service signs whatever its clock says.
  clock.now = before;
  await house.jump(120 * DAY);
  t.ok((await house.repository.current.need()).timestamp.expires > clock.now, 'it renewed by it');
  const refused = { code: 'E_EXPIRED', context: { unproven: first.entries.size * 2 } };
  await t.rejects(house.collect(), refused);
  await t.rejects(house.collect(true), { code: 'E_EXPIRED' });
  t.equal((await house.fsck()).collected, 0, 'nothing is gone');
  // The service goes on signing by it, as it does for each vendor that publishes.
  for (let times = 0; times < 4; times++) await house.list(third);
  await t.rejects(house.collect(), { code: 'E_EXPIRED' });
  // Time that is borne out is counted, on either side of the gap.
  await house.wait(4 * DAY);
  t.equal((await house.collect()).length, first.entries.size, 'the first one, listed before it');
  await house.wait(20 * DAY);
  await t.rejects(house.collect(), { code: 'E_EXPIRED' }, 'the second, listed for 36 days more');

  // Put right, the clock counts as it did before.
  clock.now = before + 30 * DAY;
  await house.repository.worker.tick();
  t.same(await house.collect(), []);
  await house.wait(18 * DAY);
  t.equal((await house.collect()).length, second.entries.size);
  t.same((await house.fsck()).findings, []);
});

t.test('a shorter window takes nothing from who was promised more', async (t) => {
  const house = await House.build(t, { window: 90 * DAY, grace: DAY });
  const [old, next] = [await house.artifact('1.0.0'), await house.artifact('1.1.0')];
  await house.list(old);
  await house.list(next);
  await house.window({ window: 7 * DAY, grace: DAY });
  await house.wait(60 * DAY);
  t.same(await house.collect(), []);
  await house.list(next);
  await house.window({ window: 200 * DAY, grace: DAY });
  await house.wait(50 * DAY);
  t.same(await house.collect(), [], 'a longer one is given to what is there still');
  await house.list(next);
  await house.window({ window: 90 * DAY, grace: DAY });
  t.equal((await house.collect()).length, old.entries.size);
});

t.test('stopped at any instant', async (t) => {
  const points = [
    'marked',
    'noted',
    `collected ${tree.target(PATH, sha256(utf8(`the driver at ${PATH}`)))}`,
  ];
  for (const point of points) {
    const house = await House.build(t, WINDOW);
    const [old, next] = [await house.artifact('1.0.0'), await house.artifact('1.1.0')];
    await house.list(old);
    await house.list(next);
    await house.wait(60 * DAY);
    await house.repository.close();
    await house.open((reached) => {
      if (reached === point) throw new Error(`stopped: ${reached}`);
    });
    await t.rejects(house.collect(), /stopped/);
    await house.repository.close();
    t.same((await house.fsck()).findings, [], `${point}: the tree is in order`);
    await house.open();
    await house.collect();
    const report = await house.fsck();
    t.same(report.findings, []);
    t.equal(report.collected, old.entries.size, `${point}: the next run ends it`);
    // An index that is made again knows it, too.
    rmSync(join(house.home, data.database));
    await house.repository.close();
    await house.open();
    const { receiver } = house.repository.intake;
    t.equal(await receiver.state('acme', sha256(utf8(`the driver at ${PATH}`))), undefined);
  }
});

t.test('fsck tells collected from lost, and a mark that lies', async (t) => {
  const house = await House.build(t, WINDOW);
  const [old, next] = [await house.artifact('1.0.0'), await house.artifact('1.1.0')];
  await house.list(old, next);
  await house.list(next);
  const digest = (path: string) => sha256(utf8(`the driver at ${path}`));
  const [gone, live] = [
    tree.target(PATH, digest(PATH)),
    tree.target('acme/edu/1.1.0/edu.js', digest('acme/edu/1.1.0/edu.js')),
  ];
  const take = (place: string, withMark: boolean): void => {
    rmSync(join(house.folder, place));
    const mark = join(house.folder, tree.mark(place) ?? '');
    mkdirSync(join(mark, '..'), { recursive: true });
    if (withMark) writeFileSync(mark, '');
  };
  take(gone, true);
  take(live, true);
  const { findings } = await house.fsck();
  t.match(findings.find(({ at }) => at === gone)?.what, /promised until 20/);
  t.match(findings.find(({ at }) => at === live)?.what, /without an end: it is listed/);
  rmSync(join(house.folder, tree.mark(gone) ?? ''));
  const lost = (await house.fsck()).findings.find(({ at }) => at === gone);
  t.equal(lost?.what, 'it is listed and not there');
  const stray = join(house.folder, 'collected', 'acme', `${'0'.repeat(64)}.x`);
  writeFileSync(stray, '');
  t.ok((await house.fsck()).findings.some(({ what }) => /nothing lists what it says/.test(what)));
});

t.test('served, backed up and restored', async (t) => {
  const house = await House.build(t, WINDOW);
  const { clock, home } = house;
  const [old, next] = [await house.artifact('1.0.0'), await house.artifact('1.1.0')];
  await house.list(old);
  await house.list(next);
  await house.wait(60 * DAY);
  const count = (await house.collect()).length;
  const hold = { path: 'acme/', reason: 'case 3', since: clock.now };
  await saveHolds(home, [hold]);

  const served = await serveTree({
    folder: house.folder,
    listen: { host: '127.0.0.1', port: 0 },
    onFailure: (error) => t.fail(error.message),
  });
  t.teardown(() => served.close(0));
  const place = tree.target(PATH, sha256(utf8(`the driver at ${PATH}`)));
  const answer = await call(served.url, 'GET', `/${place}`);
  t.equal(answer.status, 410, 'RFC 9110 15.5.11');
  t.equal(codeOf(answer), 'E_COLLECTED');
  t.equal((await call(served.url, 'GET', `/${tree.target(PATH, '0'.repeat(64))}`)).status, 404);
  t.equal(
    (await call(served.url, 'GET', `/${tree.mark(place)}`)).status,
    404,
    'marks are not pages',
  );

  const out = join(temporaryHome(t), 'backup');
  const { sha256: digest } = await makeBackup({
    home,
    out,
    crypto: platformCrypto,
    clock: clock.read,
  });
  const back = join(temporaryHome(t), 'back');
  await restoreBackup({ from: out, home: back, crypto: platformCrypto, sha256: digest });
  t.same(await loadHolds(back), [hold]);
  const options = { crypto: platformCrypto, clock: clock.read };
  const report = await checkTree(join(back, data.tree), options);
  t.same(report.findings, []);
  t.equal(report.collected, count);
});

t.test('only the owner of the machine has it collected', async (t) => {
  const { service, home } = await running(t);
  const body = utf8('{"dry_run":true}');
  const headers = { 'content-type': 'application/json' };
  t.equal((await call(service.url, 'POST', api.retention, headers, body)).status, 401);
  const { token } = JSON.parse(readFileSync(join(home, data.service), 'utf8'));
  const owner = { ...headers, authorization: `Bearer ${token}` };
  t.equal(codeOf(await call(service.url, 'POST', api.retention, owner, body)), 'E_POLICY');
});
