/** A repository over simulated time, for tests of what is kept and what is collected. */

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { checkTree } from '../../server/publish/fsck.ts';
import { openRepository, type Repository } from '../../server/repository.ts';
import { data } from '../../shared/layout.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { DAY } from '../../shared/time.ts';
import type { Retention } from '../../shared/tuf/retention.ts';
import { TestClock } from '../support/clock.ts';
import {
  signedRole,
  signedRoot,
  signedTargets,
  type TestArtifact,
  testArtifact,
  testOperators,
  testVendor,
} from '../support/repository.ts';
import { repositoryOptions } from './support.ts';

/** In memory where there is room for it: every publication waits for the disk. */
function homeInMemory(t: Test): string {
  const folder = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  const home = mkdtempSync(join(folder, 'ironport-retention-'));
  t.teardown(() => rmSync(home, { recursive: true, force: true }));
  return home;
}

export const WINDOW: Retention = { window: 30 * DAY, grace: 2 * DAY };
/** A snapshot lives so long: the window begins when the last one that listed it is over. */
export const SNAPSHOT = 7 * DAY;

/** The snapshot is renewed with half of its life left at the latest, so each of these renews it. */
const STEP = 6 * DAY;

/** A repository without a socket, and one vendor's versions in it. */
export class House {
  readonly home: string;
  readonly clock = new TestClock();
  readonly acme = testVendor('acme');
  operators!: Awaited<ReturnType<typeof testOperators>>;
  repository!: Repository;
  role = 0;
  targets = 0;
  root = 1;
  /** When the operators sign again what is offline. */
  renewal = 0;
  retention: Retention | undefined;

  constructor(home: string) {
    this.home = home;
  }

  get folder(): string {
    return join(this.home, data.tree);
  }

  static async build(t: Test, retention?: Retention): Promise<House> {
    const house = new House(homeInMemory(t));
    house.operators = await testOperators(house.home);
    await house.open();
    t.teardown(() => house.repository.close());
    const root = await signedRoot(house.operators, 1, { expires: house.clock.now + 365 * DAY });
    await house.window(retention, root);
    return house;
  }

  async open(observe?: (point: string) => void | Promise<void>): Promise<void> {
    const options = repositoryOptions(this.home, this.clock);
    this.repository = await openRepository(
      observe === undefined ? options : { ...options, observe },
    );
  }

  /** The next targets, with this window. */
  async window(retention: Retention | undefined, ...beside: Uint8Array[]): Promise<void> {
    this.targets += 1;
    this.retention = retention;
    const expires = this.clock.now + 180 * DAY;
    const file = await signedTargets(this.operators, this.targets, [this.acme], {
      expires,
      retention,
    });
    const { intake, worker } = this.repository;
    const { id } = await intake.submitOperatorFiles([...beside, file], true);
    await worker.drain();
    const { state, error } = intake.find(id, undefined);
    if (state !== 'published') throw new Error(`${state}: ${error?.message}`);
  }

  artifact(version: string, content?: Uint8Array): Promise<TestArtifact> {
    const path = `acme/edu/${version}/edu.js`;
    return testArtifact(this.acme, path, content, { now: this.clock.now });
  }

  /** The vendor's next role, which lists these; uploads what is not here. Returns when it is published or refused. */
  async list(...artifacts: TestArtifact[]) {
    const { intake, worker } = this.repository;
    const id = await this.submit(...artifacts);
    await worker.drain();
    const reply = intake.find(id, 'acme');
    if (reply.state === 'published') this.role += 1;
    return reply;
  }

  /** The same, up to the queue; returns the submission's id. */
  async submit(...artifacts: TestArtifact[]): Promise<string> {
    const { intake } = this.repository;
    for (const { blobs } of artifacts)
      for (const [digest, bytes] of blobs) {
        if ((await intake.receiver.state('acme', digest)) !== undefined) continue;
        const pieces = (async function* () {
          yield bytes;
        })();
        const piece = { vendor: 'acme', sha256: digest, offset: 0, length: bytes.length };
        await intake.receiver.receive({ ...piece, bytes: pieces });
      }
    const expires = this.clock.now + 90 * DAY;
    const bytes = await signedRole(this.acme, this.role + 1, artifacts, { expires });
    const submission = { vendor: 'acme', role: 'acme', bytes, below: undefined };
    return (await intake.submitRole(submission)).id;
  }

  /** Time passes while the service renews what it renews, in time. */
  async wait(seconds: number): Promise<void> {
    for (let left = seconds; left > 0; left -= STEP) await this.jump(Math.min(STEP, left));
    if (this.clock.now < this.renewal) return;
    this.renewal = this.clock.now + 60 * DAY;
    this.root += 1;
    const expires = this.clock.now + 365 * DAY;
    await this.window(this.retention, await signedRoot(this.operators, this.root, { expires }));
  }

  /** The clock goes on at once, and then the service looks at it. */
  async jump(seconds: number): Promise<void> {
    this.clock.now += seconds;
    await this.repository.worker.tick();
  }

  async fsck() {
    return await checkTree(this.folder, { crypto: platformCrypto, clock: this.clock.read });
  }

  async collect(dryRun = false): Promise<string[]> {
    const { collected } = await this.repository.worker.collect(dryRun);
    return collected.map(({ path }) => path).sort();
  }
}
