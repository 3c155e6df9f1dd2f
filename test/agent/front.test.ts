/** The front passes on what people ask, and serves figures. */

import { equal } from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import t, { type Test } from 'tap';
import { figuresOf, figuresWithout } from '../../agent/front/figures.ts';
import { serveFigures } from '../../agent/front/figures-socket.ts';
import { serveFront } from '../../agent/front/front.ts';
import { LogCounter } from '../../agent/helper/log-counts.ts';
import { putPolicy, raw, type Served, startHelper, until } from './helper-support.ts';
import { becoming, isForAnybody } from './other-user.ts';
import { agent, BDF, NAME, refused, type Scene, scene } from './support.ts';

const NOBODY = 65_534;
const GROUP_TYPE = 'kernel/iommu_groups/7/type';
const isRoot = process.getuid?.() === 0;

interface Front {
  readonly people: string;
  readonly metrics: string;
  readonly stop: AbortController;
}

/** A front in this process. */
async function startFront(t: Test, place: Scene, helper: string): Promise<Front> {
  const [people, metrics] = [join(place.folder, 'people.sock'), join(place.folder, 'figures.sock')];
  const stop = new AbortController();
  const both = [
    await serveFront({ socket: people, helper, signal: stop.signal }),
    await serveFigures({ socket: metrics, helper, signal: stop.signal }),
  ];
  t.teardown(async () => {
    stop.abort();
    for (const one of both) await one.close();
  });
  return { people, metrics, stop };
}

function get(socketPath: string, path = '/metrics', method = 'GET') {
  return new Promise<{ status: number | undefined; type: string | undefined; body: string }>(
    (resolve, reject) => {
      const asked = request({ socketPath, path, method }, (response) => {
        let body = '';
        response.on('data', (piece) => (body += piece));
        response.on('end', () =>
          resolve({ status: response.statusCode, type: response.headers['content-type'], body }),
        );
      });
      asked.once('error', reject);
      asked.end();
    },
  );
}

t.test('people ask the front as they would ask the helper', async (t) => {
  const place = await scene(t);
  const served = await startHelper(t, place);
  const { people } = await startFront(t, place, served.socket);
  const via = (...words: string[]) => agent(...words, '--via', people);
  await putPolicy(served, 'fleet.json');
  t.equal((await via('policy', 'accept', 'fleet.json')).data.version, 1);
  t.equal((await via('apply', NAME, '--device', BDF)).data.bound_to, 'vfio-pci');
  refused(
    t,
    await via('apply', NAME, '--device', BDF),
    'E_NOTHING_TO_DO',
    'a refusal comes through',
  );
  t.equal((await via('release', '--device', BDF)).exit, 0);
  await served.stop();
  refused(t, await via('status'), 'E_NETWORK', 'without a helper there is no answer');
  t.ok(existsSync(people), 'and the front is there still');
});

t.test('figures', async (t) => {
  const place = await scene(t);
  const served = await startHelper(t, place);
  const { people, metrics } = await startFront(t, place, served.socket);
  await putPolicy(served, 'fleet.json');
  const via = (...words: string[]) => agent(...words, '--via', people);
  await via('policy', 'accept', 'fleet.json');
  await via('apply', NAME, '--device', BDF);
  await via('apply', NAME, '--device', BDF);
  await via('quarantine', 'enter', '--device', BDF, '--reason', 'it lies');
  const { status, type, body } = await get(metrics);
  t.equal(status, 200);
  t.equal(type, 'text/plain; version=0.0.4; charset=utf-8');
  for (const line of [
    'ironport_agent_helper_up 1',
    'ironport_agent_accepted 1',
    'ironport_agent_quarantined{level="hard"} 1',
    'ironport_agent_requests_total{command="apply",verdict="ok"} 1',
    'ironport_agent_requests_total{command="apply",verdict="E_NOTHING_TO_DO"} 1',
    'ironport_agent_events_total{event="bound"} 1',
  ])
    t.ok(body.split('\n').includes(line), line);
  t.match(body, /^ironport_agent_bindings\{state=".+"\} 1$/m);
  t.match(body, /^ironport_agent_resident_memory_bytes\{role="front"\} [1-9][0-9]{6,}$/m);
  t.match(body, /^ironport_agent_resident_memory_bytes\{role="helper"\} [1-9][0-9]{6,}$/m);
  const [, lines] = /^ironport_agent_audit_lines ([0-9]+)$/m.exec(body) ?? [];
  const [, after] = /^ironport_agent_audit_lines ([0-9]+)$/m.exec((await get(metrics)).body) ?? [];
  t.ok(Number(after) >= Number(lines) && Number(lines) > 5, `${lines}, then ${after}`);

  t.equal((await get(metrics, '/')).status, 404);
  t.equal((await get(metrics, '/metrics', 'POST')).status, 405);
  const { socket, closed } = raw(metrics);
  socket.write('G'.repeat(100_000));
  await closed;
  t.equal((await get(metrics)).status, 200, 'a head without an end ends that connection alone');
  await served.stop();
  t.match((await get(metrics)).body, /^ironport_agent_helper_up 0$/m);
});

t.test('what is served counts what was refused at a gate', async (t) => {
  const place = await scene(t);
  const served = await startHelper(t, place);
  const { metrics } = await startFront(t, place, served.socket);
  await putPolicy(served, 'fleet.json');
  await served.via('policy', 'accept', 'fleet.json');
  t.notMatch((await get(metrics)).body, /gate_refusals_total\{/, 'control: nothing was refused');
  writeFileSync(join(place.sysfs, GROUP_TYPE), 'identity\n');
  const refusal = await served.via('apply', NAME, '--device', BDF);
  refused(t, refusal, 'E_IDENTITY_GROUP', 'by its gate');
  const { body } = await get(metrics);
  t.match(body, /^ironport_agent_gate_refusals_total\{gate="identity-group"\} 1$/m);
});

t.test('labels are escaped, and documents of another form are refused', async (t) => {
  const status = { bindings: [{ state: 'a"b\\c\nd\u0007' }], accepted: [], processes: [] };
  const counts = { audit_lines: 0, gate_refusals: [], watched: [], events: [], requests: [] };
  const text = figuresOf({ status, quarantine: { incidents: [] }, counts }, 1);
  t.match(text, 'ironport_agent_bindings{state="a\\"b\\\\c\\nd"} 1\n');
  t.throws(() => figuresOf({ status: {}, quarantine: {}, counts }, 1), { code: 'E_SCHEMA' });
  t.match(figuresWithout(5), 'resident_memory_bytes{role="front"} 5');
});

t.test('what was seen of devices is counted by kind and decision', async (t) => {
  const path = join(t.testdir({}), 'audit.jsonl');
  const seen = (kind: unknown, decision: unknown): string =>
    `${JSON.stringify({ event: 'watch', kind, decision })}\n`;
  const lines = [
    ...[seen('leak', 'quarantine'), seen('leak', 'quarantine'), seen('aer', 'observe')],
    ...[seen('aer', 'quarantine'), seen(7, null), '{"event":"watch"}\n', 'nonsense\n'],
  ];
  writeFileSync(path, lines.join(''));
  const counter = new LogCounter(path);
  const { watched, lines: count } = await counter.read();
  t.equal(count, 7);
  t.strictSame(watched, [
    { kind: 'leak', decision: 'quarantine', count: 2 },
    { kind: 'aer', decision: 'observe', count: 1 },
    { kind: 'aer', decision: 'quarantine', count: 1 },
  ]);
  appendFileSync(path, seen('leak', 'quarantine'));
  t.equal((await counter.read()).watched[0]?.count, 3, 'counted as it grows');
  const status = { bindings: [], accepted: [], processes: [] };
  const counts = { audit_lines: 0, gate_refusals: [], watched, events: [], requests: [] };
  const text = figuresOf(
    {
      status,
      quarantine: { incidents: [] },
      counts: { ...counts, watched: watched.map((one) => ({ ...one })) },
    },
    1,
  );
  t.match(text, 'ironport_agent_watched_total{kind="leak",decision="quarantine"} 2\n');
});

const bin = fileURLToPath(new URL('../../bin/ironport-agent.js', import.meta.url));

const isRunnable = isRoot && isForAnybody(bin);

t.test(
  'a front of another user',
  { skip: isRunnable ? false : 'needs root, and a checkout that others may read' },
  async (t) => {
    const place = await scene(t);
    const served: Served = await startHelper(t, place, '--user', String(NOBODY));
    const folder = join(place.folder, 'front');
    chmodSync(place.folder, 0o755);
    mkdirSync(folder);
    chownSync(folder, NOBODY, NOBODY);
    const [people, metrics] = [join(folder, 'people.sock'), join(folder, 'figures.sock')];
    const start = (): ChildProcess =>
      spawn(
        process.execPath,
        [
          ...['-e', `${becoming(NOBODY)}import(${JSON.stringify(pathToFileURL(bin))})`, '--', bin],
          ...['front', '--helper', served.socket, '--socket', people, '--metrics', metrics],
        ],
        { stdio: ['ignore', 'inherit', 'ignore'] },
      );
    const child = start();
    const ended = new Promise((resolve) => child.once('exit', resolve));
    await until(() => existsSync(metrics), ended);
    const status = await agent('status', '--via', people);
    const front = status.data.processes.find(({ role }: { role: string }) => role === 'front');
    t.equal(front.pid, child.pid, 'the kernel says who it is');
    t.ok(front.resident_bytes > 2 ** 20);
    await until(async () => (await get(metrics)).body.includes('helper_up 1'));
    child.kill('SIGKILL');
    await ended;
    t.ok(existsSync(people), 'control: its socket is left over');
    const again = start();
    const over = new Promise((resolve) => again.once('exit', resolve));
    await until(async () => (await agent('status', '--via', people)).exit === 0, over);
    again.kill('SIGTERM');
    equal(await over, 0);
  },
);

t.test('the front does not run as root', { skip: isRoot ? false : 'needs root' }, async (t) => {
  refused(t, await agent('front', '--helper', '/none', '--socket', '/none'), 'E_USAGE', 'root');
});
