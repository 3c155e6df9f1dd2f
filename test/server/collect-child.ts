/**
 * Collects in HOME at NOW, says each point that it comes to, and ends by SIGKILL at its POINTth one, from 0,
 * if there is one: `node collect-child.ts HOME NOW [POINT]`.
 */

import { openRepository } from '../../server/repository.ts';
import { TestClock } from '../support/clock.ts';
import { repositoryOptions } from './support.ts';

const [home, now, point] = process.argv.slice(2) as [string, string, string | undefined];
let points = 0;
const repository = await openRepository({
  ...repositoryOptions(home, new TestClock(Number(now))),
  observe(reached) {
    process.stdout.write(`${reached}\n`);
    if (String(points) === point) process.kill(process.pid, 'SIGKILL');
    points += 1;
  },
});
await repository.worker.collect(false);
await repository.close();
