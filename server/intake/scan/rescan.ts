/**
 * What is published before the operators' scanner again, which may know more than when it came in. Each
 * file that the live snapshot lists is held against what was signed, and looked at where it lies. Nothing
 * of it is changed: what is found is for people, who withdraw or revoke it.
 *
 * Which file it is that the scanner finds something in, or cannot look at, is known by its exit status
 * alone: what it writes has names and bytes of vendors in it. So a group that does not come through is
 * looked at again in halves. A file at which the scanner fails takes nothing from the others; a scanner that
 * fails at a file of the service's own, too, says nothing about any of them, and ends the run.
 */

import { basename, join } from 'node:path';
import { IronError, isIronError } from '../../../shared/errors.ts';
import { revocations, tree } from '../../../shared/layout.ts';
import { SCANNER_LIMITS } from '../../../shared/limits.ts';
import { onPath, systemFiles } from '../../../shared/node/file-system.ts';
import { hashFile } from '../../../shared/node/hash.ts';
import type { Instant } from '../../../shared/time.ts';
import { isTopLevelRole, vendorOfRole } from '../../../shared/tuf/names.ts';
import type { PublishedBlob } from '../../db/blob-index.ts';
import { blobsOf } from '../../storage/blobs.ts';
import type { Published } from '../../storage/published.ts';
import type { ScannerSetting } from '../../storage/scanner.ts';
import { runScanner } from './run.ts';
import { inWords } from './words.ts';

export interface RescanParts {
  readonly home: string;
  readonly published: Published;
  readonly setting: ScannerSetting;
  readonly signal: AbortSignal;
  /** Only what came into the tree at this moment or later. */
  readonly since?: Instant | undefined;
  /** Told of bytes that were looked at. */
  readonly onBytes: (count: number) => void;
  /** Told of each remark as it is made: the run may take hours. */
  readonly onRemark: (kind: 'found' | 'failed', remark: Remark) => void;
}

/** A file that something was found in, or that could not be looked at. */
export interface Remark {
  readonly path: string;
  readonly sha256: string;
  /** What the scanner said of it, or why it could not look. */
  readonly said: string;
}

/** What became of the files of one vendor. */
export interface RescanReport {
  /** Files that were looked at to the end, and the bytes of them. */
  files: number;
  bytes: number;
  readonly found: Remark[];
  readonly failed: Remark[];
  /** Why there are files that nothing is known of; undefined when there are none. */
  cut: string | undefined;
}

interface Listed extends PublishedBlob {
  /** Absolute. */
  readonly place: string;
}

/** Whose roles the live snapshot lists, with them; those of the operators are under `targets`. */
export function listedRoles({ snapshot }: Published): Map<string, string[]> {
  const vendors = new Map<string, string[]>();
  for (const role of [...snapshot.roles.keys()].sort()) {
    // The list of revocations is the security team's, and the top level lists artifacts only where a
    // repository was taken over.
    if (role === revocations.role || (isTopLevelRole(role) && role !== 'targets')) continue;
    const vendor = vendorOfRole(role);
    vendors.set(vendor, [...(vendors.get(vendor) ?? []), role]);
  }
  return vendors;
}

/** `E_IO` when the scanner does not come through a file of the service's own. */
export async function demandScannerWorks(
  parts: Pick<RescanParts, 'published' | 'setting' | 'signal'>,
): Promise<void> {
  const control = join(parts.published.folder, tree.timestamp);
  const { found, output } = await runScanner(parts.setting, [control], parts.signal);
  if (!found) return;
  throw new IronError('E_IO', `the scanner ${parts.setting.program} failed`, {
    why: `it finds something in a file that the service itself signed: ${output.trim().slice(0, SCANNER_LIMITS.said)}`,
    hint: 'nothing was changed; run `ironport-repo scanner try FILE` to see it',
  });
}

export class VendorRescan {
  readonly #parts: RescanParts;
  readonly #roles: readonly string[];
  /** Owned by `run`, which is called once; whole, or as far as it came. */
  readonly report: RescanReport = {
    ...{ files: 0, bytes: 0, found: [], failed: [] },
    cut: 'it was broken off',
  };
  /** Why the files of a role are not known. */
  #unread: string | undefined;
  #group: Listed[] = [];
  #weight = 0;

  constructor(parts: RescanParts, roles: readonly string[]) {
    this.#parts = parts;
    this.#roles = roles;
  }

  /** `E_IO` when the scanner is of no use, `E_CANCELLED` on the signal. */
  async run(): Promise<void> {
    const seen = new Set<string>();
    for (const role of this.#roles) {
      const listed = await this.#read(role);
      for (const blob of listed) {
        const path = tree.target(blob.path, blob.sha256);
        if (seen.has(path)) continue;
        seen.add(path);
        await this.#take({ ...blob, place: join(this.#parts.published.folder, path) });
        if (this.#isFull()) return;
      }
    }
    await this.#lookAtGroup();
    if (!this.#isFull()) this.report.cut = this.#unread;
  }

  /** A role that is damaged takes nothing from the others. */
  async #read(role: string): Promise<PublishedBlob[]> {
    const { published } = this.#parts;
    try {
      const file = role === 'targets' ? published.targets : (await published.role(role))?.targets;
      return file === undefined ? [] : blobsOf(file, role);
    } catch (error) {
      if (!isIronError(error, 'E_STORE', 'E_JSON', 'E_SCHEMA', 'E_TOO_LARGE', 'E_IO')) throw error;
      this.#unread ??= `${role} cannot be read: ${error.message}`;
      return [];
    }
  }

  /** A vendor with more than this is known well enough, and others come after it. */
  #isFull(): boolean {
    const { found, failed } = this.report;
    if (found.length < SCANNER_LIMITS.found && failed.length < SCANNER_LIMITS.failed) return false;
    this.report.cut = 'the rest was left, after so many';
    return true;
  }

  async #take(file: Listed): Promise<void> {
    const { signal, since } = this.#parts;
    signal.throwIfAborted();
    const wrong = await this.#wrongWith(file, since);
    if (wrong === 'older') return;
    if (wrong !== undefined) {
      this.#remark('failed', file, wrong);
      return;
    }
    const isHeavy = this.#weight + file.length > SCANNER_LIMITS.groupBytes;
    if (this.#group.length > 0 && (isHeavy || this.#group.length === SCANNER_LIMITS.files))
      await this.#lookAtGroup();
    this.#group.push(file);
    this.#weight += file.length;
  }

  /** Why the scanner is not given this file: it is not what was signed, or not asked for. */
  async #wrongWith(
    { place, sha256, length }: Listed,
    since?: Instant,
  ): Promise<string | undefined> {
    const { signal } = this.#parts;
    try {
      // Of its inode and not of its bytes: those were sent before they were published.
      const { ctimeMs } = await onPath(place, () => systemFiles.lstat(place));
      if (since !== undefined && ctimeMs < since * 1000) return 'older';
      const measured = await hashFile(place, { nofollow: true, signal, cap: length });
      if (measured.sha256 === sha256 && measured.length === length) return undefined;
    } catch (error) {
      if (!isIronError(error, 'E_NOT_FOUND', 'E_TOO_LARGE', 'E_IO')) throw error;
    }
    return 'what lies in the tree cannot be read as what was signed: `ironport-repo fsck` says more';
  }

  async #lookAtGroup(): Promise<void> {
    const group = this.#group;
    this.#group = [];
    this.#weight = 0;
    if (group.length > 0) await this.#look(group, true);
  }

  /** @param isFirst whether it is not known yet if the scanner works at all */
  async #look(files: readonly Listed[], isFirst: boolean): Promise<void> {
    const { setting, signal } = this.#parts;
    if (this.#isFull()) return;
    let what: 'found' | 'failed' = 'found';
    let said: string;
    try {
      const places = files.map(({ place }) => place);
      const { found, output } = await runScanner(setting, places, signal);
      if (!found) {
        this.#count(files);
        return;
      }
      said = `${basename(setting.program)} said: ${this.#words(output, files) || 'nothing'}`;
    } catch (error) {
      if (!isIronError(error, 'E_IO')) throw error;
      if (isFirst) await demandScannerWorks(this.#parts);
      what = 'failed';
      said = this.#words(error.why ?? error.message, files);
    }
    const [one] = files as [Listed];
    if (files.length > 1) {
      const { found } = this.report;
      const before = found.length;
      await this.#look(files.slice(0, files.length >> 1), false);
      await this.#look(files.slice(files.length >> 1), false);
      if (what === 'found' && found.length === before && !this.#isFull())
        this.#remark(
          'found',
          one,
          `in ${files.length} files from this on, none by itself: ${said}`,
        );
      return;
    }
    if (what === 'found') this.#count(files);
    this.#remark(what, one, said);
  }

  #count(files: readonly Listed[]): void {
    const bytes = files.reduce((sum, { length }) => sum + length, 0);
    this.report.files += files.length;
    this.report.bytes += bytes;
    this.#parts.onBytes(bytes);
  }

  #remark(kind: 'found' | 'failed', { path, sha256 }: Listed, said: string): void {
    const remark = { path, sha256, said };
    this.report[kind].push(remark);
    this.#parts.onRemark(kind, remark);
  }

  #words(output: string, files: readonly Listed[]): string {
    return inWords(
      output,
      new Map(files.map(({ place, path }) => [place, [path]])),
      this.#parts.home,
    );
  }
}
