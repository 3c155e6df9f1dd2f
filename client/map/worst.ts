/** Which of several repositories' failures a command ends with: that which somebody has to act on first. */

import type { IronError } from '../../shared/errors.ts';

/**
 * From the mildest to the gravest, by exit status: what may be better in a moment, what is not there,
 * what is old, what was never begun, what is damaged here; then what did not verify.
 */
const MILDER: readonly number[] = [75, 5, 4, 8, 7, 6];

/** The gravest; of equals, the first. Undefined of none. */
export function gravest(errors: Iterable<IronError>): IronError | undefined {
  let worst: IronError | undefined;
  for (const error of errors)
    if (worst === undefined || gravity(error) > gravity(worst)) worst = error;
  return worst;
}

function gravity({ exit }: IronError): number {
  const at = MILDER.indexOf(exit);
  return at === -1 ? MILDER.length : at;
}
