/** Devices that are held while their drivers run, and what is left of both. */

import { deepEqual } from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { Agent } from '../../../agent/agent.ts';
import type { Confined } from '../../../agent/confine.ts';
import { type HoldEnd, hold } from '../../../agent/hold.ts';
import { GROUPS, USERS } from './run.ts';

/** Processes as whom the lab's drivers and brokers run. */
export function driverProcesses(): string[] {
  return readdirSync('/proc').filter((name) => {
    if (!/^[0-9]+$/.test(name)) return false;
    try {
      const uid = /^Uid:\t([0-9]+)/m.exec(readFileSync(`/proc/${name}/status`, 'utf8'))?.[1];
      return Number(uid) >= USERS.first && Number(uid) < USERS.first + USERS.count;
    } catch {
      return false;
    }
  });
}

export function groups(): string[] {
  return readdirSync(GROUPS).filter((name) => name.startsWith('ironport-0000'));
}

export function nothingLeft(): void {
  deepEqual(driverProcesses(), [], 'no process is left');
  deepEqual(groups(), [], 'no control group is left');
}

export interface Ran {
  readonly end: HoldEnd;
  readonly lines: readonly Record<string, unknown>[];
}

/** Of these cases alone: what they audit, and need no scene for. */
export function ownAgent(): Agent {
  return new Agent({ state: '/tmp/ironport-runs' });
}

/** Holds the device until its driver ends, or `then` has it ended. */
export async function holdUntil(confined: Confined, then?: () => Promise<void>): Promise<Ran> {
  const agent = ownAgent();
  const stop = new AbortController();
  const lost: string[] = [];
  const [end] = await Promise.all([
    hold({ agent, confined, signal: stop.signal, onLost: (text) => lost.push(text) }),
    then?.().then(() => stop.abort()),
  ]);
  deepEqual(lost, []);
  const lines = (confined.running?.output() ?? '').split('\n').filter((line) => line !== '');
  // Its runtime may have something to say too, and the last line may have been cut short.
  const isOurs = (line: string): boolean => /^\{.*\}$/.test(line);
  for (const line of lines) if (!isOurs(line)) console.log(line);
  return { end, lines: lines.filter(isOurs).map((line) => JSON.parse(line)) };
}

export async function said(confined: Confined, what: string): Promise<void> {
  while (confined.running?.output().includes(what) !== true) await setTimeout(50);
}
