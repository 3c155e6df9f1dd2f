/** Publishes what waits in HOME and dies at POINT, as by a power cut: `node crash-child.ts HOME POINT NOW`. */

import { kill, pid } from 'node:process';
import { openRepository } from '../../server/repository.ts';
import { TestClock } from '../support/clock.ts';
import { repositoryOptions } from './support.ts';

const [home, point, now] = process.argv.slice(2) as [string, string, string];
const repository = await openRepository({
  ...repositoryOptions(home, new TestClock(Number(now))),
  observe(reached) {
    process.stdout.write(`${reached}\n`);
    if (reached === point) kill(pid, 'SIGKILL');
  },
});
await repository.worker.drain();
await repository.close();
