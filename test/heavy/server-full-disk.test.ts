// The service on a file system of two megabytes that fills up under it. Mounts a tmpfs, which takes
// rights that a test run seldom has: without them it is skipped, and says so.

import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { mkdir, mkdtemp, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { checkTree } from '../../server/publish/fsck.ts';
import { api, data } from '../../shared/layout.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { call, codeOf, madeHome, startOver } from '../server/support.ts';
import { TestClock } from '../support/clock.ts';
import { sha256, signedRole, testArtifact } from '../support/repository.ts';

const folder = await mkdtemp(join(tmpdir(), 'ironport-disk-'));
const disk = join(folder, 'disk');
await mkdir(disk);
const canMount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk]).status === 0;
t.teardown(async () => {
  if (canMount) spawnSync('umount', [disk]);
  await rm(folder, { recursive: true, force: true });
});
const skip = canMount ? false : 'no right to mount a tmpfs';

/** Leaves so many bytes free. */
async function fill(bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(disk);
  await writeFile(join(disk, 'fill'), new Uint8Array(Math.max(0, bavail * bsize - bytes)));
}

t.test('a full disk', { skip }, async (t) => {
  const { TMPDIR } = process.env;
  process.env.TMPDIR = disk;
  const made = await madeHome(t, new TestClock());
  process.env.TMPDIR = TMPDIR ?? tmpdir();
  const { home, clock, acme } = made;
  const { caller, repository, service, failures } = await startOver(t, made);
  const artifact = await testArtifact(acme);
  await caller.uploadAll([artifact]);
  t.equal((await caller.submit('acme', await signedRole(acme, 1, [artifact]))).state, 'published');

  // From room for all but the last step down to room for nothing.
  for (const room of [120_000, 80_000, 60_000, 40_000, 20_000, 8_000, 0]) {
    await fill(room);
    const version = (await repository.current.need()).version('acme') + 1;
    const next = await testArtifact(acme, `acme/edu/1.0.${version}/edu.js`, new Uint8Array(9000));
    try {
      await caller.uploadAll([next]);
      const { id } = await caller.submitOnly('acme', await signedRole(acme, version, [next]));
      // Refused for the disk it is not: it waits.
      await repository.worker.drain().catch((error) => t.match(error, { code: /E_NO_SPACE|E_IO/ }));
      t.not(repository.intake.find(id, 'acme').state, 'refused', `${room} bytes: nobody's fault`);
    } catch (error) {
      t.match(error, { message: /^507: .*E_NO_SPACE/ }, `${room} bytes: it is said to be full`);
    }
    const answer = await call(service.url, 'GET', '/metadata/timestamp.json');
    t.equal(answer.status, 200, 'whoever reads is served');
    const staging = join(home, data.staging);
    t.same(existsSync(staging) ? readdirSync(staging) : [], [], 'nothing makes it fuller');
    rmSync(join(disk, 'fill'));
    await repository.worker.tick();
  }
  await fill(0);
  const digest = 'ab'.repeat(32);
  t.equal(codeOf(await caller.patch(digest, 0, 10_000, new Uint8Array(10_000))), 'E_NO_SPACE');
  rmSync(join(disk, 'fill'));

  // An upload that fills it keeps what fitted, and goes on when there is room.
  const large = randomBytes(100_000);
  await fill(30_000);
  const cut = await caller.patch(sha256(large), 0, large.length, large);
  t.equal(codeOf(cut), 'E_NO_SPACE');
  rmSync(join(disk, 'fill'));
  const head = await caller.send('HEAD', api.blob(sha256(large)));
  const offset = Number(head.headers['upload-offset']);
  const rest = await caller.patch(sha256(large), offset, large.length, large.subarray(offset));
  t.equal(rest.status, 204, `from ${offset} on`);

  t.notOk(failures.some(({ code }) => code === 'E_INTERNAL'));
  const options = { crypto: platformCrypto, clock: clock.read };
  t.same((await checkTree(join(home, 'tree'), options)).findings, []);
  const version = (await repository.current.need()).version('acme') + 1;
  const reply = await caller.submit('acme', await signedRole(acme, version, [artifact]));
  t.equal(reply.state, 'published', 'with room it goes on');
});
