/** Two operators of the fleet, whose word lets a device out of quarantine. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { must } from '../../../scripts/demo/support/programs.ts';
import { makeKeyFile } from '../../../shared/node/signers/file.ts';
import { keyObject } from '../../../shared/tuf/key.ts';
import { STATE, scene } from './scene.ts';

const FOLDER = join(STATE, 'operators');
const NAMES = ['operator-1.json', 'operator-2.json'];
const FLEET_KEYS = 'fleet-keys.json';

/** Makes them anew: what an earlier case released is over. */
export async function makeOperators(folder = FOLDER): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const keys = [];
  for (const name of NAMES) {
    const { file, key } = await makeKeyFile('ed25519');
    writeFileSync(join(folder, name), file, { mode: 0o600, flush: true });
    keys.push(keyObject(key));
  }
  const fleet = { schema: 'ironport.fleet-keys/v1', threshold: 2, keys };
  writeFileSync(join(folder, FLEET_KEYS), JSON.stringify(fleet), { mode: 0o644, flush: true });
}

/** Shows the incident, lets both sign what it says, and releases the device by it. */
export async function releaseBySignature(incident: string): Promise<void> {
  const state = ['--state', scene().state];
  const files = [0, 1, 2].map((n) => join(FOLDER, `release-${n}.json`)) as [string, string, string];
  await must('ironport-agent', ['quarantine', 'show', incident, '--out', files[0], ...state]);
  for (const [i, name] of NAMES.entries())
    await must('ironport-agent', [
      ...['quarantine', 'sign', files[i] as string, '--key', join(FOLDER, name)],
      ...['--out', files[i + 1] as string],
    ]);
  await must('ironport-agent', [
    ...['quarantine', 'release', files[2], '--fleet-keys', join(FOLDER, FLEET_KEYS)],
    ...['--write-timeout', '200', ...state],
  ]);
}
