/** A bin lists what hashes into it and nothing else, and is the end of the search (TAP 15). */

import { IronError } from '../../../shared/errors.ts';
import { binFor } from '../../../shared/tuf/delegations.ts';
import { quoted } from '../../../shared/tuf/names.ts';
import type { Check } from '../check.ts';

export const bin: Check = ({ role, file, crypto, parent, vendor }) => {
  const bins = parent?.delegations?.succinct;
  if (bins === undefined) throw new IronError('E_DELEGATION', `${role} is no bin of ${vendor}`);
  if (file.delegations !== undefined)
    throw new IronError('E_DELEGATION', `the bin ${role} delegates on`);
  const stray = file.paths().find((path) => binFor(crypto, bins, path) !== role);
  // No client would look for it here.
  if (stray !== undefined)
    throw new IronError('E_DELEGATION', `${role} lists ${quoted(stray)}`, {
      why: `its hash belongs into the bin ${binFor(crypto, bins, stray)}`,
      context: { role, path: stray },
    });
  return `every path of ${role} hashes into it`;
};
