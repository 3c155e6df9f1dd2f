/**
 * A large blob on its way while the service is killed and the vendor's program with it, again and
 * again: each next run goes on from what came, and in the end the bytes are those of the file.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { Api } from '../../publisher/upload/api.ts';
import { uploadBlob } from '../../publisher/upload/blob.ts';
import { Repository } from '../../publisher/upload/http.ts';
import { api } from '../../shared/layout.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { systemRandom } from '../../shared/node/random.ts';
import { FaultyProxy } from '../publisher/faulty-proxy.ts';
import { Caller, madeHome, temporaryHome } from '../server/support.ts';
import { TestClock } from '../support/clock.ts';
import { sha256 } from '../support/repository.ts';

t.setTimeout(240_000);

const BIN = fileURLToPath(new URL('../../bin/ironport-repo.js', import.meta.url));
const MIB = 1024 * 1024;
const ROUNDS = 6;

t.test('killed in the middle, on both sides', async (t) => {
  const { home, acme } = await madeHome(t, new TestClock(systemClock()));
  const proxy = new FaultyProxy();
  const name = await proxy.listen();
  t.teardown(() => proxy.close());
  let child: ChildProcess | undefined;
  t.teardown(() => child?.kill('SIGKILL'));
  const start = async (): Promise<string> => {
    child = spawn(process.execPath, [BIN, '127.0.0.1:0', home, '--public-name', name], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const { stderr } = child;
    return await new Promise<string>((resolve, reject) => {
      let said = '';
      child?.once('exit', () => reject(new Error(`the service ended: ${said}`)));
      stderr?.on('data', (data) => {
        said += data;
        const url = /on (http:\/\/\S+)/.exec(said)?.[1];
        if (url !== undefined) resolve(url);
      });
    });
  };

  const bytes = randomBytes(3 * ROUNDS * MIB);
  const digest = sha256(bytes);
  const file = join(temporaryHome(t), 'driver.bin');
  await writeFile(file, bytes);
  const blob = { source: { file }, length: bytes.length, sha256: digest };
  let least = 0;

  for (let round = 0; round <= ROUNDS; round++) {
    const url = await start();
    proxy.target = Number(new URL(url).port);
    const caller = new Caller(url, acme.api, new TestClock(systemClock()));
    const offset = async (): Promise<number> => {
      caller.clock.now = systemClock();
      const { headers } = await caller.send('HEAD', api.blob(digest));
      return Number(headers['upload-offset'] ?? 0);
    };
    const before = await offset();
    t.ok(before >= least, `what came before is there after the kill: ${before} of ${least} bytes`);
    const stop = new AbortController();
    const run = new Repository(name);
    const counts: number[] = [];
    const vendor = new Api({
      repository: run,
      signer: acme.api,
      crypto: platformCrypto,
      clock: systemClock,
      random: systemRandom,
      signal: stop.signal,
    });
    const isLast = round === ROUNDS;
    if (!isLast)
      proxy.cutAfter(2 * MIB, async () => {
        // What still lies in a socket dies with the service: so it is asked what it has.
        for (;;) {
          least = await offset();
          if (least >= before + MIB) break;
          await setTimeout(20);
        }
        child?.kill('SIGKILL');
        await once(child as ChildProcess, 'exit');
        stop.abort();
      });
    const passed = proxy.passed;
    const outcome = await uploadBlob(vendor, blob, (count) => counts.push(count)).then(
      () => 'complete',
      () => 'cut',
    );
    await run.close();
    t.equal(outcome, isLast ? 'complete' : 'cut');
    t.ok(before === 0 || counts[0] === before, 'the progress begins where it goes on');
    if (!isLast) continue;
    t.ok(proxy.passed - passed < bytes.length - before + MIB, 'what was here is not sent again');
    t.same(await readFile(join(home, 'private/quarantine/acme', digest)), bytes);
  }
});
