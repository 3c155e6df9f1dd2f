/** What ends a promise is metadata that can be read, and every role that stands keeps what it lists. */

import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { planCollection } from '../../server/retention/collect.ts';
import { formatImported, IMPORTED_SCHEMA } from '../../server/storage/imported.ts';
import { loadPublished } from '../../server/storage/published.ts';
import { utf8 } from '../../shared/bytes.ts';
import { tree } from '../../shared/layout.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { DAY } from '../../shared/time.ts';
import { TODAY } from '../support/clock.ts';
import { FOREIGN_FILES, FOREIGN_VERSIONS, writeForeign } from '../support/foreign.ts';
import { sha256 } from '../support/repository.ts';
import { House } from './retention-house.ts';
import { temporaryHome } from './support.ts';

// Simulated time; what is real of it is the machine's affair.
t.setTimeout(280_000);

const PATH = 'acme/edu/1.0.0/edu.js';

t.test('what cannot be read ends no promise', async (t) => {
  const house = await House.build(t, { window: 90 * DAY, grace: DAY });
  const [old, next] = [await house.artifact('1.0.0'), await house.artifact('1.1.0')];
  await house.list(old);
  await house.list(next);
  await house.window({ window: 7 * DAY, grace: DAY });
  await house.wait(60 * DAY);
  t.same(await house.collect(), [], 'promised for 90 days');
  const place = tree.target(PATH, sha256(utf8(`the driver at ${PATH}`)));
  const at = (path: string): string => join(house.folder, path);
  const files = [['snapshot', 2] as const, ['targets', 1] as const, ['acme', 1] as const];
  for (const [role, version] of files) {
    const path = tree.metadata(role, version);
    const text = readFileSync(at(path), 'utf8');
    // Whoever may write into the tree may rename: files there are read-only.
    const file = JSON.parse(text);
    const other = JSON.stringify({ ...file, signed: { ...file.signed, version: 9 } });
    const damages = { lost: undefined, 'cut short': text.slice(0, -20), 'of version 9': other };
    for (const [how, bytes] of Object.entries(damages)) {
      renameSync(at(path), at('aside'));
      if (bytes !== undefined) writeFileSync(at(path), bytes);
      await t.rejects(house.collect(), { code: 'E_STORE', context: { path } }, `${path} ${how}`);
      t.ok(existsSync(at(place)), `${path} ${how}: the bytes stay`);
      rmSync(at(path), { force: true });
      renameSync(at('aside'), at(path));
    }
  }
  // fsck does not believe either that it might be collected.
  rmSync(at(tree.metadata('snapshot', 2)));
  rmSync(at(place));
  const mark = at(tree.mark(place) as string);
  await mkdir(join(mark, '..'), { recursive: true });
  await writeFile(mark, '');
  house.clock.now += 400 * DAY;
  const { findings, collected } = await house.fsck();
  t.match(findings.find(({ at }) => at === place)?.what, /no window that can be read ends it/);
  t.equal(collected, 0);
});

t.test('what the top-level targets list stays, whoever gave it up', async (t) => {
  const folder = temporaryHome(t);
  const window = { window: 30 * DAY, grace: 2 * DAY };
  const kept = FOREIGN_FILES[PATH] as string;
  const entry = { length: utf8(kept).length, hashes: { sha256: sha256(utf8(kept)) } };
  const publish = async (step: number, lists: (signed: Record<string, unknown>) => void) =>
    await writeForeign(folder, {
      style: 'python-tuf',
      expires: TODAY + step * DAY,
      versions: {
        snapshot: FOREIGN_VERSIONS.snapshot + step,
        timestamp: FOREIGN_VERSIONS.timestamp + step,
        targets: FOREIGN_VERSIONS.targets + step,
        acme: 5 + step,
      },
      bend: (role, signed) => {
        if (role === 'targets') signed['x-ironport'] = { retention: window };
        if (role === 'targets') lists(signed);
        // Acme lists it at first, and never again.
        if (role === 'acme' && step > 0) signed.targets = {};
      },
    });
  const ours = (signed: Record<string, unknown>): void => {
    (signed.targets as Record<string, unknown>)[PATH] = entry;
  };
  await publish(0, ours);
  await publish(1, ours);
  const first = { snapshot: FOREIGN_VERSIONS.snapshot, targets: FOREIGN_VERSIONS.targets, acme: 5 };
  const note = { schema: IMPORTED_SCHEMA, at: '', root: 3, first, unreachable: [] } as const;
  await writeFile(join(folder, tree.imported), formatImported({ ...note, unreachable: [] }));
  const due = async (): Promise<string[]> => {
    const published = await loadPublished(folder, crypto);
    if (published === undefined) throw new Error('nothing is published');
    const plan = await planCollection(published, TODAY + 300 * DAY, [], new Set());
    return plan.due.map(({ path }) => path);
  };
  t.same(await due(), [], 'acme gave it up, and the targets list it');
  await publish(2, () => {});
  t.same(await due(), [PATH], 'when they drop it, it goes when its promise is over');
  await publish(3, (signed) => {
    signed.targets = {};
  });
  t.same(
    (await due()).sort(),
    Object.keys(FOREIGN_FILES).sort(),
    'as does all that they ever listed',
  );
  // A row of snapshots that began anew says nothing of what the one before it promised.
  const later = { ...first, snapshot: FOREIGN_VERSIONS.snapshot + 100 };
  await writeFile(
    join(folder, tree.imported),
    formatImported({ ...note, first: later, unreachable: [] }),
  );
  await t.rejects(due(), {
    code: 'E_STORE',
    context: { path: tree.metadata('snapshot', later.snapshot) },
  });
});
