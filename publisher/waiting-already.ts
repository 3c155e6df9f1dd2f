/** What waits already, for signatures or for reviewers, and would be published under the number of what is signed now. */

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type DraftReply, shortDraftId } from '../shared/api/pending.ts';
import { isIronError } from '../shared/errors.ts';
import { vendorFolder } from '../shared/layout.ts';
import { isErrno } from '../shared/node/errno.ts';
import { parseTargets } from '../shared/tuf/targets.ts';
import { loadInReview } from './in-review.ts';
import type { Base } from './rebase/base.ts';
import type { Session } from './session.ts';
import type { Api } from './upload/api.ts';
import { listDrafts } from './upload/pending.ts';
import { ask } from './upload/submission.ts';

/** A change that waits. */
export interface WaitsAlready {
  readonly roles: readonly { readonly role: string; readonly version: number }[];
  /** What it waits for. */
  readonly for: 'signatures' | 'reviewers' | 'its turn';
  /** Of the change that lacks signatures, or of what was handed in. */
  readonly id: string;
}

const WAITS = {
  open: 'signatures',
  queued: 'its turn',
  'in-review': 'reviewers',
} as const;

/**
 * All that waits of the vendor at the service; and, of what was handed in from this folder, what follows the
 * published role. What the service says of it decides nothing.
 */
export async function waitingAlready(
  session: Session,
  api: Api,
  base: Base,
): Promise<WaitsAlready[]> {
  const found = (await listDrafts(api)).flatMap(waitsOf);
  const known = new Set(found.map(({ id }) => id));
  const { vendor } = session.config;
  for (const id of await handedIn(session, base)) {
    if (known.has(id)) continue;
    const reply = await ask(api, id).catch((error) => {
      // It came to its end so long ago that the service forgot it.
      if (!isIronError(error, 'E_NOT_FOUND')) throw error;
    });
    if (reply === undefined || (reply.state !== 'in-review' && reply.state !== 'queued')) continue;
    found.push({ roles: [{ role: vendor, version: reply.version }], for: WAITS[reply.state], id });
  }
  return found;
}

function waitsOf(draft: DraftReply): WaitsAlready[] {
  const { state, submission, files } = draft;
  if (state !== 'open' && state !== 'queued' && state !== 'in-review') return [];
  const id = submission ?? shortDraftId(draft);
  const roles = files.map(({ role, version }) => ({ role, version }));
  return [{ roles, for: WAITS[state], id }];
}

/** Ids of what this folder handed in and reviewers were to look at, as far as it could follow what is published. */
async function handedIn({ dir, config }: Session, base: Base): Promise<string[]> {
  const names = await readdir(join(dir, vendorFolder.inReviewFolder)).catch((error) => {
    if (!isErrno(error) || error.code !== 'ENOENT') throw error;
    return [];
  });
  const ids: string[] = [];
  for (const name of names) {
    const id = /^([0-9a-f]{32})\.json$/.exec(name)?.[1];
    const bytes = id === undefined ? undefined : await loadInReview(dir, id);
    if (id === undefined || bytes === undefined) continue;
    const { version } = parseTargets(bytes, config.vendor);
    if (version === (base.role?.version ?? 0) + 1) ids.push(id);
  }
  return ids;
}

/** What of it a new version of the vendor's roles stands beside, in a line for people. */
export function waitsWords({ roles, for: what, id }: WaitsAlready): string {
  const [first] = roles;
  const others = roles.length > 1 ? ` and ${roles.length - 1} more roles` : '';
  const look = what === 'signatures' ? `ironport pending show ${id}` : `ironport submission ${id}`;
  return `${first?.role} ${first?.version}${others} waits for ${what} as ${id} (\`${look}\`): whichever is published first, the other must be signed again on top of it`;
}
