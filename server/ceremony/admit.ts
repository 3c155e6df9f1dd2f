/** Letting a vendor in: the targets that follow, with its delegation and its hardware. Pure. */

import type { Admission } from '../../shared/api/admission.ts';
import { KEY_LISTS, keysOf } from '../../shared/api/admission.ts';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { keyIdentity } from '../../shared/crypto/key.ts';
import { IronError } from '../../shared/errors.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { formatInstant, type Instant } from '../../shared/time.ts';
import { delegationTree, keyTable, objectMember, withFields } from '../../shared/tuf/build.ts';
import { keyWords } from '../../shared/tuf/diff/change.ts';
import { formatHardwareId, type HardwareId, overlap } from '../../shared/tuf/hardware-id.ts';
import type { Root } from '../../shared/tuf/root.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import {
  EXTENSION_FIELD,
  parseVendors,
  type Vendor,
  vendorsField,
} from '../../shared/tuf/vendors.ts';

export interface AdmitOptions {
  readonly expires: Instant;
  /** Two vendors may have one hardware id: a part that several make drivers for. */
  readonly shared: boolean;
  /** The operators' own keys, when their root is at hand: none of them may be a vendor's. */
  readonly root: Root | undefined;
}

/**
 * The signed part of the targets that follow `targets`, with the vendor let in. The request was
 * verified. `E_EXISTS` when there is such a vendor, `E_CONFLICT` when somebody else has one of its
 * hardware ids or keys.
 */
export function admit(
  crypto: Crypto,
  targets: Targets,
  { request }: Admission,
  options: AdmitOptions,
): JsonObject {
  const { vendor } = request;
  const vendors = parseVendors(targets.envelope.signed);
  const { delegations } = targets;
  if (delegations?.succinct !== undefined)
    throw new IronError('E_SCHEMA', 'these targets have hash bins where vendors should stand');
  if (vendors.has(vendor) || delegations?.roles.some(({ name }) => name === vendor)) {
    throw new IronError('E_EXISTS', `there is a vendor ${vendor} already`, {
      hint: 'nothing was written; `vendor rotate-keys` exchanges its keys, and with --hardware what it may bind',
      context: { vendor },
    });
  }
  if (!options.shared) refuseSharedHardware(vendors, request.hardwareIds);
  refuseForeignKeys(crypto, targets, vendors, options.root, { request });

  const { tree } = targets.envelope;
  const old = objectMember(tree, 'delegations');
  const added = delegationTree(crypto, vendor, request.tuf, [`${vendor}/*/*/*`], true);
  const extension = objectMember(tree, EXTENSION_FIELD);
  const field = objectMember(vendorsField([vendorOf(request)]), 'vendors');
  return withFields(tree, {
    version: targets.version + 1,
    expires: formatInstant(options.expires),
    delegations: withFields(old, {
      keys: withFields(objectMember(old, 'keys'), { ...keyTable(crypto, request.tuf.keys) }),
      roles: [...(Array.isArray(old.roles) ? old.roles : []), added],
    }),
    [EXTENSION_FIELD]: withFields(extension, {
      vendors: withFields(objectMember(extension, 'vendors'), field),
    }),
  });
}

function vendorOf({ vendor, hardwareIds, apiKeys, contact }: Admission['request']): Vendor {
  return { name: vendor, hardwareIds, apiKeys, contact };
}

/** A whole PCI vendor and one device of it overlap, too: either could bind that device. */
export function refuseSharedHardware(
  vendors: ReadonlyMap<string, Vendor>,
  wanted: readonly HardwareId[],
): void {
  for (const [name, { hardwareIds }] of vendors) {
    for (const id of wanted) {
      const same = hardwareIds.find((other) => overlap(id, other));
      if (same === undefined) continue;
      throw new IronError(
        'E_CONFLICT',
        `the hardware ${formatHardwareId(id)} is ${name}'s already`,
        {
          why: `${name} was given ${formatHardwareId(same)}`,
          hint: 'nothing was written; when both may bind it, say so with --shared',
          context: { vendor: name, hardware: formatHardwareId(same) },
        },
      );
    }
  }
}

/** One key for two parties: what the one signs would count for the other. */
export function refuseForeignKeys(
  crypto: Crypto,
  { delegations }: Targets,
  vendors: ReadonlyMap<string, Vendor>,
  root: Root | undefined,
  { request }: Pick<Admission, 'request'>,
  self?: string,
): void {
  const owners = new Map<string, string>();
  for (const key of root?.keys.values() ?? []) {
    if (key.publicKey !== undefined) owners.set(keyIdentity(key.publicKey), 'the operators');
  }
  for (const { name, keyids } of delegations?.roles ?? []) {
    for (const keyid of keyids) {
      const key = delegations?.keys.get(keyid)?.publicKey;
      if (key !== undefined) owners.set(keyIdentity(key), name);
    }
  }
  for (const { name, apiKeys } of vendors.values()) {
    for (const key of apiKeys) owners.set(keyIdentity(key), name);
  }
  for (const key of KEY_LISTS.flatMap((list) => keysOf(request, list))) {
    const owner = owners.get(keyIdentity(key));
    if (owner === undefined || owner === self) continue;
    throw new IronError('E_CONFLICT', `the key ${keyWords(crypto, key)} is that of ${owner}`, {
      hint: 'nothing was written; every party has keys of its own',
    });
  }
}
