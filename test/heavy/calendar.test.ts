/**
 * Ten years of a real repository, under a clock that is passed in: the service renews, publishes and
 * warns with the code that it always runs, and signers sign after the 50 % warning. Every four hours
 * no role may have expired, and every month a host that knows root 1 alone must still come to the end.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { Reminder } from '../../server/jobs/reminder.ts';
import { checkTree } from '../../server/publish/fsck.ts';
import { openRepository } from '../../server/repository.ts';
import { LIFETIMES } from '../../shared/limits.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { DAY, HOUR } from '../../shared/time.ts';
import { clientOf, repositoryOptions } from '../server/support.ts';
import { TestClock } from '../support/clock.ts';
import {
  signedRole,
  signedRoot,
  signedTargets,
  testOperators,
  testVendor,
} from '../support/repository.ts';

t.setTimeout(850_000);

const YEARS = 10;
const STEP = 4 * HOUR;

t.test('ten years', async (t) => {
  // In memory where there is room for it: every publication waits for the disk.
  const shared = '/dev/shm';
  const home = mkdtempSync(
    join(process.platform === 'linux' ? shared : tmpdir(), 'ironport-years-'),
  );
  t.teardown(() => rmSync(home, { recursive: true, force: true }));
  const clock = new TestClock();
  const [operators, acme] = [await testOperators(home), testVendor('acme')];
  const repository = await openRepository(repositoryOptions(home, clock));
  t.teardown(() => repository.close());
  const { intake, worker, current } = repository;
  const publish = async (...files: Uint8Array[]): Promise<void> => {
    const { id } = await intake.submitOperatorFiles(files, true);
    await worker.drain();
    const { state, error } = intake.find(id, undefined);
    if (state !== 'published') throw new Error(`${state}: ${error?.message}`);
  };
  const publishAcme = async (version: number): Promise<void> => {
    const bytes = await signedRole(acme, version, [], { expires: clock.now + LIFETIMES.vendor });
    const { id } = await intake.submitRole({
      vendor: 'acme',
      role: 'acme',
      bytes,
    });
    await worker.drain();
    const { state, error } = intake.find(id, 'acme');
    if (state !== 'published') throw new Error(`${state}: ${error?.message}`);
  };
  const first = await signedRoot(operators, 1, { expires: clock.now + LIFETIMES.root });
  await publish(
    first,
    await signedTargets(operators, 1, [acme], { expires: clock.now + LIFETIMES.targets }),
  );
  await publishAcme(1);

  /** What was warned of and not signed yet. */
  const toSign = new Set<string>();
  const said: string[] = [];
  const reminder = new Reminder({
    ...repository,
    onWarning({ role, version, threshold }) {
      said.push(`${role} ${version} ${threshold}`);
      toSign.add(role);
    },
    onFailure: (error) => t.fail(error.message),
  });
  const signWhatIsDue = async (): Promise<void> => {
    for (const role of toSign) {
      const { root, targets } = await current.need();
      if (role === 'root')
        await publish(
          await signedRoot(operators, root.version + 1, { expires: clock.now + LIFETIMES.root }),
        );
      else if (role === 'targets')
        await publish(
          await signedTargets(operators, targets.version + 1, [acme], {
            expires: clock.now + LIFETIMES.targets,
          }),
        );
      else await publishAcme((await current.need()).version('acme') + 1);
    }
    toSign.clear();
  };

  const end = clock.now + YEARS * 365 * DAY;
  let looks = 0;
  for (let step = 0; clock.now < end; step++) {
    // Somebody signs within the week in which the warning came.
    if (step % 42 === 0) await signWhatIsDue();
    await worker.tick();
    await reminder.look();
    clock.now += STEP;
    const published = await current.need();
    for (const { role, expires } of await repository.expiries.all(published))
      if (expires <= clock.now) t.fail(`${role} expired after ${step} steps`);
    if (step % 180 !== 0) continue;
    await clientOf(home, clock, first).refresh();
    looks += 1;
  }
  const { root, targets, snapshot, timestamp } = await current.need();
  t.ok(looks > 100, `${looks} hosts came from root 1 to the end`);
  t.same(
    said.filter((one) => !one.endsWith(' 50')),
    [],
    'nobody was warned twice',
  );
  t.equal(new Set(said).size, said.length);
  t.comment(
    `root ${root.version}, targets ${targets.version}, snapshot ${snapshot.version}, timestamp ${timestamp.version}`,
  );
  t.ok(root.version >= 15 && targets.version >= 30 && timestamp.version > 5000);
  const { findings } = await checkTree(join(home, 'tree'), {
    crypto: platformCrypto,
    clock: clock.read,
  });
  t.same(findings, []);
});
