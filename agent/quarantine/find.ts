/** Which incident the device at an address is in, whatever can be read of that device. */

import { IronError } from '../../shared/errors.ts';
import type { Agent } from '../agent.ts';
import { readName } from '../host/inventory.ts';
import type { Sysfs } from '../host/sysfs.ts';
import type { Incident } from './incident.ts';
import { incidentsOf, readPresent } from './present.ts';
import { loadIncidents } from './store.ts';

/** The incident of the device at `bdf`; the first, when there are several. `E_STORE`. */
export async function findIncident(
  agent: Agent,
  sysfs: Sysfs,
  bdf: string,
): Promise<Incident | undefined> {
  const incidents = await loadIncidents(agent);
  if (incidents.length === 0) return undefined;
  const name = await readName(sysfs, bdf).catch(() => undefined);
  const all = () => readPresent(sysfs);
  const [first] = await incidentsOf(all, incidents, { path: bdf, name });
  return first;
}

/** `E_QUARANTINED` when it is in one: then it is nobody's to give back, either. */
export async function requireNoIncident(agent: Agent, sysfs: Sysfs, bdf: string): Promise<void> {
  const incident = await findIncident(agent, sysfs, bdf);
  if (incident === undefined) return;
  throw new IronError('E_QUARANTINED', `${bdf} is in quarantine: ${incident.reason}`, {
    why: `incident ${incident.id}, level ${incident.level}`,
    hint: `nothing was changed; \`ironport-agent quarantine show ${incident.id}\` writes the statement that operators of the fleet can sign`,
    context: { reason: 'quarantined', device: bdf, incident: incident.id },
  });
}
