/** The own role, noted as signed in this folder before it leaves it. */

import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import { BinLog, lineOf } from './bin-log.ts';
import { remember } from './floor.ts';

export interface SignedFile {
  readonly bytes: Uint8Array;
  readonly role: Targets;
}

/** Durably: as what was signed last, and by its digest beside what was signed before and may be published yet. */
export async function noteSigned(
  dir: string,
  vendor: string,
  { bytes, role }: SignedFile,
): Promise<void> {
  const log = await BinLog.load(dir);
  await log.add([lineOf(crypto, vendor, role)]);
  await remember(dir, 'lastSigned', bytes);
}
