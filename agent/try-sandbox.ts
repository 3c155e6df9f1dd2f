/** Trying out the confinement of drivers on a program that does nothing. */

import { createHash } from 'node:crypto';
import { closeSync, writeSync } from 'node:fs';
import process from 'node:process';
import { makeCgroup } from './host/cgroup.ts';
import { launch } from './host/launch.ts';
import { libc } from './host/libc.ts';
import { sealProgram } from './host/sealed.ts';
import { PROBE } from './sandbox/probe.ts';

export interface SandboxFound {
  readonly user: number;
  readonly landlockAbi: number;
  /** What the kernel said of the program, by the names of proc_pid_status(5). */
  readonly status: ReadonlyMap<string, string>;
  /** Controllers that a control group lacks here; undefined when none was tried. */
  readonly missing: readonly string[] | undefined;
}

/** Above those of systems, and below `nobody`. */
export const PROBE_USER = 64_999;

const LIMITS = { dataBytes: 1 << 20, threads: 1, stackBytes: 1 << 20 };
const GROUP_LIMITS = { memoryBytes: 256 << 20, processes: 32 };
const TOLD = ['Seccomp', 'NoNewPrivs', 'CapEff', 'CapPrm', 'CapBnd', 'Uid', 'Gid'];

/** Throws `E_AGENT_REFUSED` where a driver cannot be confined; nothing is left either way. */
export async function trySandbox({
  user,
  cgroup: parent,
}: {
  user: number;
  cgroup?: string | undefined;
}): Promise<SandboxFound> {
  const program = sealProbe();
  try {
    const cgroup =
      parent === undefined
        ? undefined
        : makeCgroup(parent, `ironport-check-${process.pid}`, GROUP_LIMITS, 'group');
    const driver = await launch({
      program,
      user,
      group: user,
      descriptors: [],
      environment: {},
      limits: LIMITS,
      cgroup,
    });
    await driver.end();
    const status = TOLD.map((name): [string, string] => [
      name,
      (driver.status.get(name) ?? '').replaceAll('\t', ' '),
    ]);
    return {
      user,
      landlockAbi: libc().landlockAbi(),
      status: new Map(status),
      missing: cgroup?.missing,
    };
  } finally {
    closeSync(program);
  }
}

/** By the way that every driver takes. */
function sealProbe(): number {
  const source = libc().memory('ironport-probe');
  try {
    writeSync(source, PROBE);
    const sha256 = createHash('sha256').update(PROBE).digest('hex');
    return sealProgram(source, { length: PROBE.length, sha256 });
  } finally {
    closeSync(source);
  }
}
