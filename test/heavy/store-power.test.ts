// The power is cut at any instant of an update: whatever of the unsynced reached the disk, the
// next client finds whole files, floors that did not go down, and its way to the newest state.

import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { equalBytes, utf8 } from '../../shared/bytes.ts';
import { isIronError } from '../../shared/errors.ts';
import { Follower, lowered, withFolder } from '../client/store-support.ts';
import { Crash } from '../node/faults.ts';
import { type Luck, PowerCutFiles } from '../node/power-cut.ts';
import { Simulator } from '../support/simulator.ts';

/** The two ends, and mixtures that are the same in every run. */
const LUCKS: Readonly<Record<string, (at: number) => Luck>> = {
  'nothing unsynced survived': () => () => false,
  'everything survived': () => () => true,
  'a mixture': (at) => chance(at * 2 + 1),
  'another mixture': (at) => chance(at * 2 + 2),
};

/** Mulberry32: good enough for coins. */
function chance(seed: number): Luck {
  let state = seed * 0x9e3779b9;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x ^= x + Math.imul(x ^ (x >>> 7), 61 | x);
    return ((x ^ (x >>> 14)) & 1) === 1;
  };
}

const EDITS: Readonly<Record<string, (sim: Simulator) => void>> = {
  'an update': (sim) => sim.nextRoot(),
  'new keys of the timestamp': (sim) => sim.nextRoot(() => sim.rotateKeys('timestamp')),
  'new keys of the snapshot, after a fast-forward': (sim) => {
    sim.nextRoot(() => sim.rotateKeys('snapshot'));
    sim.snapshot.version = 1;
    sim.timestamp.version = 1;
  },
};

/** Everything that the repository ever served: a whole file of a store is one of these. */
async function everServed(sim: Simulator, files: Uint8Array[]): Promise<void> {
  files.push(...sim.roots.values());
  for (const role of ['timestamp', 'snapshot', 'targets', 'A']) files.push(sim.fileOf(role));
}

for (const [edit, change] of Object.entries(EDITS)) {
  t.test(edit, async (t) => {
    let cuts = 0;
    for (let at = 1, done = false; !done; at++) {
      for (const [luck, make] of Object.entries(LUCKS)) {
        done = await withFolder(async (folder) => {
          const name = `${luck}, cut at call ${at}`;
          const sim = new Simulator();
          sim.snapshot.version = 7;
          sim.timestamp.version = 7;
          sim.delegate('targets', 'A');
          sim.addTarget('A', 'x', utf8('x'));
          sim.publish('targets');
          const before = new Follower(join(folder, 'before'), sim);
          await before.pin();
          await before.refresh();
          await before.updater().find('x');
          const floors = await before.floors();
          const known: Uint8Array[] = [];
          await everServed(sim, known);
          change(sim);
          sim.publish('targets', 'A');
          await everServed(sim, known);

          const files = await PowerCutFiles.over(before.folder, (call) => {
            if (call >= at) throw new Crash(name);
          });
          const working = new Follower(before.folder, sim, { files });
          const ended = await working
            .updater()
            .find('x')
            .then(
              () => true,
              (error) => {
                if (!(error instanceof Crash)) throw error;
                return false;
              },
            );
          const after = new Follower(join(folder, 'after'), sim);
          await files.afterCut(after.folder, make(at));

          const found = await after.floors();
          const down = lowered(floors, found);
          const root2 = await after.store().root(2);
          if (down.includes('root')) t.fail(`${name}: the floor of root went down`);
          if (down.length > 0 && (root2 === undefined || edit === 'an update')) {
            t.fail(`${name}: floors went down without the root that permits it: ${down}`);
          }
          if (ended && found.timestamp !== sim.timestamp.version) {
            t.fail(`${name}: the update was over, and its floors were lost`);
          }
          for (const sub of ['metadata', 'roots']) {
            for (const file of await readdir(join(after.folder, sub)).catch(() => [])) {
              if (file.startsWith('.tmp-')) continue;
              const bytes = new Uint8Array(await readFile(join(after.folder, sub, file)));
              if (!known.some((one) => equalBytes(one, bytes))) t.fail(`${name}: half of ${file}`);
            }
          }
          await after.updater().find('x');
          if ((await after.floors()).timestamp !== sim.timestamp.version) {
            t.fail(`${name}: the next client is not up to date`);
          }
          sim.timestamp.version--;
          await after.refresh().then(
            () => t.fail(`${name}: an older timestamp was accepted`),
            (error) => {
              if (!isIronError(error, 'E_ROLLBACK')) t.fail(`${name}: ${error}`);
            },
          );
          cuts++;
          return ended;
        });
      }
    }
    t.ok(cuts > 100, `${cuts} cuts, none of which broke the store`);
  });
}

t.test('a pin is there with its floors, or not at all', async (t) => {
  const sim = new Simulator();
  for (let at = 1, done = false; !done; at++) {
    for (const [luck, make] of Object.entries(LUCKS)) {
      done = await withFolder(async (folder) => {
        const before = join(folder, 'before');
        await mkdir(before, { mode: 0o700 });
        const files = await PowerCutFiles.over(before, (call) => {
          if (call >= at) throw new Crash('cut');
        });
        const ended = await new Follower(before, sim, { files }).pin().then(
          () => true,
          (error) => {
            if (!(error instanceof Crash)) throw error;
            return false;
          },
        );
        const after = new Follower(join(folder, 'after'), sim);
        await files.afterCut(after.folder, make(at));
        const isPinned = await after.store().isPinned();
        if (ended && !isPinned) t.fail(`${luck}, call ${at}: the pin was lost`);
        if (isPinned) await after.floors();
        await after.pin();
        await after.refresh();
        await rm(after.folder, { recursive: true });
        return ended;
      });
    }
  }
  t.pass('at every call');
});
