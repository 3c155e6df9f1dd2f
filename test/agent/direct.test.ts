/** A driver with its device's descriptor: the real filter, in real processes, and who is told. */

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import t from 'tap';
import type { AuditEvent } from '../../agent/audit.ts';
import { type DeviceRefusal, DeviceRefusals } from '../../agent/direct/refusals.ts';
import { directWindows } from '../../agent/direct/task.ts';
import { type Driving, driveDevice } from '../../agent/drive.ts';
import { handedDirect } from '../../agent/handed.ts';
import { type Launch, launch } from '../../agent/host/launch.ts';
import { libc } from '../../agent/host/libc.ts';
import { requireListenable, watchRefused } from '../../agent/host/refused-calls.ts';
import { openMeasured } from '../../agent/host/sealed.ts';
import { directProfile } from '../../agent/sandbox/direct-profile.ts';
import { ACTION, compileFilter, encodeFilter } from '../../agent/sandbox/filter.ts';
import { RUNTIME_PROFILE, STATIC_PROFILE } from '../../agent/sandbox/profiles.ts';
import { windowAt } from '../../shared/manifest/windows.ts';
import { judge } from './bpf.ts';
import { ALLOWED, DEVICE, REFUSED, REGIONS } from './direct-attempts.ts';
import { elf, resultsOf, type Syscall } from './elf.ts';
import { ATTEMPTS, CALLS as HOSTILE_CALLS, isRefused, PAUSE, unsealed } from './hostile.ts';
import { node, sealed, sha256, WITH, whyNot, window } from './launch-support.ts';
import { EDU } from './support.ts';

/** A file that is as long as a device's descriptor is, and as empty. */
function device(): number {
  const fd = libc().memory('ironport-test-device');
  ftruncateSync(fd, 9 * 2 ** 40);
  return fd;
}

const callOf = ([, , nr, ...operands]: (typeof ALLOWED | typeof REFUSED)[number]): Syscall => [
  ...([nr, ...operands] as const),
];
const CALLS = [...REFUSED.map(callOf), ...ALLOWED.map(callOf)];

t.test('the filter, over every argument', async (t) => {
  for (const base of [STATIC_PROFILE, RUNTIME_PROFILE]) {
    const program = encodeFilter(compileFilter(directProfile(base, DEVICE, REGIONS)));
    const asked = ([nr, ...operands]: Syscall): number =>
      judge(
        program,
        nr,
        operands.map((one) => (typeof one === 'object' || typeof one === 'string' ? 8 : one)),
      );
    for (const attempt of ALLOWED) t.equal(asked(callOf(attempt)), ACTION.allow, attempt[0]);
    for (const attempt of REFUSED) t.equal(asked(callOf(attempt)), ACTION.tell, attempt[0]);
    // At each edge of each region, for each width, on both sides.
    for (const { offset, size } of REGIONS)
      for (const width of [1n, 2n, 4n, 8n])
        for (const nr of [17, 18])
          for (const [place, isIn] of [
            [offset - 1n, false],
            [offset, true],
            [offset + 1n, true],
            [offset + size - width - 1n, true],
            [offset + size - width, true],
            [offset + size - width + 1n, false],
            [offset + size, false],
            [offset + (1n << 32n), size > 1n << 32n],
            [offset + (1n << 40n), false],
            [offset + (1n << 63n), false],
          ] as const) {
            const found = asked([nr, DEVICE, 8, width, place]) === ACTION.allow;
            if (found !== isIn) t.fail(`${nr}: ${width} bytes at ${place}`);
          }
    for (let fd = 0; fd < 64; fd++)
      if (fd !== DEVICE) t.equal(asked([17, fd, 8, 4096, 1n << 63n]), ACTION.allow, `${fd}`);
  }
});

t.test('what is told of is bounded', async (t) => {
  const refusals = new DeviceRefusals(DEVICE);
  const told: DeviceRefusal[] = [];
  for (let i = 0; i < 1000; i++) {
    const one = refusals.note(16, [3n, BigInt(i) << 32n, 0n, 0n, 0n, 0n]);
    if (one !== undefined) told.push(one);
  }
  t.strictSame(
    told.map(({ what, count }) => [what, count]),
    [1, 2, 4, 8, 16, 32, 64, 128, 256, 512].map((count) => ['ioctl of another request', count]),
  );
  t.equal(refusals.total, 1000);
  t.match(refusals.note(18, [3n, 0n, 2n, (7n << 40n) + 4n, 0n, 0n]), {
    what: 'pwrite64 in configuration space',
    arguments: ['0x3', '0x0', '0x2', '0x70000000004', '0x0', '0x0'],
  });
  t.match(refusals.note(9999, []), { what: 'another call', ofDevice: false });
  for (const [nr, args, what] of [
    [101, [0n], 'ptrace'],
    [321, [3n], 'bpf'],
    [425, [3n], 'io_uring'],
    [16, [4n, 0x3b6fn], 'ioctl'],
    [9, [0n, 4096n, 3n, 0x21n, 0xffff_ffffn, 0n], 'mmap'],
  ] as const)
    t.match(refusals.note(nr, args), { what, ofDevice: false, count: 1 });
  t.match(refusals.note(9, [0n, 4096n, 3n, 1n, 3n, 0n]), { what: 'mmap in BAR 0', ofDevice: true });
  t.equal(refusals.total, 1002, 'of the device');
  t.match(new DeviceRefusals(undefined).note(16, [3n, 0x3b6fn]), {
    what: 'ioctl',
    ofDevice: false,
  });
});

t.test('where it cannot be listened, nothing is handed over', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ironport-direct-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const proc = (name: string, actions: string): string => {
    const path = join(folder, name, 'sys/kernel/seccomp');
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, 'actions_avail'), actions);
    return join(folder, name);
  };
  const able = proc('able', 'kill_process kill_thread trap errno user_notif trace log allow\n');
  const refusal = { code: 'E_AGENT_REFUSED', context: { reason: 'direct-seccomp' } };
  // Whoever asks for more of the device than its number goes too far.
  const driving = {
    device: '0000:00:05.0',
    grant: { mode: 'direct', mmio: [], ports: [], interrupts: {} } as unknown as Driving['grant'],
    prepared: {} as Driving['prepared'],
    parts: { vfio: { fd: -1 }, memories: [], vectors: [] } as unknown as Driving['parts'],
    record: async (event: AuditEvent) => t.fail(event.event),
  };
  requireListenable(able);
  await t.rejects(driveDevice({ ...driving, proc: able }), /region/, 'the control: it goes on');
  for (const path of [
    proc('unable', 'kill_process errno allow\n'),
    proc('empty', ''),
    join(folder, 'none'),
  ]) {
    t.throws(() => requireListenable(path), refusal);
    await t.rejects(driveDevice({ ...driving, proc: path }), refusal, 'nor is a driver begun');
  }
});

t.test('BARs as VFIO has them', async (t) => {
  const whole = { bar: 2, offset: 0n, window: windowAt(0xfe000000n, 0x2000n) } as const;
  const grant = { mmio: [{ ...whole, access: 'read-write' }], ports: [] } as const;
  const region = { index: 2, offset: 2n << 40n, size: 0x2000n };
  const none = { index: 0, offset: 0n, size: 0n };
  t.strictSame(directWindows(grant, [none, region]), [
    { bar: 2, offset: 2n << 40n, size: 0x2000n },
  ]);
  for (const [regions, reason] of [
    [[{ ...region, size: 0x3000n }], 'direct-bars'],
    [[region, { index: 4, offset: 4n << 40n, size: 1n }], 'direct-bars'],
    [[{ ...region, offset: 0n }], 'direct-regions'],
  ] as const)
    t.throws(() => directWindows(grant, regions), {
      code: 'E_AGENT_REFUSED',
      context: { reason },
    });
  const { descriptors, document } = handedDirect(directWindows(grant, [region]), [], 1);
  t.strictSame(
    descriptors.map(({ fd }) => fd),
    [3, 4, 5],
  );
  t.strictSame(document, {
    schema: 'ironport.driver/v1',
    device: 3,
    begin: 4,
    registers: [
      {
        ...{ bar: 2, offset: '0x0', length: '0x2000', fd: 3, at: '0x20000000000' },
        access: 'read-write',
      },
    ],
    dma: [],
    interrupts: [{ vector: 0, fd: 5 }],
  });
});

t.test('a driver with a descriptor', { skip: whyNot() }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ironport-direct-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  chmodSync(folder, 0o755);

  await t.test('control: unconfined, it gets further', async (t) => {
    const path = join(folder, 'control');
    writeFileSync(path, elf(CALLS), { mode: 0o755 });
    const { stdout } = spawnSync(path, [], {
      stdio: ['ignore', 'pipe', 'inherit', device(), window()],
    });
    const results = resultsOf(stdout);
    for (const [i, [what]] of REFUSED.entries()) t.not(results[i], -1, what);
    for (const [i, [what, answer]] of ALLOWED.entries()) {
      const result = results[REFUSED.length + i] ?? Number.NaN;
      if (answer === 'address') t.ok(result > 0, what);
      else t.equal(result, answer, what);
    }
  });

  const waiting = elf(CALLS, [PAUSE]);
  const path = join(folder, 'waiting');
  writeFileSync(path, waiting, { mode: 0o755 });
  const asRuntime = {
    program: sealed(Buffer.from('nothing')),
    runtime: { fd: openMeasured(path, sha256(waiting)), arguments: [], files: [] },
  };
  for (const [name, base, options] of [
    ['a static program', STATIC_PROFILE, { program: sealed(waiting) }],
    ['a runtime', RUNTIME_PROFILE, asRuntime],
  ] as const) {
    await t.test(`as ${name}, it has its BARs, and no more`, async (t) => {
      const told: string[] = [];
      const { driver, stop } = await listened(base, options, (what) => told.push(what));
      while (driver.bytes().length < 8 * CALLS.length) await setTimeout(20);
      const results = resultsOf(driver.bytes());
      for (const [i, [what]] of REFUSED.entries()) t.equal(results[i], -1, what);
      for (const [i, [what, answer]] of ALLOWED.entries()) {
        const result = results[REFUSED.length + i] ?? Number.NaN;
        if (answer === 'address') t.ok(result > 0, `${what}: ${result}`);
        else t.equal(result, answer, what);
      }
      t.strictSame(
        told,
        REFUSED.map(([, what]) => what),
        'each is told of, in its order',
      );
      t.match(readFileSync(`/proc/${driver.pid}/status`, 'utf8'), /^Seccomp:\t2$/m);
      await driver.end();
      stop();
      stop();
    });
  }

  await t.test('the example driver under its runtime asks for nothing else', async (t) => {
    const [waits, goes] = libc().pipe();
    const registers = device();
    // The mark of the device, and nothing that answers: a driver that gets this far is alive.
    writeSync(registers, Uint8Array.of(0xed, 0, 0, 1), 0, 4, 0);
    const told: string[] = [];
    const { document } = handedDirect([{ bar: 0, offset: 0n, size: 0x1000n }], [], 0);
    const { driver, stop } = await listened(
      RUNTIME_PROFILE,
      { program: sealed(readFileSync(join(EDU, 'edu-driver.mjs'))), runtime: node() },
      (what) => told.push(what),
      {
        descriptors: [registers, waits],
        environment: { IRONPORT_DRIVER: JSON.stringify(document) },
      },
    );
    writeSync(goes, Uint8Array.of(1));
    t.strictSame(await driver.ended, { status: 4, signal: null });
    t.match(driver.output(), 'edu-driver: wrote 0x0 and read 0x0');
    t.strictSame(told, []);
    await driver.end();
    stop();
    for (const fd of [waits, goes, registers]) closeSync(fd);
  });

  await t.test('one that asks without end is refused without being told of', async (t) => {
    const dup: Syscall = [32, DEVICE];
    const program = sealed(elf([dup, dup, dup, dup, dup], [PAUSE]));
    const told: string[] = [];
    const { driver } = await listened(STATIC_PROFILE, { program }, (what) => told.push(what), {
      most: 3,
    });
    while (driver.bytes().length < 8 * 5) await setTimeout(20);
    t.strictSame(resultsOf(driver.bytes()), [-1, -1, -1, -38, -38]);
    t.equal(told.length, 3);
    await driver.end();
  });

  await t.test('whatever it is refused is told of, where it has no descriptor too', async (t) => {
    const told: string[] = [];
    let stop = (): void => {};
    const driver = await launch({
      ...WITH,
      program: sealed(elf(HOSTILE_CALLS, [PAUSE])),
      descriptors: [window(), unsealed()],
      profile: { ...STATIC_PROFILE, tells: true },
      onListener(listener) {
        stop = watchRefused(listener, 10_000, (call) => {
          const one = new DeviceRefusals(undefined).note(call.nr, call.arguments);
          told.push(one?.what ?? '');
        });
      },
    });
    while (driver.bytes().length < 8 * HOSTILE_CALLS.length) await setTimeout(20);
    const results = resultsOf(driver.bytes());
    for (const [i, [what]] of ATTEMPTS.entries())
      t.ok(isRefused(what, results[i] ?? Number.NaN), `${what}: ${results[i]}`);
    t.equal(told.length, results.filter((result) => result === -1).length, 'each, once');
    for (const what of [
      ...['ptrace', 'bpf', 'io_uring', 'userfaultfd', 'mount', 'socket', 'socketpair', 'unshare'],
      ...['fallocate', 'ftruncate', 'madvise', 'kill', 'pidfd_open', 'setuid', 'setsid', 'clone'],
      ...['execveat', 'execve', 'openat', 'memory of another process', 'perf_event_open', 'mmap'],
    ])
      t.ok(told.includes(what), what);
    await driver.end();
    stop();
  });

  await t.test('nobody who listens, and nothing is allowed', async (t) => {
    const program = sealed(elf([[32, DEVICE]], [PAUSE]));
    const { driver, stop } = await listened(STATIC_PROFILE, { program }, () => {}, {
      stopsAtOnce: true,
    });
    stop();
    while (driver.bytes().length < 8) await setTimeout(20);
    t.strictSame(resultsOf(driver.bytes()), [-38]);
    await driver.end();
  });
});

async function listened(
  base: typeof STATIC_PROFILE,
  options: Pick<Launch, 'program' | 'runtime'>,
  then: (what: string) => void,
  {
    most = 10_000,
    stopsAtOnce = false,
    ...more
  }: Partial<Launch> & { readonly most?: number; readonly stopsAtOnce?: boolean } = {},
) {
  let stop = (): void => {};
  const refusals = new DeviceRefusals(DEVICE);
  const driver = await launch({
    ...WITH,
    ...options,
    descriptors: [device(), window()],
    ...more,
    profile: directProfile(base, DEVICE, REGIONS),
    onListener(listener) {
      stop = watchRefused(listener, most, (call) => {
        const before = refusals.total;
        const one = refusals.note(call.nr, call.arguments);
        then(
          one?.what ??
            new DeviceRefusals(DEVICE).note(call.nr, call.arguments)?.what ??
            `${before}`,
        );
      });
      if (stopsAtOnce) stop();
    },
  });
  return { driver, stop: () => stop() };
}
