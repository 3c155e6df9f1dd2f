/** The role is the vendor's own: nobody submits for another. */

import { IronError } from '../../../shared/errors.ts';
import { BIN_LIMITS } from '../../../shared/limits.ts';
import { binPrefix, parseVendorName, quoted } from '../../../shared/tuf/names.ts';
import type { Targets } from '../../../shared/tuf/targets.ts';
import type { Check } from '../check.ts';

/** A vendor's role lists targets, or is split into bins that its name and their number name. */
function demandOwnBins(vendor: string, file: Targets): void {
  if (file.delegations === undefined) return;
  const { succinct } = file.delegations;
  if (succinct === undefined) {
    throw new IronError('E_DELEGATION', `${vendor} delegates to roles of its own`, {
      why: 'this service takes one level of delegation, and hash bins below it',
    });
  }
  const { bitLength, namePrefix } = succinct;
  if (bitLength > BIN_LIMITS.bits || namePrefix !== binPrefix(vendor, bitLength)) {
    throw new IronError('E_DELEGATION', `${vendor} may not be split into ${quoted(namePrefix)}`, {
      why: `at most ${2 ** BIN_LIMITS.bits} bins are taken, called ${binPrefix(vendor, bitLength)}-…`,
      context: { bits: bitLength, prefix: namePrefix },
    });
  }
  if (file.paths().length > 0) {
    throw new IronError('E_DELEGATION', `${vendor} is split into bins and lists targets itself`, {
      why: 'a path would have two places in which it could stand',
    });
  }
}

export const role: Check = ({ role, vendor, delegation, file }) => {
  parseVendorName(role);
  if (role !== vendor) {
    throw new IronError('E_NOT_AUTHORISED', `${vendor} may not submit the role ${quoted(role)}`, {
      why: 'the request is signed by an API key of another vendor than the role names',
    });
  }
  if (delegation === undefined) {
    throw new IronError('E_NOT_AUTHORISED', `the signed targets delegate nothing to ${role}`);
  }
  demandOwnBins(vendor, file);
  return `${role} is the role of the vendor who signed the request`;
};
