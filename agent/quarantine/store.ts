/**
 * Incidents on the disk: a file each, written whole and durably, beside a file that only takes up
 * room, which is given up when the disk is full so that an incident is written down all the same.
 * What is there and cannot be read counts: nothing is bound while it is not known what is quarantined.
 */

import { readdir } from 'node:fs/promises';
import { asIronError, IronError, isIronError } from '../../shared/errors.ts';
import { agentState } from '../../shared/layout.ts';
import { QUARANTINE_LIMITS } from '../../shared/limits.ts';
import { isErrno } from '../../shared/node/errno.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { writeFileAtomic } from '../../shared/node/files.ts';
import { ensurePrivateFolder } from '../../shared/node/folders.ts';
import type { Agent } from '../agent.ts';
import { removeFile } from '../binding.ts';
import { formatIncident, type Incident, parseIncident } from './incident.ts';

const NAME = /^([0-9a-f]{32})\.json$/;

/** The record of an incident that is there and cannot be read. */
export interface Damaged {
  /** As its name says: nothing else of it can be trusted. */
  readonly id: string;
  readonly file: string;
  readonly error: IronError;
}

export interface Store {
  /** Every incident that is not over and can be read, oldest first. */
  readonly incidents: readonly Incident[];
  readonly damaged: readonly Damaged[];
}

/** Every incident that is not over, oldest first. `E_STORE` when one cannot be read. */
export async function loadIncidents(agent: Agent): Promise<readonly Incident[]> {
  const { incidents, damaged } = await readStore(agent);
  const [first] = damaged;
  if (first !== undefined) throw first.error;
  return incidents;
}

/** All that is there, for those who must do what they can with the rest. */
export async function readStore(agent: Agent): Promise<Store> {
  const folder = agent.place(agentState.quarantineFolder);
  const names = await onPath(folder, () => readdir(folder)).catch((error) => {
    if (error instanceof IronError && error.context.errno === 'ENOENT') return [];
    throw error;
  });
  const incidents: Incident[] = [];
  const damaged: Damaged[] = [];
  for (const name of names.sort()) {
    const [, id] = NAME.exec(name) ?? [];
    if (id === undefined) continue;
    const path = agentState.incident(id);
    try {
      const incident = await read(agent, path, id);
      if (incident !== undefined) incidents.push(incident);
    } catch (error) {
      damaged.push({ id, file: agent.place(path), error: asIronError(error) });
    }
  }
  return { incidents: incidents.sort((a, b) => a.enteredAt - b.enteredAt), damaged };
}

/** An incident that is over; undefined when there is none of that name. */
export function loadReleased(agent: Agent, id: string): Promise<Incident | undefined> {
  return read(agent, agentState.releasedIncident(id), id);
}

async function read(agent: Agent, path: string, id: string): Promise<Incident | undefined> {
  try {
    const bytes = await agent.read(path, QUARANTINE_LIMITS.incident);
    const incident = bytes && parseIncident(bytes);
    if (incident !== undefined && incident.id !== id)
      throw new IronError('E_SCHEMA', 'it names another incident');
    return incident;
  } catch (cause) {
    throw new IronError('E_STORE', `the record of an incident is damaged: ${agent.place(path)}`, {
      why: asIronError(cause).message,
      hint: 'nothing is bound before it is known what is quarantined; `ironport-agent quarantine enforce` holds down all else, and the devices that can still be told of this one; restore the file from a backup of the state folder',
      cause,
      context: { incident: id },
    });
  }
}

/** By its id. `E_NOT_FOUND`. */
export async function loadIncident(agent: Agent, id: string): Promise<Incident> {
  const found = (await loadIncidents(agent)).find((incident) => incident.id === id);
  if (found !== undefined) return found;
  throw new IronError('E_NOT_FOUND', `there is no incident ${id} here`, {
    hint: 'nothing was changed; `ironport-agent quarantine list` shows what is in quarantine',
    context: { incident: id },
  });
}

/** Writes it down, if need be into the room that is kept for that. `E_IO`, `E_NO_SPACE`. */
export async function storeIncident(agent: Agent, incident: Incident): Promise<void> {
  const path = agent.place(agentState.incident(incident.id));
  const write = (): Promise<void> =>
    writeFileAtomic(path, formatIncident(incident), { mode: 0o600 });
  try {
    await write();
  } catch (error) {
    if (!isIronError(error, 'E_NO_SPACE')) throw error;
    await removeFile(agent, agentState.quarantineReserve);
    await write();
  }
}

/** Room for an incident on a disk that is full later; binding asks for it. `E_NO_SPACE`. */
export async function keepReserve(agent: Agent): Promise<void> {
  await ensurePrivateFolder(agent.place(agentState.quarantineFolder));
  const found = await agent.read(agentState.quarantineReserve).catch((error) => {
    if (isErrno(error)) return undefined;
    throw error;
  });
  if (found?.length === QUARANTINE_LIMITS.reserve) return;
  const room = Buffer.alloc(QUARANTINE_LIMITS.reserve, 'room for an incident\n');
  await writeFileAtomic(agent.place(agentState.quarantineReserve), room, { mode: 0o600 });
}

/** It is over: kept as such first, so that its statement counts no second time, and then taken out. */
export async function endIncident(agent: Agent, incident: Incident): Promise<void> {
  const path = agent.place(agentState.releasedIncident(incident.id));
  await writeFileAtomic(path, formatIncident(incident), { mode: 0o600 });
  await removeFile(agent, agentState.incident(incident.id));
}
