/**
 * The service is killed at every point that a publication reaches. At that instant every reader
 * finds one consistent repository; and after a restart nothing that was acknowledged is missing.
 */

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { MemoryStore } from '../../client/store/memory.ts';
import { checkTree } from '../../server/publish/fsck.ts';
import { openRepository } from '../../server/repository.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import {
  clientOf,
  madeHome,
  repositoryOptions,
  temporaryHome,
  updaterOf,
} from '../server/support.ts';
import { TestClock, TODAY } from '../support/clock.ts';
import {
  installOnlineKey,
  signedRole,
  signedRoot,
  signedTargets,
  testArtifact,
} from '../support/repository.ts';

// Each point takes two starts of a program.
t.setTimeout(600_000);

const CHILD = fileURLToPath(new URL('../server/crash-child.ts', import.meta.url));
const PATH = 'acme/edu/1.0.0/edu.js';

/** Runs a publication that dies at `point`; the points that it reached. */
function runUntil(home: string, point: string): { points: string[]; signal: string | null } {
  const { stdout, signal, stderr, status } = spawnSync(
    process.execPath,
    [CHILD, home, point, String(TODAY)],
    { encoding: 'utf8' },
  );
  if (signal === null && status !== 0) throw new Error(stderr);
  return { points: stdout.trim().split('\n'), signal };
}

function copyOf(t: Test, home: string): string {
  const copy = temporaryHome(t);
  cpSync(home, copy, { recursive: true, mode: 0 });
  return copy;
}

/** What a scenario leaves waiting in the queue, and what must be so before and after. */
interface Scenario {
  readonly home: string;
  readonly id: string;
  readonly vendor: string | undefined;
  /** Readers who came at that instant: both must find one consistent repository. */
  readonly readers: (home: string) => Promise<void>;
  readonly afterwards: (home: string, t: Test) => Promise<void>;
}

async function tryEveryPoint(t: Test, scenario: Scenario): Promise<void> {
  const { points } = runUntil(copyOf(t, scenario.home), 'never');
  for (const must of ['staged', 'signed', 'preflighted', 'visible', 'placed', 'committed'])
    t.ok(points.includes(must), `it reaches ${must}`);
  // Of targets, which are all placed before anything names them, the first stands for the rest.
  const isTarget = (point: string): boolean => point.startsWith('placed targets/');
  const one = points.find(isTarget);
  for (const point of points.filter((point) => !isTarget(point) || point === one)) {
    await t.test(`killed at ${point}`, async (t) => {
      const home = copyOf(t, scenario.home);
      t.equal(runUntil(home, point).signal, 'SIGKILL');
      await t.resolves(scenario.readers(home), 'readers at this instant');

      const repository = await openRepository(repositoryOptions(home, new TestClock()));
      await repository.worker.drain();
      const { state, error } = repository.intake.find(scenario.id, scenario.vendor);
      t.equal(state, 'published', error?.message ?? '');
      await repository.close();
      await scenario.readers(home);
      await scenario.afterwards(home, t);
      const options = { crypto: platformCrypto, clock: () => TODAY };
      const { findings } = await checkTree(join(home, 'tree'), options);
      t.same(findings, [], 'fsck');
      const staging = join(home, 'private/staging');
      t.same(existsSync(staging) ? readdirSync(staging) : [], [], 'nothing is left staged');
    });
  }
}

const pinOf = (home: string): Promise<Buffer> => readFile(join(home, 'tree/metadata/1.root.json'));

t.test('a vendor publishes', async (t) => {
  const { home, clock, acme } = await madeHome(t);
  const repository = await openRepository(repositoryOptions(home, clock));
  const artifact = await testArtifact(acme);
  for (const [sha256, bytes] of artifact.blobs) {
    const body = (async function* () {
      yield bytes;
    })();
    const piece = { vendor: 'acme', sha256, offset: 0, length: bytes.length, bytes: body };
    await repository.intake.receiver.receive(piece);
  }
  const bytes = await signedRole(acme, 1, [artifact]);
  const submission = { vendor: 'acme', role: 'acme', bytes };
  const { id, state } = await repository.intake.submitRole(submission);
  t.equal(state, 'queued');
  await repository.close();

  await tryEveryPoint(t, {
    home,
    id,
    vendor: 'acme',
    async readers(at) {
      await clientOf(at, clock, await pinOf(at)).refresh();
    },
    async afterwards(at, t) {
      const found = await clientOf(at, clock, await pinOf(at)).find(PATH);
      t.equal(found?.role, 'acme');
    },
  });
});

t.test('the operators replace the online keys', async (t) => {
  const { home, clock, operators, acme } = await madeHome(t);
  const next = {
    ...operators,
    snapshot: [await installOnlineKey(home, 'snapshot.next')],
    timestamp: [await installOnlineKey(home, 'timestamp.next')],
  };
  // A host that trusts what stands: it must get through at any instant.
  const store = new MemoryStore(await pinOf(home));
  await updaterOf(home, clock, store).refresh();
  const repository = await openRepository(repositoryOptions(home, clock));
  const files = [await signedRoot(next, 2), await signedTargets(operators, 2, [acme])];
  const { id } = await repository.intake.submitOperatorFiles(files, false);
  await repository.close();

  await tryEveryPoint(t, {
    home,
    id,
    vendor: undefined,
    async readers(at) {
      await clientOf(at, clock, await pinOf(at)).refresh();
      const copy = new MemoryStore(await pinOf(at));
      for (const role of ['timestamp', 'snapshot', 'targets']) {
        const bytes = await store.read(role);
        if (bytes !== undefined) await copy.write(role, bytes);
      }
      await copy.writeFloors(await store.floors());
      await updaterOf(at, clock, copy).refresh();
    },
    async afterwards(at, t) {
      const trusted = await clientOf(at, clock, await pinOf(at)).refresh();
      t.equal(trusted.root.version, 2);
      t.equal(trusted.targets('targets')?.version, 2);
    },
  });
});
