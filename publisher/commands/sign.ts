/** `sign`: one signature more on a role that several must sign. */

import { stat } from 'node:fs/promises';
import type { CommandContext, CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { confirm, YES_OPTION } from '../../shared/cli/confirm.ts';
import { IronError } from '../../shared/errors.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { readFileCapped, writeFileAtomic, writeFileExclusive } from '../../shared/node/files.ts';
import { addSignatures } from '../../shared/tuf/build.ts';
import { nestedRole } from '../../shared/tuf/nested.ts';
import { parseTargets, type Targets } from '../../shared/tuf/targets.ts';
import {
  coSign,
  demandOwnRole,
  leaveWaiting,
  showRole,
  waitingData,
  waitingText,
} from '../co-sign.ts';
import { loadConfig } from '../config.ts';
import { handIn } from '../hand-in.ts';
import { noteSigned } from '../rebase/note-signed.ts';
import {
  apiOf,
  REPOSITORY_OPTION,
  ROOT_OPTION,
  type Session,
  verifiedBase,
  withSession,
} from '../session.ts';
import { signFolder } from '../sign-folder.ts';
import {
  bringNested,
  coSignNested,
  demandVendorsFile,
  signNestedAlone,
} from '../sign-nested-file.ts';
import { DIR_OPTION, PASSPHRASE_OPTION, VendorSigners } from '../signers.ts';

export const sign: CommandSpec = {
  name: 'sign',
  summary:
    "add a signature to the vendor's role, or a nested one, and hand it in when it has enough",
  description:
    'Shows what the role changes and signs it with the TUF keys of this folder, or with those of the nested role. With --repository it is compared with what is published, as verified from the pinned root, and handed in once it has all of its signatures; without, it is only signed. Of a folder, as `ironport split --out` makes one, all roles are shown and signed together.',
  arguments: [
    { name: 'file', description: 'the role file, or the folder, that another signer passed on' },
  ],
  options: [
    DIR_OPTION,
    { flags: '--role <name>', description: 'it is of the nested role VENDOR.NAME' },
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
    'ironport sign carried.json --role wifi --dir wifi-team --repository http://127.0.0.1:8080',
    'ironport sign division --dir acme-second --repository http://127.0.0.1:8080',
  ],
  schema: 'ironport/sign/v1',
  async run(context) {
    const path = context.args[0] as string;
    const isFolder = await onPath(
      path,
      async () => (await stat(path)).isDirectory(),
      'E_NOT_FOUND',
    );
    if (isFolder) demandForFolder(context);
    if (context.text('repository') === undefined) return signAlone(context);
    return withSession(context, (session) =>
      isFolder ? signFolder(session, path) : signAndHandIn(session),
    );
  },
};

/** What many roles change is told against what is published, and they say themselves which they are. `E_USAGE`. */
function demandForFolder(context: CommandContext): void {
  const option = ['role', 'against', 'out'].find((name) => context.text(name) !== undefined);
  if (option !== undefined)
    throw new IronError('E_USAGE', `--${option} is said of a file, and this is a folder`, {
      hint: 'nothing was signed; a folder is signed in its place',
    });
  if (context.text('repository') === undefined)
    throw new IronError('E_USAGE', 'the roles of a folder are compared with what is published', {
      hint: 'nothing was signed; give --repository',
    });
}

async function signAlone(context: CommandContext): Promise<CommandResult> {
  const dir = context.need('dir');
  const config = await loadConfig(dir);
  const path = context.args[0] as string;
  const name = roleOf(context, config.vendor);
  const isNested = name !== config.vendor;
  const role = await loadRole(path, name);
  const against = context.text('against');
  const before = against === undefined ? undefined : await loadRole(against, name);
  if (before === undefined)
    context.ui.warn(
      'neither --repository nor --against was given: all that it says is shown as new',
    );
  if (isNested) demandVendorsFile(config.vendor, name, role);
  else demandOwnRole(role, before, config.vendor);
  showRole(context, before, role, isNested ? name : undefined);
  await confirm(context, `sign ${name} ${role.version}?`);
  const signers = new VendorSigners(context, dir, config);
  const bytes = isNested
    ? await signNestedAlone(signers, name, role)
    : await addSignatures(crypto, role.envelope, await signers.here('tuf'));
  const file = await write(context, path, bytes);
  return {
    data: { file, role: name, version: role.version, published: false },
    text: `${file} is signed; whether it has enough signatures, --repository can tell`,
  };
}

async function signAndHandIn(session: Session): Promise<CommandResult> {
  const { context, dir, config } = session;
  const { vendor } = config;
  const path = context.args[0] as string;
  const name = roleOf(context, vendor);
  const role = await loadRole(path, name);
  if (name !== vendor) return await signNestedFile(session, path, name, role);
  const base = await verifiedBase(session);
  const { changes: _changes, ...signed } = await coSign(session, base, role);
  const { bytes } = signed;
  const file = await write(context, path, bytes);
  const signatures = { have: signed.have, need: signed.need };
  const facts = { file, role: vendor, version: role.version, signatures };
  await noteSigned(dir, vendor, signed);
  const api = await apiOf(session);
  if (signed.have < signed.need) {
    const waiting = await leaveWaiting(session, api, { own: signed, nested: [] });
    return {
      data: { ...facts, ...waitingData(waiting), file },
      text: waitingText(waiting, signed),
    };
  }
  const published = await handIn(session, api, signed);
  return {
    data: { ...facts, published: true, ...published },
    text: `${vendor} ${role.version} is published, in snapshot ${published.snapshot}`,
  };
}

async function signNestedFile(
  session: Session,
  path: string,
  role: string,
  read: Targets,
): Promise<CommandResult> {
  const signed = await coSignNested(session, role, read);
  const { version, have, need } = signed;
  const file = await write(session.context, path, signed.bytes);
  const facts = { file, role, version, signatures: { have, need } };
  const outcome = await bringNested(session, await apiOf(session), signed);
  if ('waiting' in outcome)
    return {
      data: { ...facts, ...waitingData(outcome.waiting), file },
      text: waitingText(outcome.waiting, signed),
    };
  return {
    data: { ...facts, published: true, ...outcome.published },
    text: `${role} ${version} is published, in snapshot ${outcome.published.snapshot}`,
  };
}

/** Of which role the file is: the file does not say. `E_NAME`. */
function roleOf(context: CommandContext, vendor: string): string {
  const name = context.text('role');
  return name === undefined ? vendor : nestedRole(vendor, name);
}

async function loadRole(path: string, vendor: string): Promise<Targets> {
  return parseTargets(await readFileCapped(path, METADATA_LIMITS.targets), vendor);
}

async function write(context: CommandContext, path: string, bytes: Uint8Array): Promise<string> {
  const out = context.text('out');
  if (out === undefined) await writeFileAtomic(path, bytes, { mode: 0o600 });
  else await writeFileExclusive(out, bytes);
  return out ?? path;
}
