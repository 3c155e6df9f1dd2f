/**
 * Which of the descriptors that a helper was given lead to a holder that an earlier helper wrote down,
 * and why not. Pure. What is not believed is not used for anything but its end.
 */

import type { HolderNote } from './holder-note.ts';
import { domainOf, type Passed } from './passed.ts';

/** Why something is not taken over. */
export type NotAdopted =
  /** A descriptor by a name that the helper gives to none. */
  | 'name'
  /** Two descriptors or notes by one name, or one by two. */
  | 'doubled'
  /** A descriptor about which nothing was written down. */
  | 'no-note'
  /** What was written down is damaged, */
  | 'note-damaged'
  /** or of another boot: its process is long gone, and its number may be another's. */
  | 'boot'
  /** The device is bound no more, or for another grant. */
  | 'binding'
  /** It was written down, and the manager does not have it. */
  | 'missing'
  /** The descriptor is no socket to anybody. */
  | 'kind'
  /** The process is gone, or it is another one, or another user's, or not to be got hold of. */
  | 'process'
  /** It does not have the device open. */
  | 'device'
  /** Who is at the other end did not say what it holds, or holds something else. */
  | 'answer';

export interface PassedFacts extends Passed {
  /** Device and number of what it leads to; null when the descriptor is none. */
  readonly inode: string | null;
  readonly isStream: boolean;
}

export interface NoteFacts {
  readonly note: HolderNote;
  /** What the device is bound for now, and in which boot it was. */
  readonly binding:
    | { readonly domain: number; readonly grantSha256: string; readonly boot: string }
    | undefined;
  /** Of the very process that was written down, while it is there. */
  readonly process: { readonly user: number; readonly holdsDevice: boolean } | undefined;
}

export interface Candidate {
  readonly passed: Passed;
  readonly note: HolderNote;
}

export interface Refused {
  readonly why: NotAdopted;
  readonly passed?: Passed;
  readonly note?: HolderNote;
}

export interface Judged {
  /** To be asked what they hold. */
  readonly candidates: readonly Candidate[];
  readonly refused: readonly Refused[];
}

/** `boot` is this one, `user` that of this process, as whom holders run. */
export function judgePassed(
  passed: readonly PassedFacts[],
  notes: readonly NoteFacts[],
  { boot, user }: { readonly boot: string; readonly user: number },
): Judged {
  const candidates: Candidate[] = [];
  const refused: Refused[] = [];
  const count = <T>(values: readonly T[], wanted: T): number =>
    values.filter((value) => value === wanted).length;
  const [names, inodes] = [passed.map(({ name }) => name), passed.map(({ inode }) => inode)];
  // Of two notes by one number the other one is judged below.
  const known = new Map(notes.map((facts) => [facts.note.domain, facts]));
  for (const { fd, name, inode, isStream } of passed) {
    const domain = domainOf(name);
    const facts = domain === undefined ? undefined : known.get(domain);
    const why = ((): NotAdopted | undefined => {
      if (domain === undefined) return 'name';
      if (count(names, name) > 1 || (inode !== null && count(inodes, inode) > 1)) return 'doubled';
      if (facts === undefined) return 'no-note';
      return whyNot(facts, boot, user) ?? (isStream ? undefined : 'kind');
    })();
    if (facts !== undefined && why === undefined)
      candidates.push({ passed: { fd, name }, note: facts.note });
    else
      refused.push({
        why: why ?? 'no-note',
        passed: { fd, name },
        ...(facts && { note: facts.note }),
      });
  }
  const judged = new Set([...candidates, ...refused].map(({ note }) => note));
  for (const { note } of notes) {
    if (judged.has(note)) continue;
    const missing = known.get(note.domain)?.note === note ? 'missing' : 'doubled';
    refused.push({ why: note.boot === boot ? missing : 'boot', note });
  }
  return { candidates, refused };
}

function whyNot(
  { note, binding, process }: NoteFacts,
  boot: string,
  user: number,
): NotAdopted | undefined {
  if (note.boot !== boot) return 'boot';
  if (
    binding?.domain !== note.domain ||
    binding.grantSha256 !== note.grantSha256 ||
    binding.boot !== boot
  )
    return 'binding';
  if (process?.user !== user) return 'process';
  return process.holdsDevice ? undefined : 'device';
}
