/**
 * After a crash: a journal that is there belongs to a change that did not end. Whether it counts is
 * told by the binding file alone, which is written after the last step of binding and removed after
 * the last step of releasing; what did not count is undone, from whatever state is found.
 */

import { asIronError, type IronError } from '../shared/errors.ts';
import { agentState } from '../shared/layout.ts';
import { AGENT_LIMITS } from '../shared/limits.ts';
import type { Agent } from './agent.ts';
import { stuckWriteError, undo } from './apply.ts';
import { loadBinding, removeGrant } from './binding.ts';
import type { BindingState } from './binding-state.ts';
import { applyingTo } from './device-hands.ts';
import { readBootId } from './host/host-facts.ts';
import type { Sysfs } from './host/sysfs.ts';
import { findWriters } from './host/write.ts';
import { type FoundJournal, Journal, loadJournal } from './journal.ts';
import { findIncident } from './quarantine/find.ts';
import { listAddresses } from './state-names.ts';
import { loadVfSet } from './vfs/set.ts';

export type Recovery =
  /** There was nothing to recover. */
  | 'none'
  /** The change had reached its end; only its journal was left. */
  | 'complete'
  /** The change was undone. */
  | 'undone'
  /** It was made before the last start of the kernel, which undid it in its own way. */
  | 'closed'
  /** The device is in quarantine, and is not brought back to anybody. */
  | 'quarantined';

export interface Recovered {
  readonly device: string;
  readonly outcome: Recovery;
  readonly undone: readonly string[];
}

/** What recovering a device comes to, before anything is changed. */
export interface Judged {
  readonly found: FoundJournal;
  readonly outcome: Exclude<Recovery, 'none'>;
  /** The way back, where there is one to go: it ends at the first. */
  readonly stations: readonly BindingState[];
}

/** Undefined when there is nothing to recover. `E_BIND_STUCK` while a write still waits in the kernel. */
export async function judgeJournal(
  agent: Agent,
  sysfs: Sysfs,
  device: string,
): Promise<Judged | undefined> {
  const found = await loadJournal(agent.place(agentState.journal(device)));
  if (found === undefined) return undefined;
  const over = (outcome: Judged['outcome']): Judged => ({ found, outcome, stations: [] });
  if (await isComplete(agent, found)) return over('complete');
  // sysfs is made anew at every start: a journal of another one says nothing about it any more.
  if (found.head.boot !== (await readBootId(agent.proc))) return over('closed');
  if ((await findIncident(agent, sysfs, device)) !== undefined) return over('quarantined');
  const [writer] = await findWriters(sysfs, device, agent.proc);
  if (writer !== undefined) throw stuckWriteError(device, writer);
  // Without an intent nothing was touched, and whatever changed since is somebody else's.
  return { found, outcome: 'undone', stations: found.head.stations.slice(0, reached(found)) };
}

/**
 * Recovers one device, if there is something to recover. `E_BIND_STUCK` while a write still waits
 * in the kernel, and when the way back fails; then the journal stays. The caller holds the lock.
 */
export async function recoverDevice(
  agent: Agent,
  sysfs: Sysfs,
  device: string,
): Promise<Recovered> {
  const judged = await judgeJournal(agent, sysfs, device);
  if (judged === undefined) return { device, outcome: 'none', undone: [] };
  const { outcome, stations } = judged;
  const { head } = judged.found;
  const journal = Journal.resume(agent.place(agentState.journal(device)));
  let undone: readonly string[] = [];
  if (stations.length > 0) {
    const withVfs = head.from.vfs !== undefined;
    undone = await undo(stations, await applyingTo(agent, sysfs, device, journal, { withVfs }));
  }
  // The grant of a binding that does not count goes; that of one that does stays.
  if ((await loadBinding(agent, device)) === undefined) await removeGrant(agent, head.domain);
  await journal.end();
  const { purpose } = head;
  await agent.audit.append({ event: 'recovered', device, outcome, purpose, undone: [...undone] });
  return { device, outcome, undone };
}

/** Whether the change counts: the file of the binding, or of the virtual functions, says so. */
async function isComplete(agent: Agent, { head }: FoundJournal): Promise<boolean> {
  if (head.purpose === 'vfs create' || head.purpose === 'vfs remove') {
    const set = await loadVfSet(agent, head.device);
    return head.purpose === 'vfs create' ? set?.number === head.domain : set === undefined;
  }
  const binding = await loadBinding(agent, head.device);
  return head.purpose === 'bind' ? binding?.domain === head.domain : binding === undefined;
}

/** How many steps had begun. */
function reached({ entries }: FoundJournal): number {
  const begun = entries.filter(({ event }) => event === 'intent').map(({ step }) => step);
  return Math.max(0, ...begun);
}

/** Recovers every device by itself; what fails is told, and left for `ironport-agent recover`. */
export async function recoverAll(
  agent: Agent,
  sysfs: Sysfs,
  onFailed: (device: string, error: IronError) => void,
): Promise<void> {
  if ((await unfinished(agent)).length === 0) return;
  const waitMs = 1000 * AGENT_LIMITS.enforceWaitSeconds;
  const recover = async (): Promise<void> => {
    for (const device of await unfinished(agent))
      await recoverDevice(agent, sysfs, device).catch((error) =>
        onFailed(device, asIronError(error)),
      );
  };
  await agent.alone(recover, { waitMs });
}

/** The addresses with a change that did not end. A journal is read by who needs it: a damaged one hides no other. */
export function unfinished(agent: Agent): Promise<string[]> {
  return listAddresses(agent, agentState.journalsFolder, '.jsonl');
}
