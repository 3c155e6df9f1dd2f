/**
 * What this folder signed, of its own role and of those below it, bins and nested ones: a line for each, with
 * a digest of what it says, dates and numbers apart. Written before one is sent. A role of a million
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
import { parentRole } from '../../shared/tuf/nested.ts';
import type { Targets } from '../../shared/tuf/targets.ts';

export interface SignedBinLine {
  readonly role: string;
  readonly version: number;
  readonly says: string;
}

/** What is noted of a role file. */
export function lineOf(
  crypto: Crypto,
  role: string,
  { version, envelope }: Targets,
): SignedBinLine {
  return { role, version, says: digestOf(crypto, envelope.tree) };
}

/** A digest of what a role says, dates and numbers apart. */
export function digestOf(crypto: Crypto, tree: JsonObject): string {
  const fields = Object.entries(tree).filter(([key]) => key !== 'version' && key !== 'expires');
  return toHex(crypto.sha256(canonicalBytes(jsonObject(fields))));
}

export class BinLog {
  readonly #path: string;
  /** Of each role those that were signed last, or may be published yet. */
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
      lines.set(role, kept([...(lines.get(role) ?? []), line]));
      total += 1;
    }
    const log = new BinLog(path, lines);
    const useful = [...lines.values()].reduce((sum, { length }) => sum + length, 0);
    if (total > 2 * useful + 1000) await log.#compact();
    return log;
  }

  /**
   * Whether this folder signed what a published role says: in this very version, or as one of the last two. What it
   * signed longer ago counts in no other version: a thief could bring back what was withdrawn since.
   */
  knows({ role, version, says }: SignedBinLine): boolean {
    const lines = this.#lines.get(role) ?? [];
    return lines.some(
      (line, i) => line.says === says && (line.version === version || i >= lines.length - LAST),
    );
  }

  /** Whether this folder signed this file, or another one of this version that says the same. */
  signed({ role, version, says }: SignedBinLine): boolean {
    const lines = this.#lines.get(role) ?? [];
    return lines.some((line) => line.says === says && line.version === version);
  }

  /** Whether nothing is known of any role below the own one. */
  get isEmpty(): boolean {
    return [...this.#lines.keys()].every((role) => parentRole(role) === undefined);
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
      this.#lines.set(line.role, kept([...(this.#lines.get(line.role) ?? []), line]));
  }

  async #compact(): Promise<void> {
    const text = [...this.#lines.values()].flat().map(textOf).join('');
    await writeFileAtomic(this.#path, utf8(text), { mode: 0o600 });
  }
}

/** So many that were signed last count in whatever version they are published. */
const LAST = 2;
/** Most lines that are kept of a role. */
const MOST = 16;

/**
 * What is kept of a role: the last ones, the last of which may not have been published; and what may be
 * published yet, or was when the last one was signed. Of several that wait for reviewers, or for signatures,
 * any may be.
 */
function kept(lines: readonly SignedBinLine[]): SignedBinLine[] {
  const newest = lines.reduce((most, { version }) => Math.max(most, version), 0);
  const last = lines.length - LAST;
  return lines
    .filter(({ version, says }, i) => {
      if (i >= last) return true;
      const isSaidAgain = lines.some(
        (other, at) => at > i && other.version === version && other.says === says,
      );
      return version >= newest - 1 && !isSaidAgain;
    })
    .slice(-MOST);
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
