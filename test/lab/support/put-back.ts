/** After a case that failed: the examples' devices as the next case expects them. */

import { must } from '../../../scripts/demo/support/programs.ts';
import { hasScene, scene } from './scene.ts';
import { EDU } from './vfio.ts';

export async function putBack(): Promise<void> {
  if (!hasScene()) return;
  for (const device of EDU) {
    const words = ['release', '--state', scene().state, '--device', device];
    const patient = ['--write-timeout', '200', '--settle-timeout', '60'];
    // Most were not bound. What cannot be let go of is told by the next case, in its own words.
    await must('ironport-agent', [...words, ...patient]).then(
      () => console.log(`put back: ${device}`),
      () => {},
    );
  }
}
