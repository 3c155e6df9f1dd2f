/** A host that is attacked: it asks for an artifact, and its state is compared before and after. */

import { join } from 'node:path';
import type { Code } from '../../../shared/errors.ts';
import { storeOf } from '../honest.ts';
import { type Scene, treeOf } from '../scene.ts';
import { changedPaths, folderState } from '../support/folder-state.ts';
import { type HostileServer, type Lie, startHostileServer } from '../support/hostile-server.ts';
import { ask, type Document, type RunOptions } from '../support/programs.ts';
import type { Answer } from './attack.ts';

function moved(clock?: number): RunOptions {
  return clock === undefined ? {} : { clock };
}

export interface Expectation {
  readonly expected: Code;
  readonly context?: Readonly<Record<string, string | number>>;
  /** Seconds by which the host's clock is moved. */
  readonly clock?: number;
  /** The target asked for; by default what was published last. */
  readonly target?: string;
  /**
   * Roles whose newer files the host rightly accepts before it meets the lie: TUF 5 stores each
   * file once it is verified. Nothing but these, and the floors with them, may change.
   */
  readonly progress?: readonly string[];
}

/** Serves the scene's tree with lies and lets the host ask for the artifact. */
export async function attackClient(
  scene: Scene,
  lies: ReadonlyMap<string, Lie>,
  expectation: Expectation,
): Promise<Answer> {
  const server = await startHostileServer(treeOf(scene), lies);
  try {
    return await getVerified(scene, server, expectation);
  } finally {
    await server.stop();
  }
}

/** Brings the host up to date from the honest tree. */
export async function refreshHonestly(scene: Scene, clock?: number): Promise<Document> {
  const server = await startHostileServer(treeOf(scene), new Map());
  try {
    return await ask(
      'ironport-client',
      [server.url, 'refresh', '--store', storeOf(scene)],
      moved(clock),
    );
  } finally {
    await server.stop();
  }
}

async function getVerified(
  scene: Scene,
  server: HostileServer,
  expectation: Expectation,
): Promise<Answer> {
  const out = join(scene.host, 'delivered');
  const before = await folderState(scene.host);
  const args = [
    server.url,
    'get-verified',
    expectation.target ?? scene.artifact,
    out,
    '--store',
    storeOf(scene),
  ];
  const document = await ask('ironport-client', args, moved(expectation.clock));
  const changed = changedPaths(before, await folderState(scene.host));
  const { progress = [] } = expectation;
  const allowed = new Set(
    progress.flatMap((role) => [
      `store/metadata/${role}.json`,
      'store/floors.json',
      // The list comes with the role that lists it.
      ...(role === 'revocations' ? ['store/revocations.json'] : []),
    ]),
  );
  return answer(
    'client',
    document,
    expectation,
    changed.filter((path) => !allowed.has(path) && !isLock(path)),
  );
}

/** Locks are empty files that say nothing. */
function isLock(path: string): boolean {
  return /^store\/(lock|downloads\/)/.test(path);
}

/** Files that an honest mirror would have brought as well. */
export const HONEST_NEWS = ['timestamp', 'snapshot', 'targets'] as const;

export function answer(
  party: Answer['party'],
  document: { readonly error?: Document['error'] | undefined },
  expectation: Pick<Expectation, 'expected' | 'context'>,
  changed: readonly string[],
): Answer {
  const { expected, context } = expectation;
  return {
    party,
    error: document.error,
    expected,
    changed,
    ...(context === undefined ? {} : { context }),
  };
}
