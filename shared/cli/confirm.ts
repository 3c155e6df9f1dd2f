/** The question before a signature: what is signed was shown, and is it what was meant? */

import { IronError } from '../errors.ts';
import type { CommandContext, OptionSpec } from './command.ts';

/** The option of every command that shows a change of trust and then signs it. */
export const YES_OPTION: OptionSpec = {
  flags: '-y, --yes',
  description: 'sign without asking: what is signed is shown all the same',
};

/**
 * Returns when `--yes` was given or the person answers `yes`. `E_CANCELLED` on any other answer,
 * `E_USAGE` where nobody can be asked.
 */
export async function confirm(context: CommandContext, question: string): Promise<void> {
  if (context.flag('yes')) return;
  if (context.person === undefined) {
    throw new IronError('E_USAGE', 'there is nobody to ask whether this is what was meant', {
      why: 'no terminal is there, and --yes was not given',
      hint: 'nothing was signed; read what is shown above, and give --yes',
    });
  }
  const answer = await context.person.line(`${question} (yes or no)`);
  if (answer.toLowerCase() === 'yes') return;
  throw new IronError('E_CANCELLED', 'the answer was not yes', {
    hint: 'nothing was signed and nothing was written',
  });
}
