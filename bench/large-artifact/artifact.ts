/** A file that compresses, deduplicates and sparsifies no better than a real binary's worst case. */

import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';

const PIECE = 4 * 1024 * 1024;

/** Writes `length` bytes of a key stream of AES; another one in each call. Returns their SHA-256. */
export async function writeArtifact(path: string, length: number): Promise<string> {
  const cipher = createCipheriv('aes-128-ctr', randomBytes(16), randomBytes(16));
  const hash = createHash('sha256');
  const zeros = Buffer.alloc(PIECE);
  const file: FileHandle = await open(path, 'w');
  try {
    for (let left = length; left > 0; left -= PIECE) {
      const piece = cipher.update(left < PIECE ? zeros.subarray(0, left) : zeros);
      hash.update(piece);
      await file.writeFile(piece);
    }
    // What is still on its way to the disk would slow whoever is measured first.
    await file.sync();
  } finally {
    await file.close();
  }
  return hash.digest('hex');
}
