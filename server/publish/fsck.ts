/**
 * Verifies a whole tree again: every file that was ever published, by hash, by signature and by
 * the versions that may follow one another, and what stands now with the real client.
 */

import type { Crypto } from '../../shared/crypto/crypto.ts';
import { revocations, tree } from '../../shared/layout.ts';
import { isTemporaryName } from '../../shared/node/files.ts';
import type { Clock } from '../../shared/time.ts';
import type { Delegations } from '../../shared/tuf/delegations.ts';
import { parseLost } from '../../shared/tuf/lost.ts';
import { isTopLevelRole } from '../../shared/tuf/names.ts';
import { isBinName, parentRole } from '../../shared/tuf/nested.ts';
import { parseRoot } from '../../shared/tuf/root.ts';
import { parseSnapshot } from '../../shared/tuf/snapshot.ts';
import { parseTargets, type Targets } from '../../shared/tuf/targets.ts';
import { AbsentTargets } from '../retention/absent.ts';
import { RolePromises } from '../retention/promises.ts';
import { type Imported, loadImported } from '../storage/imported.ts';
import { loadPublished, type Published } from '../storage/published.ts';
import { decodeRoleFile } from '../storage/role-files.ts';
import { askClient } from './fsck/as-client.ts';
import { type Finding, Findings } from './fsck/findings.ts';
import { demandHistory } from './fsck/history.ts';
import { demandNote } from './fsck/imported-note.ts';
import { RoleRows } from './fsck/role-rows.ts';
import { covers, delegatedKeys, demandSignedByRoot } from './fsck/signed.ts';
import { TargetBytes } from './fsck/target-bytes.ts';
import { listFiles, listOthers } from './list-files.ts';

export interface FsckReport {
  readonly findings: readonly Finding[];
  readonly metadata: number;
  readonly targets: number;
  /** Targets whose bytes were collected when they might be. */
  readonly collected: number;
  readonly bytes: number;
  /** Places that lack and no reader is sent to, and of them those that the operators called lost. */
  readonly missing: readonly string[];
  readonly lost: readonly string[];
}

export interface FsckOptions {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  readonly onBytes?: (count: number) => void;
}

/** Everything that is wrong with the tree in `folder`; an empty list when nothing is. */
export async function checkTree(folder: string, options: FsckOptions): Promise<FsckReport> {
  const findings = new Findings();
  const rows = await RoleRows.of(folder, findings, options.signal);
  return await new TreeCheck(folder, options, findings, rows).run();
}

class TreeCheck {
  readonly #folder: string;
  readonly #options: FsckOptions;
  readonly #findings: Findings;
  readonly #rows: RoleRows;
  /** Of a repository that was taken over: where its history begins. */
  #imported: Imported | undefined;
  /** What the targets in force say is lost. */
  #lost: ReadonlySet<string> = new Set();

  constructor(folder: string, options: FsckOptions, findings: Findings, rows: RoleRows) {
    this.#folder = folder;
    this.#options = options;
    this.#findings = findings;
    this.#rows = rows;
  }

  async run(): Promise<FsckReport> {
    const { crypto, clock, signal, onBytes } = this.#options;
    const [findings, rows, folder] = [this.#findings, this.#rows, this.#folder];
    const files = await listFiles(folder);
    this.#imported = await findings.guard(tree.imported, () => loadImported(folder));
    const published = await findings.guard('tree', () => this.#load());
    if (published !== undefined)
      this.#lost =
        (await findings.guard('targets', () => parseLost(published.targets.envelope.signed))) ??
        this.#lost;
    const roots = await rows.read('root', parseRoot);
    const snapshots = await rows.read('snapshot', parseSnapshot);
    const targets = await rows.read('targets', (bytes) => parseTargets(bytes, 'targets'));
    this.#demandRow('root', roots, published?.root.version);
    this.#demandRow('snapshot', snapshots, published?.snapshot.version);
    this.#demandRow('targets', targets, published?.targets.version);
    demandSignedByRoot(crypto, findings, 'snapshot', snapshots, [...roots.values()]);
    demandSignedByRoot(crypto, findings, 'targets', targets, [...roots.values()]);
    if (this.#imported !== undefined)
      demandNote(crypto, findings, this.#imported, { roots, snapshots, targets });
    const promises = RolePromises.of(snapshots, targets, {
      first: this.#first('snapshot'),
      current: published?.snapshot.version ?? 0,
    });
    const absent = new AbsentTargets(promises);
    const there = new Set(files);
    const bytes = new TargetBytes({ folder, findings, there, absent, signal, onBytes });
    const vendors = await this.#vendors([...targets.values()], published, bytes);
    for (const [version, file] of targets)
      await bytes.take('targets', file, version === published?.targets.version);
    vendors.set('targets', new Set(targets.keys()));
    demandHistory(findings, snapshots, vendors, this.#lost);
    const marks = new Set(files.filter((path) => path.startsWith(`${tree.collectedFolder}/`)));
    const { collected, findings: wrong } = absent.judge(marks, clock());
    for (const { at, what, isGone } of wrong) {
      const mayBeLost = isGone && !bytes.wanted.has(at);
      if (!mayBeLost || !findings.lacks(at, this.#lost)) findings.add(at, what);
    }
    const known = new Set([...bytes.listed].map(tree.mark));
    for (const path of files)
      if (!marks.has(path)) this.#demandKnown(path, bytes.listed);
      else if (!known.has(path)) findings.add(path, 'nothing lists what it says was collected');
    // Whoever serves the tree follows no link, or follows it to where it must not.
    for (const path of await listOthers(folder))
      findings.add(path, 'it is neither a file nor a folder');
    if (published !== undefined)
      await askClient({ folder, findings, crypto, clock, signal }, published);
    return {
      findings: findings.all,
      metadata: rows.count,
      targets: files.filter((path) => path.startsWith(`${tree.targetsFolder}/`)).length,
      collected,
      bytes: bytes.measured,
      missing: [...findings.missing].sort(),
      lost: [...findings.missing].filter((place) => this.#lost.has(place)).sort(),
    };
  }

  async #load(): Promise<Published | undefined> {
    const published = await loadPublished(this.#folder, this.#options.crypto);
    if (published === undefined)
      this.#findings.add('tree', 'nothing is published, or not completely');
    return published;
  }

  #first(role: string): number {
    return this.#imported?.first[role] ?? 1;
  }

  #demandRow(
    role: string,
    versions: { keys(): IterableIterator<number> },
    current: number | undefined,
  ): void {
    this.#rows.demandRow(role, versions, this.#first(role), current, this.#lost);
  }

  /**
   * Vendors' roles and those below them: each version signed by the keys of some delegation to it, every
   * target that it lists there. Returns the versions that there are; a bin's own files are dropped
   * again, since there may be a million targets in them.
   */
  async #vendors(
    operators: readonly Targets[],
    published: Published | undefined,
    bytes: TargetBytes,
  ): Promise<Map<string, ReadonlySet<number>>> {
    const vendors = new Map<string, ReadonlySet<number>>();
    /** Delegations that a role of a vendor ever had, by role: what is below is signed under them. */
    const had = new Map<string, Delegations[]>();
    /** What roles of vendors delegated to when the repository was taken over, of those that counted then. */
    const led = new Map<string, Delegations>();
    const top = operators.flatMap(({ delegations }) => delegations ?? []);
    // A vendor's own role comes before what it delegates to: `acme` before `acme.b4-0`.
    const names = this.#rows.roles().filter((name) => !isTopLevelRole(name));
    for (const name of names.sort()) {
      const versions = new Set<number>();
      const parse = (file: Uint8Array): Targets => parseTargets(file, name);
      await this.#rows.each(name, parse, async (version, file) => {
        versions.add(version);
        if (file.delegations !== undefined && !isBinName(name))
          had.set(name, [...(had.get(name) ?? []), file.delegations]);
        const parent = parentRole(name);
        const delegators = parent === undefined ? top : (had.get(parent) ?? []);
        const isCovered = delegators.some((one) => covers(this.#options.crypto, one, name, file));
        const above = parent === undefined ? undefined : led.get(parent);
        if (!isCovered && !this.#isLeft(name, version, above))
          this.#findings.add(tree.metadata(name, version), 'no delegation ever covered it');
        const isFirst = version === this.#imported?.first[name];
        if (isFirst && isCovered && file.delegations !== undefined) led.set(name, file.delegations);
        await bytes.take(name, file, version === published?.version(name));
      });
      vendors.set(name, versions);
      // A machine that renews on its own may skip a version that nobody came to see.
      if (name !== revocations.role) this.#demandRow(name, versions, published?.version(name));
    }
    return vendors;
  }

  /**
   * What nothing delegated to came along in one version; what follows it is published here. That nothing of the
   * top level did is among what the note is held against.
   * @param led what the role above it delegated to then; undefined where nothing led to that either
   */
  #isLeft(name: string, version: number, led: Delegations | undefined): boolean {
    const { unreachable = [], first = {} } = this.#imported ?? {};
    const isSaid = unreachable.includes(name) && first[name] === version;
    return isSaid && (led === undefined || delegatedKeys(led, name) === undefined);
  }

  #demandKnown(path: string, listed: ReadonlySet<string>): void {
    if (
      path === tree.timestamp ||
      path === tree.imported ||
      decodeRoleFile(path) !== undefined ||
      listed.has(path)
    )
      return;
    const name = path.slice(path.lastIndexOf('/') + 1);
    this.#findings.add(
      path,
      isTemporaryName(name) ? 'a crash left it; the service removes it' : 'nothing lists it',
    );
  }
}
