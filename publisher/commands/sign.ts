/** `sign`: one signature more on a role that several must sign. */

import type { CommandContext, CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { confirm, YES_OPTION } from '../../shared/cli/confirm.ts';
import { IronError } from '../../shared/errors.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { readFileCapped, writeFileAtomic, writeFileExclusive } from '../../shared/node/files.ts';
import { addSignatures } from '../../shared/tuf/build.ts';
import { diffText, trustDiff } from '../../shared/tuf/diff/trust-diff.ts';
import { parseArtifactPath } from '../../shared/tuf/names.ts';
import { parseTargets, type Targets } from '../../shared/tuf/targets.ts';
import { loadConfig } from '../config.ts';
import { countSignatures, handIn } from '../hand-in.ts';
import { remember } from '../rebase/floor.ts';
import {
  apiOf,
  REPOSITORY_OPTION,
  ROOT_OPTION,
  type Session,
  verifiedBase,
  withSession,
} from '../session.ts';
import { DIR_OPTION, PASSPHRASE_OPTION, VendorSigners } from '../signers.ts';

export const sign: CommandSpec = {
  name: 'sign',
  summary: "add a signature to the vendor's role, and hand it in when it has enough",
  description:
    'Shows what the role changes and signs it with the TUF keys of this folder. With --repository it is compared with what is published, as verified from the pinned root, and handed in once it has all of its signatures; without, it is only signed.',
  arguments: [{ name: 'file', description: 'the role file that another signer passed on' }],
  options: [
    DIR_OPTION,
    { ...REPOSITORY_OPTION, required: false },
    ROOT_OPTION,
    { flags: '--against <file>', description: 'without --repository: the version to compare with' },
    { flags: '-o, --out <file>', description: 'file to write instead of FILE' },
    YES_OPTION,
    PASSPHRASE_OPTION,
  ],
  examples: [
    'ironport sign acme/signed/last.json --dir acme-second --repository http://127.0.0.1:8080',
    'ironport sign 5.acme.json --dir acme-second --against 4.acme.json',
  ],
  schema: 'ironport/sign/v1',
  async run(context) {
    if (context.text('repository') === undefined) return signAlone(context);
    return withSession(context, signAndHandIn);
  },
};

async function signAlone(context: CommandContext): Promise<CommandResult> {
  const dir = context.need('dir');
  const config = await loadConfig(dir);
  const path = context.args[0] as string;
  const role = await loadRole(path, config.vendor);
  const against = context.text('against');
  const before = against === undefined ? undefined : await loadRole(against, config.vendor);
  if (before === undefined)
    context.ui.warn(
      'neither --repository nor --against was given: all that it says is shown as new',
    );
  show(context, before, role);
  await confirm(context, `sign ${config.vendor} ${role.version}?`);
  const signers = await new VendorSigners(context, dir, config).here('tuf');
  const bytes = await addSignatures(crypto, role.envelope, signers);
  const file = await write(context, path, bytes);
  return {
    data: { file, role: config.vendor, version: role.version, published: false },
    text: `${file} is signed; whether it has enough signatures, --repository can tell`,
  };
}

async function signAndHandIn(session: Session): Promise<CommandResult> {
  const { context, dir, config, signers } = session;
  const { vendor } = config;
  const path = context.args[0] as string;
  const role = await loadRole(path, vendor);
  const base = await verifiedBase(session);
  // A version that does not follow was made on top of another state than the published one.
  if (role.version !== (base.role?.version ?? 0) + 1) {
    throw new IronError(
      'E_VERSION',
      `${path} is ${vendor} ${role.version}, and ${base.role?.version ?? 'none'} is published`,
      {
        hint: 'nothing was signed; let it be made again on top of what is published',
      },
    );
  }
  show(context, base.role, role);
  await confirm(context, `sign ${vendor} ${role.version}?`);
  const bytes = await addSignatures(crypto, role.envelope, await signers.here('tuf'));
  const signed = countSignatures(base, bytes, vendor);
  const file = await write(context, path, bytes);
  const signatures = { have: signed.have, need: signed.need };
  const facts = { file, role: vendor, version: role.version, signatures };
  if (signed.have < signed.need) {
    return {
      data: { ...facts, published: false },
      text: `${file} has ${signed.have} of the ${signed.need} signatures that it needs: pass it on`,
    };
  }
  await remember(dir, 'lastSigned', bytes);
  const published = await handIn(session, await apiOf(session), signed);
  return {
    data: { ...facts, published: true, ...published },
    text: `${vendor} ${role.version} is published, in snapshot ${published.snapshot}`,
  };
}

/** The vendor's own role and nothing else: not the operators' targets, nor another vendor's role. */
async function loadRole(path: string, vendor: string): Promise<Targets> {
  const role = parseTargets(await readFileCapped(path, METADATA_LIMITS.targets), path);
  const foreign = role.paths().find((target) => parseArtifactPath(target).vendor !== vendor);
  if (foreign === undefined && role.delegations === undefined) return role;
  throw new IronError('E_NOT_AUTHORISED', `${path} is not a role of ${vendor}`, {
    why: foreign === undefined ? 'it delegates to others' : `it lists ${foreign}`,
    hint: 'nothing was signed; ask whoever passed it on what it is',
  });
}

function show({ ui }: CommandContext, before: Targets | undefined, after: Targets): void {
  const changes = trustDiff(
    crypto,
    before && { type: 'targets', file: before },
    { type: 'targets', file: after },
    systemClock(),
  );
  ui.stage(`this is what it changes:\n${diffText(changes)}`);
}

async function write(context: CommandContext, path: string, bytes: Uint8Array): Promise<string> {
  const out = context.text('out');
  if (out === undefined) await writeFileAtomic(path, bytes, { mode: 0o600 });
  else await writeFileExclusive(out, bytes);
  return out ?? path;
}
