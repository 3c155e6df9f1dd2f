// `--limit-rate`: a bucket that all downloads of a process share, and that is never taken for a
// slow server.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { HttpFetcher } from '../../client/fetch/http.ts';
import { parseRate, type RateClock, RateLimit } from '../../client/fetch/rate.ts';
import { openRepository } from '../../client/index.ts';
import { program } from '../../client/main.ts';
import { equalBytes } from '../../shared/bytes.ts';
import { TRANSPORT_LIMITS } from '../../shared/limits.ts';
import { EDU } from '../support/artifact.ts';
import { TODAY } from '../support/clock.ts';
import { DRIVER, Fleet, placeOf, refusal, state } from '../support/fleet.ts';
import { documentOf, runInProcess } from '../support/program.ts';

/** A clock that is moved on by those who sleep; all wake in the order of their times. */
class Hand implements RateClock {
  at = 0;
  now(): number {
    return this.at;
  }
  async sleep(milliseconds: number): Promise<void> {
    this.at += milliseconds;
  }
}

t.test('rates as curl and wget have them', async (t) => {
  for (const [text, rate] of [
    ['1', 1],
    ['65536', 65_536],
    ['500K', 512_000],
    ['500k', 512_000],
    ['1.5M', 1_572_864],
    ['2g', 2_147_483_648],
  ] as const) {
    t.equal(parseRate(text), rate, text);
  }
  for (const text of ['', '0', '-1', '1KB', 'K', '1e3', '0.1', ' 1', '1 M', '1T', '9'.repeat(40)]) {
    t.throws(() => parseRate(text), { code: 'E_USAGE' }, JSON.stringify(text));
  }
  for (const rate of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    t.throws(() => new RateLimit(rate), { code: 'E_USAGE' }, String(rate));
  }
});

t.test('what was taken is paid for in time, and a rest saves no more than a burst', async (t) => {
  const hand = new Hand();
  const rate = new RateLimit(1000, hand);
  await rate.take(100);
  t.equal(hand.at, 0, 'a tenth of a second is free after a rest');
  await rate.take(5000);
  t.equal(hand.at, 5000);
  hand.at += 1_000_000;
  await rate.take(1100);
  t.equal(hand.at, 1_006_000, 'however long the rest was');
});

t.test('all who share it stay under it together', async (t) => {
  const waits: number[] = [];
  const rate = new RateLimit(1000, {
    now: () => 0,
    sleep: async (milliseconds) => void waits.push(milliseconds),
  });
  await Promise.all([1, 2, 3, 4].map(() => rate.take(1000)));
  t.strictSame(waits, [900, 1900, 2900, 3900], 'each waits for those before it');
});

t.test('whoever waits can be stopped', async (t) => {
  const stop = new AbortController();
  const waiting = new RateLimit(1).take(1_000_000, stop.signal);
  const reason = new Error('enough');
  stop.abort(reason);
  await t.rejects(waiting, reason);
});

t.test('a download under it is whole, and no slow server', async (t) => {
  const fleet = new Fleet(t);
  const sim = await state(1);
  const served = await fleet.serve(sim);
  // Slower than a server may be, and with breaks longer than it may take: 400 kB in windows of
  // 0.2 s of which each would have to bring 100 kB, at 250 kB a second.
  const pace = {
    ...TRANSPORT_LIMITS,
    idleSeconds: 1,
    slowWindowSeconds: 0.2,
    minimumBytesPerSecond: 500_000,
  };
  const slept: number[] = [];
  const { setTimeout: wait } = await import('node:timers/promises');
  const rate = new RateLimit(250_000, {
    now: () => performance.now(),
    async sleep(milliseconds) {
      slept.push(milliseconds);
      await wait(milliseconds);
    },
  });
  t.equal(rate.buffer, 62_500);
  const { url } = served;
  const fetcher = new HttpFetcher({
    ...{ metadata: `${url}metadata/`, targets: `${url}targets/`, random: () => 0, pace, rate },
  });
  t.teardown(() => fetcher.close());
  const out = join(fleet.folder, 'edu.js');
  await (await fleet.open(fetcher)).getVerified(EDU, out);
  t.ok(equalBytes(await readFile(out), DRIVER));
  t.equal(served.log.filter((line) => line.startsWith(placeOf(sim, EDU))).length, 1, 'in one go');
  t.ok(slept.length > 0, 'it was held back');

  t.test('a server that is slow is found out all the same', async (t) => {
    const drip = await fleet.serve(sim);
    drip.misbehave = (_, response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write('{'), 50);
      response.on('close', () => clearInterval(timer));
      return true;
    };
    const slow = new HttpFetcher({
      ...{ metadata: `${drip.url}metadata/`, targets: `${drip.url}targets/`, random: () => 0 },
      ...{ pace, rate, retries: 0 },
    });
    t.teardown(() => slow.close());
    t.equal((await refusal((await fleet.open(slow)).refresh())).code, 'E_SLOW');
  });
});

t.test('the library, the flag, the variable and the configuration', async (t) => {
  const fleet = new Fleet(t);
  const sim = await state(1, Math.floor(Date.now() / 1000));
  const { url } = await fleet.serve(sim);
  await t.rejects(openRepository({ address: url, limitRate: 0, env: {}, clock: () => TODAY }), {
    code: 'E_USAGE',
  });
  const file = join(fleet.folder, 'root.json');
  await writeFile(file, sim.roots.get(1) as Uint8Array);
  const config = join(fleet.folder, 'config.json');
  await writeFile(config, JSON.stringify({ 'limit-rate': 'fast' }));
  const words = ['--root', file, '--store', join(fleet.folder, 's'), '--json'];
  const lines: readonly (readonly [string, ...string[]])[] = [
    ['refresh'],
    ['get', EDU, join(fleet.folder, 'a')],
    ['get-verified', EDU, join(fleet.folder, 'b')],
    ['handoff', EDU, join(fleet.folder, 'c')],
    ['bundle', 'create', join(fleet.folder, 'd'), EDU],
  ];
  for (const [command, ...args] of lines) {
    const rest = command === 'get' ? words.slice(2) : words;
    const line = [url, command, ...args, ...rest];
    const run = (more: readonly string[], env = {}) =>
      runInProcess(program, [...line, ...more], { XDG_CONFIG_HOME: fleet.folder, ...env });
    const flag = await run(['--limit-rate', '1KB']);
    t.equal(documentOf(flag).error.message, 'not a rate: "1KB"', command);
    const variable = await run([], { IRONPORT_LIMIT_RATE: '0' });
    t.equal(documentOf(variable).error.message, 'not a rate: "0"', command);
    const configured = await run([], { IRONPORT_CONFIG: config });
    t.equal(documentOf(configured).error.message, 'not a rate: "fast"', command);
    const good = await run(['--limit-rate', '10M'], { IRONPORT_LIMIT_RATE: '0' });
    t.equal(good.exit, 0, good.stdout);
  }
});
