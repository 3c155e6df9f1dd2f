/** What can be known and opened of a driver before its device is touched. */

import { closeSync } from 'node:fs';
import { IronError } from '../shared/errors.ts';
import { acceptedFile, agentState } from '../shared/layout.ts';
import type { DeviceIdentity } from '../shared/manifest/device.ts';
import type { Grant } from '../shared/manifest/grant.ts';
import { entryFor, type FleetPolicy } from '../shared/manifest/policy.ts';
import {
  type RunEntry,
  type RunRules,
  type RuntimeRule,
  STATIC_PROGRAM,
} from '../shared/manifest/policy-run.ts';
import type { Agent } from './agent.ts';
import type { Accepted } from './entry.ts';
import type { Runtime } from './host/launch.ts';
import { openMeasured, openRegularSync, sealProgram } from './host/sealed.ts';

/** A driver that could be started; `close` when it was, or will not be. */
export interface PreparedRun {
  readonly path: string;
  readonly sha256: string;
  /** Sealed memory. */
  readonly program: number;
  readonly runtime: Runtime | undefined;
  readonly entry: RunEntry;
  readonly users: RunRules['users'];
  /** A folder of control groups. */
  readonly cgroup: string;
  close(): void;
}

/**
 * Opens and measures what runs. `E_POLICY` when the fleet's policy runs no such driver, `E_HASH` when
 * the artifact or a file of its runtime is not what was named, `E_NOT_FOUND` when it is not there, `E_IO`
 * when it is no file or cannot be read.
 */
export function prepareRun(
  agent: Agent,
  { artifact }: Accepted,
  policy: FleetPolicy,
  device: DeviceIdentity,
  { interrupts }: { readonly interrupts: Pick<Grant['interrupts'], 'kind'> },
  cgroup: string,
): PreparedRun {
  const { run: entry } = entryFor(policy, artifact.path, device);
  const rules = policy.run;
  if (entry === null || rules === null)
    throw new IronError('E_POLICY', `the fleet policy does not let ${artifact.path} run here`, {
      why: 'the entry that allows the device has no "run"',
      hint: 'nothing was changed; leave --run out, or let the operators of the fleet add it',
      context: { path: artifact.path },
    });
  // A line that is shared is masked by the kernel at each interrupt, and nothing here unmasks it.
  if (interrupts.kind === 'intx')
    throw new IronError('E_AGENT_REFUSED', 'a driver that is run is given no INTx interrupts', {
      why: 'the grant is for the interrupt line of the device, and only messages are passed on',
      hint: 'nothing was changed; let the ceiling claim msi, msix or none',
      context: { reason: 'driver-intx', path: artifact.path },
    });
  const opened: number[] = [];
  const close = (): void => {
    for (const fd of opened.splice(0)) closeSync(fd);
  };
  const measured = (file: { path: string; sha256: string }): number => {
    const fd = openMeasured(file.path, file.sha256);
    opened.push(fd);
    return fd;
  };
  try {
    const place = `${agentState.accepted(artifact.path)}/${acceptedFile.artifact}`;
    const source = openRegularSync(agent.place(place));
    opened.push(source);
    const program = sealProgram(source, artifact);
    opened.push(program);
    const rule = runtimeOf(entry, rules);
    const runtime =
      rule === undefined
        ? undefined
        : {
            fd: measured(rule),
            arguments: rule.arguments,
            files: rule.files.map(measured),
          };
    const { path, sha256 } = artifact;
    return { path, sha256, program, runtime, entry, users: rules.users, cgroup, close };
  } catch (error) {
    close();
    throw error;
  }
}

function runtimeOf({ program }: RunEntry, { runtimes }: RunRules): RuntimeRule | undefined {
  return program === STATIC_PROGRAM ? undefined : runtimes.find(({ name }) => name === program);
}
