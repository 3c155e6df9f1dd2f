/** Running drivers in the machine: its fleet policy, its runtime, and drivers of our own making. */

import { createHash } from 'node:crypto';
import { closeSync, existsSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import type { AuditEvent } from '../../../agent/audit.ts';
import { type Confined, confine } from '../../../agent/confine.ts';
import { type ConfinedGrant, planConfinement } from '../../../agent/confine-plan.ts';
import { driveDevice } from '../../../agent/drive.ts';
import { openDevice } from '../../../agent/host/choose-backend.ts';
import { libc } from '../../../agent/host/libc.ts';
import { openMeasured, sealProgram } from '../../../agent/host/sealed.ts';
import { Sysfs } from '../../../agent/host/sysfs.ts';
import type { PreparedRun } from '../../../agent/prepare-run.ts';
import type { Grant } from '../../../shared/manifest/grant.ts';
import { type LeakBounds, readLeakBounds } from '../../../shared/manifest/leak.ts';
import type { RunMode } from '../../../shared/manifest/policy-run.ts';
import { windowAt } from '../../../shared/manifest/windows.ts';
import type { Backend } from '../cases/case.ts';
import { POLICY } from './scene.ts';
import { EDU } from './vfio.ts';

export const GROUPS = '/sys/fs/cgroup';
export const USERS = { first: 64_000, count: 8 };
const NODE = '/bin/node';

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** What the machine's Node is made of, by what this process has mapped, and what it insists on. */
export function runtimeFiles(): string[] {
  const mapped = readFileSync('/proc/self/maps', 'utf8').match(/\/\S+\.so(\.\S+)?$/gm) ?? [];
  return [...new Set([...mapped, '/package.json'])].filter((path) => existsSync(path));
}

const named = (path: string) => ({ path, sha256: sha256(readFileSync(path)) });

/** What runs drivers of which namespaces: the first that fits counts. */
export type Programs = readonly (readonly [namespace: string, program: 'node' | 'static'])[];

/** The example's fleet policy, with leave to run its drivers by `program`; returns its path. */
export function runPolicy(program: 'node' | 'static'): string {
  return writePolicy(`/tmp/policy-${program}.json`, [['acme', program]]);
}

/** The same into a file, by namespaces. */
export function writePolicy(path: string, programs: Programs): string {
  const policy = JSON.parse(readFileSync(POLICY, 'utf8'));
  policy.run = {
    users: USERS,
    runtimes: [
      {
        ...{ name: 'node', ...named(NODE), arguments: ['--preserve-symlinks-main'] },
        files: runtimeFiles().map(named),
      },
    ],
  };
  const run = { memory_bytes: '0x10000000', processes: 32, accesses_per_second: 100_000 };
  const [entry] = policy.allow;
  policy.allow = programs.map(([namespace, program]) => ({
    ...{ ...entry, namespace, run: { program, ...run } },
  }));
  writeFileSync(path, JSON.stringify(policy), { flush: true });
  return path;
}

const PAGE = 4096n;
/** What of a grant decides about a driver that runs. */
export type RunGrant = ConfinedGrant & Pick<Grant, 'mmio' | 'ports' | 'interrupts' | 'mode'>;
/** What `examples/edu` is granted, less of everything. */
export const EDU_GRANT: RunGrant = {
  mode: 'brokered',
  dma: {
    windows: [{ window: windowAt(0x20_0000n, 4n * PAGE), access: 'read-write' }],
  },
  mmio: [
    {
      ...{ bar: 0, offset: 0n, window: windowAt(0xfe00_0000n, PAGE) },
      access: 'read-write',
    },
    {
      ...{ bar: 0, offset: 0x4_0000n, window: windowAt(0xfe04_0000n, PAGE) },
      access: 'read',
    },
  ],
  ports: [],
  interrupts: { kind: 'msi', vectors: 1, perSecondBudget: 50, burst: null, lifetimeMax: null },
};

const MEMORY = 256n << 20n;

/** A driver of the lab's own, as if it had been accepted: a text under Node, bytes as a static program. */
export function prepare(
  source: string | Buffer,
  mode: RunMode = 'brokered',
  leak: LeakBounds = readLeakBounds(undefined, MEMORY),
): PreparedRun {
  const bytes = Buffer.from(source);
  const file = libc().memory('ironport-lab-driver');
  writeSync(file, bytes);
  const program = sealProgram(file, { length: bytes.length, sha256: sha256(bytes) });
  closeSync(file);
  const open = (path: string): number => openMeasured(path, named(path).sha256);
  const fds = [open(NODE), ...runtimeFiles().map(open)];
  const [fd = -1, ...files] = fds;
  return {
    ...{ path: 'acme/lab/1/driver', sha256: sha256(bytes), program, users: USERS, cgroup: GROUPS },
    runtime:
      typeof source === 'string'
        ? { fd, arguments: ['--preserve-symlinks-main'], files }
        : undefined,
    entry: {
      ...{
        program: typeof source === 'string' ? 'node' : 'static',
        memoryBytes: MEMORY,
        processes: 32,
      },
      ...{ accessesPerSecond: 100_000, mode, leak },
    },
    close: () => [program, ...fds].forEach(closeSync),
  };
}

/** Runs such a driver on a device that is bound to `vfio-pci` already. */
export async function runOn(
  backend: Backend,
  source: string | Buffer,
  record: (event: AuditEvent) => void,
  device: string = EDU[0],
  grant: RunGrant = EDU_GRANT,
  leak?: LeakBounds,
): Promise<Confined> {
  const prepared = prepare(source, grant.mode, leak);
  return await runPrepared(backend, prepared, record, device, grant);
}

/** The same of one that was opened and sealed by now, which is closed. */
export async function runPrepared(
  backend: Backend,
  prepared: PreparedRun,
  record: (event: AuditEvent) => void,
  device: string = EDU[0],
  grant: RunGrant = EDU_GRANT,
): Promise<Confined> {
  const sysfs = await Sysfs.open('/sys');
  try {
    return await confine({
      ...{ device, grant, steps: planConfinement(grant, 1, 'driven') },
      open: () => openDevice(backend, sysfs, device),
      run: (parts) =>
        driveDevice({
          ...{ device, grant, prepared, parts },
          record: async (event) => record(event),
        }),
      journal: { append: async () => {} },
      record: async (event) => record(event),
    });
  } finally {
    prepared.close();
  }
}
