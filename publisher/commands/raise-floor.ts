/** `raise-floor`: every build of a product below a security generation is refused, for ever. */

import type { CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { IronError } from '../../shared/errors.ts';
import { REVOCATION_LIMITS } from '../../shared/limits.ts';
import { componentOf, parseVendorFloors } from '../../shared/tuf/vendor-floors.ts';
import { publishChange } from '../own-change.ts';
import {
  isOwnWork,
  REPOSITORY_OPTION,
  ROOT_OPTION,
  type Session,
  verifiedBase,
  withSession,
} from '../session.ts';
import { DIR_OPTION, PASSPHRASE_OPTION } from '../signers.ts';

export const raiseFloor: CommandSpec = {
  name: 'raise-floor',
  summary: 'have every host refuse the builds of a product below a generation, for ever',
  description:
    'The generation is the one in the ceiling of each build: raise it with the build that mends a hole, and the floor when the older ones must not be installed any more. One line in the own role does what a withdrawal of each older version would, also for what hosts have in their caches. It never goes down again, and is refused while no listed version reaches it.',
  arguments: [
    { name: 'product', description: "a product of one's own" },
    { name: 'generation', description: 'the lowest generation that hosts accept' },
  ],
  options: [REPOSITORY_OPTION, DIR_OPTION, ROOT_OPTION, PASSPHRASE_OPTION],
  examples: ['ironport raise-floor edu 2 --dir acme --repository http://127.0.0.1:8080'],
  schema: 'ironport/raise-floor/v1',
  run: (context) => withSession(context, raise),
};

async function raise(session: Session): Promise<CommandResult> {
  const { context, config } = session;
  const [product = '', text = ''] = context.args;
  const component = componentOf(config.vendor, product);
  const floor = readGeneration(text);
  context.ui.stage('verifying the published state from the pinned root');
  const base = await verifiedBase(session);
  await isOwnWork(session, base);
  const before =
    base.role === undefined
      ? 0
      : (parseVendorFloors(base.role.envelope.signed, config.vendor).get(component) ?? 0);
  if (before === floor)
    throw new IronError('E_NOTHING_TO_DO', `the floor of ${component} is ${floor} already`, {
      hint: 'nothing was signed',
    });
  return publishChange(session, base, {
    change: { evidenceKeys: [], floors: new Map([[product, floor]]) },
    facts: { component, floor, was: before },
    text: `hosts refuse every ${component} below generation ${floor}; it was ${before || 'without a floor'}`,
  });
}

/** `E_USAGE` for what is no generation. */
function readGeneration(text: string): number {
  const number = /^[1-9]\d{0,15}$/.test(text) ? Number(text) : 0;
  if (number >= 1 && number <= REVOCATION_LIMITS.number) return number;
  throw new IronError('E_USAGE', `not a generation: ${JSON.stringify(text.slice(0, 40))}`, {
    hint: `nothing was signed; a whole number from 1 to ${REVOCATION_LIMITS.number}`,
  });
}
