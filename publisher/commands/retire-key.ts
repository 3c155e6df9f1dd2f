/** `retire-key`: an evidence key signs nothing new, and stays good for what is listed. */

import type { CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { IronError } from '../../shared/errors.ts';
import { parseEvidenceKeys } from '../../shared/evidence/keys.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { keyId } from '../../shared/tuf/key.ts';
import { evidenceSigner, forgetRetired } from '../evidence-signer.ts';
import { publishChange } from '../own-change.ts';
import type { Base } from '../rebase/base.ts';
import {
  isOwnWork,
  REPOSITORY_OPTION,
  ROOT_OPTION,
  type Session,
  verifiedBase,
  withSession,
} from '../session.ts';
import { DIR_OPTION, PASSPHRASE_OPTION } from '../signers.ts';

export const retireKey: CommandSpec = {
  name: 'retire-key',
  summary: 'let an evidence key sign nothing new; what it signed of what is listed stays good',
  description:
    "Publishes one's own role with the key marked as retired, and with the evidence key of this folder as one that signs: `ironport rotate-keys --list evidence` makes that one first. No operator is needed. A key that was stolen is denied by the repository's list of revocations as well: retired, it would still be believed for what is listed.",
  arguments: [
    { name: 'keyid', description: 'the id of the key, or its beginning, of 8 digits at least' },
  ],
  options: [REPOSITORY_OPTION, DIR_OPTION, ROOT_OPTION, PASSPHRASE_OPTION],
  examples: ['ironport retire-key 3f9a1c22 --dir acme --repository http://127.0.0.1:8080'],
  schema: 'ironport/retire-key/v1',
  run: (context) => withSession(context, retire),
};

async function retire(session: Session): Promise<CommandResult> {
  const { context } = session;
  const [text = ''] = context.args;
  if (!/^[0-9a-f]{8,64}$/.test(text)) {
    throw new IronError('E_USAGE', `not the id of a key: ${JSON.stringify(text.slice(0, 70))}`, {
      hint: 'nothing was signed; 8 to 64 digits, as `ironport-repo key show` prints them',
    });
  }
  context.ui.stage('verifying the published state from the pinned root');
  const base = await verifiedBase(session);
  await isOwnWork(session, base);
  const retired = findKey(base, text);
  const signer = await evidenceSigner(session, base, retired);
  const [keyid, now] = [keyId(crypto, retired), keyId(crypto, signer.key)];
  const result = await publishChange(session, base, {
    change: { evidenceKeys: [signer.key], retired: [retired] },
    facts: { keyid, signs_now: now },
    text: `the key ${keyid.slice(0, 12)} is retired; ${now.slice(0, 12)} signs evidence`,
  });
  // One that waits for signatures is not retired yet.
  if ((result.data as { readonly published?: boolean }).published === true)
    await forgetRetired(session, retired);
  return result;
}

/** The active key whose id begins so: exactly one. */
function findKey({ role }: Base, text: string) {
  const keys =
    role === undefined ? { active: [], retired: [] } : parseEvidenceKeys(role.envelope.signed);
  const named = (list: typeof keys.active) =>
    list.filter((key) => keyId(crypto, key).startsWith(text));
  const [found, ...more] = named(keys.active);
  if (found !== undefined && more.length === 0) return found;
  if (found === undefined && named(keys.retired).length > 0) {
    throw new IronError('E_NOTHING_TO_DO', `the key ${text} is retired already`, {
      hint: 'nothing was signed',
    });
  }
  throw new IronError(
    'E_KEY',
    found === undefined
      ? `the published role lists no active evidence key ${text}`
      : `${more.length + 1} active evidence keys begin with ${text}`,
    { hint: 'nothing was signed; give the whole id' },
  );
}
