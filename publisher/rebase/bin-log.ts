/**
 * What this folder signed of the roles below its own, bins and nested ones: a line for each, with a
 * digest of what it says, dates and numbers apart. Written before one is sent. A role of a million
 * targets has thousands of bins, of which no copy is kept.
 */

import { appendFile, open } from 'node:fs/promises';
import { join } from 'node:path';
import { toHex, utf8 } from '../../shared/bytes.ts';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { canonicalBytes } from '../../shared/json/canonical.ts';
import { type JsonObject, jsonObject } from '../../shared/json/value.ts';
import { vendorFolder } from '../../shared/layout.ts';
import { PUBLISHER_LIMITS } from '../../shared/limits.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { readFileCapped, writeFileAtomic } from '../../shared/node/files.ts';

export interface SignedBinLine {
  readonly role: string;
  readonly version: number;
  readonly says: string;
}

/** A digest of what a role says, dates and numbers apart. */
export function digestOf(crypto: Crypto, tree: JsonObject): string {
  const fields = Object.entries(tree).filter(([key]) => key !== 'version' && key !== 'expires');
  return toHex(crypto.sha256(canonicalBytes(jsonObject(fields))));
}

export class BinLog {
  readonly #path: string;
  /** Of each role the last two that were signed: the last one may not have been published. */
  readonly #lines: Map<string, SignedBinLine[]>;

  private constructor(path: string, lines: Map<string, SignedBinLine[]>) {
    this.#path = path;
    this.#lines = lines;
  }

  /** Reads the log; a last line that a crash cut short counts for nothing. `E_STORE`. */
  static async load(dir: string): Promise<BinLog> {
    const path = join(dir, vendorFolder.signedBins);
    const lines = new Map<string, SignedBinLine[]>();
    let total = 0;
    const texts = (await readLog(path)).split('\n');
    texts.pop();
    for (const text of texts) {
      const match = /^(\S{1,100}) ([1-9]\d{0,15}) ([0-9a-f]{64})$/.exec(text);
      if (match === null)
        throw new IronError('E_STORE', `${path} is damaged`, {
          why: `this line is none of ours: ${JSON.stringify(text.slice(0, 80))}`,
          hint: 'nothing was signed; move it away: what is published is then shown as new to this folder',
        });
      const [, role, version, says] = match as unknown as [string, string, string, string];
      const line = { role, version: Number(version), says };
      lines.set(role, [...(lines.get(role) ?? []).slice(-1), line]);
      total += 1;
    }
    const log = new BinLog(path, lines);
    if (total > 4 * lines.size + 1000) await log.#compact();
    return log;
  }

  /** Whether this folder signed what a published role says. */
  knows(role: string, says: string): boolean {
    return this.#lines.get(role)?.some((line) => line.says === says) ?? false;
  }

  get isEmpty(): boolean {
    return this.#lines.size === 0;
  }

  /** Notes what was signed, durably. */
  async add(lines: readonly SignedBinLine[]): Promise<void> {
    if (lines.length === 0) return;
    await onPath(this.#path, async () => {
      await appendFile(this.#path, lines.map(textOf).join(''), { mode: 0o600 });
      const file = await open(this.#path, 'r');
      try {
        await file.sync();
      } finally {
        await file.close();
      }
    });
    for (const line of lines)
      this.#lines.set(line.role, [...(this.#lines.get(line.role) ?? []).slice(-1), line]);
  }

  async #compact(): Promise<void> {
    const text = [...this.#lines.values()].flat().map(textOf).join('');
    await writeFileAtomic(this.#path, utf8(text), { mode: 0o600 });
  }
}

async function readLog(path: string): Promise<string> {
  try {
    const bytes = await readFileCapped(path, PUBLISHER_LIMITS.binLog);
    return new TextDecoder('latin1').decode(bytes);
  } catch (error) {
    if (isIronError(error, 'E_NOT_FOUND')) return '';
    throw error;
  }
}

function textOf({ role, version, says }: SignedBinLine): string {
  return `${role} ${version} ${says}\n`;
}
