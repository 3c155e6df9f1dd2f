/**
 * A collection that is killed at any instant, again and again: nothing is lost that is promised, the
 * tree is in order each time, and a later run ends what the killed ones began.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
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
/** As many kills, or as there is time for. */
const KILLS = 20;
const SECONDS = 15;
const ARTIFACTS = 40;

/**
 * A run of the collection in a process of its own; killed soon after it says that it came to its
 * `point`th point, from 0. Returns whether it was, and how many points it told of.
 */
async function run(home: string, now: number, point = Number.POSITIVE_INFINITY) {
  const child = spawn(process.execPath, [CHILD, home, String(now)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exit = once(child, 'exit');
  let points = 0;
  for await (const _ of createInterface({ input: child.stdout })) {
    if (points === point) {
      await setTimeout(Math.random() * 3);
      child.kill('SIGKILL');
    }
    points += 1;
  }
  const [code, signal] = await exit;
  if (code !== 0 && signal !== 'SIGKILL') throw new Error(`the collection ended with ${code}`);
  return { isKilled: signal === 'SIGKILL', points };
}

/** Half of them while the marks and the index are written, half while the bytes go. */
function anyPoint(points: number): number {
  return Math.floor(Math.random() * (Math.random() < 0.5 ? 3 : points));
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
  const until = performance.now() + SECONDS * 1000;
  let [kills, halves] = [0, 0];
  for (let left = 0; kills < KILLS && performance.now() < until; ) {
    // Most are killed once more where they go on.
    if (left === 0) await anew();
    const { isKilled } = await run(copy, clock.now, anyPoint(whole.points));
    const collected = await look(`after kill ${kills + 1}`);
    if (isKilled) kills += 1;
    if (collected > 0 && collected < due.size) halves += 1;
    if (isKilled && collected < due.size && Math.random() < 2 / 3) {
      left = due.size - collected;
      continue;
    }
    left = 0;
    const repository = await openRepository(repositoryOptions(copy, clock));
    const rest = await repository.worker.collect(false);
    const again = await repository.worker.collect(false);
    await repository.close();
    t.same([rest.due.length, again.due.length], [rest.collected.length, 0], 'the next run ends it');
    t.equal(await look(`when kill ${kills} was made good`), due.size);
    for (const path of due)
      if (!existsSync(join(folder, tree.mark(path) ?? ''))) t.fail(`${path} has no mark`);
  }
  t.ok(kills > 0, `${kills} kills, ${halves} of them with some bytes gone and some not`);
});
