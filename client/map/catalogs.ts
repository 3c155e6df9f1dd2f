/**
 * What the repositories of a map list, each read once and whole, and on what of it enough of them agree
 * (TAP 4). A listing says what there is; it verifies no evidence, and `get-verified` asks anew.
 */

import { asIronError, type IronError, isIronError } from '../../shared/errors.ts';
import { indexPath } from '../../shared/layout.ts';
import { wasWithdrawn } from '../../shared/product/change-index.ts';
import {
  type IndexEntry,
  type ProductIndex,
  productOfIndex,
} from '../../shared/product/index-file.ts';
import { formatHardwareId } from '../../shared/tuf/hardware-id.ts';
import type { MapFile } from '../../shared/tuf/map-file.ts';
import { vendorOfRole } from '../../shared/tuf/names.ts';
import { patternMatcher } from '../../shared/tuf/path-pattern.ts';
import { keyIdentities } from '../../shared/tuf/role.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import { parseVendors, speaksFor } from '../../shared/tuf/vendors.ts';
import { type Agreement, agree, type Word } from '../../shared/verify/agreement.ts';
import type { FoundTarget } from '../../shared/verify/workflow.ts';
import type { Host } from '../find/resolve.ts';
import type { Repository } from '../repository.ts';

/** Everything that one repository lists, of one state of it. */
export interface Catalog {
  readonly targets: ReadonlyMap<string, FoundTarget>;
  /** By the path of the index. */
  readonly indexes: ReadonlyMap<string, ProductIndex>;
  /** Roles and indexes that could not be used, and why. */
  readonly failed: ReadonlyMap<string, IronError>;
  readonly rootKeys: ReadonlySet<string>;
  /** What its own indexes withdrew. */
  readonly withdrawn: ReadonlyMap<string, IndexEntry>;
  /** Why it is not known whether it lists a path that is not among `targets`; undefined when it is. */
  readonly unknown: (path: string) => IronError | undefined;
  /** Why a path was not looked for here at all; undefined when it was. */
  readonly passedOver: (path: string) => string | undefined;
}

/** What became of one path: an agreement, or why there is none. `words` has all who were asked. */
export interface Decision {
  readonly path: string;
  readonly agreement: Agreement | undefined;
  readonly error: IronError | undefined;
  readonly words: ReadonlyMap<string, Word>;
}

export class Catalogs {
  readonly #map: MapFile;
  /** By name; an error of a repository that could not be read at all. */
  readonly all: ReadonlyMap<string, Catalog | IronError>;

  constructor(map: MapFile, all: ReadonlyMap<string, Catalog | IronError>) {
    this.#map = map;
    this.all = all;
  }

  /** Those that could not be read at all. */
  get unread(): { readonly name: string; readonly error: IronError }[] {
    return [...this.all].flatMap(([name, error]) => (isIronError(error) ? [{ name, error }] : []));
  }

  /** What anybody lists, in the order of names. */
  get paths(): string[] {
    const paths = new Set<string>();
    for (const one of this.#read()) for (const path of one.targets.keys()) paths.add(path);
    return [...paths].sort();
  }

  /** Paths of the indexes of products among them. Also of those that could not be read. */
  get indexPaths(): string[] {
    const paths = new Set<string>();
    for (const one of this.#read()) {
      for (const path of one.indexes.keys()) paths.add(path);
      for (const path of one.failed.keys()) if (one.targets.has(path)) paths.add(path);
    }
    return [...paths].sort();
  }

  /** What enough repositories say of one path. Never throws what the repositories said. */
  decide(path: string): Decision {
    const words = new Map<string, Word>();
    const decision = agree(this.#map, path);
    try {
      let step = decision.next();
      while (!step.done) {
        const asked = new Map(
          step.value.repositories.map((name) => [name, this.#word(name, path)]),
        );
        for (const [name, word] of asked) words.set(name, word);
        step = decision.next(asked);
      }
      return { path, agreement: step.value, error: undefined, words };
    } catch (thrown) {
      const error = asIronError(thrown);
      if (error.code === 'E_INTERNAL') throw thrown;
      return { path, agreement: undefined, error, words };
    }
  }

  /** The entry of a path in the first repository that agreed. */
  target({ agreement, path }: Decision): FoundTarget | undefined {
    return this.#firstOf(agreement)?.targets.get(path);
  }

  /** Likewise the index of a product; all that agreed have the same, byte for byte. */
  index({ agreement, path }: Decision): ProductIndex | undefined {
    return this.#firstOf(agreement)?.indexes.get(path);
  }

  #firstOf(agreement: Agreement | undefined): Catalog | undefined {
    const first = agreement?.agreed[0];
    const catalog = first === undefined ? undefined : this.all.get(first);
    return isIronError(catalog) ? undefined : catalog;
  }

  #read(): Catalog[] {
    return [...this.all.values()].filter((one): one is Catalog => !isIronError(one));
  }

  #word(name: string, path: string): Word {
    const catalog = this.all.get(name);
    if (catalog === undefined) throw new Error(`the repository ${name} was not read`);
    if (isIronError(catalog)) return { kind: 'failed', error: catalog };
    const unread = catalog.failed.get(path);
    if (unread !== undefined) return { kind: 'failed', error: unread };
    // One that says no is not outvoted, whatever index the others agree on.
    const withdrawn = catalog.withdrawn.get(path);
    if (withdrawn !== undefined) {
      const error = wasWithdrawn(withdrawn, 'nothing was changed; it is not offered');
      return { kind: 'denied', error };
    }
    const found = catalog.targets.get(path);
    if (found !== undefined) {
      const { length, hashes } = found.entry;
      return { kind: 'listed', entry: { length, hashes }, rootKeys: catalog.rootKeys };
    }
    const unknown = catalog.unknown(path);
    if (unknown !== undefined) return { kind: 'failed', error: unknown };
    const why = catalog.passedOver(path);
    return { kind: 'absent', ...(why !== undefined && { why }) };
  }
}

/** Reads everything that a repository lists, or what vendors of `device` list. */
export async function readCatalog(
  repository: Repository,
  device?: Host['device'],
): Promise<Catalog> {
  const { list, indexes, failed, updater } = await repository.contents(device);
  const { root } = await updater.trusted();
  const withdrawn = indexes.flatMap(({ entries }) =>
    entries.filter((entry) => entry.withdrawn !== undefined),
  );
  const targets = new Map(list.targets.map((found) => [found.entry.path, found]));
  const top = (await updater.trusted()).targets('targets');
  return {
    ...{
      targets,
      unknown: unknownBy(top, failed),
      passedOver: passedOverBy(top, device),
    },
    indexes: new Map(indexes.map((one) => [indexPath(one.vendor, one.product), one])),
    failed,
    rootKeys: keyIdentities(root.keys, root.roles.root),
    withdrawn: new Map(withdrawn.map((entry) => [entry.path, entry])),
  };
}

/**
 * What a vendor lists is read only where the operators gave it the device: that they did not is their word
 * about it, and another one than that the vendor lists nothing.
 */
function passedOverBy(
  top: Targets | undefined,
  device: Host['device'] | undefined,
): Catalog['passedOver'] {
  const vendors = top === undefined ? undefined : parseVendors(top.envelope.signed);
  return (path) => {
    const [name = ''] = path.split('/', 1);
    const vendor = vendors?.get(name);
    if (device === undefined || vendor === undefined || speaksFor(vendor, device)) return undefined;
    const id = formatHardwareId({ bus: 'PCI', vendor: device.vendor, device: device.device });
    return `its operators did not give ${id} to ${name}`;
  };
}

/**
 * Of what a role that could not be read lists, nothing is known: that is not its not being there; nor of
 * what an index withdrew. But what one vendor broke says nothing of the paths of others.
 */
function unknownBy(
  top: Targets | undefined,
  failed: ReadonlyMap<string, IronError>,
): Catalog['unknown'] {
  const vendors = top === undefined ? undefined : parseVendors(top.envelope.signed);
  const roles = new Map(top?.delegations?.roles.map((role) => [role.name, role]));
  const patternsOf = (name: string): readonly string[] | undefined => {
    const index = productOfIndex(name);
    if (index !== undefined) return [`${index}/*/*`];
    const vendor = vendorOfRole(name);
    // Below a vendor's role names begin with its own; where others name roles, one may be below any.
    const top = roles.get(name) ?? (vendors?.has(vendor) === true ? roles.get(vendor) : undefined);
    return top !== undefined && 'paths' in top.scope ? top.scope.paths : undefined;
  };
  const broken = [...failed].map(([name, error]) => ({ patterns: patternsOf(name), error }));
  return (path) => {
    const matches = patternMatcher(path);
    return broken.find(({ patterns }) => patterns?.some(matches) !== false)?.error;
  };
}
