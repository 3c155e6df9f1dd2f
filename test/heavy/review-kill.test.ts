/**
 * A service that is killed while submissions wait for reviewers and while they are approved: what
 * was acknowledged is there after each restart, once, and readers find one repository.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { checkTree } from '../../server/publish/fsck.ts';
import { openRepository } from '../../server/repository.ts';
import { saveReviewPolicy } from '../../server/storage/review-policy.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import {
  ANNA,
  type At,
  approve,
  BORIS,
  bring,
  handIn,
  nameReviewers,
  shown,
  statement,
} from '../server/reviewing.ts';
import { Caller, madeHome, repositoryOptions } from '../server/support.ts';
import { TestClock } from '../support/clock.ts';
import { testArtifact } from '../support/repository.ts';

t.setTimeout(600_000);

const BIN = fileURLToPath(new URL('../../bin/ironport-repo.js', import.meta.url));
const ROUNDS = 12;

t.test('killed at any instant of a review', async (t) => {
  const clock = new TestClock(systemClock());
  const made = await madeHome(t, clock);
  const { home, acme } = made;
  const repository = await openRepository(repositoryOptions(home, clock));
  await nameReviewers({ ...made, repository }, 2, [ANNA, BORIS], 2);
  await repository.close();
  await saveReviewPolicy(home, 'all');

  let child: ChildProcess | undefined;
  const start = async (): Promise<At> => {
    child = spawn(process.execPath, [BIN, '127.0.0.1:0', home], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    for await (const data of child.stderr as NonNullable<typeof child.stderr>) {
      said += data;
      const url = /on (http:\/\/\S+)/.exec(said)?.[1];
      if (url === undefined) continue;
      child.stderr?.resume();
      const at = new TestClock(systemClock());
      return { home, acme, clock: at, service: { url }, caller: new Caller(url, acme.api, at) };
    }
    throw new Error(`the service did not start: ${said}`);
  };
  const kill = async (): Promise<void> => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  };
  t.teardown(kill);

  const artifacts = [];
  for (let round = 1; round <= ROUNDS; round++) {
    artifacts.push(
      await testArtifact(acme, `acme/edu/${round}.0.0/edu.js`, undefined, { now: clock.now }),
    );
    let it = await start();
    const { id } = await handIn(it, round, artifacts);
    await kill();
    it = await start();
    t.match(await shown(it, id), { state: 'in-review', approved_by: 0 }, `${round}: it waits`);
    t.equal(await approve(it, id, ANNA), 'in-review');
    // The second approval publishes; somewhere in it the service dies.
    const last = await statement(it, id, [BORIS]);
    const answered = bring(it, id, last).then(
      () => true,
      () => false,
    );
    await setTimeout((round - 1) * 3);
    await kill();
    const wasSaid = await answered;
    it = await start();
    const { state, approved_by } = await shown(it, id);
    if (wasSaid) t.not(state, 'in-review', `${round}: what was answered stands`);
    if (state === 'in-review') {
      t.equal(approved_by, 1, `${round}: the first approval stands`);
      t.equal(await approve(it, id, BORIS), 'published');
    }
    t.match(
      await it.caller.ended(id),
      { state: 'published' },
      `${round}: published, from ${state}`,
    );
    await kill();
    const found = await checkTree(join(home, 'tree'), {
      crypto: platformCrypto,
      clock: systemClock,
    });
    t.strictSame(found.findings, [], `${round}: one repository`);
  }
});
