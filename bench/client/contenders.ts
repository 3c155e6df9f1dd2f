/** Who is measured on which repository, and what each is given before its time begins. */

import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FolderStore } from '../../client/store/folder.ts';
import { tree } from '../../shared/layout.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import type { Contender } from '../support/in-turn.ts';
import { type Command, runToEnd, type Usage } from '../support/measured.ts';
import type { Repository } from './repository.ts';

export type Work = 'cold' | 'warm';

const CONFORMANCE = fileURLToPath(new URL('../../test/conformance/launch.cjs', import.meta.url));

const script = (name: string): string => fileURLToPath(new URL(`./${name}`, import.meta.url));

/** What Node costs before anything is done. */
export const bareNode: Contender = {
  name: 'node -e 0',
  run: () => runToEnd({ args: ['-e', '0'] }),
};

/** Limits on how long a contender may take for one run. */
const TIMEOUT_SECONDS = 300;

interface Client {
  readonly name: string;
  /** Pins the root in `folder`, which is empty. */
  pin(folder: string, root: Uint8Array): Promise<void>;
  command(folder: string, url: string, target: string | undefined): Command;
}

const tufJs: Client = {
  name: 'tuf-js',
  pin: (folder, root) => writeFile(join(folder, 'root.json'), root),
  command: (folder, url, target) => ({
    args: [
      ...[script('tuf-js.mjs'), folder, `${url}${tree.metadataFolder}`],
      ...(target === undefined
        ? []
        : [target, `${url}${tree.targetsFolder}`, join(folder, 'targets')]),
    ],
  }),
};

const ours: Client = {
  name: 'ours',
  pin: async (folder, root) => {
    await new FolderStore(folder).pinRoot(root, platformCrypto);
  },
  command: (folder, url, target) => ({
    args: [
      ...[script('ours.cjs'), folder, url],
      ...(target === undefined ? [] : [target, join(folder, 'targets')]),
    ],
  }),
};

/** The program that suites of others drive; it starts the way that our own programs do. */
const underTest: Client = {
  name: 'client under test',
  pin: async (folder, root) => {
    const file = join(folder, 'targets', 'root.json');
    await writeFile(file, root);
    await runToEnd({ args: [CONFORMANCE, '--metadata-dir', folder, 'init', file] });
    await rm(file);
  },
  command: (folder, url, target) => ({
    args: [
      ...[CONFORMANCE, '--metadata-dir', folder, '--metadata-url', `${url}${tree.metadataFolder}`],
      ...(target === undefined
        ? ['refresh']
        : [
            ...['--target-name', target, '--target-base-url', `${url}${tree.targetsFolder}`],
            ...['--target-dir', join(folder, 'targets'), 'download'],
          ]),
    ],
  }),
};

/** Contenders for one work on one repository; warm ones share a store that was made once. */
export async function contenders(
  work: Work,
  { folder, target }: Repository,
  url: string,
  also: { readonly tufJs: boolean; readonly underTest: boolean },
): Promise<{ contenders: Contender[]; cleanUp(): Promise<void> }> {
  const root = await readFile(join(folder, tree.metadata('root', 1)));
  const scratch = await mkdtemp(join(tmpdir(), 'ironport-bench-stores-'));
  let stores = 0;
  const freshStore = async (client: Client): Promise<string> => {
    const store = join(scratch, `${client.name}-${stores++}`);
    await mkdir(join(store, 'targets'), { recursive: true });
    await client.pin(store, root);
    return store;
  };
  const run = async (client: Client, store: string, wanted: string | undefined): Promise<Usage> =>
    runToEnd({ ...client.command(store, url, wanted), timeoutSeconds: TIMEOUT_SECONDS });

  const cleanUp = (): Promise<void> => rm(scratch, { recursive: true, force: true });
  const made = [bareNode];
  const clients = [...(also.tufJs ? [tufJs] : []), ours, ...(also.underTest ? [underTest] : [])];
  for (const client of clients) {
    if (work === 'cold') {
      const runCold = async (): Promise<Usage> => run(client, await freshStore(client), target);
      made.push({ name: client.name, run: runCold });
    } else {
      const store = await freshStore(client);
      try {
        await run(client, store, undefined);
      } catch (error) {
        await cleanUp();
        throw error;
      }
      made.push({ name: client.name, run: () => run(client, store, undefined) });
    }
  }
  return { contenders: made, cleanUp };
}
