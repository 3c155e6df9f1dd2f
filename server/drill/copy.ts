/** The copy on which a theft is rehearsed: what is published, and the keys of the service. */

import { cp, mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { data, tree } from '../../shared/layout.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { isTemporaryName } from '../../shared/node/files.ts';

/**
 * Copies the tree of `home` into `to`, and with `keys` the folder of the online keys. The original
 * is read and not locked, so that its service may run: timestamp.json comes first, because what it
 * names was there before it. The database is left out; it is made again from the tree.
 */
export async function copyRepository(
  home: string,
  to: string,
  options: { readonly keys: boolean },
): Promise<void> {
  const [from, copy] = [join(home, data.tree), join(to, data.tree)];
  await mkdir(join(copy, tree.metadataFolder), { recursive: true });
  await mkdir(join(to, data.private), { mode: 0o700 });
  const timestamp = tree.timestamp;
  await onPath(from, () => cp(join(from, timestamp), join(copy, timestamp)));
  await onPath(from, () =>
    cp(from, copy, {
      recursive: true,
      force: false,
      filter: (source) => !isTemporaryName(basename(source)),
    }),
  );
  const online = join(to, data.onlineKeys);
  await mkdir(online, { mode: 0o700 });
  if (!options.keys) return;
  await onPath(from, () =>
    cp(join(home, data.onlineKeys), online, { recursive: true, force: true }),
  );
}
