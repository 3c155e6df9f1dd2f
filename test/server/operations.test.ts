/** What the operators see of a running service: health, readiness, metrics, and its log. */

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get as httpGet } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { DiskWatch } from '../../server/observe/disk.ts';
import { listenForOperations } from '../../server/observe/listener.ts';
import { Log } from '../../server/observe/log.ts';
import { Metrics } from '../../server/observe/metrics.ts';
import { routeOf } from '../../server/observe/requests.ts';
import { ServiceMetrics } from '../../server/observe/service-metrics.ts';
import { openRepository } from '../../server/repository.ts';
import { startService } from '../../server/service.ts';
import { api, data } from '../../shared/layout.ts';
import { HOUR } from '../../shared/time.ts';
import { TestClock } from '../support/clock.ts';
import { sha256, signedRole, testArtifact } from '../support/repository.ts';
import { Caller, call, madeHome, repositoryOptions, temporaryHome } from './support.ts';

const LOOPBACK = { host: '127.0.0.1', port: 0 };

/** Every sample by its series; anything that is not the format fails the test. */
function samplesOf(t: Test, text: string): Map<string, number> {
  const samples = new Map<string, number>();
  const typed = new Set<string>();
  t.ok(text.endsWith('\n'));
  for (const line of text.slice(0, -1).split('\n')) {
    const type = /^# TYPE ([a-z_]+) (counter|gauge|histogram)$/.exec(line);
    if (type !== null) {
      t.notOk(typed.has(type[1] as string), `${type[1]} is said once`);
      typed.add(type[1] as string);
      continue;
    }
    if (/^# HELP [a-z_]+ [^\n]+$/.test(line)) continue;
    const match = /^([a-z_]+(?:\{(?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)*\})?) (-?[0-9.e+-]+)$/.exec(
      line,
    );
    if (match === null) {
      t.fail(`no line of the format: ${line}`);
      continue;
    }
    t.notOk(samples.has(match[1] as string), `${match[1]} has one value`);
    samples.set(match[1] as string, Number(match[2]));
  }
  return samples;
}

async function watched(t: Test, made?: Awaited<ReturnType<typeof madeHome>>) {
  const whole = made ?? (await madeHome(t));
  const lines: string[] = [];
  const metrics = new ServiceMetrics();
  const log = new Log((line) => lines.push(line), whole.clock.read);
  const operations = await listenForOperations(LOOPBACK);
  const before = await call(operations.url, 'GET', '/readyz');
  const repository = await openRepository({
    ...repositoryOptions(whole.home, whole.clock),
    events: {
      published: (event) => metrics.published(event),
      refused: (event) => metrics.refused(event),
    },
    onFailure: (error, request) => log.say('error', 'failure', { code: error.code, request }),
  });
  const service = await startService(repository, { listen: LOOPBACK, log, metrics, operations });
  let stopped = false;
  const stop = async (): Promise<void> => {
    if (!stopped) await service.close();
    stopped = true;
  };
  t.teardown(stop);
  const caller = new Caller(service.url, whole.acme.api, whole.clock);
  return { ...whole, lines, metrics, operations, repository, service, caller, before, stop };
}

t.test('metrics, on a listener of their own', async (t) => {
  const { operations, service, caller, acme, before, clock, repository } = await watched(t);
  t.equal(before.status, 503, 'not ready while it opens');
  t.match(before.body.toString(), /starting/);
  const artifact = await testArtifact(acme);
  await caller.uploadAll([artifact]);
  const role = await signedRole(acme, 1, [artifact]);
  t.equal((await caller.submit('acme', role)).state, 'published');
  t.equal((await caller.submit('acme', role)).state, 'refused');
  // Who waits is told before a publication has ended, and it is counted when it has.
  await repository.worker.drain();
  await call(service.url, 'GET', '/metadata/1.root.json');
  await call(service.url, 'BREW', '/metadata/"}\\n\n'.replace('\n', '%0a'));
  await call(service.url, 'GET', '/x{y="z"}?token=secret');
  const answer = await call(operations.url, 'GET', '/metrics');
  t.equal(answer.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  const samples = samplesOf(t, answer.body.toString());
  const is = (series: string, value: number) => t.equal(samples.get(series), value, series);
  is('ironport_requests_total{route="metadata",method="GET",status="200"}', 1);
  is('ironport_request_errors_total{code="E_NOT_FOUND"}', 1);
  is('ironport_submissions_published_total', 1);
  t.match(answer.body.toString(), /ironport_submissions_refused_total\{code="E_[A-Z_]+"\} 1\n/);
  is(
    'ironport_publication_seconds_bucket{le="+Inf"}',
    samples.get('ironport_publication_seconds_count') ?? -1,
  );
  is('ironport_queue_waiting', 0);
  is('ironport_reviews_waiting', 0);
  is('ironport_ready', 1);
  is('ironport_role_version{role="snapshot"}', 2);
  is('ironport_role_expiry_seconds{role="timestamp"}', 24 * HOUR);
  t.ok(samples.has('ironport_role_expiry_seconds{role="acme"}'));
  t.ok((samples.get('ironport_received_bytes_total{route="blobs"}') ?? 0) > 1000);
  t.ok((samples.get('process_resident_memory_bytes') ?? 0) > 1e6);
  t.notMatch(answer.body.toString(), /BREW|secret|x\{y/, 'strangers make no series');
  clock.now += 30 * HOUR;
  const later = samplesOf(t, (await call(operations.url, 'GET', '/metrics')).body.toString());
  t.equal(later.get('ironport_role_expiry_seconds{role="timestamp"}'), -6 * HOUR);
  t.equal((await call(operations.url, 'POST', '/metrics')).status, 405);
  t.equal((await call(operations.url, 'GET', '/metadata/1.root.json')).status, 404);
  t.equal((await call(operations.url, 'HEAD', '/readyz')).body.length, 0);
  t.equal((await call(service.url, 'GET', '/metrics')).status, 404, 'not for the world');
});

t.test('the text format, with labels that try to break out of it', async (t) => {
  const metrics = new Metrics();
  const counter = metrics.counter('a_total', 'two\nlines \\');
  counter.add(2, { label: 'x"} 7\n# TYPE b counter\\' });
  metrics.gauge('broken', 'never there', () => {
    throw new Error('unknown');
  });
  const text = await metrics.text();
  t.equal(
    text,
    '# HELP a_total two\\nlines \\\\\n# TYPE a_total counter\na_total{label="x\\"} 7\\n# TYPE b counter\\\\"} 2\n',
  );
});

t.test('every way into the service has a name of its own in the metrics', (t) => {
  for (const path of Object.values(api)) {
    const place = typeof path === 'string' ? path : path('a', 'b');
    if (place !== api.metrics) t.not(routeOf(place), 'other', place);
  }
  t.equal(routeOf('/'), 'status-page');
  t.equal(routeOf('/whatever/else'), 'other');
  t.end();
});

t.test('the log', async (t) => {
  const { service, caller, lines, acme, repository } = await watched(t);
  const answer = await call(service.url, 'GET', '/metadata/1.root.json?x=hush%0a', {
    authorization: 'Bearer hush',
    cookie: 'hush',
  });
  await call(service.url, 'GET', `/targets/${'long'.repeat(1000)}`);
  const reply = await caller.submit('acme', await signedRole(acme, 1, []));
  // A connection is done a little after its answer was read.
  for (let tries = 0; lines.length < 4 && tries < 200; tries++) await sleep(5);
  const documents = lines.map((line) => JSON.parse(line));
  t.ok(lines.every((line) => !line.includes('\n') && line.length < 2000));
  t.notMatch(lines.join('\n'), /hush|signature/i, 'nothing secret is in it');
  t.notMatch(lines.join('\n'), reply.id, 'nor what lets one ask for a submission');
  const first = documents[0];
  t.match(first, {
    level: 'info',
    event: 'request',
    method: 'GET',
    status: 200,
    route: 'metadata',
  });
  t.match(first, { path: '/metadata/1.root.json', complete: true, peer: '127.0.0.1' });
  t.equal(answer.headers['x-request-id'], first.id, 'the caller can name the line');
  t.equal(new Set(documents.map(({ id }) => id)).size, documents.length);
  repository.onFailure(Object.assign(new Error('x'), { code: 'E_IO' }) as never, first.id);
  t.match(JSON.parse(lines.at(-1) as string), {
    event: 'failure',
    code: 'E_IO',
    request: first.id,
  });
});

t.test('ready is more than alive', async (t) => {
  const { clock, service, home, repository, caller, acme } = await watched(t);
  const problems = async () => (await service.ready()).problems.join('; ');
  const readyz = await call(service.url, 'GET', '/readyz');
  t.same([readyz.status, JSON.parse(readyz.body.toString())], [200, { ok: true, problems: [] }]);
  clock.now += 19 * HOUR;
  t.match(await problems(), /timestamp is about to expire/);
  t.equal((await call(service.url, 'GET', '/healthz')).status, 200, 'hosts still accept it');
  t.equal((await call(service.url, 'GET', '/readyz')).status, 503);
  clock.now += 6 * HOUR;
  t.match(await problems(), /timestamp has expired/);
  t.equal((await call(service.url, 'GET', '/healthz')).status, 503);
  await repository.worker.tick();
  t.equal(await problems(), '');

  // Somebody tidied up: from now on another process could take the lock.
  rmSync(join(home, data.writerLock));
  t.match(await problems(), /lock is lost/);
  writeFileSync(join(home, data.writerLock), '');
  t.match(await problems(), /lock is lost/, 'another file of the name is not it');
  const { id } = await caller.submitOnly('acme', await signedRole(acme, 1, []));
  await t.rejects(repository.worker.drain(), { code: 'E_LOCKED' });
  t.equal(repository.intake.find(id, 'acme').state, 'queued', 'nothing is published without it');
});

t.test('ready after a publication that could not end', async (t) => {
  const made = await madeHome(t);
  let breaks = true;
  const repository = await openRepository({
    ...repositoryOptions(made.home, made.clock),
    observe(point) {
      if (breaks && point.startsWith('placed')) throw new Error('the disk went away');
    },
  });
  const service = await startService(repository, { listen: LOOPBACK });
  t.teardown(() => service.close());
  const caller = new Caller(service.url, made.acme.api, made.clock);
  await caller.submitOnly('acme', await signedRole(made.acme, 1, []));
  await t.rejects(repository.worker.drain());
  t.match((await service.ready()).problems, [/not finished yet/]);
  breaks = false;
  await repository.worker.drain();
  t.ok((await service.ready()).ok);
  t.equal((await repository.current.need()).version('acme'), 1);
});

t.test('a disk', async (t) => {
  const home = temporaryHome(t);
  mkdirSync(join(home, 'private'));
  t.equal((await new DiskWatch(home).look()).problem, null);
  mkdirSync(join(home, data.probe));
  t.match((await new DiskWatch(home).look()).problem, /cannot be written/);
  t.match((await new DiskWatch(join(home, 'none')).look()).problem, /cannot be written/);
  const disk = mkdtempSync(join(tmpdir(), 'ironport-disk-'));
  const mount = (...argv: string[]) => spawnSync('mount', argv).status === 0;
  const canMount = mount('-t', 'tmpfs', '-o', 'size=80m', 'tmpfs', disk);
  t.teardown(() => {
    if (canMount) spawnSync('umount', [disk]);
    rmSync(disk, { recursive: true, force: true });
  });
  if (!canMount) {
    t.pass('no right to mount', { skip: 'no right to mount a tmpfs' });
    return;
  }
  mkdirSync(join(disk, 'private'));
  t.equal((await new DiskWatch(disk).look()).problem, null);
  writeFileSync(join(disk, 'fill'), new Uint8Array(20 << 20));
  t.match((await new DiskWatch(disk).look()).problem, /nearly full/);
  spawnSync('dd', ['if=/dev/zero', `of=${join(disk, 'rest')}`]);
  t.match((await new DiskWatch(disk).look()).problem, /is full/);
  t.ok(mount('-o', 'remount,ro', disk));
  t.match((await new DiskWatch(disk).look()).problem, /cannot be written/);
});

t.test('a graceful stop', async (t) => {
  const { home, service, repository, caller, acme, stop } = await watched(t);
  const large = await testArtifact(acme, 'acme/edu/1.0.0/edu.js', new Uint8Array(24 << 20));
  await caller.uploadAll([large]);
  t.equal((await caller.submit('acme', await signedRole(acme, 1, [large]))).state, 'published');
  const path = `/targets/acme/edu/1.0.0/${sha256(new Uint8Array(24 << 20))}.edu.js`;
  const response = await new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
    httpGet(`${service.url}${path}`, { agent: false }, resolve).on('error', reject);
  });
  const waiting = caller.submitOnly('acme', await signedRole(acme, 2, [large]));
  await waiting;
  const closing = stop();
  t.match((await service.ready()).problems, [/stopping/]);
  let length = 0;
  for await (const part of response) length += part.length;
  t.equal(length, 24 << 20, 'what had begun came whole');
  await closing;
  const { port } = service;
  const socket = connect(port, '127.0.0.1');
  const [error] = await once(socket, 'error');
  t.equal(error.code, 'ECONNREFUSED');
  const again = await openRepository(repositoryOptions(home, new TestClock()));
  await again.worker.drain();
  t.equal((await again.current.need()).version('acme'), 2, 'what was accepted is not lost');
  await again.close();
  t.ok(repository);
});

t.test('who does not end is ended', async (t) => {
  const made = await madeHome(t);
  const repository = await openRepository(repositoryOptions(made.home, made.clock));
  const service = await startService(repository, { listen: LOOPBACK, stopSeconds: 0.2 });
  const socket = connect(service.port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write(
    'POST /api/v1/operator/files HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{',
  );
  await sleep(50);
  socket.on('error', () => {});
  const ended = once(socket, 'close');
  await service.close();
  await ended;
  t.pass('closed');
});

t.test('the program: one signal, under load', async (t) => {
  const home = temporaryHome(t);
  const argv = ['bin/ironport-repo.js', '127.0.0.1:0', 'start', '--dir', home];
  const child = spawn(process.execPath, [...argv, '--metrics', '127.0.0.1:0', '--log-json']);
  let printed = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  const exited = once(child, 'exit');
  let url: string | undefined;
  while (url === undefined) {
    await sleep(50);
    url = /serving .* on (http:\S+)/.exec(printed)?.[1];
    if (child.exitCode !== null) throw new Error(printed);
  }
  const tally = { whole: 0, torn: 0, refused: 0 };
  let isOver = false;
  const load = async (): Promise<void> => {
    while (!isOver) {
      try {
        const { status, body } = await call(url, 'GET', '/metadata/1.root.json');
        if (status === 200) {
          JSON.parse(body.toString());
          tally.whole += 1;
        } else if (status === 503) tally.refused += 1;
        else tally.torn += 1;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        // Reset before an answer: it came while the socket closed. Half an answer is an error.
        if (code === 'ECONNREFUSED' || code === 'ECONNRESET') isOver = tally.whole > 0;
        else tally.torn += 1;
      }
    }
  };
  const loads = Array.from({ length: 8 }, load);
  while (tally.whole < 50) await sleep(10);
  child.kill('SIGTERM');
  const [exit] = await exited;
  isOver = true;
  await Promise.all(loads);
  t.equal(exit, 0);
  t.equal(tally.torn, 0, `${tally.whole} whole answers, none torn`);
  const documents = printed.split('\n').filter((line) => line.startsWith('{'));
  t.ok(documents.map((line) => JSON.parse(line)).some(({ event }) => event === 'published'));
  t.ok(documents.length >= 50);
});
