/** What the first case made: a repository, a client, and an agent that accepted a driver. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent } from '../../../agent/agent.ts';
import { Sysfs } from '../../../agent/host/sysfs.ts';

/** On the disk that outlives the power being cut. */
export const STATE = '/state';
const FILE = `${STATE}/scene.json`;
export const POLICY = '/examples/edu/policy.json';

export interface Accepted {
  /** The agent's own folder. */
  readonly state: string;
  /** Target path of the driver. */
  readonly name: string;
  /** Of the same as a static program; absent where there was no compiler to make it. */
  readonly staticName?: string | undefined;
  /** Another version of the driver: the static program, or where there is none the same again. */
  readonly next: string;
  /** The hand-over that it was accepted from, and the root that was pinned for it. */
  readonly handedOver: string;
  readonly root: string;
}

export function keepScene(accepted: Accepted): void {
  // The power may be cut before the file system would write it by itself.
  writeFileSync(FILE, JSON.stringify(accepted), { flush: true });
}

export function hasScene(): boolean {
  return existsSync(FILE);
}

export function scene(): Accepted {
  return JSON.parse(readFileSync(FILE, 'utf8')) as Accepted;
}

/** The agent over that folder, patient with a machine that is emulated. */
export async function openAgent(): Promise<{ agent: Agent; sysfs: Sysfs }> {
  const agent = new Agent({ state: scene().state, writeSeconds: 200, settleSeconds: 60 });
  return { agent, sysfs: await Sysfs.open('/sys') };
}
