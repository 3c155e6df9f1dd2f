/** How often a driver of a device ended badly of late; kept on the disk, since each run is a process. */

import { utf8 } from '../../shared/bytes.ts';
import { isIronError } from '../../shared/errors.ts';
import { Node } from '../../shared/json/decode.ts';
import { parseJson } from '../../shared/json/read.ts';
import { agentState } from '../../shared/layout.ts';
import { AGENT_LIMITS } from '../../shared/limits.ts';
import { writeFileAtomic } from '../../shared/node/files.ts';
import { formatInstant, type Instant } from '../../shared/time.ts';
import type { Agent } from '../agent.ts';

const SCHEMA = 'ironport-agent.crashes/v1';

/** When drivers of it crashed, oldest first. `E_JSON`, `E_SCHEMA`, `E_TOO_LARGE`. */
export function parseCrashes(bytes: Uint8Array): Instant[] {
  const node = new Node(parseJson(bytes, { length: 65_536 }), 'crashes');
  node.only('schema', 'at').get('schema').oneOf(SCHEMA);
  return node
    .get('at')
    .items(AGENT_LIMITS.crashes)
    .map((at) => at.instant());
}

/**
 * Notes that a driver of `device` ended badly; true when that makes a loop. A file that cannot be read
 * begins anew: it is a reason to stop a device, and not what confines it. The caller holds the lock.
 */
export async function noteCrash(agent: Agent, device: string): Promise<boolean> {
  const now = agent.clock();
  const path = agentState.crashes(device);
  let before: Instant[] = [];
  try {
    const bytes = await agent.read(path);
    before = bytes === undefined ? [] : parseCrashes(bytes);
  } catch (error) {
    if (!isIronError(error, 'E_JSON', 'E_SCHEMA', 'E_TOO_LARGE')) throw error;
  }
  const recent = before.filter((at) => at > now - AGENT_LIMITS.crashSeconds && at <= now);
  const at = [...recent, now].slice(-AGENT_LIMITS.crashes);
  const text = JSON.stringify({ schema: SCHEMA, at: at.map(formatInstant) });
  await writeFileAtomic(agent.place(path), utf8(`${text}\n`), { mode: 0o600 });
  return at.length >= AGENT_LIMITS.crashes;
}
