/** `revocations floor`, `add`, `deny-key`, `sign`, `show` and `diff`: the security team's list. */

import type {
  CommandContext,
  CommandResult,
  CommandSpec,
  OptionSpec,
} from '../../shared/cli/command.ts';
import { YES_OPTION } from '../../shared/cli/confirm.ts';
import { IronError } from '../../shared/errors.ts';
import { REVOCATION_LIMITS } from '../../shared/limits.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { loadPublicKey } from '../../shared/node/signers/file.ts';
import { revocationDiff } from '../../shared/revocation/diff.ts';
import {
  emptyList,
  parseComponent,
  type RevocationList,
  revocationPredicate,
} from '../../shared/revocation/list.ts';
import { listStanding, readList } from '../../shared/revocation/signed-list.ts';
import type { TrustChange } from '../../shared/tuf/diff/change.ts';
import { diffText } from '../../shared/tuf/diff/trust-diff.ts';
import { keyId } from '../../shared/tuf/key.ts';
import { parseRevocationTrust, type RevocationTrust } from '../../shared/tuf/revocation-trust.ts';
import { loadTargets, replaceSigned, writeSigned } from '../ceremony/files.ts';
import { addListSignatures, nextList, type Revocation, signList } from '../ceremony/revocations.ts';
import { KEY_OPTION, PASSPHRASE_OPTION, signersOf } from '../ceremony/signers.ts';
import { confirmSigning } from '../ceremony/signing.ts';

export const TARGETS_OPTION: OptionSpec = {
  flags: '--targets <file>',
  description: 'the targets in force, which name the security team',
  required: true,
};
const LIST_OPTION: OptionSpec = {
  flags: '--list <file>',
  description: 'the list in force',
  required: true,
};
const REASON_OPTION: OptionSpec = {
  flags: '--reason <text>',
  description: 'why, in one line; hosts show it',
  required: true,
};
const OUT_OPTION: OptionSpec = {
  flags: '-o, --out <file>',
  description: 'file to write',
  required: true,
};
const NEXT: readonly OptionSpec[] = [
  ...[
    LIST_OPTION,
    TARGETS_OPTION,
    REASON_OPTION,
    KEY_OPTION,
    OUT_OPTION,
    YES_OPTION,
    PASSPHRASE_OPTION,
  ],
];

export async function loadTrust(context: CommandContext): Promise<RevocationTrust> {
  const path = context.need('targets');
  const trust = parseRevocationTrust((await loadTargets(path)).envelope.signed);
  if (trust !== undefined) return trust;
  throw new IronError('E_NOT_FOUND', `${path} names no security team`, {
    hint: 'nothing was written; `ironport-repo revocations init` makes targets that do',
  });
}

export function loadList(path: string): Promise<Uint8Array> {
  return readFileCapped(path, REVOCATION_LIMITS.list);
}

export const revocationsNew: CommandSpec = {
  name: 'revocations new',
  summary: 'make the first list of an epoch, which revokes nothing',
  options: [TARGETS_OPTION, KEY_OPTION, OUT_OPTION, YES_OPTION, PASSPHRASE_OPTION],
  examples: [
    'ironport-repo revocations new --targets 7.targets.json --key s1.json --out 1.list.json',
  ],
  schema: 'ironport-repo/revocations-new/v1',
  async run(context) {
    const trust = await loadTrust(context);
    const list = emptyList(trust.epoch, systemClock());
    const signers = await signersOf(context);
    const said = show(context, undefined, list);
    await confirmSigning(context, `list 1 of epoch ${trust.epoch}`, signers);
    const bytes = await signList(crypto, list, trust, signers);
    const out = context.need('out');
    await writeSigned(out, bytes);
    return resultOf(out, bytes, trust, said);
  },
};

export const revocationsFloor: CommandSpec = {
  name: 'revocations floor',
  summary: 'make the next list, in which a product has a higher floor',
  description:
    'One line kills every older build: whatever of the product has a smaller security generation is refused. Within an epoch a floor never goes down.',
  arguments: [
    { name: 'component', description: 'VENDOR/PRODUCT' },
    { name: 'generation', description: 'the least that is still used' },
  ],
  options: NEXT,
  examples: [
    'ironport-repo revocations floor acme/edu 3 --reason "CVE-2030-0001" --list 4.list.json --targets 7.targets.json --key s1.json --out 5.list.json',
  ],
  schema: 'ironport-repo/revocations-floor/v1',
  run(context) {
    const [component = '', text = ''] = context.args;
    if (!/^[1-9][0-9]{0,11}$/.test(text))
      throw new IronError(
        'E_USAGE',
        `a generation is a whole number from 1, not ${JSON.stringify(text)}`,
      );
    const generation = Number(text);
    return follow(context, [{ kind: 'floor', component: parseComponent(component), generation }]);
  },
};

export const revocationsAdd: CommandSpec = {
  name: 'revocations add',
  summary: 'make the next list, in which some bytes are denied',
  arguments: [
    {
      name: 'sha256',
      description: 'SHA-256 of artifacts, or of files beside them',
      variadic: true,
    },
  ],
  options: NEXT,
  examples: [
    `ironport-repo revocations add ${'ab'.repeat(32)} --reason "malware" --list 4.list.json --targets 7.targets.json --key s1.json --out 5.list.json`,
  ],
  schema: 'ironport-repo/revocations-add/v1',
  run: (context) =>
    follow(
      context,
      context.rest.map((sha256) => ({ kind: 'digest', sha256: digest(sha256) }) as const),
    ),
};

export const revocationsDenyKey: CommandSpec = {
  name: 'revocations deny-key',
  summary: "make the next list, in which a vendor's or reviewer's key counts nowhere",
  description:
    'For keys of vendors: those that sign their roles, evidence and requests; and for keys of reviewers. Artifacts that are known to be good can be named with --allow. Keys of root, targets and the service are replaced by the operators instead.',
  arguments: [{ name: 'key', description: 'a key id of 64 digits, or the file of a public half' }],
  options: [
    ...NEXT,
    {
      flags: '--allow <sha256>',
      description: 'an artifact for which it still counts',
      repeatable: true,
    },
  ],
  examples: [
    'ironport-repo revocations deny-key acme-tuf.pub.json --reason "stolen on 2030-06-01" --list 4.list.json --targets 7.targets.json --key s1.json --out 5.list.json',
  ],
  schema: 'ironport-repo/revocations-deny-key/v1',
  async run(context) {
    const name = context.args[0] as string;
    const keyid = /^[0-9a-f]{64}$/.test(name) ? name : keyId(crypto, await loadPublicKey(name));
    return follow(context, [{ kind: 'key', keyid, allowed: context.list('allow').map(digest) }]);
  },
};

function digest(text: string): string {
  if (/^[0-9a-f]{64}$/.test(text)) return text;
  throw new IronError(
    'E_USAGE',
    `not a SHA-256 of 64 lower-case digits: ${JSON.stringify(text.slice(0, 80))}`,
  );
}

/** Makes, shows, signs and writes the list that follows. */
async function follow(
  context: CommandContext,
  added: readonly Revocation[],
): Promise<CommandResult> {
  const trust = await loadTrust(context);
  const { list: before } = readList(await loadList(context.need('list')));
  if (before.epoch !== trust.epoch)
    throw new IronError(
      'E_CONFLICT',
      `the list is of epoch ${before.epoch}, and the targets name ${trust.epoch}`,
    );
  const next = nextList(before, added, context.need('reason'), systemClock());
  const signers = await signersOf(context);
  const said = show(context, before, next);
  await confirmSigning(context, `list ${next.version}`, signers);
  const bytes = await signList(crypto, next, trust, signers);
  // What is written is read again: what no host would take must not leave this machine.
  readList(bytes);
  const out = context.need('out');
  await writeSigned(out, bytes);
  return resultOf(out, bytes, trust, said);
}

export const revocationsSign: CommandSpec = {
  name: 'revocations sign',
  summary: 'show what a list revokes, and sign it',
  arguments: [{ name: 'file', description: 'a list that others of the team signed' }],
  options: [
    TARGETS_OPTION,
    KEY_OPTION,
    { flags: '--against <file>', description: 'the list that it follows, to compare with' },
    { flags: '-o, --out <file>', description: 'file to write instead of FILE' },
    ...[YES_OPTION, PASSPHRASE_OPTION],
  ],
  examples: [
    'ironport-repo revocations sign 5.list.json --against 4.list.json --targets 7.targets.json --key s2.json',
  ],
  schema: 'ironport-repo/revocations-sign/v1',
  async run(context) {
    const path = context.args[0] as string;
    const trust = await loadTrust(context);
    const read = await loadList(path);
    const earlier = context.text('against');
    const against = earlier === undefined ? undefined : readList(await loadList(earlier)).list;
    const { list } = readList(read);
    const signers = await signersOf(context);
    const said = show(context, against, list);
    await confirmSigning(context, `list ${list.version}`, signers);
    const bytes = await addListSignatures(crypto, read, trust, signers);
    const out = context.text('out');
    if (out === undefined) await replaceSigned(path, read, bytes);
    else await writeSigned(out, bytes);
    return resultOf(out ?? path, bytes, trust, said);
  },
};

export const revocationsShow: CommandSpec = {
  name: 'revocations show',
  summary: 'show all that a list revokes, and whether enough of the team signed it',
  arguments: [{ name: 'file', description: 'a list' }],
  options: [TARGETS_OPTION],
  examples: ['ironport-repo revocations show 5.list.json --targets 7.targets.json'],
  schema: 'ironport-repo/revocations-show/v1',
  async run(context) {
    const trust = await loadTrust(context);
    const path = context.args[0] as string;
    const bytes = await loadList(path);
    const { list } = readList(bytes);
    const said = revocationDiff(undefined, list);
    const result = resultOf(path, bytes, trust, said);
    return {
      data: { ...(result.data as object), list: revocationPredicate(list) },
      text: `${diffText(said)}\n${result.text}`,
    };
  },
};

export const revocationsDiff: CommandSpec = {
  name: 'revocations diff',
  summary: 'say in words what a list revokes that an earlier one did not',
  arguments: [
    { name: 'before', description: 'the earlier list' },
    { name: 'after', description: 'the later one' },
  ],
  examples: ['ironport-repo revocations diff 4.list.json 5.list.json'],
  schema: 'ironport-repo/revocations-diff/v1',
  async run({ args }) {
    const [before, after] = [await loadList(args[0] as string), await loadList(args[1] as string)];
    const said = revocationDiff(readList(before).list, readList(after).list);
    return { data: { changes: said }, text: diffText(said) };
  },
};

function show(
  { ui }: CommandContext,
  before: RevocationList | undefined,
  after: RevocationList,
): TrustChange[] {
  const said = revocationDiff(before, after);
  ui.stage(`list ${after.version} says:\n${diffText(said)}`);
  return said;
}

export function resultOf(
  path: string,
  bytes: Uint8Array,
  trust: RevocationTrust,
  said: readonly TrustChange[],
): CommandResult {
  const { list } = readList(bytes);
  const have = listStanding(crypto, bytes, trust);
  const complete = have >= trust.threshold;
  return {
    data: {
      file: path,
      epoch: list.epoch,
      version: list.version,
      changes: said,
      signatures: { have, need: trust.threshold },
      complete,
    },
    text: `${have} of the ${trust.threshold} signatures needed by the security team\n${
      complete
        ? `${path} is complete; \`ironport-repo revocations renew\` lists it, and \`ironport-repo submit\` publishes both`
        : `${path} needs more: \`ironport-repo revocations sign ${path} --key KEY\` on another signer's machine`
    }`,
  };
}
