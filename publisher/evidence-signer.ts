/** Which evidence key of a folder signs: one that the published role does not list as retired. */

import { passphraseSource } from '../shared/cli/secret.ts';
import { keyIdentity, type PublicKey } from '../shared/crypto/key.ts';
import type { Signer } from '../shared/crypto/signer.ts';
import { isIronError } from '../shared/errors.ts';
import { parseEvidenceKeys } from '../shared/evidence/keys.ts';
import { platformCrypto as crypto } from '../shared/node/crypto.ts';
import { openPublicKey } from '../shared/node/signers/uri.ts';
import { keyId, shortKeyId } from '../shared/tuf/key.ts';
import { replaceConfig, resolveKey } from './config.ts';
import type { Base } from './rebase/base.ts';
import type { Session } from './session.ts';

/**
 * The first one of vendor.json that is here and signs still: where several have a folder each, one of them
 * retires a key that the others name as well. Where all are retired the first, which is refused later on.
 * @param leaving a key that is about to be retired
 */
export async function evidenceSigner(
  { context, signers }: Session,
  { role }: Base,
  leaving?: PublicKey,
): Promise<Signer> {
  const here = await signers.here('evidence');
  const retired = role === undefined ? [] : parseEvidenceKeys(role.envelope.signed).retired;
  const gone = new Set(retired.map(keyIdentity));
  if (leaving !== undefined) gone.add(keyIdentity(leaving));
  const signing = here.find(({ key }) => !gone.has(keyIdentity(key))) ?? (here[0] as Signer);
  for (const { key } of here.slice(0, here.indexOf(signing)))
    if (leaving === undefined || keyIdentity(key) !== keyIdentity(leaving))
      context.ui.note(
        `vendor.json names the evidence key ${shortKeyId(keyId(crypto, key))}, which is retired: it signs nothing new`,
      );
  return signing;
}

/** Takes a key that was retired out of vendor.json, where others are left. */
export async function forgetRetired(session: Session, retired: PublicKey): Promise<void> {
  const { context, dir, config } = session;
  const kept: string[] = [];
  for (const uri of config.keys.evidence) {
    const key = await openPublicKey(resolveKey(dir, uri), passphraseSource(context)).catch(
      (error) => {
        // One that is elsewhere is not known here.
        if (!isIronError(error, 'E_NOT_FOUND')) throw error;
        return undefined;
      },
    );
    if (key === undefined || keyIdentity(key) !== keyIdentity(retired)) kept.push(uri);
  }
  const gone = config.keys.evidence.filter((uri) => !kept.includes(uri));
  if (gone.length === 0 || kept.length === 0) return;
  await replaceConfig(dir, { ...config, keys: { ...config.keys, evidence: kept } });
  context.ui.note(`vendor.json names ${gone.join(' and ')} no longer; the file itself stays`);
}
