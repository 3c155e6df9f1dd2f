/** `vendor rotate-keys`, `vendor suspend` and `vendor remove`. */

import { join } from 'node:path';
import type { CommandContext, CommandSpec } from '../../shared/cli/command.ts';
import { keyIdentity } from '../../shared/crypto/key.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { data } from '../../shared/layout.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { formatInstant } from '../../shared/time.ts';
import type { RoleSpec } from '../../shared/tuf/build.ts';
import { formatHardwareId, type HardwareId } from '../../shared/tuf/hardware-id.ts';
import { parseVendorName } from '../../shared/tuf/names.ts';
import { keyIdentities } from '../../shared/tuf/role.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import { parseVendors } from '../../shared/tuf/vendors.ts';
import { removeVendor, rotateVendorKeys } from '../ceremony/change-vendor.ts';
import { expiryFor } from '../ceremony/expiry.ts';
import { loadRoot, loadTargets } from '../ceremony/files.ts';
import { follow, verifyBase } from '../ceremony/follow.ts';
import { maybeSignersOf, signersOf } from '../ceremony/signers.ts';
import { DIR_OPTION, homeOf } from '../config.ts';
import { loadPublished, type Published } from '../storage/published.ts';
import { Suspended } from '../storage/suspended.ts';
import { TARGETS_OPTIONS } from './targets.ts';
import {
  compareFingerprint,
  loadRequest,
  requestData,
  requestText,
  type VerifiedRequest,
} from './vendor.ts';

export const vendorRotateKeys: CommandSpec = {
  name: 'vendor rotate-keys',
  summary: "exchange a vendor's keys for those of its new request",
  description:
    "Writes the next targets, in which the TUF keys, their threshold and the API keys are the request's; hardware and contact stay, unless --hardware takes these from the request, too. Where the TUF keys are others, the vendor's role must be signed with them in the same snapshot, and its bins: ask the vendor for the file (`ironport renew --out`), and hand in both together.",
  arguments: [{ name: 'request', description: "the vendor's new admission request" }],
  options: [
    ...TARGETS_OPTIONS,
    { flags: '--fingerprint <hex>', description: 'what the vendor read to you' },
    { flags: '--hardware', description: "hardware ids and contact become the request's, too" },
    { flags: '--shared', description: 'other vendors may have the same hardware ids' },
  ],
  examples: [
    'ironport-repo vendor rotate-keys acme-2.admission.json --targets 4.targets.json --root 1.root.json --key t1.json --fingerprint "3f2a 91c0 …" --out 5.targets.json',
  ],
  schema: 'ironport-repo/vendor-rotate-keys/v1',
  async run(context) {
    const verified = await loadRequest(context.args[0] as string);
    context.ui.stage(requestText(verified));
    compareFingerprint(context, verified.fingerprint);
    const { root, targets, expires } = await standing(context);
    const [hardware, shared] = [context.flag('hardware'), context.flag('shared')];
    if (!hardware) warnOfHardware(context, targets, verified);
    const { data, text } = await follow(context, {
      before: { type: 'targets', file: targets },
      tree: rotateVendorKeys(crypto, targets, verified.admission, {
        ...{ expires, root, hardware, shared },
      }),
      root,
      signers: await signersOf(context),
      out: context.need('out'),
    });
    const { vendor, tuf } = verified.admission.request;
    const isSigned = signersAsBefore(targets, vendor, tuf);
    return {
      data: { ...requestData(verified), ...data },
      text: isSigned
        ? text
        : `${text}\ntogether with the role of ${vendor}, signed with its new keys: \`ironport-repo submit ${data.file} ${vendor}.json\``,
    };
  },
};

/** What the request asks for besides keys is not given by an exchange of keys: not in silence. */
function warnOfHardware(
  { ui }: CommandContext,
  targets: Targets,
  { admission }: VerifiedRequest,
): void {
  const { vendor, hardwareIds, contact } = admission.request;
  const entry = parseVendors(targets.envelope.signed).get(vendor);
  if (entry === undefined) return;
  const words = (ids: readonly HardwareId[]): string =>
    ids.map(formatHardwareId).sort().join(', ') || 'none';
  if (words(entry.hardwareIds) !== words(hardwareIds))
    ui.warn(
      `the request names the hardware ${words(hardwareIds)}, and it stays ${words(entry.hardwareIds)}: give --hardware to change that, too`,
    );
  if (entry.contact !== contact)
    ui.warn(`the request names the contact ${contact}, and it stays ${entry.contact}`);
}

/** Whether a role that is signed as it was is signed still. */
function signersAsBefore(targets: Targets, vendor: string, { keys, threshold }: RoleSpec): boolean {
  const role = targets.delegations?.roles.find(({ name }) => name === vendor);
  if (role === undefined || targets.delegations === undefined) return false;
  const before = keyIdentities(targets.delegations.keys, role);
  const after = new Set(keys.map(keyIdentity));
  return threshold <= role.threshold && [...before].every((key) => after.has(key));
}

export const vendorRemove: CommandSpec = {
  name: 'vendor remove',
  summary: 'make targets in which a vendor has no say any more',
  description:
    "Takes away the delegation, the hardware and the API keys. The vendor's role stays in the snapshot, where no role ever leaves; a vendor that is admitted again under this name goes on from its version. Hosts that have a driver keep it: take it back by the revocation list.",
  arguments: [{ name: 'vendor', description: 'its short name' }],
  options: TARGETS_OPTIONS,
  examples: [
    'ironport-repo vendor remove acme --targets 4.targets.json --root 1.root.json --key t1.json --out 5.targets.json',
  ],
  schema: 'ironport-repo/vendor-remove/v1',
  async run(context) {
    const vendor = parseVendorName(context.args[0] as string);
    const { root, targets, expires } = await standing(context);
    const { data, text } = await follow(context, {
      before: { type: 'targets', file: targets },
      tree: removeVendor(targets, vendor, expires),
      root,
      signers: await signersOf(context),
      out: context.need('out'),
    });
    return { data: { vendor, ...data }, text };
  },
};

async function standing(context: CommandContext) {
  const root = await loadRoot(context.need('root'));
  const targets = await loadTargets(context.need('targets'));
  verifyBase(targets, root);
  return { root, targets, expires: expiryFor(context, 'targets', systemClock()) };
}

const SUSPEND_OPTIONS = TARGETS_OPTIONS.filter(
  ({ flags }) => !/^--(targets|root) /.test(flags),
).map((option) => ({ ...option, required: false }));

export const vendorSuspend: CommandSpec = {
  name: 'vendor suspend',
  summary: 'take nothing more from a vendor, at once, and say what hosts still trust',
  description:
    "On the service's machine, where the service need not be stopped. Requests of the vendor are refused from now on, and what waits in the queue too. What is published stays trusted until its role expires or targets without the vendor are published: with --out these are written, for the operators to sign. --lift takes requests again.",
  arguments: [{ name: 'vendor', description: 'its short name' }],
  options: [DIR_OPTION, ...SUSPEND_OPTIONS, { flags: '--lift', description: 'end the suspension' }],
  examples: [
    'ironport-repo vendor suspend acme --dir repo-data --out 5.targets.json',
    'ironport-repo vendor suspend acme --lift',
  ],
  schema: 'ironport-repo/vendor-suspend/v1',
  async run(context) {
    const vendor = parseVendorName(context.args[0] as string);
    const home = homeOf(context);
    const suspended = new Suspended(home);
    if (context.flag('lift')) {
      await suspended.lift(vendor);
      const none = { version: 0, targets: 0, expires: null };
      return {
        data: { vendor, suspended: false, trusted: none, file: null, changes: [], complete: false },
        text: `requests of ${vendor} are taken again`,
      };
    }
    const published = await loadPublished(join(home, data.tree), crypto);
    if (published === undefined || !isKnown(published, vendor))
      throw new IronError('E_NOT_FOUND', `no vendor ${vendor} is admitted here`, {
        hint: 'nothing was changed; look at --dir and at `ironport-repo status`',
      });
    await suspended.add(vendor);
    const trusted = await stillTrusted(published, vendor);
    const words =
      trusted.version === 0
        ? `${vendor} has published nothing`
        : `until ${trusted.expires}, hosts trust ${vendor} ${trusted.version} with its ${trusted.targets} targets`;
    context.ui.stage(`nothing more is taken from ${vendor}; ${words}`);
    const made = await prepare(context, published, vendor).catch((error) => {
      throw suspendedAllTheSame(vendor, error);
    });
    return {
      data: {
        ...{ vendor, suspended: true, trusted },
        file: made?.data.file ?? null,
        changes: made?.data.changes ?? [],
        complete: made?.data.complete ?? false,
      },
      text: [
        `nothing more is taken from ${vendor}`,
        words,
        made?.text ?? 'to end that too, write the targets without it with --out, and sign them',
      ].join('\n'),
    };
  },
};

/** The first half was done, and is what is urgent. */
function suspendedAllTheSame(vendor: string, error: unknown): unknown {
  if (!isIronError(error)) return error;
  const { code, message, why, context } = error;
  return new IronError(code, message, {
    why: `${why === undefined ? '' : `${why}; `}${vendor} is suspended all the same: nothing more is taken from it`,
    hint: 'the targets without it were not written; run it again with another --out, or with other keys',
    context,
    cause: error,
  });
}

function isKnown(published: Published, vendor: string): boolean {
  return published.delegation(vendor) !== undefined || published.vendors.has(vendor);
}

async function stillTrusted(published: Published, vendor: string) {
  const role = (await published.role(vendor))?.targets;
  return {
    version: role?.version ?? 0,
    targets: role?.paths().length ?? 0,
    expires: role === undefined ? null : formatInstant(role.expires),
  };
}

/** The targets without the vendor, signed by nobody unless keys were given. */
async function prepare(context: CommandContext, { targets, root }: Published, vendor: string) {
  const out = context.text('out');
  if (out === undefined) return undefined;
  return await follow(context, {
    before: { type: 'targets', file: targets },
    tree: removeVendor(targets, vendor, expiryFor(context, 'targets', systemClock())),
    root,
    signers: await maybeSignersOf(context),
    out,
  });
}
