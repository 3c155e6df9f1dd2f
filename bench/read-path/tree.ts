/** A tree by a real ceremony, with metadata of the sizes that are asked for. */

import { cp, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { data, tree } from '../../shared/layout.ts';
import { grow } from '../publish/grow.ts';
import { makePlaces, placeOf } from '../publish/places.ts';

export interface BenchTree {
  /** All of it, to be removed in the end. */
  readonly folder: string;
  readonly repository: string;
  /** The same once more, for a second process that would write. */
  readonly copy: string;
  /** The file of the tree that comes next to each size, and what it has. */
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
}

/** Targets of which two bins are some 54 KiB each; the role beside them has about 1 KiB. */
const TARGETS = 300;

export async function makeTree(sizes: readonly number[]): Promise<BenchTree> {
  const scene = await makePlaces();
  const { repository, ...place } = await placeOf(scene, 'read');
  await grow({ repository, ...place }, TARGETS, 1);
  const folder = join(repository, data.tree, tree.metadataFolder);
  const found: { path: string; bytes: number }[] = [];
  for (const name of await readdir(folder)) {
    const path = `${tree.metadataFolder}/${name}`;
    if (path !== tree.timestamp) found.push({ path, bytes: (await stat(join(folder, name))).size });
  }
  const nearest = (size: number): (typeof found)[number] =>
    found.reduce((best, one) =>
      Math.abs(one.bytes - size) < Math.abs(best.bytes - size) ? one : best,
    );
  const copy = join(scene.folder, 'read-copy');
  await cp(repository, copy, { recursive: true });
  return { folder: scene.folder, repository, copy, files: sizes.map(nearest) };
}
