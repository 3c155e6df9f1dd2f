/**
 * A process that contends: adds 1 to the number in a file, as often as told, by reading, waiting
 * and writing, which loses additions unless it is alone. With `hold`, takes the lock and sits.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { takeLock, withLock } from '../../shared/node/lock.ts';

const [lock, counter, times] = process.argv.slice(2) as [string, string, string];

if (times === 'hold') {
  await takeLock(lock, { waitMs: 10_000, purpose: 'sitting' });
  console.log('held');
  await setTimeout(60_000);
} else {
  for (let i = 0; i < Number(times); i++) {
    await withLock(
      lock,
      async () => {
        const count = Number(readFileSync(counter, 'utf8'));
        await setTimeout(1);
        writeFileSync(counter, String(count + 1));
      },
      { waitMs: 60_000 },
    );
  }
}
