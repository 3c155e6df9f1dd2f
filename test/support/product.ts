/** A product in a simulator: artifacts with evidence, and the index that lists them. */

import { toHex, utf8 } from '../../shared/bytes.ts';
import { indexPath } from '../../shared/layout.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { formatIndex, type IndexEntry } from '../../shared/product/index-file.ts';
import { addArtifact, CEILING } from './artifact.ts';
import { TODAY } from './clock.ts';
import type { Simulator } from './simulator.ts';

export interface Release extends Partial<IndexEntry> {
  readonly version: string;
  /** Not listed in the role, as a withdrawn one is not. */
  readonly unlisted?: boolean;
}

/** Lists the releases in the role of `vendor` and in the index of the product; returns the entries. */
export async function addProduct(
  sim: Simulator,
  releases: readonly Release[],
  { vendor = 'acme', product = 'edu', revision = 1 } = {},
): Promise<readonly IndexEntry[]> {
  const entries: IndexEntry[] = [];
  for (const { unlisted, ...release } of releases) {
    const path = release.path ?? `${vendor}/${product}/${release.version}/edu.js`;
    const bytes = utf8(`export const driver = '${path}';\n`);
    const generation = release.generation ?? 1;
    if (unlisted !== true) {
      const ceilingPredicate = { ...CEILING, generation };
      await addArtifact(sim, path, bytes, { generation, ceilingPredicate });
    }
    entries.push({
      path,
      length: bytes.length,
      sha256: toHex(platformCrypto.sha256(bytes)),
      channel: 'stable',
      rolloutPercent: 100,
      devices: [{ vendor: 0x1234, device: 0x11e8 }],
      abi: { min: 1, max: 1 },
      generation,
      released: TODAY,
      notes: '',
      fixes: [],
      ...release,
    });
  }
  sim.addTarget(
    vendor,
    indexPath(vendor, product),
    formatIndex({ vendor, product, revision, entries }),
  );
  return entries;
}
