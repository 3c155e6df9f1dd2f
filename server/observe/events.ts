/** What happens inside the repository, for those who count it or write it down. */

import type { Code } from '../../shared/errors.ts';

export interface RepositoryEvents {
  /** Something became visible. */
  published(event: {
    readonly snapshot: number;
    readonly timestamp: number;
    /** Submissions in it; none for a renewal. */
    readonly submissions: number;
    readonly seconds: number;
  }): void;
  /** A submission was refused, at once or at publication. */
  refused(event: { readonly code: Code; readonly role: string | null }): void;
}

export const NO_EVENTS: RepositoryEvents = { published() {}, refused() {} };

/** Tells several. */
export function eventsOf(those: readonly RepositoryEvents[]): RepositoryEvents {
  return {
    published: (event) => {
      for (const one of those) one.published(event);
    },
    refused: (event) => {
      for (const one of those) one.refused(event);
    },
  };
}
