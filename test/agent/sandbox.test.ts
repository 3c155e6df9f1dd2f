/** The filter as a kernel would run it, over every call; the launcher's calls; what is looked at. */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { openMeasured, sealProgram } from '../../agent/host/sealed.ts';
import { ACTION, compileFilter, encodeFilter, type Profile } from '../../agent/sandbox/filter.ts';
import { rulesetAttr } from '../../agent/sandbox/landlock.ts';
import { type LaunchPlan, planLaunch } from '../../agent/sandbox/launch-plan.ts';
import { parseProcessStatus, requireConfined } from '../../agent/sandbox/process-status.ts';
import { RUNTIME_PROFILE, STATIC_PROFILE } from '../../agent/sandbox/profiles.ts';
import { runRegisters, runRule } from '../../agent/sandbox/run-once.ts';
import { SYSCALL, type SyscallName } from '../../agent/sandbox/syscalls.ts';
import { judge } from './bpf.ts';

const encoded = (profile: Profile) => encodeFilter(compileFilter(profile));
const PROFILES = { static: encoded(STATIC_PROFILE), runtime: encoded(RUNTIME_PROFILE) };

/** What conditional calls are allowed with, and what not; written down apart from the profiles. */
const CONDITIONAL: Partial<Record<SyscallName, [good: number[][], bad: number[][]]>> = {
  mmap: [
    [
      [0, 4096, 3, 0x22],
      [0, 4096, 3, 0x01, 3],
      [0, 4096, 1, 0x11, 3],
    ],
    [
      [0, 4096, 3, 0x21],
      [0, 4096, 3, 0x23],
      [0, 4096, 3, 0x122],
      [0, 4096, 3, 0x101, 3],
      [0, 4096, 3, 0x40022],
      [0, 4096, 3, 0x40001, 3],
    ],
  ],
  madvise: [
    [[0, 0, 4]],
    [
      [0, 0, 9],
      [0, 0, 100],
      [0, 0, -1],
    ],
  ],
};
const STATIC_ONLY: typeof CONDITIONAL = {
  ...CONDITIONAL,
  mprotect: [
    [[0, 0, 3]],
    [
      [0, 0, 4],
      [0, 0, 7],
    ],
  ],
};
const RUNTIME_ONLY: typeof CONDITIONAL = {
  ...CONDITIONAL,
  // A thread as the C library makes it; then a fork, a vfork, namespaces one by one, and a tracer's.
  clone: [
    [[0x3d0f00]],
    [
      [17],
      [0x4111],
      ...[0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000].map(
        (flag) => [0x3d0f00 | flag],
      ),
      [0x3d0f00 | 0x2000],
      [0x3d0f00 & ~0x10000],
    ],
  ],
  // F_DUPFD, F_DUPFD_CLOEXEC, F_SETOWN, F_SETLEASE, F_ADD_SEALS, F_NOTIFY
  fcntl: [
    [
      [0, 1],
      [0, 4, 0x800],
    ],
    [
      [0, 0],
      [0, 1030],
      [0, 8],
      [0, 1024],
      [0, 1033],
      [0, 1026],
    ],
  ],
  // TIOCSTI, VFIO_DEVICE_SET_IRQS, IOMMU_IOAS_MAP
  ioctl: [
    [[0, 0x5421]],
    [
      [0, 0x5412],
      [0, 0x3b6e],
      [0, 0x3b85],
    ],
  ],
  // PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAP_AMBIENT
  prctl: [[[15]], [[1], [4], [22], [47]]],
};

t.test('the filter, over every call of every table', async (t) => {
  for (const [name, profile, cases] of [
    ['static', STATIC_PROFILE, STATIC_ONLY],
    ['runtime', RUNTIME_PROFILE, RUNTIME_ONLY],
  ] as const) {
    const program = PROFILES[name];
    const always = profile.rules.filter(({ when }) => when === undefined);
    const open = new Set<number>(always.map(({ call }) => SYSCALL[call]));
    const absent = new Set<number>(profile.absent.map((call) => SYSCALL[call]));
    const conditional = new Set<number>(Object.keys(cases).map((c) => SYSCALL[c as SyscallName]));
    t.strictSame(
      profile.rules
        .filter(({ when }) => when !== undefined)
        .map(({ call }) => call)
        .sort(),
      Object.keys(cases).sort(),
      `${name}: every conditional call has its cases here`,
    );
    const wrong: number[] = [];
    for (let nr = 0; nr < 1024; nr++) {
      if (conditional.has(nr)) continue;
      const wanted = open.has(nr) ? ACTION.allow : absent.has(nr) ? ACTION.enosys : ACTION.eperm;
      if (judge(program, nr) !== wanted) wrong.push(nr);
    }
    t.strictSame(wrong, [], `${name}: calls judged otherwise`);
    for (const [call, [good, bad]] of Object.entries(cases)) {
      const nr = SYSCALL[call as SyscallName];
      for (const args of good)
        t.equal(judge(program, nr, args), ACTION.allow, `${name}: ${call} ${args}`);
      for (const args of bad)
        t.equal(judge(program, nr, args), ACTION.eperm, `${name}: not ${call} ${args}`);
    }
    for (const nr of [0, 1, 59, 0x3fffffff]) {
      // i386, ARM64, x86-64 without a bit, none
      for (const arch of [0x40000003, 0xc00000b7, 0x8000003e, 0])
        t.equal(judge(program, nr, [], arch), ACTION.killProcess, `${name}: ${nr} of ${arch}`);
      for (const x32 of [0x40000000, 0x80000000, 0xc0000000])
        t.equal(judge(program, nr + x32), ACTION.killProcess, `${name}: ${nr} of x32`);
    }
  }
});

t.test('one call runs a program, and only with its key', async (t) => {
  const key = Buffer.from('00112233445566778899aabbccddeeff', 'hex');
  const { descriptor, flags, sixth } = runRegisters(key);
  t.equal(descriptor, 0x00112233_000003ffn);
  t.equal(flags, 0x44556677_00001000n);
  t.equal(sixth, 0x8899aabb_ccddeeffn);
  t.throws(() => runRegisters(key.subarray(1)), { code: 'E_INTERNAL' });
  const good = [descriptor, 7n, 7n, 7n, flags, sixth];
  for (const profile of [STATIC_PROFILE, RUNTIME_PROFILE]) {
    const run = (args: readonly bigint[], rules = [...profile.rules, runRule(key)]) =>
      judge(encoded({ ...profile, rules }), SYSCALL.execveat, args);
    t.equal(run(good), ACTION.allow);
    t.equal(run(good.with(1, 8n)), ACTION.allow, 'where the empty path is, is not looked at');
    t.equal(run(good, [...profile.rules]), ACTION.eperm, 'without the rule there is no way');
    for (const argument of [0, 4, 5])
      for (let bit = 0n; bit < 64n; bit++) {
        const wrong = good.with(argument, (good[argument] as bigint) ^ (1n << bit));
        if (run(wrong) !== ACTION.eperm) t.fail(`argument ${argument}, bit ${bit}`);
      }
    t.equal(run([1023n, 7n, 7n, 7n, 0x1000n, 0n]), ACTION.eperm, 'without a key');
  }
});

t.test('what no driver may have is in no list', async (t) => {
  // ptrace, bpf, io_uring, userfaultfd, mounts, sockets, namespaces, fallocate, ftruncate, kill,
  // memory of others, keys, and running by name; by their numbers.
  const never = [
    101, 321, 425, 426, 427, 323, 165, 166, 428, 429, 430, 432, 41, 42, 46, 47, 49, 50,
  ];
  never.push(
    53,
    272,
    308,
    285,
    77,
    76,
    62,
    200,
    234,
    310,
    311,
    434,
    438,
    248,
    249,
    250,
    59,
    57,
    58,
  );
  never.push(105, 106, 117, 119, 112, 298, 319, 317, 135, 175, 313, 246, 169, 161, 304, 33, 436);
  // execveat, fchmod, setrlimit, prlimit64
  never.push(322, 91, 160, 302);
  for (const [name, program] of Object.entries(PROFILES))
    for (const nr of never) t.equal(judge(program, nr), ACTION.eperm, `${name}: ${nr}`);
});

t.test('what is refused is told of, where somebody listens', async (t) => {
  for (const profile of [STATIC_PROFILE, RUNTIME_PROFILE]) {
    const key = Buffer.alloc(16, 7);
    const rules = [...profile.rules, runRule(key)];
    const [plain, told] = [
      encoded({ ...profile, rules }),
      encoded({ ...profile, rules, tells: true }),
    ];
    const calls: [nr: number, args: number[]][] = Array.from({ length: 1024 }, (_, nr) => [nr, []]);
    for (const [name, [good, bad]] of Object.entries({ ...STATIC_ONLY, ...RUNTIME_ONLY }))
      for (const args of [...good, ...bad]) calls.push([SYSCALL[name as SyscallName], args]);
    const wrong = calls.filter(([nr, args]) => {
      const before = judge(plain, nr, args);
      return judge(told, nr, args) !== (before === ACTION.eperm ? ACTION.tell : before);
    });
    t.strictSame(wrong, [], 'and nothing else is judged otherwise');
    t.equal(judge(told, 0, [], 0x40000003), ACTION.killProcess);
  }
});

t.test('a rule that is named twice is a defect', async (t) => {
  t.throws(
    () => compileFilter({ name: 'x', rules: [{ call: 'read' }, { call: 'read' }], absent: [] }),
    { code: 'E_INTERNAL' },
  );
});

const UNISTD = '/usr/include/x86_64-linux-gnu/asm/unistd_64.h';
t.test('numbers are those of the C headers', { skip: !existsSync(UNISTD) }, async (t) => {
  const header = readFileSync(UNISTD, 'utf8');
  for (const [name, nr] of Object.entries(SYSCALL))
    t.match(header, new RegExp(`^#define __NR_${name} ${nr}$`, 'm'), name);
});

const PLAN: LaunchPlan = {
  parent: 77,
  user: 64001,
  group: 64002,
  lastCapability: 40,
  limits: { dataBytes: 1 << 28, threads: 32, stackBytes: 1 << 23 },
  landlockAbi: 7,
  profile: STATIC_PROFILE,
  key: Buffer.alloc(16, 7),
  program: 6,
  files: [7, 8],
  cgroup: 9,
  keepBelow: 5,
  arguments: ['driver'],
  environment: { A: 'b' },
};

t.test('the order of confinement', async (t) => {
  const steps = planLaunch(PLAN).map(({ step }) => step);
  t.strictSame(
    steps.filter((step, i) => step !== steps[i - 1]),
    [
      ...['cgroup', 'bounding-set', 'ambient-set', 'groups', 'group', 'user', 'death-signal'],
      ...['parent', 'program', 'limit-core', 'limit-memlock', 'limit-messages', 'limit-data'],
      ...['limit-stack', 'limit-threads', 'ruleset', 'readable-file', 'descriptors', 'keep'],
      ...['limit-files', 'no-new-privs', 'landlock', 'seccomp', 'run'],
    ],
  );
  t.equal(steps.filter((step) => step === 'bounding-set').length, 41);
  t.equal(planLaunch(PLAN).find(({ step }) => step === 'parent')?.expect, 77);
});

t.test('what is not launched', async (t) => {
  for (const id of [0, -1, 1.5, Number.NaN, 0xffffffff, 0xfffffffe]) {
    t.throws(() => planLaunch({ ...PLAN, user: id }), { code: 'E_AGENT_REFUSED' }, `user ${id}`);
    t.throws(() => planLaunch({ ...PLAN, group: id }), { code: 'E_AGENT_REFUSED' }, `group ${id}`);
  }
  t.throws(() => planLaunch({ ...PLAN, landlockAbi: 0 }), {
    code: 'E_AGENT_REFUSED',
    context: { reason: 'landlock' },
  });
  t.throws(() => planLaunch({ ...PLAN, keepBelow: 257 }), { code: 'E_AGENT_REFUSED' });
  t.throws(() => planLaunch({ ...PLAN, environment: { A: 'b\0C=d' } }), { code: 'E_INTERNAL' });
});

t.test('Landlock, as far as each version goes', async (t) => {
  const seen = [1, 2, 3, 4, 5, 6, 7].map((abi) => rulesetAttr(abi).toString('hex'));
  t.strictSame(
    seen.map((text) => text.slice(0, 4)),
    ['ff1f', 'ff3f', 'ff7f', 'ff7f', 'ffff', 'ffff', 'ffff'],
  );
  t.strictSame(
    seen.map((text) => text.length / 2),
    [8, 8, 8, 16, 16, 24, 24],
  );
  t.equal(seen[6], `ffff${'00'.repeat(6)}03${'00'.repeat(7)}03${'00'.repeat(7)}`);
});

const CONFINED = [
  ...['Name:\tdriver', 'State:\tS (sleeping)', 'PPid:\t77', 'TracerPid:\t0'],
  ...['Uid:\t64001\t64001\t64001\t64001', 'Gid:\t64002\t64002\t64002\t64002', 'Groups:\t '],
  ...['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map((name) => `${name}:\t0000000000000000`),
  ...['NoNewPrivs:\t1', 'Seccomp:\t2', ''],
];

t.test('what the kernel must say of a driver', async (t) => {
  const who = { user: 64001, group: 64002, parent: 77 };
  const check = (lines: readonly string[]) =>
    requireConfined(parseProcessStatus(lines.join('\n')), who);
  check(CONFINED);
  const changes: [from: RegExp, to: string][] = [
    [/^Seccomp:\t2/, 'Seccomp:\t1'],
    [/^Seccomp:\t2/, 'Seccomp:\t0'],
    [/^NoNewPrivs:\t1/, 'NoNewPrivs:\t0'],
    [/^(Cap...):\t0/, '$1:\t1'],
    [/^Uid:\t64001/, 'Uid:\t0'],
    [/64001$/, '0'],
    [/^Gid:\t64002/, 'Gid:\t640021'],
    [/^Groups:.*/, 'Groups:\t0 '],
    [/^TracerPid:\t0/, 'TracerPid:\t5'],
    [/^PPid:\t77/, 'PPid:\t1'],
  ];
  for (const [from, to] of changes)
    for (const [i, line] of CONFINED.entries()) {
      if (!from.test(line)) continue;
      const wrong = { code: 'E_AGENT_REFUSED', context: { reason: 'driver-unconfined' } };
      t.throws(() => check(CONFINED.with(i, line.replace(from, to))), wrong, `${line} ${to}`);
      t.throws(() => check(CONFINED.toSpliced(i, 1)), wrong, `without ${line}`);
    }
  for (const state of ['Z (zombie)', 'X (dead)'])
    t.throws(
      () => check(CONFINED.map((line) => (line.startsWith('State') ? `State:\t${state}` : line))),
      { code: 'E_AGENT_REFUSED', context: { reason: 'driver-ended' } },
      state,
    );
  t.throws(() => check([...CONFINED, 'Seccomp:\t2']), { code: 'E_SCHEMA' }, 'said twice');
  t.throws(() => check(['no colon', ...CONFINED]), { code: 'E_SCHEMA' });
});

t.test('the bytes that run are the bytes that were measured', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ironport-sealed-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'driver');
  const bytes = Buffer.alloc(3_000_001, 'driver');
  const expected = {
    length: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  };
  const seal = (content: Uint8Array, wanted = expected): number => {
    writeFileSync(path, content);
    const source = openSync(path, 'r');
    try {
      return sealProgram(source, wanted);
    } finally {
      closeSync(source);
    }
  };
  const fd = seal(bytes);
  writeFileSync(path, 'another');
  t.ok(readFileSync(`/proc/self/fd/${fd}`).equals(bytes), 'the file may change afterwards');
  t.throws(() => writeSync(fd, 'x', 0), { code: 'EPERM' });
  t.throws(() => openMeasured(path, expected.sha256), { code: 'E_HASH' });
  closeSync(fd);
  const changed = Buffer.from(bytes);
  changed[2_000_000] = 0;
  for (const other of [changed, bytes.subarray(1), Buffer.concat([bytes, bytes]), Buffer.alloc(0)])
    t.throws(() => seal(other), { code: 'E_HASH' }, `${other.length} bytes`);
  t.throws(() => seal(bytes, { ...expected, length: bytes.length - 1 }), { code: 'E_HASH' });
  t.throws(() => seal(bytes, { ...expected, length: bytes.length + 1 }), { code: 'E_HASH' });
  t.throws(() => openMeasured(folder, expected.sha256), {
    code: 'E_IO',
    message: /not a regular file/,
  });
  t.throws(() => openMeasured(join(folder, 'none'), expected.sha256), { code: 'E_NOT_FOUND' });
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  t.throws(() => openMeasured(pipe, expected.sha256), { code: 'E_IO', why: 'it is a pipe' });
});
