/**
 * Which drivers there are for a device where several repositories must agree (TAP 4): on the index that
 * offers a version, and on the artifact that it chooses. What they do not agree on is kept and said.
 */

import { IronError } from '../../shared/errors.ts';
import { type Choice, choose } from '../../shared/product/choose.ts';
import type { IndexEntry } from '../../shared/product/index-file.ts';
import { type Host, hostFacts } from '../find/resolve.ts';
import type { Catalogs, Decision } from './catalogs.ts';

/** A product whose index was agreed on. `choice` has of the chosen only what was agreed on, too. */
export interface AgreedChoice {
  readonly choice: Choice;
  /** About the index. */
  readonly decision: Decision;
  /** About each artifact that the index chose, agreed on or not. */
  readonly artifacts: readonly Decision[];
}

export interface FoundByMap {
  readonly choices: readonly AgreedChoice[];
  /** Indexes on which too few agree, and artifacts that an agreed index chose and too few have. */
  readonly notAgreed: readonly Decision[];
}

export function findByMap(catalogs: Catalogs, host: Host): FoundByMap {
  const choices: AgreedChoice[] = [];
  const notAgreed: Decision[] = [];
  for (const path of catalogs.indexPaths) {
    const decision = catalogs.decide(path);
    const index = catalogs.index(decision);
    if (index === undefined) {
      notAgreed.push(decision);
      continue;
    }
    const choice = choose(index, hostFacts(host));
    const artifacts = choice.chosen.map((entry) => decideChosen(catalogs, entry));
    const refused = new Set(
      artifacts.filter(({ error }) => error !== undefined).map((one) => one.path),
    );
    notAgreed.push(...artifacts.filter((one) => refused.has(one.path)));
    const chosen = choice.chosen.filter((entry) => !refused.has(entry.path));
    choices.push({ choice: { ...choice, chosen }, decision, artifacts });
  }
  return { choices, notAgreed };
}

/** What the repositories say of a chosen artifact; it must be the one that the index speaks of. */
function decideChosen(catalogs: Catalogs, entry: IndexEntry): Decision {
  const decision = catalogs.decide(entry.path);
  const found = catalogs.target(decision);
  if (found === undefined) return decision;
  const { length, hashes } = found.entry;
  if (length === entry.length && hashes.get('sha256') === entry.sha256) return decision;
  const error = new IronError('E_CONFLICT', `the index is not true about ${entry.path}`, {
    why: 'its digest or length is another one than the repositories list',
    hint: 'nothing was changed; tell the vendor',
    context: { path: entry.path },
  });
  return { ...decision, agreement: undefined, error };
}
