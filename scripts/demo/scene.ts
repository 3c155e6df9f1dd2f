/** The places of one demo: every party has a folder of its own, and nothing is shared by chance. */

import { copyFile, cp, mkdir, mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Service } from './support/programs.ts';

export interface Scene {
  readonly folder: string;
  /** The operators: keys that are offline, and files they signed. */
  readonly operator: string;
  /** The service's folder; `tree/` in it is all that is public. */
  readonly repository: string;
  /** A vendor's own machine. */
  readonly vendor: (name: string) => string;
  /** A fleet host: its client's state. */
  readonly host: string;
  /** The agent's state, which the client cannot write. */
  readonly agent: string;
  /** The tree in which a process plays the kernel. */
  readonly sysfs: string;
  /** What an attacker who listened kept: timestamps by version. */
  readonly recorded: string;
  /** Set while the service runs. */
  service: Service | undefined;
  /** What was published last. */
  artifact: string;
}

export async function makeScene(): Promise<Scene> {
  const folder = await mkdtemp(join(tmpdir(), 'ironport-demo-'));
  const scene = sceneAt(folder);
  for (const place of [scene.operator, scene.recorded, scene.host])
    await mkdir(place, { recursive: true });
  await mkdir(join(scene.repository, 'private', 'keys'), { recursive: true, mode: 0o700 });
  return scene;
}

function sceneAt(folder: string): Scene {
  return {
    folder,
    operator: join(folder, 'operator'),
    repository: join(folder, 'repository'),
    vendor: (name) => join(folder, `vendor-${name}`),
    host: join(folder, 'host'),
    agent: join(folder, 'agent'),
    sysfs: join(folder, 'sys'),
    recorded: join(folder, 'recorded'),
    service: undefined,
    artifact: '',
  };
}

/** A copy in which an attack may do what it likes. */
export async function copyScene(scene: Scene, name: string): Promise<Scene> {
  const copy = sceneAt(join(scene.folder, `attack-${name}`));
  for (const place of ['operator', 'repository', 'host', 'agent', 'recorded'] as const) {
    await cp(scene[place], copy[place], { recursive: true, errorOnExist: false }).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      },
    );
  }
  for (const vendor of ['acme', 'mallory']) {
    await cp(scene.vendor(vendor), copy.vendor(vendor), { recursive: true }).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      },
    );
  }
  copy.artifact = scene.artifact;
  return copy;
}

/** The published tree of a scene. */
export function treeOf(scene: Scene): string {
  return join(scene.repository, 'tree');
}

/** Keeps today's timestamp, as anybody who listens can. */
export async function recordTimestamp(scene: Scene): Promise<number> {
  const current = join(treeOf(scene), 'metadata', 'timestamp.json');
  const { signed } = JSON.parse(await readFile(current, 'utf8')) as { signed: { version: number } };
  await copyFile(current, join(scene.recorded, `timestamp.${signed.version}.json`));
  return signed.version;
}
