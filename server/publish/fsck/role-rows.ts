/** The role files of a tree, role by role in the order of their versions, and what lacks in a row. */

import { join } from 'node:path';
import { tree } from '../../../shared/layout.ts';
import { LOST_LIMITS, METADATA_LIMITS } from '../../../shared/limits.ts';
import { readFileCapped } from '../../../shared/node/files.ts';
import type { SignedCommon } from '../../../shared/tuf/envelope.ts';
import { roleFiles } from '../../storage/blobs.ts';
import type { Findings } from './findings.ts';

/** Every version of every role, by role and version; unreadable ones are left out. */
export type Versions<T> = ReadonlyMap<number, T>;

type Files = Awaited<ReturnType<typeof roleFiles>>;

export class RoleRows {
  readonly #folder: string;
  readonly #findings: Findings;
  readonly #signal: AbortSignal | undefined;
  readonly #files: ReadonlyMap<string, Files>;
  /** Files that were read. Owned by `each`. */
  count = 0;

  private constructor(
    folder: string,
    findings: Findings,
    signal: AbortSignal | undefined,
    files: ReadonlyMap<string, Files>,
  ) {
    this.#folder = folder;
    this.#findings = findings;
    this.#signal = signal;
    this.#files = files;
  }

  static async of(folder: string, findings: Findings, signal?: AbortSignal): Promise<RoleRows> {
    const files = new Map<string, Files>();
    for (const file of await roleFiles(folder)) {
      const versions = files.get(file.role) ?? [];
      files.set(file.role, versions);
      versions.push(file);
    }
    return new RoleRows(folder, findings, signal, files);
  }

  roles(): string[] {
    return [...this.#files.keys()];
  }

  /** All readable versions of a role. */
  async read<T extends SignedCommon>(
    wanted: string,
    parse: (bytes: Uint8Array) => T,
  ): Promise<Map<number, T>> {
    const versions = new Map<number, T>();
    await this.each(wanted, parse, (version, file) => {
      versions.set(version, file);
    });
    return versions;
  }

  /** The readable versions of a role, one in memory at a time. */
  async each<T extends SignedCommon>(
    wanted: string,
    parse: (bytes: Uint8Array) => T,
    act: (version: number, file: T) => void | Promise<void>,
  ): Promise<void> {
    for (const { path, version } of this.#files.get(wanted) ?? []) {
      this.#signal?.throwIfAborted();
      this.count += 1;
      const file = await this.#findings.guard(path, async () => {
        const options = { nofollow: true };
        const place = join(this.#folder, path);
        return parse(await readFileCapped(place, METADATA_LIMITS.targets, options));
      });
      if (file === undefined) continue;
      if (file.version === version) await act(version, file);
      else this.#findings.add(path, `it says that it is version ${file.version}`);
    }
  }

  /**
   * Versions follow one another up to the current one: metadata is never collected.
   * @param first where the row begins: 1, or what came along when the repository was taken over
   * @param lost places of versions that the operators called lost
   */
  demandRow(
    role: string,
    versions: { keys(): IterableIterator<number> },
    first: number,
    current: number | undefined,
    lost: ReadonlySet<string>,
  ): void {
    const there = [...versions.keys()].filter((one) => one >= first).sort((a, b) => a - b);
    const last = current ?? there.at(-1) ?? 0;
    let next = first;
    for (const version of [...there.filter((one) => one <= last), last + 1]) {
      this.#demandNoGap(role, { from: next, to: version - 1, isLast: version > last }, lost);
      next = version + 1;
    }
    for (const version of there.filter((one) => one > last))
      this.#findings.add(
        tree.metadata(role, version),
        `nothing names it: version ${last} is current`,
      );
  }

  /** However many are missing, they are one finding: a thief's version may be 2^53. */
  #demandNoGap(
    role: string,
    { from, to, isLast }: { readonly from: number; readonly to: number; readonly isLast: boolean },
    lost: ReadonlySet<string>,
  ): void {
    let first: number | undefined;
    // What is in force is missed by readers, and so is every root: nobody can call that lost.
    const mayBeLost = (version: number): boolean => role !== 'root' && !(isLast && version === to);
    for (let version = from; version <= Math.min(to, from + LOST_LIMITS.places); version++) {
      const isSaid = mayBeLost(version) && this.#findings.lacks(tree.metadata(role, version), lost);
      if (!isSaid) first ??= version;
    }
    if (to - from > LOST_LIMITS.places) first ??= from;
    if (first === undefined) return;
    const more = to > first ? `, nor are those up to version ${to}` : '';
    this.#findings.add(tree.metadata(role, first), `it is not there${more}`);
  }
}
