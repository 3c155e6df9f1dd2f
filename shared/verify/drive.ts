/** Drivers of a workflow: one for answers at hand, one for answers that take time. */

import type { Answer, Request, Workflow } from './workflow.ts';

/** Runs a workflow whose every request can be answered at once. */
export function drive<T>(workflow: Workflow<T>, answer: (request: Request) => Answer): T {
  let step = workflow.next();
  while (!step.done) step = workflow.next(answer(step.value));
  return step.value;
}

/** Runs a workflow whose requests wait for a disk or a network. */
export async function driveAsync<T>(
  workflow: Workflow<T>,
  answer: (request: Request) => Promise<Answer>,
): Promise<T> {
  let step = workflow.next();
  while (!step.done) step = workflow.next(await answer(step.value));
  return step.value;
}
