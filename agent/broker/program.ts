/**
 * The broker's program, as text: it runs where no file may be opened, and so is all of one piece,
 * made of the very functions that are tested.
 */

import type { RegisterAccess } from '../../shared/manifest/ceiling.ts';
import { policyOf } from './policy.ts';
import { bucketOf, tallyOf } from './rate.ts';
import { BROKER_FD, serve } from './serve.ts';
import { codecOf, STATUS, WIRE } from './wire.ts';

/** What one broker serves; numbers that may be wide are hexadecimal texts. */
export interface BrokerTask {
  readonly windows: readonly {
    readonly region: number;
    readonly start: string;
    readonly end: string;
    readonly access: RegisterAccess;
  }[];
  /** Where each region begins in the device's descriptor. */
  readonly bases: readonly (readonly [region: number, base: string])[];
  readonly perSecond: number;
  readonly burst: number;
}

/** The variable that holds the task, as JSON. */
export const BROKER_TASK = 'IRONPORT_BROKER';

interface Parts {
  readonly wire: typeof WIRE;
  readonly statuses: typeof STATUS;
  readonly fds: typeof BROKER_FD;
  readonly variable: string;
  readonly codecOf: typeof codecOf;
  readonly policyOf: typeof policyOf;
  readonly bucketOf: typeof bucketOf;
  readonly tallyOf: typeof tallyOf;
  readonly serve: typeof serve;
}

/** Uses nothing but what it is given. */
function main(parts: Parts): void {
  const { process } = globalThis;
  const { readSync, writeSync } = process.getBuiltinModule('node:fs');
  const { wire, statuses } = parts;
  const task = JSON.parse(process.env[parts.variable] ?? '') as BrokerTask;
  const windows = task.windows.map(({ region, start, end, access }) => ({
    ...{ region, access },
    start: BigInt(start),
    end: BigInt(end),
  }));
  const still = new Int32Array(new SharedArrayBuffer(4));
  parts.serve(
    {
      ...{ wire, statuses, fds: parts.fds },
      codec: parts.codecOf(wire),
      policy: parts.policyOf(windows, wire, statuses),
      bucket: parts.bucketOf(task.perSecond, task.burst),
      tally: parts.tallyOf(statuses),
      bases: new Map(task.bases.map(([region, base]) => [region, BigInt(base)])),
    },
    {
      read: (fd, bytes, from, length, at) => readSync(fd, bytes, from, length, at),
      write: (fd, bytes, length, at) => writeSync(fd, bytes, 0, length, at),
      nowMs: () => performance.now(),
      waitMs: (time) => void Atomics.wait(still, 0, 0, time),
    },
  );
  process.exit(0);
}

export const BROKER_PROGRAM: string = `(${main})({
  wire: ${JSON.stringify(WIRE)},
  statuses: ${JSON.stringify(STATUS)},
  fds: ${JSON.stringify(BROKER_FD)},
  variable: ${JSON.stringify(BROKER_TASK)},
  codecOf: ${codecOf},
  policyOf: ${policyOf},
  bucketOf: ${bucketOf},
  tallyOf: ${tallyOf},
  serve: ${serve},
});
`;
