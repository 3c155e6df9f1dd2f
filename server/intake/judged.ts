/**
 * Judgements of submissions that wait, so that what was found when they came in need not be found
 * again when nothing changed that they rest on. Only a convenience: what is not here is judged anew.
 */

import { revocations } from '../../shared/layout.ts';
import type { Instant } from '../../shared/time.ts';
import type { Published } from '../storage/published.ts';
import type { Examined } from './examine.ts';

/** Judgements that are kept; older ones are forgotten. */
const KEPT = 64;

interface Kept {
  readonly vendor: string;
  readonly examined: Examined;
  readonly root: number;
  readonly targets: number;
  /** Version of the role that lists the revocations. */
  readonly listed: number;
}

export class JudgedMemory {
  /** By submission. Owned by the one process that judges and publishes; nothing in it is awaited. */
  readonly #kept = new Map<string, Kept>();

  keep(id: string, vendor: string, published: Published, examined: Examined): void {
    this.#kept.set(id, { vendor, examined, ...versionsOf(published) });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > KEPT && oldest !== undefined) this.#kept.delete(oldest);
  }

  /** What was found, if it still stands: same root, targets and revocations, nothing expired. Only once. */
  take(id: string, published: Published, now: Instant): Examined | undefined {
    const kept = this.#kept.get(id);
    this.#kept.delete(id);
    if (kept === undefined) return undefined;
    const { root, targets, listed } = versionsOf(published);
    const stands =
      kept.root === root &&
      kept.targets === targets &&
      kept.listed === listed &&
      kept.examined.roles.every(({ expires }) => expires > now);
    return stands ? kept.examined : undefined;
  }

  /** Something of this vendor was published: what was found on top of the old is worth nothing. */
  published(vendor: string): void {
    for (const [id, kept] of this.#kept) if (kept.vendor === vendor) this.#kept.delete(id);
  }
}

/** What every judgement rests on. */
function versionsOf(published: Published): Pick<Kept, 'root' | 'targets' | 'listed'> {
  const { root, targets } = published;
  return {
    root: root.version,
    targets: targets.version,
    listed: published.version(revocations.role),
  };
}
