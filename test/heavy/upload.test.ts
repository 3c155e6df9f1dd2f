/** An artifact of 1 GiB goes in and out again while the service stays small. */

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { get } from 'node:http';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { tree } from '../../shared/layout.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { Caller, madeHome } from '../server/support.ts';
import { TestClock } from '../support/clock.ts';
import { signedRole, testArtifact } from '../support/repository.ts';

t.setTimeout(600_000);

const SIZE = 1024 ** 3;
const MOST = 150 * 1024 * 1024;
const BIN = fileURLToPath(new URL('../../bin/ironport-repo.js', import.meta.url));
const PATH = 'acme/edu/1.0.0/huge.bin';

/** A gibibyte that is the same in every run and compresses to nothing less. */
function* content(): Generator<Buffer> {
  const block = createHash('sha512').update('block').digest();
  const piece = Buffer.alloc(1024 * 1024, block);
  for (let i = 0; i < SIZE / piece.length; i++) {
    const numbered = Buffer.from(piece);
    numbered.writeUInt32LE(i);
    yield numbered;
  }
}

function digest(): string {
  const hash = createHash('sha256');
  for (const piece of content()) hash.update(piece);
  return hash.digest('hex');
}

/** The most memory that the process ever had, in bytes. */
function peakOf(pid: number): number {
  const match = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(match?.[1]) * 1024;
}

t.test('1 GiB', async (t) => {
  // Seconds of the real clock: the service is a process of its own.
  const clock = new TestClock(systemClock());
  const { home, acme } = await madeHome(t, clock);
  const child = spawn(process.execPath, [BIN, '127.0.0.1:0', home], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const url = await new Promise<string>((resolve) => {
    child.stderr.on('data', (data) => {
      const match = /on (http:\/\/\S+)/.exec(String(data));
      if (match !== null) resolve(match[1] as string);
    });
  });
  const pid = child.pid as number;
  const caller = new Caller(url, acme.api, clock);
  const sha256 = digest();
  const measured = { length: SIZE, sha256 };
  const artifact = await testArtifact(acme, PATH, new Uint8Array(), { measured, now: clock.now });
  await caller.uploadAll([artifact]);

  const began = performance.now();
  const answer = await caller.patch(sha256, 0, SIZE, Readable.from(content()));
  const seconds = (performance.now() - began) / 1000;
  t.equal(answer.status, 204);
  t.comment(`received in ${seconds.toFixed(1)} s, peak ${Math.round(peakOf(pid) / 2 ** 20)} MiB`);
  const then = performance.now();
  clock.now = systemClock();
  const expires = clock.now + 86_400;
  const reply = await caller.submit('acme', await signedRole(acme, 1, [artifact], { expires }));
  t.equal(reply.state, 'published', reply.error?.message ?? '');
  const published = (performance.now() - then) / 1000;
  t.ok(published < 2, `published in ${published.toFixed(2)} s: linked and not copied`);

  const hash = createHash('sha256');
  await new Promise<void>((resolve, reject) => {
    get(`${url}/${tree.target(PATH, sha256)}`, (response) => {
      response.on('data', (data) => hash.update(data));
      response.on('end', resolve);
      response.on('error', reject);
    });
  });
  t.equal(hash.digest('hex'), sha256, 'byte for byte');
  t.ok(peakOf(pid) <= MOST, `peak ${Math.round(peakOf(pid) / 2 ** 20)} MiB`);
});
