/** Hand-overs as an honest client makes them, now and in the past. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tree } from '../../../shared/layout.ts';
import { clientArgs } from '../honest.ts';
import { type Scene, treeOf } from '../scene.ts';
import { type Lie, startHostileServer } from '../support/hostile-server.ts';
import { must } from '../support/programs.ts';
import { publishedState } from '../support/thief.ts';

/** The client verifies `target` and hands it over into a folder of the host. */
export function handOver(scene: Scene, target: string, name: string): Promise<string> {
  return handOverFrom(scene, new Map(), target, name);
}

/** The hand-over that was made before the last publication: the mirror of that day is played. */
export async function handOverOlder(scene: Scene): Promise<string> {
  const { timestamp } = await publishedState(scene);
  const older = await readFile(join(scene.recorded, `timestamp.${timestamp.version - 1}.json`));
  const target = scene.artifact.replace('/1.1.0/', '/1.0.0/');
  return handOverFrom(scene, new Map([[tree.timestamp, older]]), target, 'older');
}

async function handOverFrom(
  scene: Scene,
  lies: ReadonlyMap<string, Lie>,
  target: string,
  name: string,
): Promise<string> {
  const folder = join(scene.folder, `handed-over-${name}`);
  const server = await startHostileServer(treeOf(scene), lies);
  try {
    await must('ironport-client', [server.url, 'handoff', target, folder, ...clientArgs(scene)]);
  } finally {
    await server.stop();
  }
  return folder;
}
