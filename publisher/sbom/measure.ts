/** One file of a bill of materials: its digests, and what stands in its first bytes. */

import { createHash } from 'node:crypto';
import { concatBytes, toHex } from '../../shared/bytes.ts';
import { isElf } from '../../shared/evidence/elf/headers.ts';
import { isLicence, licenceHolds } from '../../shared/evidence/licences.ts';
import { ELF_LIMITS, PUBLISHER_LIMITS } from '../../shared/limits.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { openRegular } from '../../shared/node/files.ts';
import { pieces } from '../../shared/node/hash.ts';

export interface MeasuredFile {
  readonly length: number;
  readonly sha1: string;
  readonly sha256: string;
  readonly sha512: string;
  /** Licence expressions of its `SPDX-License-Identifier` lines, in their order. */
  readonly licences: readonly string[];
  /** The bytes, when it begins as an ELF file and is not too large to be read whole. */
  readonly elf?: Uint8Array;
}

export async function measureFile(path: string, signal: AbortSignal): Promise<MeasuredFile> {
  const hashes = {
    sha1: createHash('sha1'),
    sha256: createHash('sha256'),
    sha512: createHash('sha512'),
  };
  let length = 0;
  let head = new Uint8Array();
  let kept: Uint8Array[] | undefined = [];
  const file = await openRegular(path, { nofollow: true });
  try {
    await onPath(path, async () => {
      for await (const piece of pieces(file)) {
        signal.throwIfAborted();
        for (const hash of Object.values(hashes)) hash.update(piece);
        if (length === 0) {
          head = piece.slice(0, PUBLISHER_LIMITS.licenceBytes);
          if (!isElf(head)) kept = undefined;
        }
        length += piece.length;
        if (length > ELF_LIMITS.file) kept = undefined;
        kept?.push(piece.slice());
      }
    });
  } finally {
    await file.close();
  }
  const elf = length > 0 && kept !== undefined ? concatBytes(...kept) : undefined;
  const [sha1, sha256, sha512] = [hashes.sha1, hashes.sha256, hashes.sha512].map((hash) =>
    toHex(hash.digest()),
  ) as [string, string, string];
  return {
    length,
    sha1,
    sha256,
    sha512,
    licences: elf === undefined ? licencesIn(head) : [],
    ...(elf !== undefined && { elf }),
  };
}

/** SPDX 2.3, annex E: a line with an expression, in whatever comment the language has. */
function licencesIn(head: Uint8Array): string[] {
  // Binary files say it by accident, if they do.
  if (head.includes(0)) return [];
  const text = new TextDecoder().decode(head);
  const lines = text.matchAll(/SPDX-License-Identifier:[ \t]*([A-Za-z0-9.+ ()-]{1,200})/g);
  const found = Array.from(lines, ([, expression]) =>
    (expression as string).trim().replace(/ -+$/, ''),
  );
  return [...new Set(found.filter(isExpression))];
}

export function isExpression(text: string): boolean {
  return isLicence(text) || licenceHolds(text, () => true) !== undefined;
}
