/** What was declared is bound again when the machine starts: after its power was cut, after every gate again. */

import { deepEqual, equal, ok } from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Agent } from '../../../agent/agent.ts';
import { Sysfs } from '../../../agent/host/sysfs.ts';
import { listKept } from '../../../agent/kept.ts';
import { restore } from '../../../agent/restore.ts';
import { must } from '../../../scripts/demo/support/programs.ts';
import { acceptedFile, agentState } from '../../../shared/layout.ts';
import { systemClock } from '../../../shared/node/clock.ts';
import { drive, driveAndStand, driverIn } from '../support/driven.ts';
import { groups, nothingLeft } from '../support/held.ts';
import { GROUPS, writePolicy } from '../support/run.ts';
import { STATE, scene } from '../support/scene.ts';
import { EDU, stateOf, unbindAll } from '../support/vfio.ts';
import type { LabCase } from './case.ts';

/** An agent's folder of its own: the power is cut in the middle of what the other one does. */
const OWN = join(STATE, 'restored');
const FLEET = join(STATE, 'restored-policy.json');
const DAY = 86_400;
const PATIENT = ['--state', OWN, '--write-timeout', '200', '--settle-timeout', '60'];

/** By an agent with its clock so many days ahead; what became of the device. */
async function restoreIn(days: number) {
  const clock = (): number => systemClock() + days * DAY;
  const agent = new Agent({ state: OWN, clock, writeSeconds: 200, settleSeconds: 60 });
  const restoring = { bdf: EDU[1], policy: FLEET, onRestored: () => {} };
  const [restored] = await restore(agent, await Sysfs.open('/sys'), restoring);
  ok(restored !== undefined);
  return restored;
}

/** In the boot whose power is cut. */
export const declared: LabCase = {
  name: 'restore-declared',
  title: 'a driven device is declared, and its holder killed, before the power is cut',
  limitSeconds: 900,
  async run(lab) {
    const { state, name } = scene();
    rmSync(OWN, { recursive: true, force: true });
    cpSync(state, OWN, { recursive: true });
    const policy = writePolicy(FLEET, [['acme', 'node']]);
    const { holder, ended } = await driveAndStand(lab, ['apply', name], {
      ...{ state: OWN, policy, device: EDU[1], more: ['--keep'] },
    });
    equal(stateOf(EDU[1]).busMaster, true, 'control: it is driven');
    deepEqual(await listKept(new Agent({ state: OWN })), [EDU[1]]);
    process.kill(holder, 'SIGKILL');
    await ended;
    while (stateOf(EDU[1]).busMaster) await new Promise((go) => setTimeout(go, 50));
    // The other agent wants it in this boot; the next one begins without.
    unbindAll(EDU[1]);
    for (const name of groups()) rmdirSync(join(GROUPS, name));
    equal(spawnSync('sync').status, 0);
  },
};

/** In the next one. */
export const restored: LabCase = {
  name: 'restore',
  title: 'the next boot binds what was declared, and runs it: what was accepted, while it may',
  boot: 2,
  limitSeconds: 1800,
  async run(lab) {
    const { name } = scene();
    const found = stateOf(EDU[1]);
    deepEqual([found.driver, found.busMaster], [null, false], 'control: nobody has it');
    const accepted = join(OWN, agentState.accepted(name), acceptedFile.artifact);

    // Other bytes in the place of what was accepted: not bound by having been declared.
    renameSync(accepted, `${accepted}.kept`);
    writeFileSync(accepted, readFileSync(`${accepted}.kept`).fill('\n'));
    const wrong = await drive(lab, ['restore'], { state: OWN, device: EDU[1] });
    renameSync(`${accepted}.kept`, accepted);
    deepEqual(
      wrong.data.restored.map(({ code }: { code: string }) => code),
      ['E_STORE'],
    );
    deepEqual(stateOf(EDU[1]), found, 'untouched');
    nothingLeft();

    // Its metadata is past its expiry by then, and then the leave of the policy is as well.
    const { error } = await restoreIn(300);
    equal(error?.code, 'E_EXPIRED', error?.message);
    deepEqual(stateOf(EDU[1]), found, 'untouched');

    let driver: number | undefined;
    const { status, data } = await drive(lab, ['restore'], {
      ...{ state: OWN, device: EDU[1] },
      onLine(line) {
        driver ??= driverIn(line);
        if (line.includes(`holding ${EDU[1]}`))
          equal(stateOf(EDU[1]).busMaster, true, 'it is held, and driven');
      },
    });
    const [one] = data.restored;
    deepEqual([status, one.outcome, one.code, one.driver], [0, 'bound', null, name], one.message);
    ok(driver !== undefined, 'its driver was run');
    ok(one.driven.output.includes('transfers: up to'), one.driven.output);
    nothingLeft();
    equal(stateOf(EDU[1]).driver, 'vfio-pci', 'bound still, and reaches nothing');
    equal(stateOf(EDU[1]).busMaster, false);

    await must('ironport-agent', ['release', '--device', EDU[1], ...PATIENT]);
    deepEqual(stateOf(EDU[1]), found, 'the state before, exactly');
    const again = await drive(lab, ['restore'], { state: OWN, device: EDU[1] });
    deepEqual(again.data.restored, [], 'what was released is not bound again');
    await must('ironport-agent', ['audit', 'verify', '--state', OWN]);
  },
};
