/**
 * An agent that is killed: `node crash-child.ts WHAT STATE SYSFS N before|after [POLICY]`, WHAT being
 * bind, release, upgrade, vfs-create or vfs-remove. It ends itself by SIGKILL just before or after the
 * N-th durable write of the change.
 */

import process from 'node:process';
import { Agent } from '../../agent/agent.ts';
import { bind } from '../../agent/bind.ts';
import { Sysfs } from '../../agent/host/sysfs.ts';
import { Journal } from '../../agent/journal.ts';
import { release } from '../../agent/release.ts';
import { upgrade } from '../../agent/upgrade.ts';
import { createVfs } from '../../agent/vfs/create.ts';
import { removeVfs } from '../../agent/vfs/remove.ts';
import { BDF, NAME, POLICY } from './support.ts';
import { PF, PF_NAME } from './vfs-support.ts';

const [, , what, state = '', root = '', number, when, policy] = process.argv;
let left = Number(number);

/** Wraps a method that writes durably. */
function deadly<A extends unknown[], R>(write: (this: Journal, ...args: A) => Promise<R>) {
  return async function (this: Journal, ...args: A): Promise<R> {
    const isLast = --left === 0;
    if (isLast && when === 'before') process.kill(process.pid, 'SIGKILL');
    const result = await write.apply(this, args);
    if (isLast) process.kill(process.pid, 'SIGKILL');
    return result;
  };
}

Journal.prototype.append = deadly(Journal.prototype.append);
Journal.prototype.end = deadly(Journal.prototype.end);
const begin = Journal.begin;
Journal.begin = deadly((...args: Parameters<typeof begin>) => begin.apply(Journal, args));

const agent = new Agent({ state });
const sysfs = await Sysfs.open(root);
if (what === 'bind') await bind(agent, sysfs, { name: NAME, bdf: BDF, policy: POLICY });
else if (what === 'upgrade')
  await upgrade(agent, sysfs, { name: 'acme/edu/1.1.0/edu-driver.mjs', bdf: BDF, policy: POLICY });
else if (what === 'release') await release(agent, sysfs, { bdf: BDF });
else if (what === 'vfs-remove') await removeVfs(agent, sysfs, { bdf: PF });
else await createVfs(agent, sysfs, { name: PF_NAME, bdf: PF, count: 2, policy });
