// How large a snapshot or a targets file may be is the caller's to say, and holds exactly.

import t from 'tap';
import { MemoryStore } from '../../client/store/memory.ts';
import { Updater } from '../../client/updater.ts';
import { METADATA_LIMITS, type SizeLimits } from '../../shared/limits.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { TestClock } from '../support/clock.ts';
import { Simulator } from '../support/simulator.ts';

for (const role of ['snapshot', 'targets'] as const) {
  t.test(role, async (t) => {
    const sim = new Simulator();
    sim.addTarget('targets', 'acme/edu/1/x', new Uint8Array(3));
    const size = sim.fileOf(role).length;
    const refresh = (limits: SizeLimits) =>
      new Updater({
        crypto: platformCrypto,
        clock: new TestClock().read,
        store: new MemoryStore(sim.roots.get(1)),
        fetcher: sim,
        limits,
      }).refresh();
    t.equal((await refresh({ ...METADATA_LIMITS, [role]: size })).limits[role], size);
    await t.rejects(refresh({ ...METADATA_LIMITS, [role]: size - 1 }), { code: 'E_TOO_LARGE' });
  });
}
