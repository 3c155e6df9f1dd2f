/**
 * Taking a notice: the signed index of a product, verified from the agent's own root and floors like
 * a hand-over. It teaches roots that follow, floors that rise, the list of revocations, and which
 * accepted drivers their vendor withdrew. What is withdrawn is bound no more; what is bound goes on.
 */

import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { toHex } from '../shared/bytes.ts';
import { asIronError, IronError } from '../shared/errors.ts';
import { parseRecord } from '../shared/handoff/record.ts';
import { acceptedFile, agentState } from '../shared/layout.ts';
import { HANDOFF_LIMITS, INDEX_LIMITS } from '../shared/limits.ts';
import { readFileCapped, writeFileAtomic } from '../shared/node/files.ts';
import {
  type IndexEntry,
  type ProductIndex,
  parseIndex,
  productOfIndex,
} from '../shared/product/index-file.ts';
import { parseArtifactPath } from '../shared/tuf/names.ts';
import type { Check } from '../shared/verify/check.ts';
import type { FoundTarget } from '../shared/verify/workflow.ts';
import type { Agent } from './agent.ts';
import { formatWithdrawal, listAccepted } from './entry.ts';
import { HandedOver } from './handed-over.ts';
import { judgeMetadata } from './judge.ts';
import { type Hit, reportHits } from './revocations.ts';
import { cutText } from './sound-text.ts';
import { loadTrust, storeTrust } from './trust.ts';

export interface Noticed {
  readonly index: ProductIndex;
  /** Accepted drivers that the index says are withdrawn. */
  readonly withdrawn: readonly IndexEntry[];
  readonly checks: readonly Check[];
  readonly newRoots: readonly number[];
  /** What is bound although the list of revocations, which came along, denies it. */
  readonly hits: readonly Hit[];
}

/** Takes the notice in `folder`; throws the coded error of the check that failed. */
export function takeNotice(agent: Agent, folder: string): Promise<Noticed> {
  return agent.alone(async () => {
    const spool = join(agent.place(agentState.spool), toHex(agent.random(12)));
    await mkdir(spool, { mode: 0o700 });
    try {
      return await takeFrom(agent, folder, spool);
    } catch (thrown) {
      const { code, message } = asIronError(thrown);
      // Nothing changed, so that a log that takes no more must not hide why.
      await agent.audit
        .append({ event: 'notice-refused', code, message: cutText(message, 1000) })
        .catch(() => {});
      throw thrown;
    } finally {
      await rm(spool, { recursive: true, force: true });
    }
  });
}

async function takeFrom(agent: Agent, folder: string, spool: string): Promise<Noticed> {
  const trust = await loadTrust(agent, undefined);
  const checks: Check[] = [];
  const handedOver = await HandedOver.open(folder);
  try {
    const copy = join(spool, 'record.json');
    await handedOver.copyRecord(copy);
    const record = parseRecord(await readFileCapped(copy, HANDOFF_LIMITS.record));
    const { path, length } = record.artifact;
    const product = productOfIndex(path);
    if (product === undefined || record.sidecars.length > 0) {
      throw new IronError('E_SCHEMA', `${path} is no notice`, {
        why: 'a notice is the index of a product and nothing else',
        hint: 'nothing was changed; artifacts are taken by `ironport-agent accept`',
      });
    }
    const verified = judgeMetadata(agent, record, trust, (check) => checks.push(check));
    verifyOwnWord(verified.artifact);
    if (length > INDEX_LIMITS.file) {
      throw new IronError('E_TOO_LARGE', `${path} has more than ${INDEX_LIMITS.file} bytes`);
    }
    const place = join(spool, acceptedFile.artifact);
    await handedOver.copyTarget(record.artifact, place);
    checks.push({ rule: 'TUF 5.7.2', what: `${path} has the length and SHA-256 signed` });
    const index = parseIndex(await readFileCapped(place, INDEX_LIMITS.file), path);

    const withdrawn = await accepted(agent, product, index);
    const newRoots = [...verified.newRoots.keys()];
    await agent.audit.append({
      event: 'notice',
      product,
      revision: index.revision,
      withdrawn: withdrawn.map((entry) => entry.path),
      new_roots: newRoots,
    });
    // The drivers first: a crash in between finds old floors, and the notice can be taken again.
    for (const entry of withdrawn) {
      const to = join(agent.place(agentState.accepted(entry.path)), acceptedFile.withdrawn);
      await writeFileAtomic(to, formatWithdrawal(entry), { mode: 0o600 });
    }
    await storeTrust(agent, trust, { ...verified, generations: trust.generations });
    return { index, withdrawn, checks, newRoots, hits: await reportHits(agent) };
  } finally {
    await handedOver.close();
  }
}

/** Only a vendor's own branch speaks for paths that begin with its name. */
function verifyOwnWord({ entry, chain }: FoundTarget): void {
  const { vendor } = parseArtifactPath(entry.path);
  if (chain[1] === vendor) return;
  throw new IronError('E_NOT_AUTHORISED', `${entry.path} is not ${vendor}'s own word`, {
    why: `it was reached by ${chain.join(' → ')}`,
    hint: 'nothing was changed; only a vendor withdraws what is its own',
  });
}

/** Of the accepted drivers of a product, those that are withdrawn. */
async function accepted(
  agent: Agent,
  product: string,
  index: ProductIndex,
): Promise<readonly IndexEntry[]> {
  const held = (await listAccepted(agent)).filter((entry) => entry.product === product);
  const paths = new Set(held.map(({ artifact }) => artifact.path));
  return index.entries.filter((entry) => entry.withdrawn !== undefined && paths.has(entry.path));
}
