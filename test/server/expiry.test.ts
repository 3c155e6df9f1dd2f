/** Warnings before an offline role expires: once a threshold, whatever restarts, and in nobody's way. */

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { Lives } from '../../server/db/lives.ts';
import { openDatabase } from '../../server/db/open.ts';
import { beganAt, type ExpiryWarning, leftOf, passed } from '../../server/jobs/expiry.ts';
import { Reminder } from '../../server/jobs/reminder.ts';
import { openWebhook, parseWebhook } from '../../server/jobs/webhook.ts';
import { openRepository } from '../../server/repository.ts';
import { startService } from '../../server/service.ts';
import { utf8 } from '../../shared/bytes.ts';
import type { IronError } from '../../shared/errors.ts';
import { SERVER_LIMITS } from '../../shared/limits.ts';
import { DAY } from '../../shared/time.ts';
import { TestClock } from '../support/clock.ts';
import { signedRole, signedTargets } from '../support/repository.ts';
import { call, madeHome, repositoryOptions, running, temporaryHome } from './support.ts';

t.test('thresholds', async (t) => {
  const life = { role: 'root', version: 1, began: 0, expires: 1000 };
  const at = (now: number) => passed(life, now);
  t.same(
    [at(0), at(499), at(500), at(749), at(750), at(899), at(900), at(1000), at(5000)],
    [undefined, undefined, 50, 50, 25, 25, 10, 10, 10],
  );
  t.equal(leftOf({ ...life, expires: 0 }, -5), 100, 'a life of no length');
  fc.assert(
    fc.property(fc.integer(), fc.integer(), fc.integer(), (began, expires, now) => {
      const left = leftOf({ role: 'x', version: 1, began, expires }, now);
      return left >= 0 && left <= 100;
    }),
  );
  t.equal(beganAt('acme', 1000 * DAY, 950 * DAY, true), 950 * DAY);
  t.equal(
    beganAt('acme', 1000 * DAY, 950 * DAY, false),
    910 * DAY,
    'as if it were of the usual length',
  );
  t.equal(beganAt('root', 1000 * DAY, 10 * DAY, false), 10 * DAY, 'no life begins in the future');
});

t.test('once a threshold and version, in a database that was closed in between', async (t) => {
  const path = `${temporaryHome(t)}/state.sqlite`;
  const look = (expires: number, now: number, version = 1): string[] => {
    const db = openDatabase(path);
    try {
      const roles = [
        { role: 'acme', version, expires },
        { role: 'timestamp', version: 9, expires: now - 1 },
      ];
      return new Lives(db)
        .look(roles, now, false)
        .map((one) => `${one.role} ${one.threshold} ${one.left}`);
    } finally {
      db.close();
    }
  };
  const end = 90 * DAY;
  t.same(look(end, 0), []);
  t.same(look(end, 44 * DAY), []);
  t.same(look(end, 46 * DAY), ['acme 50 48']);
  t.same(look(end, 47 * DAY), []);
  t.same(look(end, 85 * DAY), ['acme 10 5'], 'after a pause one is enough');
  t.same(look(end, 80 * DAY), [], 'nor when the clock goes back');
  t.same(look(end, 100 * DAY), []);
  t.same(look(200 * DAY, 100 * DAY, 2), []);
  t.same(look(200 * DAY, 151 * DAY, 2), ['acme 50 49'], 'of the life that the service saw');
});

/** An address that takes warnings, or does not. */
async function hook(t: Test, answer: (response: ServerResponse, request: IncomingMessage) => void) {
  const got: Record<string, unknown>[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const part of request) text += part;
    got.push(JSON.parse(text));
    answer(response, request);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { got, url: new URL(`http://127.0.0.1:${port}/hush`) };
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition() && tries < 1000; tries++) await sleep(5);
}

async function reminded(t: Test, url: URL, seconds = 5) {
  const { repository, clock, acme, operators } = await running(t);
  const warnings: ExpiryWarning[] = [];
  const failures: IronError[] = [];
  const webhook = openWebhook(url, seconds);
  const reminder = new Reminder({
    ...repository,
    webhook,
    onWarning: (warning) => warnings.push(warning),
    onFailure: (error) => failures.push(error),
  });
  t.teardown(async () => {
    await reminder.close();
    await webhook.close();
  });
  await reminder.look();
  return { repository, clock, acme, operators, warnings, failures, reminder };
}

t.test('a webhook that takes it', async (t) => {
  const { got, url } = await hook(t, (response) => response.writeHead(204).end());
  const { clock, warnings, reminder, repository, operators, acme } = await reminded(t, url);
  clock.days(92);
  await reminder.look();
  await until(() => got.length === 1);
  t.match(got, [
    { schema: 'ironport.expiry-warning/v1', role: 'targets', version: 1, threshold: 50 },
  ]);
  t.match(String(got[0]?.text), /^targets 1 has 49 % of its life left and expires 20/);
  await reminder.look();
  clock.days(80);
  await reminder.look();
  await until(() => got.length === 2);
  t.same(
    got.map(({ id }) => id),
    ['targets-1-50', 'targets-1-10'],
  );
  const files = [await signedTargets(operators, 2, [acme], { expires: clock.now + 182 * DAY })];
  await repository.intake.submitOperatorFiles(files, false);
  await repository.worker.drain();
  clock.days(11);
  await reminder.look();
  await until(() => got.length === 3);
  t.same(got.map(({ id }) => id).slice(2), ['root-1-50']);
  t.same(
    warnings.map(({ role, threshold }) => `${role} ${threshold}`),
    ['targets 50', 'targets 10', 'root 50'],
  );
});

t.test('one that does not is tried again, later and not for ever', async (t) => {
  let redirected = 0;
  const { got, url } = await hook(t, (response, request) => {
    if (request.url !== '/hush') redirected += 1;
    response.writeHead(302, { location: '/elsewhere' }).end();
  });
  const { clock, reminder, failures } = await reminded(t, url);
  clock.days(92);
  for (let tries = 1; tries <= SERVER_LIMITS.noticeAttempts + 3; tries++) {
    await reminder.look();
    await until(() => got.length >= Math.min(tries, SERVER_LIMITS.noticeAttempts));
    await sleep(20);
    clock.now += SERVER_LIMITS.noticeRetrySeconds * 2 ** tries;
  }
  t.equal(got.filter(({ role }) => role === 'targets').length, SERVER_LIMITS.noticeAttempts);
  t.equal(redirected, 0, 'no redirect is followed');
  t.match(failures, [{ code: 'E_NETWORK', why: 'it answered with 302' }]);
  t.notMatch(JSON.stringify([failures, failures[0]?.cause]), /hush/, 'the address is not said');
});

t.test('one that never answers stops nothing', async (t) => {
  const { got, url } = await hook(t, () => {});
  const { clock, acme, repository, reminder, failures } = await reminded(t, url, 600);
  clock.days(92);
  await reminder.look();
  await until(() => got.length === 1);
  const answer = await repository.intake.submitRole({
    vendor: 'acme',
    role: 'acme',
    bytes: await signedRole(acme, 1, [], { expires: clock.now + 90 * DAY }),
  });
  await repository.worker.tick();
  t.equal(repository.intake.find(answer.id, 'acme').state, 'published');
  await reminder.look();
  t.equal(got.length, 1, 'nor are there two at a time');
  await reminder.close();
  t.same(failures, [], 'it was broken off, and waits for the next start');
});

t.test('a service that restarts says nothing twice', async (t) => {
  const made = await madeHome(t, new TestClock());
  const { got, url } = await hook(t, (response) => response.end());
  const said: string[] = [];
  const serveOnce = async (): Promise<string> => {
    const repository = await openRepository(repositoryOptions(made.home, made.clock));
    const service = await startService(repository, {
      listen: { host: '127.0.0.1', port: 0 },
      webhook: openWebhook(url),
      onWarning: (_warning, text) => said.push(text),
    });
    await repository.worker.drain();
    await until(() => repository.lives.all().length > 0);
    await sleep(50);
    const page = (await call(service.url, 'GET', '/')).body.toString();
    await service.close();
    return page;
  };
  t.notMatch(await serveOnce(), /To be signed again/);
  made.clock.days(92);
  for (let times = 0; times < 3; times++)
    t.match(
      await serveOnce(),
      /To be signed again[\s\S]*targets 1[\s\S]*has 49 % of its life left/,
    );
  t.equal(said.length, 1);
  t.equal(got.length, 1);
});

t.test('the address', async (t) => {
  const parse = (text: string) => parseWebhook(utf8(text));
  t.equal(parse('https://hooks.example/x\n').href, 'https://hooks.example/x');
  t.equal(parse('http://127.0.0.1:9/x').href, 'http://127.0.0.1:9/x');
  for (const bad of [
    '',
    'x',
    'http://hooks.example/',
    'ftp://x/',
    'https://u:p@x/',
    'file:///etc',
    'https://a\nhttps://b',
  ])
    t.throws(() => parse(bad), { code: 'E_CONFIG' }, JSON.stringify(bad));
});
