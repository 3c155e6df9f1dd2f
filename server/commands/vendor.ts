/** `vendor show`, `vendor add` and `vendor list`. */

import {
  type Admission,
  admissionFingerprint,
  formatFingerprint,
  KEY_LISTS,
  parseAdmission,
  parseFingerprint,
  verifyAdmission,
} from '../../shared/api/admission.ts';
import { formatReceipt } from '../../shared/api/receipt.ts';
import type { CommandContext, CommandSpec } from '../../shared/cli/command.ts';
import { YES_OPTION } from '../../shared/cli/confirm.ts';
import { table } from '../../shared/cli/table.ts';
import { IronError } from '../../shared/errors.ts';
import { revocations } from '../../shared/layout.ts';
import { ADMISSION_LIMITS, METADATA_LIMITS } from '../../shared/limits.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { formatInstant } from '../../shared/time.ts';
import { formatHardwareId } from '../../shared/tuf/hardware-id.ts';
import { keyId } from '../../shared/tuf/key.ts';
import type { RoleKeys } from '../../shared/tuf/role.ts';
import { isComplete } from '../../shared/tuf/standing.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import { parseVendors, type Vendor } from '../../shared/tuf/vendors.ts';
import { admit } from '../ceremony/admit.ts';
import { expiryFor } from '../ceremony/expiry.ts';
import { loadTargets, maybeRoot, readAs, writeTogether } from '../ceremony/files.ts';
import { verifyBase } from '../ceremony/follow.ts';
import { KEY_OPTION, PASSPHRASE_OPTION, signersOf } from '../ceremony/signers.ts';
import {
  confirmSigning,
  nextStep,
  showChanges,
  signAndCount,
  unsignedFile,
} from '../ceremony/signing.ts';

const REQUEST = { name: 'request', description: 'the admission request of a vendor' };
const ROOT_OPTION = {
  flags: '--root <file>',
  description: 'the root in force: the targets are held to its signatures',
};

/** A request, every key of which signed it. */
export interface VerifiedRequest {
  readonly admission: Admission;
  readonly fingerprint: string;
}

export async function loadRequest(path: string): Promise<VerifiedRequest> {
  const bytes = await readFileCapped(path, ADMISSION_LIMITS.file);
  const admission = readAs(path, 'the admission request of a vendor', () => parseAdmission(bytes));
  verifyAdmission(crypto, admission);
  return { admission, fingerprint: admissionFingerprint(crypto, admission) };
}

export function requestData({ admission, fingerprint }: VerifiedRequest) {
  const { vendor, hardwareIds, contact, tuf } = admission.request;
  const keys = verifyAdmission(crypto, admission);
  return {
    vendor,
    hardware_ids: hardwareIds.map(formatHardwareId),
    contact,
    threshold: tuf.threshold,
    keys: keys.map(({ list, keyid, key }) => ({ list, keyid, scheme: key.scheme })),
    fingerprint,
  };
}

export function requestText(verified: VerifiedRequest): string {
  const { vendor, hardware_ids, contact, threshold, keys, fingerprint } = requestData(verified);
  const counts = KEY_LISTS.map((list) => keys.filter((key) => key.list === list).length);
  return [
    table([
      ['vendor', vendor],
      ['hardware', hardware_ids.join(', ') || 'none: it may bind nothing'],
      ['contact', contact],
      ['signs its role with', `${threshold} of ${counts[0]} keys`],
      ...keys.map(({ list, keyid, scheme }) => [`${list} key`, `${keyid} (${scheme})`]),
      ['fingerprint', formatFingerprint(fingerprint)],
    ]),
    `signed by all of the ${keys.length} keys that it names`,
  ].join('\n');
}

export const vendorShow: CommandSpec = {
  name: 'vendor show',
  summary: 'verify an admission request and show what it asks for',
  arguments: [REQUEST],
  examples: ['ironport-repo vendor show acme.admission.json'],
  schema: 'ironport-repo/vendor-show/v1',
  async run({ args }) {
    const verified = await loadRequest(args[0] as string);
    return {
      data: requestData(verified),
      text: `${requestText(verified)}\nwho sent it, the signatures cannot say: compare the fingerprint with the vendor by another channel`,
    };
  },
};

export const vendorAdd: CommandSpec = {
  name: 'vendor add',
  summary: 'admit a vendor: make and sign the targets that follow',
  description:
    "Verifies that every key that the request names signed it, then writes the next version of the targets, with a delegation of VENDOR/*/*/* to the vendor's keys and its hardware ids. Compare the fingerprint with the vendor by another channel and give it with --fingerprint.",
  arguments: [REQUEST],
  options: [
    { flags: '--targets <file>', description: 'the targets in force now', required: true },
    KEY_OPTION,
    { flags: '-o, --out <file>', description: 'file to write', required: true },
    { flags: '--fingerprint <hex>', description: 'what the vendor read to you' },
    ROOT_OPTION,
    {
      flags: '--receipt <file>',
      description: 'file to write for the vendor: the answer, with the root to pin',
    },
    { flags: '--shared', description: 'other vendors may have the same hardware ids' },
    {
      flags: '--expires-in <span>',
      description: 'how long the targets are valid',
      default: '182d',
    },
    YES_OPTION,
    PASSPHRASE_OPTION,
  ],
  examples: [
    'ironport-repo vendor add acme.admission.json --targets 1.targets.json --root 1.root.json --key t1.json --fingerprint "3f2a 91c0 …" --out 2.targets.json',
  ],
  schema: 'ironport-repo/vendor-add/v1',
  async run(context) {
    const verified = await loadRequest(context.args[0] as string);
    context.ui.stage(requestText(verified));
    compareFingerprint(context, verified.fingerprint);
    const receipt = await receiptFor(context, verified);

    const targets = await loadTargets(context.need('targets'));
    const root = await maybeRoot(context.text('root'));
    const signers = await signersOf(context);
    if (root !== undefined) verifyBase(targets, root);
    else context.ui.warn('no --root was given: that the targets are in force was not checked');

    const now = systemClock();
    const expires = expiryFor(context, 'targets', now);
    const shared = context.flag('shared');
    const tree = admit(crypto, targets, verified.admission, { expires, shared, root });
    const file = unsignedFile(tree, 'targets');
    const changes = showChanges(context.ui, file, { type: 'targets', file: targets }, now);
    await confirmSigning(context, `targets ${targets.version + 1}`, signers);
    const signed = await signAndCount(file, root, signers);
    const out = context.need('out');
    await writeTogether([[out, signed.bytes], ...(receipt === null ? [] : [receipt])]);
    return {
      data: {
        ...requestData(verified),
        receipt: receipt?.[0] ?? null,
        fingerprint_compared: context.text('fingerprint') !== undefined,
        file: out,
        version: targets.version + 1,
        expires: formatInstant(expires),
        changes,
        signatures: signed.standings,
        complete: signed.standings.length > 0 && isComplete(signed.standings),
      },
      text:
        receipt === null
          ? nextStep(out, signed)
          : `${nextStep(out, signed)}\n${receipt[0]} is for the vendor, who pins the root in it: \`ironport publish … --root ${receipt[0]}\``,
    };
  },
};

/** By a way that the vendor trusts: whoever changes the root in it decides whom the vendor trusts. */
async function receiptFor(
  { text }: CommandContext,
  { admission, fingerprint }: VerifiedRequest,
): Promise<readonly [path: string, bytes: Uint8Array] | null> {
  const [path, root] = [text('receipt'), text('root')];
  if (path === undefined) return null;
  if (root === undefined)
    throw new IronError('E_USAGE', 'a receipt carries the root: give --root', {
      hint: 'nothing was signed and nothing was written',
    });
  const bytes = await readFileCapped(root, METADATA_LIMITS.root);
  const { vendor } = admission.request;
  const receipt = readAs(root, 'a root', () => formatReceipt({ vendor, fingerprint, root: bytes }));
  return [path, receipt];
}

export function compareFingerprint({ ui, text }: CommandContext, fingerprint: string): void {
  const told = text('fingerprint');
  if (told === undefined) {
    ui.warn("no --fingerprint was given: that this is the vendor's request was not checked");
  } else if (parseFingerprint(told) !== fingerprint) {
    throw new IronError('E_SIGNATURE', 'the request does not have the fingerprint that was given', {
      why: `it has ${formatFingerprint(fingerprint)}`,
      hint: "nothing was written; somebody may have sent another request in the vendor's name: ask the vendor",
      context: { fingerprint },
    });
  }
}

export const vendorList: CommandSpec = {
  name: 'vendor list',
  summary: 'list the vendors that targets admit, with keys and hardware',
  options: [
    { flags: '--targets <file>', description: 'a targets file', required: true },
    ROOT_OPTION,
  ],
  examples: ['ironport-repo vendor list --targets 2.targets.json --root 1.root.json'],
  schema: 'ironport-repo/vendor-list/v1',
  async run(context) {
    const targets = await loadTargets(context.need('targets'));
    const root = await maybeRoot(context.text('root'));
    if (root !== undefined) verifyBase(targets, root);
    else context.ui.warn('no --root was given: who signed these targets was not checked');
    const vendors = listVendors(targets);
    return {
      data: { version: targets.version, verified: root !== undefined, vendors },
      text: vendors.length === 0 ? 'no vendor is admitted' : vendors.map(vendorText).join('\n'),
    };
  },
};

/** Vendors by their delegations, and those who have an entry but may publish nothing. */
function listVendors(targets: Targets) {
  const entries = parseVendors(targets.envelope.signed);
  const roles = new Map(targets.delegations?.roles.map((role) => [role.name, role]));
  roles.delete(revocations.role);
  return [...new Set([...roles.keys(), ...entries.keys()])].map((name) => {
    const role = roles.get(name);
    const vendor: Vendor | undefined = entries.get(name);
    return {
      vendor: name,
      paths: role !== undefined && 'paths' in role.scope ? role.scope.paths : [],
      threshold: role?.threshold ?? 0,
      tuf_keys: role === undefined ? [] : roleKeyIds(targets, role),
      api_keys: (vendor?.apiKeys ?? []).map((key) => keyId(crypto, key)),
      hardware_ids: (vendor?.hardwareIds ?? []).map(formatHardwareId),
      contact: vendor?.contact ?? null,
    };
  });
}

function roleKeyIds(targets: Targets, role: RoleKeys): string[] {
  return role.keyids.filter(
    (keyid) => targets.delegations?.keys.get(keyid)?.publicKey !== undefined,
  );
}

function vendorText(vendor: ReturnType<typeof listVendors>[number]): string {
  const rows = [
    ['publishes', vendor.paths.join(', ') || 'nothing'],
    ['signs with', `${vendor.threshold} of ${vendor.tuf_keys.length} keys`],
    ['hardware', vendor.hardware_ids.join(', ') || 'none'],
    ['contact', vendor.contact ?? 'none'],
  ];
  return `${vendor.vendor}\n${table(rows, '  ')}`;
}
