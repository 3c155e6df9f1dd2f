/**
 * `npm run fuzz [-- --seconds N] [--seed N] [--jobs N] [TARGET…]`: hostile bytes into every parser,
 * as many parsers at a time as there are cores unless `--jobs` says otherwise; seconds are of the
 * processor, so that a busy machine gives a parser as much as an idle one. A parser may refuse
 * with a code. It fails on anything else that it throws, on more than a second of processor time for
 * up to 1 MiB, and on more than 256 MiB of memory. What did it is kept in `scripts/fuzz/corpus`, from
 * where every later run begins.
 */

import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { fuzz } from './run.ts';
import { TARGETS } from './targets.ts';

const targets = new URL('targets.ts', import.meta.url);
const corpus = new URL('corpus/', import.meta.url);

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { seconds: { type: 'string' }, seed: { type: 'string' }, jobs: { type: 'string' } },
    allowPositionals: true,
  });
  const seconds = Number(values.seconds ?? 600);
  const seed = Number(values.seed ?? Date.now() % 2 ** 31);
  const jobs = Number(values.jobs ?? availableParallelism());
  if (!(seconds > 0) || !Number.isInteger(seed) || !Number.isInteger(jobs) || jobs < 1)
    throw new Error('--seconds, --seed and --jobs are numbers');
  const chosen = TARGETS.filter(
    ({ name }) => positionals.length === 0 || positionals.some((text) => name.includes(text)),
  );
  if (chosen.length === 0) throw new Error(`no target is called ${positionals.join(' or ')}`);
  console.log(`${chosen.length} parsers, ${seconds} s each, ${jobs} at a time, seed ${seed}`);
  let [failed, total, most] = [0, 0, 0];
  const queue = [...chosen];
  const work = async (): Promise<void> => {
    for (let target = queue.shift(); target !== undefined; target = queue.shift()) {
      const { calls, finding, peakMiB } = await fuzz({
        ...{ target: target.name, seconds, seed, targets, corpus },
      });
      total += calls;
      most = Math.max(most, peakMiB ?? 0);
      if (finding !== undefined) failed += 1;
      const verdict = finding === undefined ? 'ok' : `${finding.kind}: ${finding.what}`;
      const peak = peakMiB === undefined ? '' : `, ${peakMiB.toFixed(0)} MiB`;
      console.log(`${target.name}: ${calls} calls${peak}, ${verdict}`);
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  console.log(`most memory of one process, Node's own included: ${most.toFixed(0)} MiB`);
  console.log(`${total} calls; ${chosen.length - failed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

await main();
