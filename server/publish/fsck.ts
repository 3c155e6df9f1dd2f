/**
 * Verifies a whole tree again: every file that was ever published, by hash, by signature and by
 * the versions that may follow one another, and what stands now with the real client.
 */

import { join } from 'node:path';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { asIronError, isIronError } from '../../shared/errors.ts';
import { revocations, tree } from '../../shared/layout.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { isTemporaryName, readFileCapped } from '../../shared/node/files.ts';
import { hashFile } from '../../shared/node/hash.ts';
import type { Clock } from '../../shared/time.ts';
import { type Delegations, isBin } from '../../shared/tuf/delegations.ts';
import type { SignedCommon } from '../../shared/tuf/envelope.ts';
import { isTopLevelRole, type TopLevelRole, vendorOfRole } from '../../shared/tuf/names.ts';
import { rolesBelow } from '../../shared/tuf/nested.ts';
import { verifyThreshold } from '../../shared/tuf/role.ts';
import { parseRoot, type Root } from '../../shared/tuf/root.ts';
import { parseSnapshot, type Snapshot } from '../../shared/tuf/snapshot.ts';
import { parseTargets, type Targets } from '../../shared/tuf/targets.ts';
import { AbsentTargets } from '../retention/absent.ts';
import { RolePromises } from '../retention/promises.ts';
import { blobsOf, roleFiles } from '../storage/blobs.ts';
import { type Imported, loadImported } from '../storage/imported.ts';
import { loadPublished, type Published } from '../storage/published.ts';
import { decodeRoleFile } from '../storage/role-files.ts';
import { listFiles, listOthers } from './list-files.ts';
import { type ExpectedRole, preflight } from './preflight.ts';

export interface Finding {
  /** Tree path, or `tree`. */
  readonly at: string;
  readonly what: string;
}

export interface FsckReport {
  readonly findings: readonly Finding[];
  readonly metadata: number;
  readonly targets: number;
  /** Targets whose bytes were collected when they might be. */
  readonly collected: number;
  readonly bytes: number;
}

export interface FsckOptions {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  readonly onBytes?: (count: number) => void;
}

/** Everything that is wrong with the tree in `folder`; an empty list when nothing is. */
export async function checkTree(folder: string, options: FsckOptions): Promise<FsckReport> {
  const check = new TreeCheck(folder, options);
  return await check.run();
}

/** Every version of every role, by role and version; unreadable ones are left out. */
type Versions<T> = ReadonlyMap<number, T>;

class TreeCheck {
  readonly #folder: string;
  readonly #options: FsckOptions;
  readonly #findings: Finding[] = [];
  readonly #checked: ExpectedRole[] = [];
  /** Role files of the tree, by role, in the order of their versions. */
  readonly #files = new Map<string, Awaited<ReturnType<typeof roleFiles>>>();
  /** Of a repository that was taken over: where its history begins. */
  #imported: Imported | undefined;
  #metadata = 0;
  #bytes = 0;
  #absent = new AbsentTargets();

  constructor(folder: string, options: FsckOptions) {
    this.#folder = folder;
    this.#options = options;
  }

  async run(): Promise<FsckReport> {
    const files = await listFiles(this.#folder);
    for (const file of await roleFiles(this.#folder)) {
      const versions = this.#files.get(file.role) ?? [];
      this.#files.set(file.role, versions);
      versions.push(file);
    }
    this.#imported = await this.#guard(tree.imported, () => loadImported(this.#folder));
    const published = await this.#guard('tree', () => this.#load());
    const roots = await this.#read('root', parseRoot);
    const snapshots = await this.#read('snapshot', parseSnapshot);
    const targets = await this.#read('targets', (bytes) => parseTargets(bytes, 'targets'));
    this.#demandRow('root', roots, published?.root.version);
    this.#demandRow('snapshot', snapshots, published?.snapshot.version);
    this.#demandRow('targets', targets, published?.targets.version);
    this.#demandSigned('snapshot', snapshots, [...roots.values()]);
    this.#demandSigned('targets', targets, [...roots.values()]);
    const promises = RolePromises.of(snapshots, targets, {
      first: this.#imported?.first.snapshot ?? 1,
      current: published?.snapshot.version ?? 0,
    });
    this.#absent = new AbsentTargets(promises);
    const listed = new Set<string>();
    const there = new Set(files);
    const vendors = await this.#vendors([...targets.values()], published, listed, there);
    for (const file of targets.values()) await this.#targets('targets', file, listed, there);
    vendors.set('targets', new Set(targets.keys()));
    this.#demandHistory(snapshots, vendors);
    const marks = new Set(files.filter((path) => path.startsWith(`${tree.collectedFolder}/`)));
    const absent = this.#absent.judge(marks, this.#options.clock());
    for (const { at, what } of absent.findings) this.#found(at, what);
    const known = new Set([...listed].map(tree.mark));
    for (const path of files)
      if (!marks.has(path)) this.#demandKnown(path, listed);
      else if (!known.has(path)) this.#found(path, 'nothing lists what it says was collected');
    // Whoever serves the tree follows no link, or follows it to where it must not.
    for (const path of await listOthers(this.#folder))
      this.#found(path, 'it is neither a file nor a folder');
    if (published !== undefined) await this.#client(published);
    const count = files.filter((path) => path.startsWith(`${tree.targetsFolder}/`)).length;
    return {
      findings: this.#findings,
      metadata: this.#metadata,
      targets: count,
      collected: absent.collected,
      bytes: this.#bytes,
    };
  }

  #found(at: string, what: string): void {
    this.#findings.push({ at, what });
  }

  /** Runs `act`; what it refuses is a finding. */
  async #guard<T>(at: string, act: () => T | Promise<T>): Promise<T | undefined> {
    try {
      return await act();
    } catch (error) {
      if (!isIronError(error) || error.code === 'E_INTERNAL') throw asIronError(error);
      const why = error.why === undefined ? '' : `: ${error.why}`;
      this.#found(at, `${error.code}: ${error.message}${why}`);
      return undefined;
    }
  }

  async #load(): Promise<Published | undefined> {
    const published = await loadPublished(this.#folder, this.#options.crypto);
    if (published === undefined) this.#found('tree', 'nothing is published, or not completely');
    return published;
  }

  async #read<T extends SignedCommon>(
    wanted: string,
    parse: (bytes: Uint8Array) => T,
  ): Promise<Map<number, T>> {
    const versions = new Map<number, T>();
    await this.#each(wanted, parse, (version, file) => {
      versions.set(version, file);
    });
    return versions;
  }

  /** The readable versions of a role, one in memory at a time. */
  async #each<T extends SignedCommon>(
    wanted: string,
    parse: (bytes: Uint8Array) => T,
    act: (version: number, file: T) => void | Promise<void>,
  ): Promise<void> {
    for (const { path, version } of this.#files.get(wanted) ?? []) {
      this.#options.signal?.throwIfAborted();
      this.#metadata += 1;
      const file = await this.#guard(path, async () =>
        parse(
          await readFileCapped(join(this.#folder, path), METADATA_LIMITS.targets, {
            nofollow: true,
          }),
        ),
      );
      if (file === undefined) continue;
      if (file.version === version) await act(version, file);
      else this.#found(path, `it says that it is version ${file.version}`);
    }
  }

  /** Versions are 1, 2, 3 up to the current one: metadata is never collected. */
  #demandRow(
    role: string,
    versions: { keys(): IterableIterator<number> },
    current: number | undefined,
  ): void {
    const first = this.#imported?.first[role] ?? 1;
    const there = [...versions.keys()].filter((one) => one >= first).sort((a, b) => a - b);
    const last = current ?? there.at(-1) ?? 0;
    let next = first;
    for (const version of [...there.filter((one) => one <= last), last + 1]) {
      // However many are missing, they are one finding: a thief's version may be 2^53.
      const more = version - next > 1 ? `, nor are those up to version ${version - 1}` : '';
      if (version > next) this.#found(tree.metadata(role, next), `it is not there${more}`);
      next = version + 1;
    }
    for (const version of there.filter((one) => one > last))
      this.#found(tree.metadata(role, version), `nothing names it: version ${last} is current`);
  }

  /** Each was signed by a threshold of some root of the chain, which was verified on its own. */
  #demandSigned(
    role: Exclude<TopLevelRole, 'root'>,
    versions: Versions<SignedCommon>,
    roots: readonly Root[],
  ): void {
    for (const [version, file] of versions) {
      const holds = roots.some((root) =>
        this.#isSigned(file, () =>
          verifyThreshold(this.#options.crypto, file.envelope, root.keys, root.roles[role], role),
        ),
      );
      if (!holds)
        this.#found(tree.metadata(role, version), 'no root that was ever trusted signs it');
    }
  }

  #isSigned(_file: SignedCommon, verify: () => unknown): boolean {
    try {
      verify();
      return true;
    } catch (error) {
      if (!isIronError(error, 'E_THRESHOLD')) throw error;
      return false;
    }
  }

  /**
   * Vendors' roles and those below them: each version signed by the keys of some delegation to it, every
   * target that it lists there. Returns the versions that there are; a bin's own files are dropped
   * again, since there may be a million targets in them.
   */
  async #vendors(
    operators: readonly Targets[],
    published: Published | undefined,
    listed: Set<string>,
    files: ReadonlySet<string>,
  ): Promise<Map<string, ReadonlySet<number>>> {
    const vendors = new Map<string, ReadonlySet<number>>();
    /** Delegations that a vendor's role ever had, by vendor: what is below is signed under them. */
    const own = new Map<string, Delegations[]>();
    const top = operators.flatMap(({ delegations }) => delegations ?? []);
    // A vendor's own role comes before what it delegates to: `acme` before `acme.b4-0`.
    const names = [...this.#files.keys()].filter((name) => !isTopLevelRole(name)).sort();
    for (const name of names) {
      const vendor = vendorOfRole(name);
      const versions = new Set<number>();
      await this.#each(
        name,
        (bytes) => parseTargets(bytes, name),
        async (version, file) => {
          versions.add(version);
          if (name === vendor && file.delegations !== undefined)
            own.set(vendor, [...(own.get(vendor) ?? []), file.delegations]);
          const delegators = name === vendor ? top : (own.get(vendor) ?? []);
          // What nothing delegated to came along in one version; what follows it is published here.
          const isLeft =
            this.#imported?.unreachable.includes(name) === true &&
            this.#imported.first[name] === version;
          if (!isLeft && !delegators.some((one) => this.#covers(one, name, file)))
            this.#found(tree.metadata(name, version), 'no delegation ever covered it');
          await this.#targets(name, file, listed, files);
        },
      );
      vendors.set(name, versions);
      // A machine that renews on its own may skip a version that nobody came to see.
      if (name !== revocations.role) this.#demandRow(name, versions, published?.version(name));
    }
    return vendors;
  }

  #covers({ keys, roles, succinct }: Delegations, name: string, file: Targets): boolean {
    const role =
      succinct !== undefined && isBin(succinct, name)
        ? succinct
        : roles.find((candidate) => candidate.name === name);
    if (role === undefined) return false;
    const { crypto } = this.#options;
    return this.#isSigned(file, () => verifyThreshold(crypto, file.envelope, keys, role, name));
  }

  /** TUF 5.5.5 over all of history: nothing listed disappears or goes back; all of it is there. */
  #demandHistory(
    snapshots: Versions<Snapshot>,
    roles: ReadonlyMap<string, ReadonlySet<number>>,
  ): void {
    let before = new Map<string, number>();
    for (const [version, snapshot] of [...snapshots].sort(([a], [b]) => a - b)) {
      const path = tree.metadata('snapshot', version);
      const listed = new Map([...snapshot.roles].map(([role, file]) => [role, file.version]));
      for (const [role, floor] of before) {
        const found = listed.get(role) ?? 0;
        if (found < floor) this.#found(path, `${role} went back from ${floor} to ${found}`);
      }
      for (const [role, wanted] of listed) {
        if (roles.get(role)?.has(wanted) !== true)
          this.#found(path, `it lists ${role} ${wanted}, which is not there`);
      }
      before = listed;
    }
  }

  /** Every target that a version lists has the bytes that were signed; adds their places. */
  async #targets(
    name: string,
    role: Targets,
    listed: Set<string>,
    files: ReadonlySet<string>,
  ): Promise<void> {
    const blobs = await this.#guard(name, () => blobsOf(role, name));
    for (const { path, sha256, length } of blobs ?? []) {
      const place = tree.target(path, sha256);
      if (!files.has(place)) this.#absent.note(place, name, role.version);
      if (listed.has(place)) continue;
      listed.add(place);
      if (files.has(place)) await this.#measure(place, sha256, length);
    }
  }

  async #measure(path: string, sha256: string, length: number): Promise<void> {
    const { signal, onBytes } = this.#options;
    const measured = await this.#guard(path, () =>
      hashFile(join(this.#folder, path), {
        nofollow: true,
        ...(signal === undefined ? {} : { signal }),
        ...(onBytes === undefined ? {} : { onBytes }),
      }),
    );
    if (measured === undefined) return;
    this.#bytes += measured.length;
    if (measured.length !== length)
      this.#found(path, `it has ${measured.length} bytes where ${length} were signed`);
    else if (measured.sha256 !== sha256)
      this.#found(path, `its bytes have the SHA-256 ${measured.sha256}`);
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
    this.#found(
      path,
      isTemporaryName(name) ? 'a crash left it; the service removes it' : 'nothing lists it',
    );
  }

  /** What a client says about it now, expiry included, for every role that is delegated to. */
  async #client(published: Published): Promise<void> {
    const { crypto, clock } = this.#options;
    const vendors = (published.delegations?.roles ?? [])
      .map(({ name }) => name)
      .filter((name) => name !== revocations.role && published.version(name) > 0);
    const found = this.#findings.length;
    const input = { crypto, clock, layers: [this.#folder], published };
    await this.#guard('tree', () => preflight({ ...input, roles: [], renewsRevocations: true }));
    // What a client refuses before it comes to any vendor is one finding.
    if (this.#findings.length > found) return;
    // One vendor's expiry is one finding, and so is that of one role below it.
    for (const vendor of vendors) {
      const own = (await this.#guard(vendor, () => published.role(vendor)))?.targets;
      for (const role of [vendor, ...rolesBelow(own)]) {
        this.#options.signal?.throwIfAborted();
        this.#checked.push({ vendor, role, fresh: [] });
      }
    }
    await this.#roles(published);
  }

  /** Many roles with one client; when one is refused, each by itself, to know which. */
  async #roles(published: Published): Promise<void> {
    const { crypto, clock } = this.#options;
    const check = (roles: readonly ExpectedRole[]): Promise<void> =>
      preflight({ crypto, clock, layers: [this.#folder], published, roles });
    for (let at = 0; at < this.#checked.length; at += 128) {
      const some = this.#checked.slice(at, at + 128);
      try {
        await check(some);
      } catch (error) {
        if (!isIronError(error) || error.code === 'E_INTERNAL') throw asIronError(error);
        for (const one of some) await this.#guard(one.role, () => check([one]));
      }
    }
  }
}
