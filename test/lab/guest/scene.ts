/** `lab-scene`: makes what the guides of the agent begin with, for whoever types them at the prompt. */

import { existsSync } from 'node:fs';
import { wholeWay } from '../cases/whole-way.ts';
import { GUIDE, prepareGuide } from '../support/guide.ts';
import { hasScene } from '../support/scene.ts';

const kernel = existsSync('/dev/iommu') ? 'lab' : 'stock';
const ground = wholeWay.find(({ isGround }) => isGround === true);
if (ground === undefined) throw new Error('no case makes a scene');
const asksNobody = (): never => {
  throw new Error('nobody is asked');
};
if (!hasScene()) {
  await ground.run({
    ...{ kernel, backend: kernel === 'lab' ? 'iommufd' : 'container' },
    ...{ say: console.log, monitor: asksNobody, cut: asksNobody },
  });
}
await prepareGuide();
console.log(`cd ${GUIDE}`);
process.exit(0);
