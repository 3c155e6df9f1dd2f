/** The targets that role files list, and whether what lies in the tree is what was signed. */

import { join } from 'node:path';
import { tree } from '../../../shared/layout.ts';
import { hashFile } from '../../../shared/node/hash.ts';
import type { Targets } from '../../../shared/tuf/targets.ts';
import type { AbsentTargets } from '../../retention/absent.ts';
import { blobsOf } from '../../storage/blobs.ts';
import type { Findings } from './findings.ts';

export interface TargetBytesOptions {
  readonly folder: string;
  readonly findings: Findings;
  /** Places of all files of the tree. */
  readonly there: ReadonlySet<string>;
  readonly absent: AbsentTargets;
  readonly signal?: AbortSignal | undefined;
  readonly onBytes?: ((count: number) => void) | undefined;
}

export class TargetBytes {
  readonly #options: TargetBytesOptions;
  /** Places of the targets that were listed. Owned by `take`. */
  readonly listed = new Set<string>();
  /** Places of those that are in force and not there. Owned by `take`. */
  readonly wanted = new Set<string>();
  /** Bytes that were hashed. Owned by `take`. */
  measured = 0;

  constructor(options: TargetBytesOptions) {
    this.#options = options;
  }

  /**
   * Every target that a version lists has the bytes that were signed.
   * @param isInForce whether readers are sent to this version
   */
  async take(name: string, role: Targets, isInForce: boolean): Promise<void> {
    const { findings, there, absent } = this.#options;
    const blobs = await findings.guard(name, () => blobsOf(role, name));
    for (const { path, sha256, length } of blobs ?? []) {
      const place = tree.target(path, sha256);
      if (!there.has(place)) {
        absent.note(place, name, role.version);
        if (isInForce) this.wanted.add(place);
      }
      if (this.listed.has(place)) continue;
      this.listed.add(place);
      if (there.has(place)) await this.#measure(place, sha256, length);
    }
  }

  async #measure(path: string, sha256: string, length: number): Promise<void> {
    const { folder, findings, signal, onBytes } = this.#options;
    const found = await findings.guard(path, () =>
      hashFile(join(folder, path), {
        nofollow: true,
        ...(signal === undefined ? {} : { signal }),
        ...(onBytes === undefined ? {} : { onBytes }),
      }),
    );
    if (found === undefined) return;
    this.measured += found.length;
    if (found.length !== length)
      findings.add(path, `it has ${found.length} bytes where ${length} were signed`);
    else if (found.sha256 !== sha256)
      findings.add(path, `its bytes have the SHA-256 ${found.sha256}`);
  }
}
