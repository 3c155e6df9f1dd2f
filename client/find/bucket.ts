/**
 * Where this host stands in the rollout of an artifact. The machine's id keys an HMAC over the
 * artifact's digest: the same host gets the same answer for the same bytes, another one for others,
 * and nobody who knows the answer learns the id, which never leaves the host.
 */

import { createHmac, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { fromHex, fromUtf8, toHex, utf8 } from '../../shared/bytes.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { readFileCapped, writeFileExclusive } from '../../shared/node/files.ts';
import { ensurePrivateFolder } from '../../shared/node/folders.ts';

const PURPOSE = 'ironport rollout v1\n';

/** 0 to below 100 for the artifact with this SHA-256. */
export function bucketOf(machineId: string, sha256: string): number {
  const mac = createHmac('sha256', utf8(machineId))
    .update(PURPOSE)
    .update(fromHex(sha256))
    .digest();
  return (mac.readUIntBE(0, 6) / 2 ** 48) * 100;
}

/** machine-id(5): 32 lower-case hexadecimal digits, and not all of them 0. */
const FORM = /^(?!0{32})[0-9a-f]{32}$/;
const MACHINE_ID = '/etc/machine-id';

/**
 * The id of this machine: the file `given`, or /etc/machine-id, or where there is none (in a
 * container, say) one that is made once and kept in `folder`. `E_CONFIG` when the file that was
 * given holds none.
 */
export async function machineId(given: string | undefined, folder: string): Promise<string> {
  const found = await readId(given ?? MACHINE_ID);
  if (found !== undefined) return found;
  if (given !== undefined) {
    throw new IronError('E_CONFIG', `${given} holds no machine id`, {
      why: 'it is 32 lower-case hexadecimal digits, as machine-id(5) has it',
    });
  }
  const place = join(folder, 'machine-id');
  const kept = await readId(place);
  if (kept !== undefined) return kept;
  await ensurePrivateFolder(folder);
  const made = toHex(new Uint8Array(randomBytes(16)));
  try {
    await writeFileExclusive(place, utf8(`${made}\n`), { mode: 0o600 });
    return made;
  } catch (error) {
    // Another process was first: its id is the one.
    const theirs = isIronError(error, 'E_EXISTS') ? await readId(place) : undefined;
    if (theirs === undefined) throw error;
    return theirs;
  }
}

async function readId(path: string): Promise<string | undefined> {
  try {
    const text = fromUtf8(await readFileCapped(path, 256)).trim();
    return FORM.test(text) ? text : undefined;
  } catch (error) {
    if (isIronError(error, 'E_NOT_FOUND', 'E_IO', 'E_TOO_LARGE')) return undefined;
    throw error;
  }
}
