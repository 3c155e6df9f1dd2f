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

export interface Crashes {
  /** When drivers of it crashed, oldest first; never none where something writes them. */
  readonly at: readonly Instant[];
  /** How the last one ended, in words. */
  readonly last: string | undefined;
}

/** `E_JSON`, `E_SCHEMA`, `E_TOO_LARGE`. */
export function parseCrashes(bytes: Uint8Array): Crashes {
  const node = new Node(parseJson(bytes, { length: 65_536 }), 'crashes');
  node.only('schema', 'at', 'last').get('schema').oneOf(SCHEMA);
  return {
    at: node
      .get('at')
      .items(AGENT_LIMITS.crashes)
      .map((at) => at.instant()),
    last: node.maybe('last')?.string(),
  };
}

/** What is known of crashes of a device's drivers; none where that cannot be read. */
export async function loadCrashes(agent: Agent, device: string): Promise<Crashes> {
  try {
    const bytes = await agent.read(agentState.crashes(device));
    if (bytes !== undefined) return parseCrashes(bytes);
  } catch (error) {
    if (!isIronError(error, 'E_JSON', 'E_SCHEMA', 'E_TOO_LARGE')) throw error;
  }
  return { at: [], last: undefined };
}

/**
 * Notes that a driver of `device` ended badly, and how; true when that makes a loop. A file that cannot be
 * read begins anew: it is a reason to stop a device, and not what confines it. The caller holds the lock.
 */
export async function noteCrash(agent: Agent, device: string, how: string): Promise<boolean> {
  const now = agent.clock();
  const before = (await loadCrashes(agent, device)).at;
  const recent = before.filter((at) => at > now - AGENT_LIMITS.crashSeconds && at <= now);
  const at = [...recent, now].slice(-AGENT_LIMITS.crashes);
  const text = JSON.stringify({ schema: SCHEMA, at: at.map(formatInstant), last: how });
  await writeFileAtomic(agent.place(agentState.crashes(device)), utf8(`${text}\n`), {
    mode: 0o600,
  });
  return at.length >= AGENT_LIMITS.crashes;
}
