/** A kernel that is locked down: what the agent does goes on, because it does it by VFIO. */

import { deepEqual, equal, ok, throws } from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { bind } from '../../../agent/bind.ts';
import { lockdown } from '../../../agent/check/kernel.ts';
import { readHostView } from '../../../agent/check/view.ts';
import { readLockdown } from '../../../agent/host/lockdown.ts';
import { release } from '../../../agent/release.ts';
import { openAgent, POLICY, scene } from '../support/scene.ts';
import { EDU, stateOf } from '../support/vfio.ts';
import { BACKENDS, type LabCase } from './case.ts';

const LEVEL = '/sys/kernel/security/lockdown';

/** Writes the cache line's size (PCI 3.0, 6.2.4) as it is. */
function writeConfig(): void {
  const path = `/sys/bus/pci/devices/${EDU[0]}/config`;
  const value = readFileSync(path).subarray(0x0c, 0x0d);
  const fd = openSync(path, 'r+');
  try {
    writeSync(fd, value, 0, 1, 0x0c);
  } finally {
    closeSync(fd);
  }
}

export const lockedDown: LabCase = {
  name: 'locked-down',
  title: 'a kernel that is locked down binds, confines and gives back',
  limitSeconds: 600,
  async run({ kernel, say }) {
    const { agent, sysfs } = await openAgent();
    if (!existsSync(LEVEL))
      spawnSync('mount', ['-t', 'securityfs', 'securityfs', '/sys/kernel/security']);
    equal(await readLockdown(sysfs), 'none');
    writeConfig();
    const before = stateOf(EDU[0]);
    // Nothing takes it back but the next start.
    for (const level of ['integrity', 'confidentiality'] as const) {
      writeFileSync(LEVEL, level);
      equal(await readLockdown(sysfs), level);
      throws(writeConfig, { code: 'EPERM' }, 'sysfs does not write configuration space now');
      for (const backend of BACKENDS[kernel]) {
        say(`${level}, ${backend}`);
        const { confined } = await bind(agent, sysfs, {
          ...{ name: scene().name, bdf: EDU[0], policy: POLICY, confine: { backend } },
        });
        ok(confined !== undefined);
        equal(confined.vfio.isBusMaster, true);
        await release(agent, sysfs, { bdf: EDU[0], confined });
        deepEqual(stateOf(EDU[0]), before, 'the state before, exactly');
      }
      const found = lockdown(await readHostView(sysfs, { proc: '/proc', dev: '/dev' }));
      equal(found.state, 'note');
      ok(found.what.includes(level));
    }
  },
};
