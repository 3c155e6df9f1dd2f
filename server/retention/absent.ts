/** Targets that are listed and not there: collected when they might be, or lost. */

import { tree } from '../../shared/layout.ts';
import { formatInstant, type Instant } from '../../shared/time.ts';
import { RolePromises } from './promises.ts';

export interface AbsentFinding {
  /** Place in the tree. */
  readonly at: string;
  readonly what: string;
  /** Whether it was not collected: nobody knows where it went. */
  readonly isGone: boolean;
}

export class AbsentTargets {
  readonly #promises: RolePromises;
  /** By place, until when the bytes were promised. */
  readonly #until = new Map<string, Instant>();

  constructor(promises = new RolePromises(new Map(), { first: 1, current: 0 })) {
    this.#promises = promises;
  }

  /** Notes that a version of a role lists `place`, whose bytes are not there. */
  note(place: string, role: string, version: number): void {
    const { until } = this.#promises.of(role, version);
    this.#until.set(place, Math.max(until, this.#until.get(place) ?? until));
  }

  /**
   * How many were collected rightly by `now`, and what is wrong with the others.
   * @param marks paths of the marks that the tree has
   */
  judge(
    marks: ReadonlySet<string>,
    now: Instant,
  ): { readonly collected: number; readonly findings: readonly AbsentFinding[] } {
    const findings: AbsentFinding[] = [];
    for (const [at, until] of this.#until) {
      if (!marks.has(tree.mark(at) ?? ''))
        findings.push({ at, what: 'it is listed and not there', isGone: true });
      else if (until > now)
        findings.push({
          ...{ at, isGone: false },
          what: `it was collected, and is promised ${promiseWords(until)}`,
        });
    }
    return { collected: this.#until.size - findings.length, findings };
  }
}

function promiseWords(until: Instant): string {
  return Number.isFinite(until)
    ? `until ${formatInstant(until)}`
    : 'without an end: it is listed, or no window that can be read ends it';
}
