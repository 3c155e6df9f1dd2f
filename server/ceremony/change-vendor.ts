/** Changing what the operators say about a vendor: the targets that follow. Pure. */

import type { Admission } from '../../shared/api/admission.ts';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { IronError } from '../../shared/errors.ts';
import { canonicalText } from '../../shared/json/canonical.ts';
import {
  isJsonObject,
  type JsonObject,
  type JsonValue,
  jsonObject,
} from '../../shared/json/value.ts';
import { formatInstant, type Instant } from '../../shared/time.ts';
import { keyTable, objectMember, roleKeys, withFields } from '../../shared/tuf/build.ts';
import type { Root } from '../../shared/tuf/root.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import { EXTENSION_FIELD, parseVendors, vendorsField } from '../../shared/tuf/vendors.ts';
import { refuseForeignKeys, refuseSharedHardware } from './admit.ts';

/** The same targets with a new date and nothing else. */
export function renewedTargets(targets: Targets, expires: Instant): JsonObject {
  return withFields(targets.envelope.tree, {
    version: targets.version + 1,
    expires: formatInstant(expires),
  });
}

export interface RotateOptions {
  readonly expires: Instant;
  readonly root: Root | undefined;
  /** Hardware and contact become the request's as well. */
  readonly hardware: boolean;
  /** Other vendors may have the same hardware ids. */
  readonly shared: boolean;
}

/**
 * The targets in which a vendor's TUF keys, threshold and API keys are those of its new request.
 * Its place in the order stays, and unless it is asked for hardware and contact, too. `E_NOT_FOUND`,
 * `E_CONFLICT`, `E_NOTHING_TO_DO`.
 */
export function rotateVendorKeys(
  crypto: Crypto,
  targets: Targets,
  { request }: Pick<Admission, 'request'>,
  options: RotateOptions,
): JsonObject {
  const { vendor } = request;
  const vendors = new Map(parseVendors(targets.envelope.signed));
  const entry = vendors.get(vendor);
  demandVendor(targets, vendor);
  if (entry === undefined) throw unknown(vendor);
  refuseForeignKeys(crypto, targets, vendors, options.root, { request }, vendor);
  const { hardwareIds, contact } = options.hardware ? request : entry;
  vendors.delete(vendor);
  if (options.hardware && !options.shared) refuseSharedHardware(vendors, hardwareIds);
  const { tree } = targets.envelope;
  const delegations = objectMember(tree, 'delegations');
  const roles = listed(delegations).map((role) =>
    isJsonObject(role) && role.name === vendor
      ? withFields(role, { ...roleKeys(crypto, request.tuf) })
      : role,
  );
  const next = { ...entry, hardwareIds, contact, apiKeys: request.apiKeys };
  const changed = withVendors(tree, {
    delegations: withKeysOf(
      withFields(delegations, {
        keys: withFields(objectMember(delegations, 'keys'), {
          ...keyTable(crypto, request.tuf.keys),
        }),
        roles,
      }),
    ),
    vendors: withFields(
      objectMember(objectMember(tree, EXTENSION_FIELD), 'vendors'),
      objectMember(vendorsField([next]), 'vendors'),
    ),
  });
  if (canonicalText(changed) === canonicalText(tree))
    throw new IronError('E_NOTHING_TO_DO', `${vendor} has these keys already`);
  return following(changed, targets, options.expires);
}

/**
 * The targets in which nobody speaks for the vendor's paths any more. Its hardware and API keys go
 * as well; its role stays in the snapshot, where a role never leaves, and so does its version.
 */
export function removeVendor(targets: Targets, vendor: string, expires: Instant): JsonObject {
  const { tree } = targets.envelope;
  const entries = objectMember(objectMember(tree, EXTENSION_FIELD), 'vendors');
  if (entries[vendor] === undefined) demandVendor(targets, vendor);
  const delegations = objectMember(tree, 'delegations');
  const roles = listed(delegations).filter((role) => !(isJsonObject(role) && role.name === vendor));
  const changed = withVendors(tree, {
    delegations: withKeysOf(withFields(delegations, { roles })),
    vendors: jsonObject(Object.entries(entries).filter(([name]) => name !== vendor)),
  });
  return following(changed, targets, expires);
}

function following(tree: JsonObject, targets: Targets, expires: Instant): JsonObject {
  return withFields(tree, { version: targets.version + 1, expires: formatInstant(expires) });
}

function withVendors(
  tree: JsonObject,
  parts: { readonly delegations: JsonObject; readonly vendors: JsonObject },
): JsonObject {
  return withFields(tree, {
    delegations: parts.delegations,
    [EXTENSION_FIELD]: withFields(objectMember(tree, EXTENSION_FIELD), { vendors: parts.vendors }),
  });
}

/** Keys that no role names any more are left out: a key that is listed looks like one that counts. */
function withKeysOf(delegations: JsonObject): JsonObject {
  const named = new Set(
    listed(delegations).flatMap((role) =>
      isJsonObject(role) && Array.isArray(role.keyids) ? (role.keyids as string[]) : [],
    ),
  );
  const keys = Object.entries(objectMember(delegations, 'keys')).filter(([id]) => named.has(id));
  return withFields(delegations, { keys: jsonObject(keys) });
}

function listed(delegations: JsonObject): readonly JsonValue[] {
  return Array.isArray(delegations.roles) ? delegations.roles : [];
}

function demandVendor(targets: Targets, vendor: string): void {
  if (targets.delegations?.roles.some(({ name }) => name === vendor) === true) return;
  throw unknown(vendor);
}

function unknown(vendor: string): IronError {
  return new IronError('E_NOT_FOUND', `these targets admit no vendor ${vendor}`, {
    hint: 'nothing was written; `ironport-repo vendor list` shows whom they admit',
    context: { vendor },
  });
}
