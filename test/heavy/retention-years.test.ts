/**
 * Years of a real repository under a clock that is passed in: readers read, keep what they read, and
 * come back at any time inside the window that was promised them, while windows change.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { tree } from '../../shared/layout.ts';
import { DAY } from '../../shared/time.ts';
import { House } from '../server/retention-house.ts';

t.setTimeout(280_000);

/** Of 15 days each: three years. */
const STEPS = 72;

t.test('years of readers who keep what they read, and windows that change', async (t) => {
  const windows = [undefined, 30, 14, 60, undefined, 21].map((days) =>
    days === undefined ? undefined : { window: days * DAY, grace: DAY },
  );
  const house = await House.build(t, windows[0]);
  const { clock, folder } = house;
  /** What somebody read, and until when he was told that he may come for it. */
  const readers: { readonly places: readonly string[]; readonly until: number }[] = [];
  let [window, collected] = [windows[0], 0];
  for (let step = 0; step < STEPS; step++) {
    if (step % (STEPS / windows.length) === 0 && step > 0) {
      window = windows[step / (STEPS / windows.length)];
      await house.window(window);
    }
    const artifact = await house.artifact(`1.${step}.0`);
    await house.list(artifact);
    const published = await house.repository.current.need();
    const role = (await published.role('acme'))?.targets;
    const read = (role?.paths() ?? []).map((path) =>
      tree.target(path, role?.entry(path)?.hashes.get('sha256') ?? ''),
    );
    const expires = published.snapshot.expires;
    readers.push({ places: read, until: expires + (window?.window ?? 0) });
    await house.wait(15 * DAY);
    if (window !== undefined) collected += (await house.collect()).length;
    for (const { places, until } of readers)
      if (clock.now <= until)
        for (const place of places)
          if (!existsSync(join(folder, place))) t.fail(`${place} is gone in step ${step}`);
  }
  t.ok(collected > 0, `${collected} targets were collected on the way`);
  const report = await house.fsck();
  t.same(report.findings, []);
  t.equal(report.collected, collected);
});
