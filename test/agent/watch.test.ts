/** What is seen of a device that is held, and what follows from it. */

import { spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Agent } from '../../agent/agent.ts';
import { drivenJson } from '../../agent/commands/show-driven.ts';
import type { Confined } from '../../agent/confine.ts';
import { type HoldEnd, type Holding, hold } from '../../agent/hold.ts';
import { HoldLog } from '../../agent/hold-log.ts';
import { libc } from '../../agent/host/libc.ts';
import { Sysfs } from '../../agent/host/sysfs.ts';
import { enterQuarantine } from '../../agent/quarantine/enter.ts';
import { loadIncidents } from '../../agent/quarantine/store.ts';
import { aerIncrease, parseAerCounters } from '../../agent/watch/aer.ts';
import { isAnswering, isUnanswering } from '../../agent/watch/answering.ts';
import { takeBaseline } from '../../agent/watch/baseline.ts';
import { noteCrash, parseCrashes } from '../../agent/watch/crashes.ts';
import { parseDpc } from '../../agent/watch/dpc.ts';
import { actionFor, DECISIONS, decide, type WatchEvent } from '../../agent/watch/event.ts';
import { evidenceEvents } from '../../agent/watch/evidence.ts';
import { KernelLog, recordEvents } from '../../agent/watch/kernel-log.ts';
import {
  isAbout,
  parseKernelRecord,
  readFault,
  readSuppressed,
} from '../../agent/watch/kernel-record.ts';
import { pathEvents, readPath, standingEvents, wayUp } from '../../agent/watch/path.ts';
import { type Clocks, Sleeps } from '../../agent/watch/slept.ts';
import { watchDevice } from '../../agent/watch/watch.ts';
import { utf8 } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import { AGENT_LIMITS } from '../../shared/limits.ts';
import { containmentFor, SEVERITIES } from '../../shared/manifest/containment.ts';
import type { DeviceName } from '../../shared/manifest/quarantine.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { testList } from '../support/revocations.ts';
import { apply, BDF, NAME, refused, agent as runAgent, type Scene, scene } from './support.ts';

const HOSTILE: readonly Uint8Array[] = [
  utf8(''),
  utf8('\n'),
  utf8('x'),
  utf8('x'.repeat(100_000)),
  utf8('\u0000'.repeat(100)),
  Uint8Array.of(0xff, 0xfe, 0x20, 0x31),
  utf8('RxErr'),
  utf8('RxErr -1\n'),
  utf8('RxErr 0x10\n'),
  utf8('RxErr 1\n\nBadTLP 1\n'),
  utf8('RxErr 99999999999999999999\n'),
  utf8('a 1\n'.repeat(1000)),
  utf8('RxErr 1\nRxErr 1\n'),
];

/** As a root port of Linux 6.12 showed it. */
const REAL = `RxErr 0\nBadTLP 2\nBadDLLP 0\nRollover 0\nTimeout 0\nNonFatalErr 0\nCorrIntErr 0\nHeaderOF 0\nTOTAL_ERR_COR 2\n`;
/** As the documentation of sysfs has it. */
const DOCUMENTED = `Receiver Error 2\nBad TLP 0\nReplay Timer Timeout 1\nTOTAL_ERR_COR 3\n`;

t.test('counters of errors, in both forms', async (t) => {
  const real = parseAerCounters(utf8(REAL));
  t.equal(real.get('BadTLP'), 2n);
  t.equal(real.size, 9);
  t.equal(parseAerCounters(utf8(DOCUMENTED)).get('Receiver Error'), 2n);
  t.strictSame([...parseAerCounters(utf8('7\n'))], [['total', 7n]], 'a root port has one number');
  for (const bytes of HOSTILE) t.throws(() => parseAerCounters(bytes), { code: 'E_SCHEMA' });

  const later = parseAerCounters(
    utf8(REAL.replace('BadTLP 2', 'BadTLP 5').replace('COR 2', 'COR 5')),
  );
  t.strictSame([...aerIncrease(real, later)], [['BadTLP', 3n]], 'the sum is not counted twice');
  t.strictSame([...aerIncrease(later, real)], [['BadTLP', 2n]], 'one that fell began anew');
  t.strictSame([...aerIncrease(real, real)], []);
});

/** Configuration space of a port whose extended capabilities are these. */
function port(
  ...capabilities: readonly (readonly [id: number, control: number, status: number])[]
) {
  const bytes = new Uint8Array(4096);
  const view = new DataView(bytes.buffer);
  for (const [i, [id, control, status]] of capabilities.entries()) {
    const at = 0x100 + 0x40 * i;
    const next = i + 1 < capabilities.length ? at + 0x40 : 0;
    view.setUint32(at, id | (1 << 16) | (next << 20), true);
    view.setUint16(at + 6, control, true);
    view.setUint16(at + 8, status, true);
  }
  return bytes;
}

t.test('the containment of a port', async (t) => {
  const state = (status: number) => parseDpc(port([1, 0, 0], [0x1d, 1, status]));
  t.strictSame(state(0), { enabled: true, triggered: false, reason: null, busy: false });
  t.match(state(1), { triggered: true, reason: 'unmasked uncorrectable error' });
  t.match(state(3), { reason: 'ERR_NONFATAL' });
  t.match(state(5), { reason: 'ERR_FATAL' });
  t.match(state(7), { reason: 'root port PIO error' });
  t.match(state(0x37), { reason: 'software', busy: true });
  t.match(state(0x47), { reason: 'reserved' });
  t.equal(state(0xffff), undefined, 'a port that is gone says nothing');
  t.equal(parseDpc(port([1, 0, 0])), undefined, 'none');
  const loop = port([1, 0, 0]);
  new DataView(loop.buffer).setUint32(0x100, 1 | (0x100 << 20), true);
  t.equal(parseDpc(loop), undefined, 'a loop ends');
  for (const length of [0, 1, 64, 255, 256, 257, 0x140, 0x14b])
    t.equal(parseDpc(port([1, 0, 0], [0x1d, 1, 1]).subarray(0, length)), undefined, `${length}`);
  t.equal(parseDpc(new Uint8Array(4096).fill(0xff)), undefined);
});

const WRITE =
  'DMAR: [DMA Write NO_PASID] Request device [00:05.0] fault addr 0x10002000 [fault reason 0x05] PTE Write access is not set';

t.test('records of the kernel', async (t) => {
  const record = parseKernelRecord(
    utf8(`3,812,4209114,-;${WRITE}\n SUBSYSTEM=pci\n DEVICE=+pci:0000:00:05.0\n`),
  );
  t.strictSame(record, { sequence: 812n, isKernels: true, message: WRITE });
  t.equal(parseKernelRecord(utf8('11,5,6,-;x\n')).isKernels, false, 'one of a process');
  t.equal(parseKernelRecord(utf8('6,5,6,-,caller=T1;x')).message, 'x');
  for (const bytes of [...HOSTILE, utf8('3,812;x'), utf8('3,812,1,-x'), utf8(';;;')])
    t.throws(() => parseKernelRecord(bytes), { code: 'E_SCHEMA' });
});

t.test('faults of an IOMMU: the whole line, or none', async (t) => {
  t.match(readFault(WRITE), { device: '00:05.0', access: 'write', address: 0x10002000n });
  const read = WRITE.replace('Write NO_PASID', 'Read PASID 0x1f').replace('PTE Write', 'PTE Read');
  t.match(readFault(read), { access: 'read', reason: 'PTE Read access is not set' });
  const remapping =
    'DMAR: [INTR-REMAP] Request device [81:00.1] fault index 0x10 [fault reason 0x25] Blocked a compatibility format interrupt request';
  t.match(readFault(remapping), { device: '81:00.1', access: 'interrupt', address: 16n });
  const amd =
    'AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x000a address=0xffffc02000 flags=0x0020]';
  t.match(readFault(`vfio-pci 0000:05:00.0: ${amd}`), { device: '0000:05:00.0' });
  for (const device of ['07:00.0', '0001:07:00.0'])
    t.match(readFault(amd.replace('domain', `device=${device} domain`)), { device });
  for (const [name, message] of [
    ['before it', `x ${WRITE}`],
    ['after it', `${WRITE} ?`.replace('?', '\u0007')],
    ['in the middle', WRITE.replace('fault addr', 'fault  addr')],
    ['no device', amd],
    ['of another driver', `edu 0000:05:00.0: ${amd}`],
    ['a device that is none', WRITE.replace('00:05.0', '00:25.0')],
    ['an address that is none', WRITE.replace('0x10002000', '0x1000200000000000000')],
    ['quoted', `usb 1-1: Product: ${WRITE}`],
    ['the line before it', 'DMAR: DRHD: handling fault status reg 2'],
  ] as const)
    t.equal(readFault(message), undefined, name);
  t.equal(readSuppressed('dmar_fault: 34 callbacks suppressed'), 34);
  t.equal(readSuppressed('amd_iommu_report_page_fault: 3 callbacks suppressed'), 3);
  t.equal(readSuppressed('net_ratelimit: 3 callbacks suppressed'), undefined, 'not an IOMMU');
  const fault = readFault(WRITE) as NonNullable<ReturnType<typeof readFault>>;
  t.ok(isAbout(fault, BDF));
  t.ok(isAbout(fault, '10000:00:05.0'), 'the domain is not told');
  t.notOk(isAbout(fault, '0000:00:06.0'));
  t.notOk(isAbout({ ...fault, device: '0001:00:05.0' }, BDF), 'where it is, it counts');
});

t.test('what is missing between records is an event', async (t) => {
  const record = (sequence: bigint, message: string, isKernels = true) => ({
    ...{ sequence, message, isKernels },
  });
  const kinds = (events: readonly WatchEvent[]) => events.map(({ kind }) => kind);
  t.strictSame(kinds(recordEvents(record(7n, WRITE), 6n, BDF)), ['iommu-fault']);
  t.strictSame(kinds(recordEvents(record(9n, 'x'), 6n, BDF)), ['records-lost']);
  t.strictSame(kinds(recordEvents(record(7n, WRITE), undefined, BDF)), ['iommu-fault']);
  t.strictSame(recordEvents(record(7n, WRITE, false), 6n, BDF), [], 'a process can say anything');
  t.strictSame(recordEvents(record(7n, WRITE), 6n, '0000:00:06.0'), [], 'another device');
  const suppressed = record(7n, 'dmar_fault: 2 callbacks suppressed');
  t.strictSame(kinds(recordEvents(suppressed, 6n, BDF)), ['records-lost']);
});

t.test('the log from now on', async (t) => {
  const folder = t.testdir({});
  const fifo = join(folder, 'kmsg');
  t.equal(spawnSync('mkfifo', [fifo]).status, 0);
  const end = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
  t.teardown(() => closeSync(end));
  const put = (text: string): void => void writeSync(end, text);
  put(`3,1,1,-;${WRITE}\n`);
  const log = KernelLog.open(BDF, fifo);
  t.ok(log);
  t.strictSame(log?.read(), [], 'what was there before is passed over');
  put(`3,2,1,-;${WRITE}\n`);
  t.match(log?.read(), [{ kind: 'iommu-fault' }]);
  put('nonsense');
  t.match(log?.read(), [{ kind: 'records-lost' }]);
  put(`3,9,1,-;x\n`);
  t.match(log?.read(), [{ kind: 'records-lost', what: /^6 records/ }]);
  log?.close();
  t.equal(KernelLog.open(BDF, join(folder, 'none')), undefined);
});

t.test('one table says what follows: each row of the guide is a row of the code', async (t) => {
  const page = readFileSync('docs/guide/host-quarantine.md', 'utf8');
  const form =
    /^\| `([a-z -]+)` \| .+ \| (observe|quarantine|reset required) \| (soft|hard|tomb)? ?\|$/gm;
  const rows = [...page.matchAll(form)].map(([, row, decision, level]) => [row, decision, level]);
  const table = Object.entries(DECISIONS).map(([row, { decision, level }]) => [
    ...[row, decision.replace('-', ' '), level],
  ]);
  t.strictSame(rows.toSorted(), table.toSorted());
});

t.test('quarantine has a level, and what is observed has none', async (t) => {
  for (const [row, { decision, level }] of Object.entries(DECISIONS)) {
    if (decision === 'observe') t.equal(level, undefined, row);
    if (decision === 'quarantine') t.not(level, undefined, row);
  }
  for (const severity of SEVERITIES)
    t.equal(
      decide({ kind: 'aer', severity, what: '' }),
      containmentFor(severity),
      'the core decides',
    );
});

t.test('how far it goes, from where it is', async (t) => {
  const kinds = Object.keys(DECISIONS).filter((row) => !row.startsWith('aer'));
  const events = [
    ...SEVERITIES.map((severity): WatchEvent => ({ kind: 'aer', severity, what: '' })),
    ...kinds.map((kind) => ({ kind, what: '' }) as WatchEvent),
  ];
  const levels = (before?: 'soft' | 'hard' | 'tomb') =>
    new Map(events.map((event) => [event, actionFor(event, before)]));
  const first = levels();
  for (const [event, level] of first) {
    if (level === undefined) {
      for (const before of ['soft', 'hard', 'tomb'] as const)
        t.equal(actionFor(event, before), undefined, 'what is observed takes nothing further');
      continue;
    }
    t.equal(
      actionFor(event, 'soft'),
      level === 'tomb' ? 'tomb' : 'hard',
      `${event.kind}, while soft`,
    );
    t.equal(
      actionFor(event, 'hard'),
      level === 'tomb' ? 'tomb' : 'hard',
      `${event.kind}, while hard`,
    );
    t.equal(actionFor(event, 'tomb'), 'tomb', 'never back');
  }
  t.ok([...first.values()].includes('soft') && [...first.values()].includes('tomb'));
});

t.test('the way from a device to its root port', async (t) => {
  t.strictSame(wayUp('devices/pci0000:00/0000:00:08.0/0000:01:00.0'), [
    'devices/pci0000:00/0000:00:08.0/0000:01:00.0',
    'devices/pci0000:00/0000:00:08.0',
  ]);
  const place = await scene(t);
  const sysfs = await Sysfs.open(place.sysfs);
  const file = (name: string): string => join(place.sysfs, 'devices/pci0000:00', BDF, name);
  const before = await readPath(sysfs, BDF);
  t.strictSame(pathEvents(before, before), [], 'no counters, no events');
  writeFileSync(file('aer_dev_nonfatal'), 'DLP 4\nTOTAL_ERR_NONFATAL 4\n');
  const counted = await readPath(sysfs, BDF);
  t.strictSame(pathEvents(before, counted), [], 'what was counted before is no news');
  writeFileSync(file('aer_dev_nonfatal'), 'DLP 5\nTOTAL_ERR_NONFATAL 5\n');
  const more = await readPath(sysfs, BDF);
  t.match(pathEvents(counted, more), [
    { kind: 'aer', severity: 'non-fatal', what: `${BDF} aer_dev_nonfatal: 1 DLP` },
  ]);
  writeFileSync(file('aer_dev_nonfatal'), 'nonsense');
  t.match((await readPath(sysfs, BDF))[0]?.unread, [/aer_dev_nonfatal/], 'and that is told');
});

t.test('a port above, by its configuration space', async (t) => {
  const PORT = '0000:00:08.0';
  const END = '0000:01:00.0';
  const root = t.testdir({
    devices: { 'pci0000:00': { [PORT]: { config: '', [END]: { config: '' } } } },
    bus: {
      pci: {
        devices: { [END]: t.fixture('symlink', `../../../devices/pci0000:00/${PORT}/${END}`) },
      },
    },
  });
  const sysfs = await Sysfs.open(root);
  const file = join(root, 'devices/pci0000:00', PORT, 'config');
  const show = (bytes: Uint8Array) => {
    writeFileSync(file, bytes);
    return readPath(sysfs, END);
  };
  const quiet = await show(port([1, 0, 0], [0x1d, 1, 0]));
  t.strictSame(
    quiet.map(({ bdf, unread }) => [bdf, unread]),
    [
      [END, []],
      [PORT, []],
    ],
  );
  const triggered = await show(port([1, 0, 0], [0x1d, 1, 5]));
  t.match(pathEvents(quiet, triggered), [
    { kind: 'dpc', what: `${PORT} contains what is below it: ERR_FATAL` },
  ]);
  t.strictSame((await show(new Uint8Array(256)))[1]?.unread, [], 'a port of before PCI Express');
  // As the kernel shows it to whoever may not see more.
  t.match((await show(port([0x1d, 1, 5]).subarray(0, 64)))[1]?.unread, [/^config: 64 bytes/]);
  rmSync(file);
  t.match((await readPath(sysfs, END))[1]?.unread, [/^config: 0 bytes/], 'and that is told');
});

t.test('what a driver rests on', async (t) => {
  const place = await scene(t);
  const agent = new Agent({ state: place.state });
  const far = agent.clock() + 10 * 86_400;
  const texts = async (grantExpires: number) =>
    (await evidenceEvents(agent, { path: NAME, grantExpires })).map(({ what }) => what);
  const now = await texts(far);
  t.notOk(now.some((what) => what.startsWith('its grant')));
  t.match((await texts(agent.clock() + 60)).at(-1), /^its grant expires at/);
  t.match((await texts(agent.clock() - 60)).at(-1), /^its grant expired at/);
  const later = new Agent({ state: place.state, clock: () => far * 2 });
  const stale = await evidenceEvents(later, { path: NAME, grantExpires: far * 3 });
  t.match(stale, [{ kind: 'evidence', what: /accepted on expired/ }]);
  t.match(await evidenceEvents(agent, { path: 'acme/edu/9.9.9/x', grantExpires: far }), [
    { kind: 'evidence', what: /was not accepted/ },
  ]);
});

t.test('crashes, and when they are a loop', async (t) => {
  const place = await scene(t);
  let now = 1_900_000_000;
  const agent = new Agent({ state: place.state, clock: () => now });
  const file = join(place.state, 'quarantine/crashes/0000%3A00%3A05.0.json');
  for (let i = 0; i < 4; i++) t.equal(await noteCrash(agent, BDF, 'by SIGSEGV'), false);
  now += 601;
  t.equal(await noteCrash(agent, BDF, 'by SIGSEGV'), false, 'old ones do not count');
  for (let i = 0; i < 3; i++) t.equal(await noteCrash(agent, BDF, 'by SIGSEGV'), false);
  t.equal(await noteCrash(agent, BDF, 'by SIGSEGV'), true);
  t.match(parseCrashes(readFileSync(file)), { at: { length: 5 }, last: 'by SIGSEGV' });
  const old = parseCrashes(utf8('{"schema":"ironport-agent.crashes/v1","at":[]}'));
  t.strictSame(old, { at: [], last: undefined }, 'of an agent that noted less');
  writeFileSync(file, 'nonsense');
  t.equal(await noteCrash(agent, BDF, 'by SIGSEGV'), false, 'a damaged file begins anew');
  for (const bytes of [...HOSTILE, utf8('{"schema":"ironport-agent.crashes/v1","at":["x"]}')])
    t.throws(() => parseCrashes(bytes), { name: 'IronError' });
});

/** As vfio-pci does: the ids out of its own memory, the rest from a device whose bytes are all `word`. */
function readAsVfio(word: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length, word);
  for (let i = offset; i < Math.min(4, offset + length); i++) bytes[i - offset] = 0x34;
  return bytes;
}

t.test('what happened between the baseline and the first look', async (t) => {
  const place = await scene(t);
  const agent = new Agent({ state: place.state });
  const sysfs = await Sysfs.open(place.sysfs);
  const file = join(place.sysfs, 'devices/pci0000:00', BDF, 'aer_dev_nonfatal');
  writeFileSync(file, 'DLP 3\nTOTAL_ERR_NONFATAL 3\n');
  const fifo = join(place.folder, 'kmsg');
  t.equal(spawnSync('mkfifo', [fifo]).status, 0);
  const end = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
  t.teardown(() => closeSync(end));
  const baseline = await takeBaseline(sysfs, BDF, fifo);
  writeFileSync(file, 'DLP 4\nTOTAL_ERR_NONFATAL 4\n');
  writeSync(end, `3,2,1,-;${WRITE}\n`);
  const events: WatchEvent[] = [];
  const vfio = { readConfig: (at: number, length: number) => readAsVfio(0x12, at, length) };
  const stop = watchDevice({
    ...{ agent, sysfs, device: BDF, vfio, parts: [], everyMs: 5, baseline },
    resting: { path: NAME, grantExpires: agent.clock() + 10 * 86_400 },
    onEvent: (event) => events.push(event),
  });
  t.teardown(stop);
  for (const kind of ['iommu-fault', 'aer'] as const)
    while (!events.some((event) => event.kind === kind))
      await new Promise((go) => setTimeout(go, 5));
  t.match(
    events.filter(({ kind }) => kind === 'aer'),
    [{ what: `${BDF} aer_dev_nonfatal: 1 DLP` }],
  );
});

t.test('a port that contains the device when watching begins', async (t) => {
  const station = { bdf: '0000:00:08.0', counters: new Map(), unread: [] };
  const dpc = { enabled: true, triggered: true, reason: 'ERR_FATAL', busy: false };
  const path = [{ ...station, dpc }];
  t.match(standingEvents(path), [{ kind: 'dpc', what: /ERR_FATAL$/ }]);
  t.strictSame(standingEvents([{ ...station, dpc: { ...dpc, triggered: false } }]), []);
  t.strictSame(pathEvents(path, path), [], 'and is told once');

  const place = await scene(t);
  const agent = new Agent({ state: place.state });
  const events: WatchEvent[] = [];
  const vfio = { readConfig: (at: number, length: number) => readAsVfio(0x12, at, length) };
  const stop = watchDevice({
    ...{ agent, sysfs: await Sysfs.open(place.sysfs), device: BDF, vfio, parts: [] },
    baseline: { log: undefined, path, close: () => {} },
    resting: { path: NAME, grantExpires: agent.clock() + 10 * 86_400 },
    onEvent: (event) => events.push(event),
  });
  stop();
  t.match(
    events.filter(({ kind }) => kind === 'dpc'),
    [{ what: /contains what is below it/ }],
  );
});

t.test('a device that is watched', async (t) => {
  const place = await scene(t);
  const agent = new Agent({ state: place.state });
  const sysfs = await Sysfs.open(place.sysfs);
  const file = join(place.sysfs, 'devices/pci0000:00', BDF, 'aer_dev_fatal');
  writeFileSync(file, 'DLP 0\nTOTAL_ERR_FATAL 0\n');
  const baseline = await takeBaseline(sysfs, BDF, '/nowhere-at-all');
  const events: WatchEvent[] = [];
  const seen = async (kind: WatchEvent['kind']): Promise<void> => {
    while (!events.some((event) => event.kind === kind))
      await new Promise((go) => setTimeout(go, 5));
  };
  let [word, reads] = [0x12, 0];
  const vfio = {
    readConfig: (offset: number, length: number) => {
      reads++;
      return readAsVfio(word, offset, length);
    },
  };
  const stop = watchDevice({
    ...{ agent, sysfs, device: BDF, vfio, parts: [], everyMs: 5, baseline },
    resting: { path: NAME, grantExpires: agent.clock() - 1 },
    onEvent: (event) => events.push(event),
  });
  t.teardown(stop);
  await seen('records-lost');
  await seen('evidence');
  while (reads < 4) await new Promise((go) => setTimeout(go, 5));
  writeFileSync(file, 'DLP 1\nTOTAL_ERR_FATAL 1\n');
  await seen('aer');
  word = 0xff;
  await seen('lost');
  stop();
  const grants = events.filter(({ what }) => what.startsWith('its grant'));
  t.equal(grants.length, 1, 'what stays so is told once');
  t.equal(events.filter(({ kind }) => kind === 'lost').length, 1);
});

const DEVICE: DeviceName = {
  ...{ path: BDF, vendor: 0x1234, device: 0x11e8, subsystemVendor: 0x1af4 },
  ...{ subsystemDevice: 0x1100, class: 0x00ff00, revision: 0x10, serial: null },
};

/** Holds as `apply --hold` does, without a device behind it, until it is over. */
async function holdOnce(
  place: Scene,
  parts: {
    readonly running?: unknown;
    readonly word?: number;
    readonly words?: { now: number };
    readonly grantExpires?: number;
    readonly stop?: AbortController;
    readonly calls?: string[];
    readonly onFrozen?: (why: string) => void;
    /** What the brake cannot do. */
    readonly broken?: string;
    readonly clocks?: Clocks;
    readonly signMs?: number;
    /** Why the device cannot be given back. */
    readonly unending?: IronError;
    readonly clock?: () => number;
    /** Interrupts that come at once, to a device without a driver. */
    readonly interrupts?: number;
  },
): Promise<{ agent: Agent; end: HoldEnd; calls: string[] }> {
  const agent = new Agent({ state: place.state, ...(parts.clock && { clock: parts.clock }) });
  const { calls = [], stop = new AbortController(), onFrozen = () => {} } = parts;
  const words = parts.words ?? { now: parts.word ?? 0x12 };
  const request = libc().eventfd();
  const vector = libc().eventfd();
  const come = Buffer.alloc(8);
  come.writeBigUInt64LE(BigInt(parts.interrupts ?? 0));
  writeSync(vector, come);
  const confined = {
    ...{ device: BDF, backend: 'iommufd', notes: [], memories: [], running: parts.running },
    events: { error: undefined, request, vectors: [vector] },
    budget: { perSecondBudget: 5, burst: null, lifetimeMax: null },
    vfio: {
      readConfig: (at: number, length: number) => readAsVfio(words.now, at, length),
    },
    brake() {
      calls.push('brake');
      if (parts.broken !== undefined) throw new IronError('E_IO', parts.broken);
    },
    end: async () => {
      calls.push('end');
      if (parts.unending !== undefined) throw parts.unending;
      return [];
    },
  } as unknown as Confined;
  const lost: string[] = [];
  const sysfs = await Sysfs.open(place.sysfs);
  const resting = { path: NAME, grantExpires: parts.grantExpires ?? agent.clock() + 10 * 86_400 };
  const end = await hold({
    ...{ agent, confined, signal: stop.signal, onFrozen },
    ...(parts.signMs === undefined ? {} : { signMs: parts.signMs }),
    named: { device: DEVICE, sysfs },
    watched: {
      ...{ resting, baseline: await takeBaseline(sysfs, BDF) },
      ...(parts.clocks && { clocks: parts.clocks }),
    },
    onLost: (text) => lost.push(text),
  });
  closeSync(request);
  closeSync(vector);
  const isTold = parts.broken !== undefined && lost.shift()?.endsWith(parts.broken) === true;
  if (lost.length > 0 || isTold !== (parts.broken !== undefined)) throw new Error(lost.join('; '));
  return { agent, end, calls };
}

t.test('what is seen while it is held stops it, by the table', async (t) => {
  const place = await scene(t);
  await apply(place);
  const { agent, end, calls } = await holdOnce(place, { word: 0xff });
  t.equal(end.why, 'watched');
  t.strictSame(calls, ['brake', 'end']);
  t.match(await loadIncidents(agent), [{ level: 'hard', reason: /reads as ones/ }]);
  const log = readFileSync(join(place.state, 'audit.jsonl'), 'utf8');
  t.match(log, /"event":"watch".*"kind":"lost".*"decision":"reset-required"/);
  refused(t, await apply(place), 'E_QUARANTINED', 'and it is not bound again');
});

t.test('a driver that crashes again and again takes its device out of service', async (t) => {
  const place = await scene(t);
  await apply(place);
  const crashed = { status: 1, signal: null };
  const ending = (why: string) => ({
    ...{ over: Promise.resolve({ why, end: crashed }), accesses: new Map(), parts: [] },
    ...{ onRefusal: () => {}, end: async () => crashed, interrupts: () => [], output: () => '' },
  });
  // One that takes its broker along crashed as well.
  for (const why of ['driver-ended', 'broker-ended', 'driver-ended', 'broker-ended']) {
    const { agent, end } = await holdOnce(place, { running: ending(why) });
    t.equal(end.why, why);
    t.strictSame(await loadIncidents(agent), [], 'not yet');
  }
  const { agent } = await holdOnce(place, { running: ending('broker-ended') });
  t.match(await loadIncidents(agent), [{ reason: /crashes again and again/ }]);
});

t.test('a driver that met its limit of memory is told as that', async (t) => {
  const place = await scene(t);
  await apply(place);
  const options = place.device.slice(0, 4);
  const status = async () => (await runAgent('status', ...options)).data.bindings[0].crash;
  t.equal(await status(), null);
  const killed = { status: null, signal: 'SIGKILL', outOfMemory: 'limit' };
  const running = (why: string, driver: object) => ({
    ...{ over: Promise.resolve({ why, end: killed }), accesses: new Map(), parts: [] },
    ...{ onRefusal: () => {}, end: async () => driver, interrupts: () => [], output: () => '' },
  });
  const { end } = await holdOnce(place, { running: running('driver-ended', killed) });
  t.match(end, { why: 'driver-ended', outOfMemory: 'limit' });
  t.match(drivenJson({ ...running('', {}), descriptors: [] } as never, end), {
    signal: 'SIGKILL',
    out_of_memory: 'limit',
  });
  t.match(await status(), { why: 'its driver ended, by SIGKILL: it met its limit of memory' });
  const other = { status: null, signal: 'SIGKILL' };
  t.match((await holdOnce(place, { running: running('broker-ended', other) })).end, {
    outOfMemory: 'limit',
  });
  t.match(await status(), { why: 'its broker ended, by SIGKILL: it met its limit of memory' });
  const lines = readFileSync(join(place.state, 'audit.jsonl'), 'utf8');
  t.match(lines, /"event":"driver-ended".*"signal":"SIGKILL","out_of_memory":"limit"/);
  for (const whose of ['driver', 'broker'])
    t.match(
      lines,
      new RegExp(
        `"kind":"out-of-memory","what":"the kernel ended the ${whose}: it met its limit of memory","decision":"observe"`,
      ),
    );
});

t.test('whether a device answers', async (t) => {
  const reads = (bytes: Uint8Array) => ({ readConfig: () => Buffer.from(bytes) });
  t.ok(isAnswering(reads(new Uint8Array(8))));
  t.notOk(isAnswering(reads(new Uint8Array(8).fill(0xff))));
  const fails = (code: string) => ({
    readConfig(): Buffer {
      throw Object.assign(new Error(code), { code, syscall: 'read', errno: -1 });
    },
  });
  t.notOk(isAnswering(fails('ENODEV')));
  t.throws(() => isAnswering(fails('EIO')), { code: 'EIO' });

  const place = await scene(t);
  const sysfs = await Sysfs.open(place.sysfs);
  const file = join(place.sysfs, 'devices/pci0000:00', BDF, 'config');
  t.notOk(await isUnanswering(sysfs, BDF));
  writeFileSync(file, Buffer.alloc(256, 0xff));
  t.ok(await isUnanswering(sysfs, BDF));
  // What cannot be told is no ground to remove anything.
  for (const bytes of [Buffer.alloc(0), Buffer.alloc(15, 0xff)]) {
    writeFileSync(file, bytes);
    t.notOk(await isUnanswering(sysfs, BDF), `${bytes.length} bytes`);
  }
  rmSync(file);
  t.notOk(await isUnanswering(sysfs, BDF));
  t.notOk(await isUnanswering(sysfs, '0000:7f:00.0'), 'and one that is not there');
});

t.test('a device that does not answer after its reset is removed', async (t) => {
  const place = await scene(t);
  await apply(place);
  const folder = join(place.sysfs, 'devices/pci0000:00', BDF);
  writeFileSync(join(folder, 'config'), Buffer.alloc(256, 0xff));
  writeFileSync(join(folder, 'remove'), '');
  const { agent, end } = await holdOnce(place, { word: 0xff });
  t.equal(end.why, 'watched');
  const [incident] = await loadIncidents(agent);
  t.match(incident, {
    level: 'tomb',
    reason: /reads as ones/,
    again: { reason: /after its reset/ },
  });
  const log = readFileSync(join(place.state, 'audit.jsonl'), 'utf8');
  t.match(log, /"kind":"lost".*"decision":"reset-required","level":"hard"/);
  t.match(log, /"kind":"unanswering".*"decision":"reset-required","level":"tomb"/);
  t.equal(readFileSync(join(folder, 'remove'), 'utf8'), '1');
});

/** A driver whose interrupts go over their budget at once. */
const STORMING = {
  ...{ over: Promise.resolve({ why: 'interrupt-storm', vector: 0 }), accesses: new Map() },
  ...{ onRefusal: () => {}, interrupts: () => [], output: () => '', parts: [] },
  end: async () => ({ status: null, signal: 'SIGKILL' }),
};

t.test(
  'a driver that takes too much stands still, and is held on until it is let go',
  async (t) => {
    const place = await scene(t);
    await apply(place);
    const stop = new AbortController();
    const calls: string[] = [];
    const { agent, end } = await holdOnce(place, {
      ...{ running: STORMING, stop, calls },
      async onFrozen() {
        // Until the record is there: nothing but this ends it.
        while ((await loadIncidents(new Agent({ state: place.state }))).length === 0)
          await new Promise((go) => setTimeout(go, 5));
        t.strictSame(calls, ['brake'], 'frozen, and not ended');
        stop.abort();
      },
    });
    t.equal(end.why, 'interrupt-storm');
    t.strictSame(calls, ['brake', 'end']);
    t.match(await loadIncidents(agent), [{ level: 'soft', reason: /went over their budget/ }]);
    refused(t, await apply(place), 'E_QUARANTINED', 'nor bound anew');
  },
);

t.test('what was not seen to stand still is ended, and not held on as if it did', async (t) => {
  for (const isAsked of [false, true]) {
    const place = await scene(t);
    await apply(place);
    if (isAsked) {
      const agent = new Agent({ state: place.state });
      const sysfs = await Sysfs.open(place.sysfs);
      const entering = { device: DEVICE, level: 'soft', reason: 'somebody asks' } as const;
      await agent.alone(() => enterQuarantine(agent, sysfs, entering));
    }
    const { agent, end, calls } = await holdOnce(place, {
      ...(isAsked ? {} : { running: STORMING }),
      broken: 'the driver was not seen to be frozen',
      onFrozen: () => t.fail('nothing is frozen'),
    });
    t.equal(end.why, isAsked ? 'quarantined' : 'interrupt-storm');
    t.strictSame(calls, ['brake', 'end'], 'nobody had to ask');
    t.match(await loadIncidents(agent), [
      { level: 'hard', again: { reason: 'its brake met a failure' } },
    ]);
  }
});

t.test('a device that does something while it is frozen goes further', async (t) => {
  const place = await scene(t);
  await apply(place);
  const file = join(place.sysfs, 'devices/pci0000:00', BDF, 'aer_dev_nonfatal');
  writeFileSync(file, 'DLP 0\nTOTAL_ERR_NONFATAL 0\n');
  const word = { now: 0x12 };
  const { agent, end, calls } = await holdOnce(place, {
    ...{ running: STORMING, words: word },
    onFrozen() {
      word.now = 0xff;
    },
  });
  t.equal(end.why, 'interrupt-storm', 'which is why it was stopped');
  t.strictSame(calls, ['brake', 'end'], 'and nobody had to ask for the rest');
  t.match(await loadIncidents(agent), [
    { level: 'hard', reason: /over their budget/, again: { reason: /reads as ones/ } },
  ]);
});

t.test('what waits to be written down is bounded, and in its order', async (t) => {
  const place = await scene(t);
  const agent = new Agent({ state: place.state });
  const lost: string[] = [];
  const holding = { agent, confined: { device: BDF }, onLost: (text: string) => lost.push(text) };
  const log = new HoldLog(holding as unknown as Holding);
  const seen = (what: string): void => log.seen({ kind: 'records-lost', what });
  const lines = () =>
    readFileSync(join(place.state, 'audit.jsonl'), 'utf8')
      .split('\n')
      .flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));
  // Somebody else works on the state: nothing is written down meanwhile, whatever comes.
  const { deferredLines } = AGENT_LIMITS;
  const before = await agent.alone(async () => {
    const count = lines().length;
    seen('first');
    log.write({ event: 'test' });
    for (let i = 1; i < deferredLines + 7; i++) seen(`${i}`);
    return count;
  });
  await log.written;
  const [first, test, ...rest] = lines().slice(before);
  t.match([first, test], [{ event: 'watch', what: 'first' }, { event: 'test' }], 'in its order');
  t.match(rest.at(-1), { event: 'lines-dropped', device: BDF, count: 7 });
  t.strictSame(
    rest.slice(0, -1).map(({ what }) => what),
    Array.from({ length: deferredLines - 1 }, (_, i) => `${i + 1}`),
  );
  seen('after');
  await log.written;
  t.match(lines().at(-1), { event: 'watch', what: 'after' }, 'there is room again');
  t.strictSame(lost, []);

  // What cannot be written down at all takes no room either.
  agent.audit.append = async () => {
    throw new IronError('E_NO_SPACE', 'the disk is full');
  };
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < deferredLines; i++) seen(`${i}`);
    await log.written;
  }
  t.equal(lost.length, 3, 'and that is told, once each time');
});

const statesIn = (place: Scene): string[] =>
  [
    ...readFileSync(join(place.state, 'audit.jsonl'), 'utf8').matchAll(
      /"event":"state".*"to":"([a-z]+)"/g,
    ),
  ].map(([, to = '']) => to);

t.test('whether the machine was suspended', async (t) => {
  let [boot, awake, between] = [100, 40, 0];
  const sleeps = new Sleeps({
    boot: () => boot,
    awake() {
      awake += between;
      boot += between;
      return awake;
    },
  });
  const goOn = (seconds: number): void => {
    boot += seconds;
    awake += seconds;
  };
  t.equal(sleeps.look(), undefined);
  goOn(3600);
  t.equal(sleeps.look(), undefined, 'however long nobody looked');
  boot += 90;
  t.equal(sleeps.look(), 90);
  t.equal(sleeps.look(), undefined, 'once');
  between = 20;
  for (let i = 0; i < 5; i++) t.equal(sleeps.look(), undefined, 'nor who is kept waiting');
  boot += 30;
  between = 0;
  t.equal(sleeps.look(), 30, 'what was not seen for that is seen later');
  t.equal(new Sleeps().look(), undefined, 'the clocks of this machine');
});

t.test('a machine that was suspended lets go of its devices', async (t) => {
  const place = await scene(t);
  await apply(place);
  // When it is looked at for the second time it woke, and was asleep for seven seconds.
  let looks = 0;
  const awake = (): number => performance.now() / 1000;
  const clocks = { awake, boot: () => awake() + (++looks > 2 ? 7 : 0) };
  const ended = { status: null, signal: 'SIGKILL' };
  const running = {
    ...{ over: new Promise(() => {}), accesses: new Map(), parts: [], output: () => '' },
    ...{ onRefusal: () => {}, interrupts: () => [], end: async () => ended },
  };
  const { agent, end, calls } = await holdOnce(place, { clocks, running });
  t.equal(end.why, 'slept', 'nobody had to ask');
  t.strictSame(calls, ['brake', 'end']);
  t.strictSame(await loadIncidents(agent), [], 'that is no incident');
  const log = readFileSync(join(place.state, 'audit.jsonl'), 'utf8');
  t.match(log, /"kind":"slept".*suspended for 7 s.*"decision":"reset-required","level":null/);
  t.strictSame(statesIn(place).slice(-3), ['suspended', 'draining', 'claimed']);
  const stop = new AbortController();
  stop.abort();
  t.equal((await holdOnce(place, { stop })).end.why, 'stopped', 'and it can be held again');
});

t.test('what ends a holding is in the table, and in the log', async (t) => {
  const place = await scene(t);
  await apply(place);
  const well = { status: 0, signal: null };
  const running = {
    ...{ over: Promise.resolve({ why: 'driver-ended', end: well }), accesses: new Map() },
    ...{ onRefusal: () => {}, interrupts: () => [], output: () => '', parts: [] },
    end: async () => well,
  };
  t.equal((await holdOnce(place, { running })).end.why, 'driver-ended');
  const log = readFileSync(join(place.state, 'audit.jsonl'), 'utf8');
  t.match(log, /"kind":"driver-exit","what":"its driver ended, status 0","decision":"reset-req/);
});

t.test('interrupts of a device without a driver have their budget too', async (t) => {
  const place = await scene(t);
  await apply(place);
  const stop = new AbortController();
  const onFrozen = (): void => stop.abort();
  const { agent, end, calls } = await holdOnce(place, { interrupts: 6, stop, onFrozen });
  t.equal(end.why, 'interrupt-storm');
  t.strictSame(calls, ['brake', 'end']);
  t.match(await loadIncidents(agent), [{ level: 'soft', reason: /over their budget/ }]);
});

t.test('what is not seen to end keeps its device from everybody', async (t) => {
  const problem = new IronError('E_IO', 'a driver could not be ended: process 7');
  for (const isDriver of [true, false]) {
    const place = await scene(t);
    await apply(place);
    const running = {
      ...{ over: new Promise(() => {}), accesses: new Map(), parts: [], output: () => '' },
      ...{ onRefusal: () => {}, interrupts: () => [], end: () => Promise.reject(problem) },
    };
    const stop = new AbortController();
    stop.abort();
    const parts = isDriver ? { running } : { unending: problem };
    await t.rejects(holdOnce(place, { ...parts, stop }), problem, 'and it is told');
    const agent = new Agent({ state: place.state });
    t.match(await loadIncidents(agent), [{ level: 'hard', reason: /were not seen to end/ }]);
    t.equal(statesIn(place).filter((one) => one === 'claimed').length, 1, 'it is not free again');
    refused(t, await apply(place), 'E_QUARANTINED', 'nor bound anew');
  }
});

t.test('what is new in the audit log is signed, also when nothing comes after it', async (t) => {
  const place = await scene(t);
  await apply(place);
  const before = Math.floor(Date.now() / 1000);
  const later = { seconds: 0 };
  const clock = (): number => before + later.seconds;
  const agent = new Agent({ state: place.state, clock });
  await agent.alone(() => agent.audit.append({ event: 'test' }), { signs: 'due' });
  const signed = async (): Promise<boolean> =>
    (await agent.heads.newest())?.seq === (await agent.audit.end()).seq;
  t.notOk(await signed(), 'it was not time for that yet');
  const stop = new AbortController();
  const held = holdOnce(place, { stop, signMs: 5, clock });
  later.seconds = AGENT_LIMITS.auditHeadSeconds;
  while (!(await signed())) await new Promise((go) => setTimeout(go, 5));
  stop.abort();
  t.equal((await held).end.why, 'stopped');
});

t.test('a driver that is revoked while it runs is stopped', async (t) => {
  const place = await scene(t);
  await apply(place);
  const { repository, state } = place;
  const NEXT = 'acme/edu/1.1.0/edu-driver.mjs';
  await repository.add({ path: NEXT, generation: 2 });
  const floors = new Map([['acme/edu', { generation: 2, reason: 'CVE-2030-0001' }]]);
  await repository.revoke(testList(1, { issued: systemClock(), floors }));
  const folder = repository.handOver(join(place.folder, 'next'), NEXT);
  t.equal((await runAgent('accept', folder, '--state', state)).exit, 0);
  const { agent, end, calls } = await holdOnce(place, {});
  t.equal(end.why, 'watched');
  t.strictSame(calls, ['brake', 'end']);
  t.match(await loadIncidents(agent), [{ level: 'hard', reason: /generation.*CVE-2030-0001/ }]);
  const log = readFileSync(join(state, 'audit.jsonl'), 'utf8');
  t.match(log, /"kind":"revoked".*"decision":"quarantine","level":"hard"/);
});
