/**
 * Puts back what lacks in a published tree, from a backup or from another copy of the tree. The bytes must be
 * those that were published: what the names and the signatures of the tree itself say decides, and not where
 * they come from. Nothing that is there is touched.
 */

import { randomBytes } from 'node:crypto';
import { link, lstat, mkdir, open, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { asIronError, IronError, isIronError } from '../../shared/errors.ts';
import { data, tree } from '../../shared/layout.ts';
import { METADATA_LIMITS, SERVER_LIMITS } from '../../shared/limits.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { openRegular, readFileCapped, syncFolder } from '../../shared/node/files.ts';
import { insideFolder } from '../../shared/node/folders.ts';
import { copyHashingInto, pieces } from '../../shared/node/hash.ts';
import type { Clock } from '../../shared/time.ts';
import type { Delegations } from '../../shared/tuf/delegations.ts';
import { parentRole } from '../../shared/tuf/nested.ts';
import { parseRoot, type Root } from '../../shared/tuf/root.ts';
import { parseSnapshot } from '../../shared/tuf/snapshot.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import { TrustedMetadata } from '../../shared/verify/trusted.ts';
import { covers, verifyByRoot } from '../publish/fsck/signed.ts';
import { checkTree, type FsckReport } from '../publish/fsck.ts';
import { listFiles } from '../publish/list-files.ts';
import { READ_ONLY } from '../publish/stage.ts';
import { roleFiles } from '../storage/blobs.ts';
import { decodeRoleFile } from '../storage/role-files.ts';
import { openBackup } from './read.ts';

export interface MendOptions {
  /** The published tree. The caller holds the writer's lock. */
  readonly folder: string;
  /** A backup, a service's folder, or a copy of the tree. */
  readonly from: string;
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
}

export interface MendReport {
  /** Paths of the tree that were put back. */
  readonly restored: readonly string[];
  /** What the source has under a name that lacks, and is not what was published. */
  readonly refused: readonly { readonly at: string; readonly why: string }[];
  /** What is still wrong, as fsck says it. */
  readonly findings: FsckReport['findings'];
}

interface Candidate {
  readonly path: string;
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** `E_NOT_FOUND`, `E_USAGE` for a source that is none; what a file is refused for is in the report. */
export async function mendTree(options: MendOptions): Promise<MendReport> {
  const { folder, crypto, clock, signal } = options;
  const check = { crypto, clock, ...(signal === undefined ? {} : { signal }) };
  const before = await checkTree(folder, check);
  // What was called lost may have turned up.
  const missing = new Set([...before.missing, ...before.findings.map(({ at }) => at)]);
  const there = new Set(await listFiles(folder));
  const isWanted = (path: string): boolean =>
    !there.has(path) &&
    (decodeRoleFile(path) !== undefined ||
      (path.startsWith(`${tree.targetsFolder}/`) && missing.has(path)));
  const restored: string[] = [];
  for (;;) {
    const refused: { at: string; why: string }[] = [];
    const count = restored.length;
    const history = new History(folder, crypto);
    for await (const { path, bytes } of sourceOf(options.from)) {
      signal?.throwIfAborted();
      if (!isWanted(path)) continue;
      try {
        await putBack(folder, path, bytes, (temporary) => history.demand(path, temporary));
        there.add(path);
        restored.push(path);
      } catch (error) {
        refused.push({ at: path, why: wordsOf(error) });
      }
    }
    // What was put back may vouch for what was not taken before: a parent for its bins.
    if (restored.length > count && refused.length > 0) continue;
    return await held(options, { restored, refused, findings: before.findings });
  }
}

/** Fsck has the last word: what it finds wrong with a file that was put back takes that away again. */
async function held(options: MendOptions, report: MendReport): Promise<MendReport> {
  const { folder, crypto, clock, signal } = options;
  if (report.restored.length === 0) return report;
  const check = { crypto, clock, ...(signal === undefined ? {} : { signal }) };
  const { findings } = await checkTree(folder, check);
  const added = new Set(report.restored);
  const wrong = findings.filter(({ at, what }) => added.has(at) && !what.startsWith('it lists '));
  if (wrong.length === 0) return { ...report, findings };
  for (const at of new Set(wrong.map((one) => one.at))) await rm(join(folder, at));
  return await held(options, {
    restored: report.restored.filter((path) => !wrong.some(({ at }) => at === path)),
    refused: [...report.refused, ...wrong.map(({ at, what }) => ({ at, why: what }))],
    findings,
  });
}

/** What the source holds of a tree, whichever of the three it is. */
async function* sourceOf(from: string): AsyncGenerator<Candidate> {
  const found = await onPath(from, () => lstat(from), 'E_NOT_FOUND');
  const isThere = (name: string): Promise<boolean> =>
    lstat(join(from, name)).then(
      () => true,
      () => false,
    );
  if (!found.isDirectory() || (await isThere('manifest'))) {
    yield* ofBackup(from);
    return;
  }
  const inner = (await isThere(data.tree)) ? join(from, data.tree) : from;
  if (inner === from && !(await isThere(dirname(tree.metadata('root', 1)))))
    throw new IronError('E_USAGE', `${from} is no backup, and no copy of a published tree`, {
      why: 'it has neither a list of a backup nor a folder of metadata',
      hint: 'nothing was changed',
    });
  for (const path of await listFiles(inner)) yield { path, bytes: bytesOf(join(inner, path)) };
}

async function* ofBackup(from: string): AsyncGenerator<Candidate> {
  const backup = await openBackup(from);
  try {
    for await (const { file, bytes } of backup.files()) {
      const isTree = file.path.startsWith(`${data.tree}/`);
      yield { path: isTree ? file.path.slice(data.tree.length + 1) : '', bytes };
    }
  } finally {
    await backup.close();
  }
}

async function* bytesOf(path: string): AsyncGenerator<Uint8Array> {
  const file = await openRegular(path, { nofollow: true });
  try {
    yield* pieces(file);
  } finally {
    await file.close();
  }
}

/** Complete under its name, or not there at all; never over a file that is there. */
async function putBack(
  folder: string,
  path: string,
  bytes: AsyncIterable<Uint8Array>,
  demand: (temporary: string) => Promise<void>,
): Promise<void> {
  const place = await insideFolder(folder, path);
  await onPath(place, () => mkdir(dirname(place), { recursive: true, mode: 0o755 }));
  const temporary = join(
    dirname(place),
    `.tmp-${basename(place).slice(0, 64)}-${randomBytes(6).toString('hex')}`,
  );
  try {
    const out = await onPath(temporary, () => open(temporary, 'wx', READ_ONLY));
    const cap =
      decodeRoleFile(path) === undefined ? SERVER_LIMITS.artifact : METADATA_LIMITS.targets;
    const measured = await copyHashingInto(bytes, out, temporary, { cap }).finally(() =>
      out.close(),
    );
    if (decodeRoleFile(path) !== undefined) await demand(temporary);
    else if (!basename(path).startsWith(`${measured.sha256}.`))
      throw new IronError('E_HASH', `its bytes have the SHA-256 ${measured.sha256}`);
    await onPath(place, () => link(temporary, place));
    await syncFolder(dirname(place));
  } finally {
    await rm(temporary, { force: true });
  }
}

/** What the tree that is there says about who might ever sign a file of it. */
class History {
  readonly #folder: string;
  readonly #crypto: Crypto;
  #roots: readonly Root[] | undefined;

  constructor(folder: string, crypto: Crypto) {
    this.#folder = folder;
    this.#crypto = crypto;
  }

  /** The file is a version of a role that was signed by who might. `E_THRESHOLD`, `E_VERSION`, … */
  async demand(path: string, place: string): Promise<void> {
    const name = decodeRoleFile(path);
    if (name === undefined) throw new IronError('E_INTERNAL', `${path} is no role file`);
    const { role, version } = name;
    const bytes = await readFileCapped(place, METADATA_LIMITS.targets, { nofollow: true });
    if (role === 'root') {
      await this.#demandRoot(version, bytes);
      return;
    }
    const file = role === 'snapshot' ? parseSnapshot(bytes) : parseTargets(bytes, role);
    if (file.version !== version)
      throw new IronError('E_VERSION', `it says that it is version ${file.version}`);
    if (role === 'snapshot' || role === 'targets') {
      const roots = await this.#allRoots();
      const refusals: unknown[] = [];
      for (const root of roots)
        try {
          verifyByRoot(this.#crypto, root, role, file);
          return;
        } catch (error) {
          refusals.push(error);
        }
      throw asIronError(refusals.at(-1) ?? new IronError('E_THRESHOLD', 'there is no root'));
    }
    const targets = parseTargets(bytes, role);
    for (const delegations of await this.#delegators(parentRole(role) ?? 'targets'))
      if (covers(this.#crypto, delegations, role, targets)) return;
    throw new IronError('E_THRESHOLD', 'no delegation that is there ever covered it');
  }

  async #demandRoot(version: number, bytes: Uint8Array): Promise<void> {
    if (parseRoot(bytes).version !== version || version < 2)
      throw new IronError('E_VERSION', 'it is another root, or the first one');
    const before = join(this.#folder, tree.metadata('root', version - 1));
    const root = await readFileCapped(before, METADATA_LIMITS.root, { nofollow: true });
    // TUF 5.3.4, 5.3.5
    new TrustedMetadata({ crypto: this.#crypto, now: 0, root }).updateRoot(bytes);
  }

  async #allRoots(): Promise<readonly Root[]> {
    this.#roots ??= await this.#read('root', parseRoot);
    return this.#roots;
  }

  async #delegators(role: string): Promise<Delegations[]> {
    const files = await this.#read(role, (bytes) => parseTargets(bytes, role));
    return files.flatMap(({ delegations }) => delegations ?? []);
  }

  async #read<T>(wanted: string, parse: (bytes: Uint8Array) => T): Promise<T[]> {
    const found: T[] = [];
    for (const { role, path } of await roleFiles(this.#folder)) {
      if (role !== wanted) continue;
      const place = join(this.#folder, path);
      try {
        found.push(parse(await readFileCapped(place, METADATA_LIMITS.targets, { nofollow: true })));
      } catch (error) {
        // What is damaged vouches for nothing; fsck tells of it.
        if (!isIronError(error) || error.code === 'E_INTERNAL') throw error;
      }
    }
    return found;
  }
}

function wordsOf(error: unknown): string {
  const { code, message, why } = asIronError(error);
  if (code === 'E_INTERNAL') throw error;
  return `${code}: ${message}${why === undefined ? '' : `: ${why}`}`;
}
