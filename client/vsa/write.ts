/**
 * Verification summaries of this host, with everything that the verdict rests on in a file beside
 * them. A replay (replay.ts) runs the same verification over that file, at the time of then, and
 * compares.
 */

import { dirname, join } from 'node:path';
import { toHex, utf8 } from '../../shared/bytes.ts';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { IronError } from '../../shared/errors.ts';
import { type Summary, signSummary } from '../../shared/evidence/vsa.ts';
import { type JsonObject, jsonObject } from '../../shared/json/value.ts';
import { store as layout } from '../../shared/layout.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { writeFileAtomic } from '../../shared/node/files.ts';
import { ensurePrivateFolder } from '../../shared/node/folders.ts';
import type { LoadedPolicy } from '../../shared/node/host-policy.ts';
import { loadFileSigner } from '../../shared/node/signers/file.ts';
import { openSigner } from '../../shared/node/signers/uri.ts';
import { writeNewKey } from '../../shared/node/signers/write-key.ts';
import { keyId } from '../../shared/tuf/key.ts';
import type { AgreedTarget } from '../map/mapped.ts';
import type { Repository } from '../repository.ts';
import type { VerifiedTarget } from '../verify-target.ts';
import { formatInputs, formatPolicy, inputsOf, policyOf } from './inputs.ts';
import { agreementOf, formatMapInputs, MAP_SCHEMA } from './map-inputs.ts';

export const SCHEMA = 'ironport.vsa-inputs/v1';

/** Where the inputs lie, beside the summary. */
export function inputsPath(summary: string): string {
  return `${summary}.inputs.json`;
}

/** The key `given`, or the one of the store at `folder`, which is made at first need. */
export async function hostSigner(
  folder: string,
  given: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Signer> {
  if (given !== undefined) return openSigner(given, { passphraseFile: undefined, env });
  const path = join(folder, layout.hostKey);
  try {
    return await loadFileSigner(path);
  } catch (error) {
    if (!(error instanceof IronError) || error.code !== 'E_NOT_FOUND') throw error;
  }
  await ensurePrivateFolder(dirname(path));
  await writeNewKey(path, 'ed25519', { created: systemClock() });
  return await loadFileSigner(path);
}

interface Written {
  readonly loaded: LoadedPolicy | undefined;
  readonly signer: Signer;
  readonly out: string;
}

/** Writes the summary of what one repository's verification came to, and its inputs. */
export async function writeSummary(
  options: Written & { readonly repository: Repository; readonly verified: VerifiedTarget },
): Promise<void> {
  const { repository, verified, loaded } = options;
  const inputs = jsonObject([
    ['schema', SCHEMA],
    ...Object.entries(await formatInputs(repository, verified)),
    ['policy', formatPolicy(loaded)],
  ]);
  await write(repository.crypto, { ...options, schema: SCHEMA, inputs });
}

/** The same of several that agreed; `map` is the map file as it was read. */
export async function writeMapSummary(
  options: Written & { readonly map: Uint8Array; readonly verified: AgreedTarget },
): Promise<void> {
  const { map, verified, loaded } = options;
  const inputs = await formatMapInputs(map, verified, loaded);
  const agreement = agreementOf(verified.agreement);
  await write(platformCrypto, { ...options, schema: MAP_SCHEMA, inputs, agreement });
}

/** The inputs, then the summary that names them by digest. */
async function write(
  crypto: Crypto,
  options: Written & {
    readonly verified: VerifiedTarget;
    readonly schema: string;
    readonly inputs: JsonObject;
    readonly agreement?: Summary['agreement'];
  },
): Promise<void> {
  const { verified, loaded, signer, out, schema, agreement } = options;
  const inputs = utf8(`${JSON.stringify(options.inputs)}\n`);
  const sha256 = toHex(crypto.sha256(inputs));
  const { verdict } = verified;
  const summary: Summary = {
    artifact: verdict,
    verdict: verdict.policy,
    time: verified.time,
    policy: policyOf(loaded),
    inputs: inputsOf(crypto, verdict.path, verified.sidecars, { schema, sha256 }),
    agreement,
  };
  const bytes = await signSummary(summary, { signer, keyid: keyId(crypto, signer.key) });
  await writeFileAtomic(inputsPath(out), inputs);
  await writeFileAtomic(out, bytes);
}
