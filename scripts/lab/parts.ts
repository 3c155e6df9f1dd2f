/**
 * How the cases of a kernel are shared out among machines: what others stand on first, in a machine of its
 * own; then parts of some cases each, every one on a copy of the disk that it left.
 */

import { type CaseForm, isOverBoots } from '../../test/lab/cases/index.ts';

export interface Parts {
  /** Empty where everything fits into one part. */
  readonly ground: readonly CaseForm[];
  /** The dear ones, which stand at the end of the list, first: the short ones fill what is left. */
  readonly parts: readonly (readonly CaseForm[])[];
}

/** Parts of at most `most` cases; those that see one another's boots stay together. */
export function partsOf(forms: readonly CaseForm[], most: number): Parts {
  if (forms.length <= most) return { ground: [], parts: forms.length > 0 ? [forms] : [] };
  const ground = forms.filter(({ lab }) => lab.isGround === true);
  const over = forms.filter(({ lab }) => isOverBoots(lab));
  const others = forms.filter((form) => !ground.includes(form) && !over.includes(form));
  const parts = Array.from({ length: Math.ceil(others.length / most) }, (_, at) =>
    others.slice(at * most, (at + 1) * most),
  );
  return { ground, parts: [over, ...parts.reverse()].filter((part) => part.length > 0) };
}
