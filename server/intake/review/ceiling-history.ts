/** What a vendor's published artifacts may already do, to compare a new ceiling with. */

import type { CeilingDifference } from '../../../shared/api/review.ts';
import { parseEnvelope } from '../../../shared/evidence/dsse.ts';
import { parseStatement } from '../../../shared/evidence/statement.ts';
import { indexPath, sidecarPath } from '../../../shared/layout.ts';
import { EVIDENCE_LIMITS, INDEX_LIMITS } from '../../../shared/limits.ts';
import { type Ceiling, parseCeiling } from '../../../shared/manifest/ceiling.ts';
import { diffCeilings } from '../../../shared/manifest/diff-ceiling.ts';
import { explainCeiling } from '../../../shared/manifest/explain-ceiling.ts';
import { parseIndex } from '../../../shared/product/index-file.ts';
import { parseArtifactPath } from '../../../shared/tuf/names.ts';
import type { Published } from '../../storage/published.ts';
import { Branch } from '../branch.ts';
import { readTarget, type Shelves } from '../examine.ts';

export class CeilingHistory {
  readonly #shelves: Shelves;
  readonly #published: Published;
  readonly #vendor: string;
  readonly #branch: Branch;

  constructor(shelves: Shelves, published: Published, vendor: string) {
    this.#shelves = shelves;
    this.#published = published;
    this.#vendor = vendor;
    this.#branch = new Branch(shelves.crypto, published, vendor);
  }

  /**
   * What `ceiling` asks for that the one before did not: that of the newest published artifact of
   * the product that is called the same, or of the newest at all. All of it is new for the first.
   */
  async difference(path: string, ceiling: Ceiling): Promise<CeilingDifference> {
    const before = await this.#before(path);
    if (before !== undefined)
      return { path, against: before.path, changes: diffCeilings(before.ceiling, ceiling) };
    const changes = explainCeiling(ceiling).map(([about, says]) => ({
      effect: 'wider' as const,
      text: `${about}: ${says}`,
    }));
    return { path, against: null, changes };
  }

  async #before(path: string): Promise<{ path: string; ceiling: Ceiling } | undefined> {
    const { product, file } = parseArtifactPath(path);
    const entry = await this.#branch.entry(indexPath(this.#vendor, product));
    // A product without an index does not say which of its artifacts is the newest: as if it had none.
    if (entry === undefined) return undefined;
    const bytes = await readTarget(
      ...([this.#shelves, this.#published, this.#vendor, entry, INDEX_LIMITS.file] as const),
    );
    const newestFirst = parseIndex(bytes, entry.path)
      .entries.filter(({ withdrawn }) => withdrawn === undefined)
      .map((one) => one.path)
      .reverse();
    const alike = newestFirst.filter((one) => parseArtifactPath(one).file === file);
    for (const candidate of [...alike, ...newestFirst]) {
      const ceiling = await this.#ceilingOf(candidate);
      if (ceiling !== undefined) return { path: candidate, ceiling };
    }
    return undefined;
  }

  /** Undefined when it is not published with a ceiling. Intake verified it when it was. */
  async #ceilingOf(path: string): Promise<Ceiling | undefined> {
    const entry = await this.#branch.entry(sidecarPath(path, 'ceiling'));
    if (entry === undefined) return undefined;
    const bytes = await readTarget(this.#shelves, this.#published, this.#vendor, entry);
    const envelope = parseEnvelope(bytes, 'ceiling', EVIDENCE_LIMITS.ceiling);
    return parseCeiling(parseStatement(envelope, 'ceiling').predicate);
  }
}
