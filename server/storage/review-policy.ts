/**
 * Which submissions wait for reviewers: a file in the service's private folder, so that it holds at
 * once, also for a service that runs, and after a restart that forgot an option. No file: none do.
 */

import { join } from 'node:path';
import { utf8 } from '../../shared/bytes.ts';
import { data } from '../../shared/layout.ts';
import { writeFileAtomic } from '../../shared/node/files.ts';
import { ensurePrivateFolder } from '../../shared/node/folders.ts';
import { readPrivate } from './private-file.ts';

/**
 * `off`: none. `first`: what brings bytes before the vendor published any. `widens`: a new artifact
 * whose ceiling asks for what the one before it did not, or that has none before it. `all`:
 * whatever brings bytes.
 */
export const REVIEW_POLICIES = ['off', 'first', 'widens', 'all'] as const;
export type ReviewPolicy = (typeof REVIEW_POLICIES)[number];

const SCHEMA = 'ironport.review-policy/v1';

/** The file that says so, over the service's folder. A damaged one is `E_STORE`, never `off`. */
export async function loadReviewPolicy(home: string): Promise<ReviewPolicy> {
  const found = await readPrivate(join(home, data.reviewPolicy), 4096, (node) => {
    node.only('schema', 'require').get('schema').oneOf(SCHEMA);
    return node.get('require').oneOf(...REVIEW_POLICIES);
  });
  return found ?? 'off';
}

export async function saveReviewPolicy(home: string, require: ReviewPolicy): Promise<void> {
  await ensurePrivateFolder(join(home, data.private));
  const bytes = formatReviewPolicy(require);
  await writeFileAtomic(join(home, data.reviewPolicy), bytes, { mode: 0o600 });
}

export function formatReviewPolicy(require: ReviewPolicy): Uint8Array {
  return utf8(`${JSON.stringify({ schema: SCHEMA, require })}\n`);
}
