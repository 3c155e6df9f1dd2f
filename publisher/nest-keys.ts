/** Whose signatures a nested role is to have: keys that are named, made, or those that it has. */

import { passphraseSource } from '../shared/cli/secret.ts';
import { ed25519Key, type PublicKey } from '../shared/crypto/key.ts';
import { IronError } from '../shared/errors.ts';
import { ADMISSION_LIMITS, KEY_FILE_LIMITS } from '../shared/limits.ts';
import { readFileCapped } from '../shared/node/files.ts';
import { isPublicKeyFile } from '../shared/node/signers/key-file.ts';
import { newPassphrase } from '../shared/node/signers/passphrase.ts';
import { isSignerUri, openPublicKey } from '../shared/node/signers/uri.ts';
import type { RoleSpec } from '../shared/tuf/build.ts';
import type { DelegatedRole } from '../shared/tuf/delegations.ts';
import { fromAnywhere, replaceConfig, resolveKey, type VendorConfig } from './config.ts';
import { makeKeys } from './new-keys.ts';
import type { Session } from './session.ts';
import { VendorSigners } from './signers.ts';

/**
 * Keys and threshold. Nothing is made or written until `keep`: what cannot be nested is refused before,
 * by these keys or, for those that are to be made, by others in their place.
 */
export interface NestKeys extends RoleSpec {
  /** Makes the keys that are to be made, and lets vendor.json name those that sign here. */
  keep(): Promise<KeptKeys>;
}

/** The keys themselves, and a session that can sign with those of them that are here. */
export interface KeptKeys extends RoleSpec {
  readonly session: Session;
}

/**
 * As the options say. `E_USAGE`, `E_KEY`, `E_NOT_FOUND`.
 * @param before the delegation that is published of this role
 */
export async function nestKeys(
  session: Session,
  role: string,
  before: DelegatedRole | undefined,
): Promise<NestKeys> {
  const { context, config } = session;
  const named = context.list('key').map(fromAnywhere);
  const count = context.number('make-keys', 1);
  if (named.length > 0 && count !== undefined)
    throw new IronError('E_USAGE', 'keys were named, and are to be made as well', {
      hint: 'nothing was changed; give --key or --make-keys',
    });
  const isKept = named.length === 0 && count === undefined;
  if (isKept && before !== undefined) {
    const keys = before.keyids.flatMap((id) => before.table.get(id)?.publicKey ?? []);
    const spec = { keys, threshold: thresholdOf(session, keys, before.threshold) };
    return { ...spec, keep: async () => ({ ...spec, session }) };
  }
  const known = isKept ? (config.nested?.get(role) ?? []) : [];
  const uris = [...named, ...known];
  const found = uris.length > 0 ? await opened(session, uris) : undefined;
  const keys = found?.map(({ key }) => key) ?? standIns(count ?? 1);
  const threshold = thresholdOf(session, keys, before?.threshold ?? 1);
  return {
    keys,
    threshold,
    async keep() {
      const kept = found ?? (await made(session, role, keys.length));
      const signing = kept.filter(({ isPublic }) => !isPublic).map(({ uri }) => uri);
      return {
        session: await withKeys(session, role, signing),
        keys: kept.map(({ key }) => key),
        threshold,
      };
    },
  };
}

/** So many keys that nobody has, where those that will be made are not there yet. `E_USAGE`. */
function standIns(count: number): PublicKey[] {
  if (count > ADMISSION_LIMITS.keys)
    throw new IronError('E_USAGE', `at most ${ADMISSION_LIMITS.keys} keys sign one role`, {
      hint: 'nothing was changed',
    });
  return Array.from({ length: count }, (_, i) => ed25519Key(new Uint8Array(32).fill(i + 2)));
}

interface FoundKey {
  readonly uri: string;
  readonly key: PublicKey;
  /** Whether it is the public half alone: somebody else signs with it. */
  readonly isPublic: boolean;
}

async function opened({ context, dir }: Session, uris: readonly string[]): Promise<FoundKey[]> {
  const found: FoundKey[] = [];
  for (const uri of uris) {
    const place = resolveKey(dir, uri);
    const isFile = !isSignerUri(place);
    const isPublic = isFile && isPublicKeyFile(await readFileCapped(place, KEY_FILE_LIMITS.file));
    found.push({ uri, key: await openPublicKey(place, passphraseSource(context)), isPublic });
  }
  return found;
}

async function made({ context, dir }: Session, role: string, count: number): Promise<FoundKey[]> {
  const source = passphraseSource(context);
  const passphrase = await newPassphrase('the new keys', source, context.flag('encrypt'));
  const keys = await makeKeys(
    dir,
    `nested-${role.slice(role.indexOf('.') + 1)}`,
    count,
    passphrase,
  );
  return keys.map(({ file, key }) => ({ uri: file, key, isPublic: false }));
}

function thresholdOf({ context }: Session, keys: readonly PublicKey[], otherwise: number): number {
  const threshold = context.number('threshold', 1) ?? otherwise;
  if (threshold <= keys.length) return threshold;
  throw new IronError('E_USAGE', `${threshold} of ${keys.length} keys can never sign`, {
    hint: 'nothing was signed; name more keys, or give --threshold',
  });
}

/** Writes who signs the role into vendor.json. */
async function withKeys(session: Session, role: string, uris: readonly string[]): Promise<Session> {
  const { context, dir, config } = session;
  const nested = new Map([...(config.nested ?? []), [role, uris]]);
  if (uris.length === 0) nested.delete(role);
  const next: VendorConfig = { ...config, nested };
  await replaceConfig(dir, next);
  return { ...session, config: next, signers: new VendorSigners(context, dir, next) };
}
