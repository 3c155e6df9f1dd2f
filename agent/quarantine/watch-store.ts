/** Hearing that somebody put a device into quarantine while this process holds it. */

import { type FSWatcher, watch } from 'node:fs';
import { asIronError } from '../../shared/errors.ts';
import { agentState } from '../../shared/layout.ts';
import { type DeviceName, LEVELS, type Level } from '../../shared/manifest/quarantine.ts';
import type { Agent } from '../agent.ts';
import type { Sysfs } from '../host/sysfs.ts';
import { incidentsOf, readPresent } from './present.ts';
import { loadIncidents } from './store.ts';

export interface Heard {
  readonly level: Level;
  readonly reason: string;
}

/**
 * Calls `then` once, when the device is in quarantine, at this level at least: now, or later. A store
 * that cannot be read counts as that. Returns how to stop listening.
 */
export function watchQuarantine(
  agent: Agent,
  { device, sysfs }: { readonly device: DeviceName; readonly sysfs: Sysfs },
  then: (heard: Heard) => void,
  least: Level = 'soft',
): () => void {
  let isOver = false;
  let watcher: FSWatcher | undefined;
  const stop = (): void => {
    isOver = true;
    watcher?.close();
  };
  const tell = (heard: Heard): void => {
    if (isOver) return;
    stop();
    then(heard);
  };
  const look = async (): Promise<void> => {
    try {
      const incidents = (await loadIncidents(agent)).filter(({ level }) => isAtLeast(level, least));
      const all = () => readPresent(sysfs);
      const [found] = await incidentsOf(all, incidents, { path: device.path, name: device });
      if (found !== undefined) tell({ level: found.level, reason: found.reason });
    } catch (error) {
      tell({ level: 'hard', reason: asIronError(error).message });
    }
  };
  watcher = watch(agent.place(agentState.quarantineFolder), () => void look());
  watcher.on('error', (error) => tell({ level: 'hard', reason: error.message }));
  // What was written between binding and now.
  void look();
  return stop;
}

function isAtLeast(level: Level, least: Level): boolean {
  return LEVELS.indexOf(level) >= LEVELS.indexOf(least);
}
