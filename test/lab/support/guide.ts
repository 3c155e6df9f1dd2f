/** What the guides of the agent begin with: a hand-over, a root, a policy, operators of the fleet. */

import { copyFileSync, cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeOperators } from './operators.ts';
import { runPolicy } from './run.ts';
import { STATE, scene } from './scene.ts';

export const GUIDE = join(STATE, 'guide');

/** As `test/lab/guest/init` has them for the prompt. A machine that is emulated is slow. */
export const GUIDE_ENV = {
  IRONPORT_AGENT_STATE: join(GUIDE, 'state'),
  IRONPORT_AGENT_WRITE_TIMEOUT: '200',
  IRONPORT_AGENT_SETTLE_TIMEOUT: '60',
};

/** Makes the folder anew, with an agent that has accepted nothing yet. */
export async function prepareGuide(): Promise<void> {
  const { handedOver, root } = scene();
  rmSync(GUIDE, { recursive: true, force: true });
  mkdirSync(GUIDE);
  cpSync(handedOver, join(GUIDE, 'handed-over'), { recursive: true });
  copyFileSync(root, join(GUIDE, 'root.json'));
  copyFileSync(runPolicy('node'), join(GUIDE, 'policy.json'));
  await makeOperators(GUIDE);
}
