import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tree } from '../../../shared/layout.ts';
import { parseTargets } from '../../../shared/tuf/targets.ts';
import { treeOf } from '../scene.ts';
import { readRole } from '../support/thief.ts';
import type { Attack } from './attack.ts';
import { attackClient, HONEST_NEWS } from './victim.ts';

/** TUF 1.5.2, arbitrary software: the bytes are altered, their length is not. */
export const tamperedArtifact: Attack = {
  name: 'tampered-artifact',
  summary: 'a mirror flips one bit of the artifact',
  async run(scene, say) {
    const { bytes } = await readRole(scene, 'acme');
    const sha256 = parseTargets(bytes, 'acme').entry(scene.artifact)?.hashes.get('sha256') ?? '';
    const path = tree.target(scene.artifact, sha256);
    const altered = await readFile(join(treeOf(scene), path));
    altered[altered.length >> 1] = (altered[altered.length >> 1] as number) ^ 1;
    say(`one bit of ${altered.length} bytes is flipped`);
    return [
      await attackClient(scene, new Map([[path, altered]]), {
        expected: 'E_HASH',
        progress: [...HONEST_NEWS, 'acme'],
      }),
    ];
  },
};
