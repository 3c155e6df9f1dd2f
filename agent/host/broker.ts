/**
 * Starting a broker: an unprivileged process that holds a device's descriptor and serves accesses of
 * its registers to one driver, over two pipes. Its filter lets it reach nothing of the device but
 * the BARs that were granted.
 */

import { createHash } from 'node:crypto';
import { closeSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { concatBytes } from '../../shared/bytes.ts';
import { isIronError } from '../../shared/errors.ts';
import { BROKER_LIMITS } from '../../shared/limits.ts';
import { BROKER_PROGRAM, BROKER_TASK, type BrokerTask } from '../broker/program.ts';
import { parseReport, REPORT_LINE, Refusals, type Report } from '../broker/report.ts';
import { BROKER_FD } from '../broker/serve.ts';
import type { StatusName } from '../broker/wire.ts';
import { brokerProfile } from '../sandbox/broker-profile.ts';
import type { Cgroup } from './cgroup.ts';
import { type Driver, launch } from './launch.ts';
import { libc } from './libc.ts';
import { openOwnRuntime } from './own-runtime.ts';
import { sealProgram } from './sealed.ts';

const LINE_FEED = 0x0a;

export interface BrokerStart {
  /** The device's descriptor. */
  readonly device: number;
  readonly task: BrokerTask;
  readonly user: number;
  readonly cgroup?: Cgroup | undefined;
  /** Refusals, as they are told of. */
  readonly onReport?: (report: Report) => void;
}

/** The driver's ends of the two pipes; whoever started the broker closes them. */
export interface DriverEnds {
  readonly requests: number;
  readonly replies: number;
}

export interface Broker extends Pick<Driver, 'pid' | 'status' | 'ended' | 'output' | 'end'> {
  readonly ends: DriverEnds;
  /** Lets it begin. Until then a driver waits for its first answer. */
  serve(): void;
  /** What it counted when it came to its end; before, what it last told of. */
  readonly totals: ReadonlyMap<StatusName, number>;
}

/** Starts it, confined and looked at. Throws as `launch` does; nothing is left then. */
export async function startBroker(start: BrokerStart): Promise<Broker> {
  const { device, task, user, cgroup, onReport = () => {} } = start;
  const open: number[] = [];
  const pipe = (): [read: number, write: number] => {
    const ends = libc().pipe();
    open.push(...ends);
    return ends;
  };
  const close = (...fds: readonly number[]): void => {
    for (const fd of fds) {
      const at = open.indexOf(fd);
      if (at === -1) continue;
      open.splice(at, 1);
      closeSync(fd);
    }
  };
  const runtime = openOwnRuntime();
  try {
    const program = sealBroker();
    open.push(program);
    const [requests, requestsEnd] = pipe();
    const [repliesEnd, replies] = pipe();
    const [reportsEnd, reports] = pipe();
    const [leave, leaveEnd] = pipe();
    const descriptors: number[] = [];
    for (const [name, fd] of Object.entries({ device, requests, replies, reports, leave }))
      descriptors[BROKER_FD[name as keyof typeof BROKER_FD] - 3] = fd;
    const process = await launch({
      ...{ program, runtime, user, group: user, descriptors, cgroup },
      environment: { [BROKER_TASK]: JSON.stringify(task) },
      profile: brokerProfile(
        BROKER_FD.device,
        task.bases.map(([region]) => region),
      ),
      limits: BROKER_LIMITS.process,
    });
    close(program, requests, replies, reports, leave);
    open.splice(0);
    const refusals = new Refusals();
    const told = watchReports(reportsEnd, (report) => {
      if (refusals.take(report)) onReport(report);
    });
    const { pid, status } = process;
    const ended = process.ended.then(async (end) => {
      await told;
      return end;
    });
    // Whoever waits for it hears of a failure; nobody has to.
    ended.catch(() => {});
    let left: number | undefined = leaveEnd;
    const giveUp = (): void => {
      if (left !== undefined) closeSync(left);
      left = undefined;
    };
    return {
      ...{ pid, status, ended, totals: refusals.totals },
      ends: { requests: requestsEnd, replies: repliesEnd },
      serve() {
        if (left === undefined) return;
        writeSync(left, Uint8Array.of(1));
        giveUp();
      },
      output: () => process.output(),
      end() {
        giveUp();
        return process.end().then(() => ended);
      },
    };
  } finally {
    close(...open);
    runtime.close();
  }
}

/**
 * One report a line; anything else is no report, and a line without an end is not kept. Resolves when
 * there are no more.
 */
async function watchReports(fd: number, then: (report: Report) => void): Promise<void> {
  let rest: Uint8Array = new Uint8Array();
  for await (const chunk of new Socket({ fd, writable: false })) {
    let held = concatBytes(rest, chunk as Buffer);
    for (let end = held.indexOf(LINE_FEED); end !== -1; end = held.indexOf(LINE_FEED)) {
      takeLine(held.subarray(0, end), then);
      held = held.subarray(end + 1);
    }
    rest = held.length > REPORT_LINE ? new Uint8Array() : held;
  }
}

function takeLine(line: Uint8Array, then: (report: Report) => void): void {
  try {
    then(parseReport(line));
  } catch (error) {
    if (!isIronError(error)) throw error;
  }
}

/** By the way that every program takes that is run here. */
function sealBroker(): number {
  const bytes = Buffer.from(BROKER_PROGRAM);
  const source = libc().memory('ironport-broker');
  try {
    writeSync(source, bytes);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    return sealProgram(source, { length: bytes.length, sha256 });
  } finally {
    closeSync(source);
  }
}
