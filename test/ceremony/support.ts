/** What the tests of this room share. */

import { type Code, IronError } from '../../shared/errors.ts';
import { parseInstant } from '../../shared/time.ts';

export const NOW = parseInstant('2030-01-31T12:00:00Z');

/** The error that `act` ends with; it must be one of ours. */
export async function refusal(act: () => unknown): Promise<IronError> {
  try {
    await act();
  } catch (error) {
    if (error instanceof IronError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

export async function codeOf(act: () => unknown): Promise<Code> {
  return (await refusal(act)).code;
}
