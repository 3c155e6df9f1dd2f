/**
 * What the helper writes down of a process that holds a device, so that a helper that comes after it can
 * tell whether what it was given is what was kept. Only the one helper of a state writes these.
 */

import { utf8 } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import { Node } from '../../shared/json/decode.ts';
import { parseJson } from '../../shared/json/read.ts';
import { agentState } from '../../shared/layout.ts';
import { AGENT_LIMITS } from '../../shared/limits.ts';
import { writeFileAtomic } from '../../shared/node/files.ts';
import { ensurePrivateFolder } from '../../shared/node/folders.ts';
import type { Agent } from '../agent.ts';
import { removeFile } from '../binding.ts';
import type { ProcessName } from '../host/process.ts';
import { listAddresses } from '../state-names.ts';

export interface HolderNote {
  readonly device: string;
  /** Of the binding that it holds: domain number and SHA-256 of the grant. */
  readonly domain: number;
  readonly grantSha256: string;
  /** The boot in which it was started: its number means nothing in another. */
  readonly boot: string;
  readonly process: ProcessName;
}

const SCHEMA = 'ironport-agent.holder/v1';

export async function storeNote(agent: Agent, note: HolderNote): Promise<void> {
  const { device, domain, grantSha256, boot, process } = note;
  const text = JSON.stringify({
    ...{ schema: SCHEMA, device, domain, grant_sha256: grantSha256, boot },
    ...{ process: process.pid, started: process.started },
  });
  await ensurePrivateFolder(agent.place(agentState.holdersFolder));
  await writeFileAtomic(agent.place(agentState.holder(device)), utf8(`${text}\n`), { mode: 0o600 });
}

export function parseHolderNote(bytes: Uint8Array): HolderNote {
  const node = new Node(parseJson(bytes, { length: AGENT_LIMITS.state }), 'holder');
  node.only('schema', 'device', 'domain', 'grant_sha256', 'boot', 'process', 'started');
  node.get('schema').oneOf(SCHEMA);
  return {
    device: node.get('device').string(),
    domain: node.get('domain').integer(1),
    grantSha256: node.get('grant_sha256').matching(/^[0-9a-f]{64}$/, 'a SHA-256'),
    boot: node.get('boot').string(),
    process: {
      pid: node.get('process').integer(1),
      started: node.get('started').matching(/^[0-9]{1,20}$/, 'ticks'),
    },
  };
}

export async function removeNote(agent: Agent, device: string): Promise<void> {
  await removeFile(agent, agentState.holder(device));
}

/** All notes, and the addresses of those that cannot be read or are about another device. */
export async function readNotes(
  agent: Agent,
): Promise<{ readonly notes: readonly HolderNote[]; readonly damaged: readonly string[] }> {
  const notes: HolderNote[] = [];
  const damaged: string[] = [];
  for (const device of await listAddresses(agent, agentState.holdersFolder, '.json')) {
    try {
      const bytes = await agent.read(agentState.holder(device));
      const note = bytes && parseHolderNote(bytes);
      if (note !== undefined && note.device !== device)
        throw new IronError('E_SCHEMA', 'it is about another device');
      if (note !== undefined) notes.push(note);
    } catch (error) {
      if (!(error instanceof IronError)) throw error;
      damaged.push(device);
    }
  }
  return { notes, damaged };
}
