/** Quarantine: entered, kept over processes and starts, and left by the operators' word alone. */

import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Agent } from '../../agent/agent.ts';
import { type HoldEnd, hold } from '../../agent/hold.ts';
import { Sysfs } from '../../agent/host/sysfs.ts';
import { program } from '../../agent/main.ts';
import { enterQuarantine } from '../../agent/quarantine/enter.ts';
import { formatIncident, parseIncident } from '../../agent/quarantine/incident.ts';
import { endIncident, loadIncidents } from '../../agent/quarantine/store.ts';
import { recoverDevice } from '../../agent/recover.ts';
import { BRIDGE, EDU_DEVICE } from '../../scripts/demo/kernel/devices.ts';
import { utf8 } from '../../shared/bytes.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { makeKeyFile } from '../../shared/node/signers/file.ts';
import { keyObject } from '../../shared/tuf/key.ts';
import { testKey } from '../support/keys.ts';
import { runInProcess } from '../support/program.ts';
import {
  DEVICE,
  eventsOf,
  operators,
  placeOf,
  playedDevice,
  raise,
  statementOf,
} from './quarantine-support.ts';
import { apply, BDF, NAME, POLICY, refused, agent as run, type Scene } from './support.ts';

t.test('a device of the host: taken off its driver, refused, released', async (t) => {
  const place = await placeOf(t);
  t.equal((await place.q('list')).data.incidents.length, 0);
  const entered = await place.enter();
  t.match(entered.data, {
    level: 'hard',
    reason: 'it lies',
    device: { path: BDF, serial: null },
    done: ['set the override to vfio-pci', /^unbind/],
    problems: [],
  });
  t.strictSame(place.state_(), { driver: null, override: 'vfio-pci' });
  t.match(
    eventsOf(place).filter(({ event }) => event === 'sysfs-write'),
    [
      { path: /driver_override$/, old: null, new: /^vfio-pci/, outcome: 'written' },
      { path: /unbind$/, old: String, new: new RegExp(`^${BDF}`), outcome: 'written' },
    ],
    'each write with what stood there before',
  );
  refused(t, await apply(place), 'E_QUARANTINED', 'apply', 'quarantined');
  const gate = eventsOf(place).find((line) => line.event === 'gate' && line.gate === 'quarantined');
  const inputs = { incident: /^[0-9a-f]{64}$/, parent: null, vfs: null };
  t.match(gate, { decision: 'refuse', inputs });
  const why = await run('why', NAME, ...place.device, '--policy', POLICY);
  t.equal(why.data.bindable, false);
  const { incident, audit } = entered.data;
  t.match((await place.q('list')).data.incidents, [{ incident, level: 'hard' }]);
  const line = eventsOf(place).find(({ event }) => event === 'quarantined');
  t.match(line, { seq: audit.seq, incident, device: BDF, reason: 'it lies' });

  const again = await place.enter('--level', 'soft');
  t.match(again.data, { incident, level: 'hard' }, 'the same incident, and no lower');
  const released = await place.release(await statementOf(place, incident));
  t.equal(released.data.signers.length, 2);
  t.strictSame(place.state_(), { driver: null, override: '(null)' }, 'and no driver comes back');
  t.equal((await place.q('list')).data.incidents.length, 0);
  t.match(
    eventsOf(place).filter(({ event }) => event === 'state'),
    [{ from: 'quarantined', to: 'discovered' }],
  );
  t.equal((await apply(place)).exit, 0, 'it can be bound again');
  t.equal((await run('audit', 'verify', '--state', place.state)).exit, 0);
});

t.test('a device that is bound stays so, and is nobody’s to give back', async (t) => {
  const place = await placeOf(t);
  await apply(place);
  const { data } = await place.enter();
  t.match(data, { driver: { path: NAME }, done: ['set the override to vfio-pci'] });
  t.strictSame(place.state_(), { driver: 'some', override: 'vfio-pci' });
  refused(t, await run('release', ...place.device), 'E_QUARANTINED', 'release');
  t.equal((await place.release(await statementOf(place, data.incident))).exit, 0);
  t.equal((await run('release', ...place.device)).exit, 0, 'after the operators, yes');
  t.match(
    eventsOf(place).flatMap(({ event, to }) => (event === 'state' ? [to] : [])),
    ['verified', 'admitted', 'claimed', 'discovered', 'draining', 'released'],
  );
});

t.test('statements that release nothing', async (t) => {
  const place = await placeOf(t);
  const first = (await place.enter()).data.incident;
  const used = await statementOf(place, first);
  const kept = readFileSync(used);
  t.equal((await place.release(used)).exit, 0);
  writeFileSync(used, kept);
  refused(t, await place.release(used), 'E_REPLAY', 'a second time');

  const { incident } = (await place.enter()).data;
  t.not(incident, first, 'what comes later is another incident');
  writeFileSync(used, kept);
  refused(t, await place.release(used), 'E_REPLAY', 'that of the incident before');
  const [one] = operators as [(typeof operators)[0]];
  for (const [name, code, change, by, reason] of [
    [
      'another device',
      'E_NOT_RELEASED',
      { device: { ...DEVICE, path: '0000:00:06.0' } },
      operators,
      'device',
    ],
    ['another record', 'E_NOT_RELEASED', { auditSha256: '00'.repeat(32) }, operators, 'audit'],
    ['another host', 'E_NOT_RELEASED', { host: '00'.repeat(16) }, operators, 'host'],
    ['no incident', 'E_NOT_RELEASED', { incident: '00'.repeat(16) }, operators, 'incident'],
    ['too long', 'E_NOT_RELEASED', { expires: systemClock() + 90_000 }, operators, 'lifetime'],
    ['expired', 'E_EXPIRED', { expires: systemClock() - 1 }, operators, undefined],
    ['one signer', 'E_THRESHOLD', {}, [one], undefined],
    ['a stranger', 'E_SIGNATURE', {}, [testKey('stranger')], undefined],
  ] as const) {
    const file = await statementOf(place, incident, change, [...by]);
    refused(t, await place.release(file), code, name, reason);
  }
  t.match((await place.q('list')).data.incidents, [{ incident }], 'and it is there still');
  const told = eventsOf(place).filter(({ event }) => event === 'quarantine-release-refused');
  t.equal(told.length, 10, 'each refusal is written down');
  t.equal((await place.release(await statementOf(place, incident))).exit, 0, 'the control');
});

t.test('operators sign with the command, each on a machine of their own', async (t) => {
  const place = await placeOf(t);
  const { incident } = (await place.enter()).data;
  const at = (name: string): string => join(place.folder, name);
  const keys = await Promise.all([makeKeyFile('ed25519'), makeKeyFile('ecdsa-sha2-nistp256')]);
  for (const [i, { file }] of keys.entries())
    writeFileSync(at(`operator-${i}.json`), file, { mode: 0o600 });
  const fleet = { schema: 'ironport.fleet-keys/v1', threshold: 2 };
  const list = keys.map(({ key }) => keyObject(key));
  writeFileSync(at('fleet-keys.json'), JSON.stringify({ ...fleet, keys: list }), { mode: 0o644 });
  await place.q('show', incident, '--out', at('draft.json'));
  const sign = (from: string, key: number, out: string) =>
    run('quarantine', 'sign', at(from), '--key', at(`operator-${key}.json`), '--out', at(out));
  t.match((await sign('draft.json', 0, 'one.json')).data, { incident, device: BDF, signatures: 1 });
  refused(t, await place.release(at('one.json')), 'E_THRESHOLD', 'one of two');
  t.equal((await sign('one.json', 0, 'again.json')).data.signatures, 1, 'not twice');
  t.equal((await sign('one.json', 1, 'two.json')).data.signatures, 2);
  refused(t, await place.release(at('draft.json')), 'E_SCHEMA', 'a draft');
  t.equal((await place.release(at('two.json'))).exit, 0);
});

t.test('a start of the machine, and a device that comes back', async (t) => {
  const place = await placeOf(t);
  await place.enter();
  const folder = join(place.sysfs, 'devices/pci0000:00', BDF);
  const enforce = (): ReturnType<typeof run> =>
    run('quarantine', 'enforce', '--state', place.state, '--sysfs-root', place.sysfs);
  t.match((await enforce()).data.incidents, [{ done: [], problems: [] }], 'it is so already');
  // As a start leaves it: no override, and a driver of the host got there first.
  await place.kernel.stop();
  writeFileSync(join(folder, 'driver_override'), '(null)\n');
  const { startKernel } = await import('../../scripts/demo/kernel/kernel.ts');
  const kernel = await startKernel(place.sysfs);
  t.teardown(() => kernel.stop());
  writeFileSync(join(place.sysfs, 'bus/pci/drivers_probe'), BDF);
  while (place.state_().driver === null) await new Promise((next) => setTimeout(next, 5));
  const [one] = (await enforce()).data.incidents;
  t.match(one.done, ['set the override to vfio-pci', /^unbind/]);
  t.strictSame(place.state_(), { driver: null, override: 'vfio-pci' });

  // The tomb: removed at once, and again whenever it comes back.
  writeFileSync(join(folder, 'remove'), '');
  t.match((await place.enter('--level', 'tomb')).data, { level: 'tomb', problems: [] });
  t.equal(readFileSync(join(folder, 'remove'), 'utf8'), '1');
  writeFileSync(join(folder, 'remove'), '');
  await enforce();
  t.equal(readFileSync(join(folder, 'remove'), 'utf8'), '1');
  refused(t, await apply(place), 'E_QUARANTINED', 'brought back it is in quarantine still');
});

t.test('somebody works on the state while devices are to be held down', async (t) => {
  const place = await placeOf(t);
  const { incident } = (await place.enter()).data;
  const tree = ['--state', place.state, '--sysfs-root', place.sysfs];
  const folder = join(place.sysfs, 'devices/pci0000:00', BDF);
  writeFileSync(join(folder, 'driver_override'), '(null)\n');
  const log = (): string => readFileSync(join(place.state, 'audit.jsonl'), 'utf8');
  const agent = new Agent({ state: place.state });
  const { enforcing, before, during } = await agent.alone(async () => {
    const before = log();
    const enforcing = run('quarantine', 'enforce', ...tree);
    while (place.state_().override !== 'vfio-pci') await new Promise((next) => setTimeout(next, 5));
    const during = log();
    // As whoever has the lock goes on: its line follows from the one it knows.
    await agent.audit.append({ event: 'test' });
    return { enforcing: { answer: enforcing }, before, during };
  });
  t.equal(during, before, 'held down at once, and the log is left to who has the lock');
  const { data, exit } = await enforcing.answer;
  t.equal(exit, 0);
  t.match(data.incidents, [{ incident, done: ['set the override to vfio-pci'], problems: [] }]);
  const lines = eventsOf(place).slice(-2);
  t.match(lines, [{ event: 'test' }, { event: 'sysfs-write' }], 'and written down after');
  t.equal((await run('audit', 'verify', '--state', place.state)).exit, 0, 'the chain holds');
});

t.test('a device that is released while it is held down without the lock', async (t) => {
  const place = await placeOf(t);
  const { incident } = (await place.enter()).data;
  const tree = ['--state', place.state, '--sysfs-root', place.sysfs];
  const agent = new Agent({ state: place.state });
  writeFileSync(join(place.sysfs, 'devices/pci0000:00', BDF, 'driver_override'), '(null)\n');
  const { enforcing } = await agent.alone(async () => {
    const enforcing = run('quarantine', 'enforce', ...tree);
    while (place.state_().override !== 'vfio-pci') await new Promise((next) => setTimeout(next, 5));
    const [found] = await loadIncidents(agent);
    if (found === undefined) throw new Error(`${incident} is gone`);
    await endIncident(agent, {
      ...found,
      released: { at: agent.clock(), statementSha256: '0'.repeat(64) },
    });
    return { enforcing: { answer: enforcing } };
  });
  t.match((await enforcing.answer).data.incidents, []);
  t.equal(place.state_().override, '(null)', 'it is not held by a record that is over');
});

/** Configuration space that shows a serial number (PCIe 7.9.3), below the header that is there. */
function showSerial(place: Scene, bdf: string, last: number): void {
  const file = join(place.sysfs, 'devices/pci0000:00', bdf, 'config');
  const config = Buffer.alloc(4096);
  readFileSync(file).copy(config, 0, 0, 256);
  config.writeUInt32LE(0x0003 | (1 << 16), 0x100);
  config.writeUInt8(last, 0x104);
  writeFileSync(file, config);
}

t.test('a device that was put into another slot, and one that came into its own', async (t) => {
  const OTHER = '0000:00:06.0';
  const devices = [BRIDGE, EDU_DEVICE, { ...EDU_DEVICE, bdf: OTHER, group: 8 }];
  const place = await placeOf(t, [], devices);
  const enforce = (): ReturnType<typeof run> =>
    run('quarantine', 'enforce', '--state', place.state, '--sysfs-root', place.sysfs);
  const override = (bdf: string): string =>
    readFileSync(join(place.sysfs, 'devices/pci0000:00', bdf, 'driver_override'), 'utf8').trim();
  showSerial(place, BDF, 1);
  showSerial(place, OTHER, 2);
  const { incident, device } = (await place.enter()).data;
  t.equal(device.serial, '00-00-00-00-00-00-00-01');

  // It shows another number at its own address: nobody can tell, and it is held.
  showSerial(place, BDF, 3);
  refused(t, await apply(place), 'E_QUARANTINED', 'one that changed its number');
  t.match((await enforce()).data.incidents, [{ done: [], problems: [] }]);

  showSerial(place, OTHER, 1);
  writeFileSync(join(place.sysfs, 'devices/pci0000:00', BDF, 'driver_override'), '(null)\n');
  const [held] = (await enforce()).data.incidents;
  t.match(held.done, [
    'set the override to vfio-pci',
    `${OTHER}: set the override to vfio-pci`,
    /^0000:00:06.0: unbind/,
  ]);
  t.strictSame([override(BDF), override(OTHER)], ['vfio-pci', 'vfio-pci'], 'both may be it');
  const other = [...place.device.slice(0, -1), OTHER, '--policy', POLICY];
  refused(t, await run('apply', NAME, ...other), 'E_QUARANTINED', 'in its new slot');
  refused(t, await apply(place), 'E_QUARANTINED', 'and what is in its old one: anything can lie');

  // What came into its slot does something itself: an incident of its own, which outlives the other's.
  const second = (await place.enter()).data;
  t.not(second.incident, incident);
  t.equal(second.device.serial, '00-00-00-00-00-00-00-03');
  t.equal(second.again, null);
  const released = await place.release(await statementOf(place, incident));
  t.match(released.data.done, [
    `nothing: it is in quarantine by incident ${second.incident} still`,
    `${OTHER}: clear the override`,
  ]);
  t.strictSame([override(BDF), override(OTHER)], ['vfio-pci', '(null)']);
  refused(t, await apply(place), 'E_QUARANTINED', 'by the second incident');
  await place.release(await statementOf(place, second.incident));
  t.equal((await apply(place)).exit, 0);
});

t.test('what shows the number of a quarantined device gets out by no other number', async (t) => {
  const OTHER = '0000:00:06.0';
  const devices = [BRIDGE, EDU_DEVICE, { ...EDU_DEVICE, bdf: OTHER, group: 8 }];
  const place = await placeOf(t, [], devices);
  showSerial(place, BDF, 1);
  const first = (await place.enter()).data;
  // It goes into quarantine while it shows the number of the other, and shows one of its own after that.
  showSerial(place, OTHER, 1);
  const other = ['--state', place.state, '--sysfs-root', place.sysfs, '--device', OTHER];
  const second = (await run('quarantine', 'enter', ...other, '--reason', 'it lies', '--force'))
    .data;
  t.not(second.incident, first.incident);
  showSerial(place, OTHER, 2);
  const applying = [...place.device.slice(0, -1), OTHER, '--policy', POLICY];
  refused(t, await run('apply', NAME, ...applying), 'E_QUARANTINED', 'at its own address');
  await place.release(await statementOf(place, first.incident));
  refused(t, await run('apply', NAME, ...applying), 'E_QUARANTINED', 'and by its own incident');
});

t.test('without a state it says so, and makes none', async (t) => {
  const place = await placeOf(t);
  const state = join(place.folder, 'nowhere');
  const words = ['--state', state, '--sysfs-root', place.sysfs];
  const { exit, stderr, stdout } = await runInProcess(program, ['quarantine', 'enforce', ...words]);
  t.equal(exit, 0);
  t.match(stderr, `there is no ${state}`);
  t.match(stdout, 'nothing is in quarantine');
  t.notOk(existsSync(state));
});

t.test('a record of before that has a number which tells nothing', async (t) => {
  const OTHER = '0000:00:06.0';
  const devices = [BRIDGE, EDU_DEVICE, { ...EDU_DEVICE, bdf: OTHER, group: 8 }];
  const place = await placeOf(t, [], devices);
  for (const bdf of [BDF, OTHER]) showSerial(place, bdf, 0);
  const { incident } = (await place.enter()).data;
  const path = join(place.state, 'quarantine', `${incident}.json`);
  const record = JSON.parse(readFileSync(path, 'utf8'));
  const zeros = '00-00-00-00-00-00-00-00';
  writeFileSync(path, JSON.stringify({ ...record, device: { ...record.device, serial: zeros } }));
  const words = ['--state', place.state, '--sysfs-root', place.sysfs];
  const { data } = await run('quarantine', 'enforce', ...words);
  t.match(
    data.incidents,
    [{ incident, done: [], problems: [] }],
    'its neighbour stays with the host',
  );
});

t.test('a serial number that all cards of a kind show tells none of them', async (t) => {
  const OTHER = '0000:00:06.0';
  const devices = [BRIDGE, EDU_DEVICE, { ...EDU_DEVICE, bdf: OTHER, group: 8 }];
  const place = await placeOf(t, [], devices);
  for (const bdf of [BDF, OTHER]) showSerial(place, bdf, 7);
  const { device, done } = (await place.enter()).data;
  t.equal(device.serial, null);
  t.equal(done.length, 2, 'and its neighbour is left alone');
  const other = [...place.device.slice(0, -1), OTHER, '--policy', POLICY];
  t.equal((await run('apply', NAME, ...other)).exit, 0);
});

t.test('what cannot be held down is told, and is in quarantine all the same', async (t) => {
  const place = await placeOf(t, ['unbind:fail']);
  refused(t, await place.enter(), 'E_NOT_HELD_DOWN', 'enter');
  refused(t, await apply(place), 'E_QUARANTINED', 'apply');
  const enforced = await run(
    ...['quarantine', 'enforce', '--state', place.state, '--sysfs-root', place.sysfs],
  );
  t.equal(enforced.exit, 20);
});

t.test('a crash before its line was written, and a record that is damaged', async (t) => {
  const place = await placeOf(t);
  const { incident } = (await place.enter()).data;
  const file = join(place.state, 'quarantine', `${incident}.json`);
  const whole = readFileSync(file);
  writeFileSync(file, formatIncident({ ...parseIncident(whole), audit: null }));
  refused(t, await apply(place), 'E_QUARANTINED', 'it counts');
  refused(t, await place.q('show', incident, '--out', '/dev/null'), 'E_NOT_RELEASED', 'no line');
  await run('quarantine', 'enforce', '--state', place.state, '--sysfs-root', place.sysfs);
  const [line] = eventsOf(place)
    .filter(({ event }) => event === 'quarantined')
    .slice(-1);
  t.equal(parseIncident(readFileSync(file)).audit?.seq, line?.seq, 'the line is written later');
  for (const [name, bytes] of [
    ['cut off', whole.subarray(0, 40)],
    ['empty', Buffer.alloc(0)],
    ['of another name', Buffer.from(whole.toString().replace(incident, '0'.repeat(32)))],
    ['nested', utf8('['.repeat(50_000))],
  ] as const) {
    writeFileSync(file, bytes);
    refused(t, await apply(place), 'E_STORE', name);
    refused(t, await place.q('list'), 'E_STORE', name);
  }
  rmSync(file);
  t.equal((await apply(place)).exit, 0, 'the control');
});

t.test('a half-done change is not undone into quarantine’s hands', async (t) => {
  const place = await placeOf(t, ['probe:hang']);
  const agent = new Agent({ state: place.state, writeSeconds: 1, settleSeconds: 1 });
  const sysfs = await Sysfs.open(place.sysfs);
  const stuck = await run(
    'apply',
    NAME,
    ...place.device,
    '--policy',
    POLICY,
    '--write-timeout',
    '1',
  );
  t.equal(stuck.error.code, 'E_BIND_STUCK');
  place.kernel.setFaults([]);
  await agent.alone(() =>
    enterQuarantine(agent, sysfs, { device: DEVICE, level: 'hard', reason: 'x' }),
  );
  const { outcome } = await agent.alone(() => recoverDevice(agent, sysfs, BDF));
  t.equal(outcome, 'quarantined');
  t.equal(readdirSync(join(place.state, 'journal')).length, 0);
});

interface Held {
  readonly agent: Agent;
  readonly calls: string[];
  readonly events: { readonly error: number; readonly request: number };
  readonly end: Promise<HoldEnd>;
  readonly stop: AbortController;
}

/** Holding as `apply --hold` does, without a device behind it. */
async function held(place: Scene): Promise<Held> {
  const agent = new Agent({ state: place.state });
  const { calls, events, confined } = playedDevice();
  const stop = new AbortController();
  const lost: string[] = [];
  const named = { device: DEVICE, sysfs: await Sysfs.open(place.sysfs) };
  const holding = { agent, confined, named, signal: stop.signal };
  const end = hold({ ...holding, onLost: (text) => lost.push(text) }).then((over) => {
    if (lost.length > 0) throw new Error(lost.join('; '));
    return over;
  });
  return { agent, calls, events, end, stop };
}

t.test('a device that reports an error goes into quarantine', async (t) => {
  const place = await placeOf(t);
  await apply(place);
  const { agent, calls, events, end } = await held(place);
  raise(events.error);
  t.equal((await end).why, 'device-error');
  t.strictSame(calls, ['brake', 'end'], 'the brake waits for nothing that is written');
  const [incident] = await loadIncidents(agent);
  t.match(incident, { level: 'hard', reason: 'it reported an error', driver: { path: NAME } });
  t.match(
    eventsOf(place)
      .filter(({ event }) => event === 'state')
      .at(-1),
    { to: 'quarantined' },
  );
  refused(t, await apply(place), 'E_QUARANTINED', 'not bound again');
  refused(t, await run('release', ...place.device), 'E_QUARANTINED', 'and not given back');
});

t.test('somebody else puts it there while it is held', async (t) => {
  const place = await placeOf(t);
  await apply(place);
  const soft = await held(place);
  await place.enter('--level', 'soft');
  while (soft.calls.length === 0) await new Promise((next) => setTimeout(next, 5));
  t.strictSame(soft.calls, ['brake'], 'frozen, and not ended');
  soft.stop.abort();
  t.equal((await soft.end).why, 'quarantined');
  t.strictSame(soft.calls, ['brake', 'end']);

  const late = await held(place);
  late.stop.abort();
  await late.end;
  const hard = await held(place);
  await place.enter('--level', 'hard');
  while (hard.calls.length === 0) await new Promise((next) => setTimeout(next, 5));
  hard.stop.abort();
  t.equal((await hard.end).why, 'quarantined', 'what is in quarantine already is braked at once');
});

t.test('a device that goes further into quarantine while it is frozen', async (t) => {
  const place = await placeOf(t);
  await apply(place);
  const { calls, end } = await held(place);
  await place.enter('--level', 'soft');
  while (calls.length === 0) await new Promise((next) => setTimeout(next, 5));
  await place.enter('--level', 'hard');
  t.equal((await end).why, 'quarantined', 'nobody had to ask for it');
  t.strictSame(calls, ['brake', 'end'], 'and its driver is ended');
});

t.test('a device that nobody can listen for is stopped at once', async (t) => {
  const place = await placeOf(t);
  await apply(place);
  rmSync(join(place.state, 'quarantine'), { recursive: true });
  const { calls, end } = await held(place);
  await t.rejects(end, { code: 'E_IO', message: /is not held/, context: { device: BDF } });
  t.strictSame(calls, ['brake', 'end']);
  t.match(
    eventsOf(place).slice(-2),
    [
      { event: 'state', to: 'claimed' },
      { event: 'not-held', code: 'E_IO' },
    ],
    'and that is written down',
  );
});

t.test('a device that is let go by its holder is as before', async (t) => {
  const place = await placeOf(t);
  await apply(place);
  const { end, events, agent } = await held(place);
  raise(events.request);
  t.equal((await end).why, 'asked');
  t.strictSame(await loadIncidents(agent), []);
  t.match(
    eventsOf(place).filter(({ event }) => event === 'watch'),
    [{ kind: 'requested', decision: 'reset-required', level: null }],
  );
});
