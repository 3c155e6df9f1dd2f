/** Collects in HOME at NOW, and says each point that it comes to: `node collect-child.ts HOME NOW`. */

import { openRepository } from '../../server/repository.ts';
import { TestClock } from '../support/clock.ts';
import { repositoryOptions } from './support.ts';

const [home, now] = process.argv.slice(2) as [string, string];
const repository = await openRepository({
  ...repositoryOptions(home, new TestClock(Number(now))),
  observe(reached) {
    process.stdout.write(`${reached}\n`);
  },
});
await repository.worker.collect(false);
await repository.close();
