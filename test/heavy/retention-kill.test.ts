/**
 * A collection that is killed at its points, again and again: nothing is lost that is promised, the
 * tree is in order each time, and a later run ends what the killed ones began.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { checkTree } from '../../server/publish/fsck.ts';
import { listFiles } from '../../server/publish/list-files.ts';
import { openRepository } from '../../server/repository.ts';
import { changeHolds } from '../../server/storage/holds.ts';
import { data, tree } from '../../shared/layout.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { DAY } from '../../shared/time.ts';
import { House, WINDOW } from '../server/retention-house.ts';
import { repositoryOptions } from '../server/support.ts';
import type { TestArtifact } from '../support/repository.ts';

t.setTimeout(280_000);

const CHILD = fileURLToPath(new URL('../server/collect-child.ts', import.meta.url));
const ARTIFACTS = 40;

/** A run of the collection in a process of its own, which ends by SIGKILL at its `point`th point, from 0. */
async function run(home: string, now: number, point?: number) {
  const words = [CHILD, home, String(now), ...(point === undefined ? [] : [String(point)])];
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  let points = 0;
  for await (const _ of createInterface({ input: child.stdout })) points += 1;
  const [code, signal] = await exit;
  if (code !== 0 && signal !== 'SIGKILL') throw new Error(`the collection ended with ${code}`);
  return { isKilled: signal === 'SIGKILL', points };
}

t.test('killed again and again', async (t) => {
  const house = await House.build(t, WINDOW);
  const { home, clock } = house;
  const all: TestArtifact[] = [];
  for (let i = 0; i < ARTIFACTS; i++) all.push(await house.artifact(`1.${i}.0`));
  await house.list(...all);
  await house.list(...all.slice(30));
  await house.wait(45 * DAY);
  // The last of these are in their window, and the first five of what is due are held.
  await house.list(...all.slice(35));
  await house.wait(10 * DAY);
  for (let i = 0; i < 5; i++) {
    const hold = { path: `acme/edu/1.${i}.0/`, reason: 'a case', since: clock.now };
    await changeHolds(home, (holds) => [...holds, hold]);
  }
  const plan = await house.repository.worker.collect(true);
  const due = new Set(plan.collected.map(({ place }) => place));
  t.equal(due.size, 25 * (all[0]?.entries.size ?? 0), 'what is not listed, promised or held');
  await house.repository.close();
  const promised = (await listFiles(house.folder)).filter((path) => !due.has(path));

  const copy = `${home}-copy`;
  const gone = (): Promise<void> => rm(copy, { recursive: true, force: true });
  const anew = async (): Promise<void> => {
    await gone();
    await cp(home, copy, { recursive: true, preserveTimestamps: true });
  };
  t.teardown(gone);
  const folder = join(copy, data.tree);
  const look = async (when: string): Promise<number> => {
    const options = { crypto: platformCrypto, clock: clock.read };
    const { findings, collected } = await checkTree(folder, options);
    if (findings.length > 0) t.same(findings, [], `fsck ${when}`);
    const lost = promised.filter((path) => !existsSync(join(folder, path)));
    if (lost.length > 0) t.same(lost, [], `what is promised ${when}`);
    return collected;
  };

  await anew();
  const whole = await run(copy, clock.now);
  t.equal(await look('after a run that nobody killed'), due.size);
  const [first, last] = [whole.points - due.size, whole.points - 1];
  // Planned, marked, noted; the first bytes, some, and the last; some, and on from there some more.
  const rounds = [[0], [1], [2], [first], [first + 9], [last], [first + 9, 9]];
  let halves = 0;
  for (const round of rounds) {
    await anew();
    for (const point of round) {
      const { isKilled } = await run(copy, clock.now, point);
      t.ok(isKilled, `killed at ${point}`);
      const collected = await look(`after a kill at ${point}`);
      if (collected > 0 && collected < due.size) halves += 1;
    }
    const repository = await openRepository(repositoryOptions(copy, clock));
    const rest = await repository.worker.collect(false);
    const again = await repository.worker.collect(false);
    await repository.close();
    t.same([rest.due.length, again.due.length], [rest.collected.length, 0], 'the next run ends it');
    t.equal(await look(`when a kill at ${round} was made good`), due.size);
    for (const path of due)
      if (!existsSync(join(folder, tree.mark(path) ?? ''))) t.fail(`${path} has no mark`);
  }
  t.ok(halves >= 3, `${halves} with some bytes gone and some not`);
});
