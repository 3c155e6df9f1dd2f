/**
 * `node case.js NAME`: runs one case; its exit status is the verdict. `node case.js --put-back`: what a
 * case that failed left bound is let go of, so that the next one begins as it expects.
 */

import { existsSync } from 'node:fs';
import type { KernelKind, Lab } from '../cases/case.ts';
import { formsOn } from '../cases/index.ts';
import { putBack } from '../support/put-back.ts';

// For the case itself alone: the programs that it starts keep their compiled code as they are shipped to.
delete process.env.NODE_COMPILE_CACHE;

const kernel: KernelKind = existsSync('/dev/iommu') ? 'lab' : 'stock';
const [, , name = ''] = process.argv;
if (name === '--put-back') {
  await putBack();
  process.exit(0);
}
const form = formsOn(kernel).find((one) => one.name === name);
if (form === undefined) throw new Error(`no case ${name} on the ${kernel} kernel`);

const lab: Lab = {
  kernel,
  backend: form.backend,
  say: (text) => console.log(text),
  monitor(command) {
    const answer = new Promise<string>((resolve) =>
      process.once('message', (message: { answer: string }) => resolve(message.answer)),
    );
    process.send?.({ kind: 'monitor', command });
    return answer;
  },
  cut() {
    process.send?.({ kind: 'cut' });
    return new Promise<never>(() => setTimeout(() => {}, 2 ** 30));
  },
};

try {
  await form.lab.run(lab);
  process.exit(0);
} catch (error) {
  console.error(error);
  process.exit(1);
}
