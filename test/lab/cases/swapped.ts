/**
 * Files, folders and links that somebody swaps between the acceptance of a driver and its first instruction:
 * what was accepted runs, or nothing does. Somebody who can write there is root already; the same would
 * be a disk that gives other bytes than it took.
 */

import { deepEqual, equal, notEqual, ok, rejects } from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  cpSync,
  fstatSync,
  linkSync,
  mkdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { accept } from '../../../agent/accept.ts';
import { Agent } from '../../../agent/agent.ts';
import { loadAccepted } from '../../../agent/entry.ts';
import { readName } from '../../../agent/host/inventory.ts';
import { type PreparedRun, prepareRun } from '../../../agent/prepare-run.ts';
import { must } from '../../../scripts/demo/support/programs.ts';
import { isIronError } from '../../../shared/errors.ts';
import { acceptedFile, agentState, handoff } from '../../../shared/layout.ts';
import { parsePolicy } from '../../../shared/manifest/policy.ts';
import { lookAt, REFUSED_NOW, type SwapKind, whileSwapped } from '../../agent/swapping.ts';
import { driverProcesses, holdUntil, nothingLeft } from '../support/held.ts';
import { EDU_GRANT, GROUPS, prepare, runPolicy, runPrepared } from '../support/run.ts';
import { openAgent, STATE, scene } from '../support/scene.ts';
import { EDU, giveToVfio, stateOf, unbindAll } from '../support/vfio.ts';
import type { Lab, LabCase } from './case.ts';
import { applyRun } from './runs.ts';

/** Where what is swapped in, and out, lies: on the disk of the agent's state. */
const ASIDE = join(STATE, 'swapped');
const MARK = 'evil ran';
/** Found when what was accepted is looked at, or when it is sealed; a link is not even followed. */
const REFUSED = /^(Error: )?E_(STORE|HASH|IO|NOT_FOUND): /;

interface Place {
  readonly folder: string;
  readonly artifact: string;
  readonly good: Buffer;
  /** Another program, of the same length. */
  readonly evil: Buffer;
}

function placeOf(state: string, name: string): Place {
  const folder = join(state, agentState.accepted(name));
  const artifact = join(folder, acceptedFile.artifact);
  const good = readFileSync(artifact);
  return { folder, artifact, good, evil: evilOf(good) };
}

function evilOf({ length }: Buffer): Buffer {
  const evil = Buffer.alloc(length, '\n');
  ok(evil.write(`console.log(${JSON.stringify(MARK)});\n`) < length);
  return evil;
}

/** Each puts the other program in the place of the accepted one; what it returns puts it back. */
const SWAPS: Readonly<Record<string, (place: Place) => () => void>> = {
  'another file'({ artifact, evil }) {
    renameSync(artifact, join(ASIDE, 'file'));
    writeFileSync(artifact, evil);
    return () => renameSync(join(ASIDE, 'file'), artifact);
  },
  'a symbolic link to another file'({ artifact, evil }) {
    renameSync(artifact, join(ASIDE, 'file'));
    writeFileSync(join(ASIDE, 'evil'), evil);
    symlinkSync(join(ASIDE, 'evil'), artifact);
    return () => renameSync(join(ASIDE, 'file'), artifact);
  },
  'other bytes in the same file'({ artifact, evil, good }) {
    writeFileSync(artifact, evil, { flag: 'r+' });
    return () => writeFileSync(artifact, good, { flag: 'r+' });
  },
  'another folder'({ folder, evil }) {
    const kept = join(ASIDE, 'folder');
    renameSync(folder, kept);
    cpSync(kept, folder, { recursive: true });
    writeFileSync(join(folder, acceptedFile.artifact), evil);
    return () => {
      rmSync(folder, { recursive: true });
      renameSync(kept, folder);
    };
  },
  'a symbolic link to another folder'({ folder, evil }) {
    const [kept, other] = [join(ASIDE, 'folder'), join(ASIDE, 'other')];
    renameSync(folder, kept);
    cpSync(kept, other, { recursive: true });
    writeFileSync(join(other, acceptedFile.artifact), evil);
    symlinkSync(other, folder);
    return () => {
      unlinkSync(folder);
      renameSync(kept, folder);
      rmSync(other, { recursive: true });
    };
  },
};

/** Swaps while `act` runs, and puts back what was there. */
const whileOther = (
  kind: SwapKind,
  { folder, artifact: file, evil }: Place,
  act: () => Promise<void>,
): Promise<void> => whileSwapped({ kind, file, folder, evil, aside: ASIDE }, act);

function bytesOf(fd: number): Buffer {
  const bytes = Buffer.alloc(fstatSync(fd).size);
  equal(readSync(fd, bytes, 0, bytes.length, 0), bytes.length);
  return bytes;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** As the agent prepares a driver, by the policy at `file`. */
async function prepareAccepted(file: string): Promise<() => PreparedRun> {
  const { agent, sysfs } = await openAgent();
  const accepted = await loadAccepted(agent, scene().name);
  const policy = parsePolicy(readFileSync(file));
  const device = await readName(sysfs, EDU[0]);
  return () => prepareRun(agent, accepted, policy, device, EDU_GRANT, GROUPS);
}

/** What runs when nothing is swapped, and that another program would be seen. */
async function control(lab: Lab): Promise<void> {
  const { status, data } = await applyRun(lab, scene().name, 'node');
  equal(status, 0);
  ok(data.driven.output.includes('factorials: 0!'), 'control: what was accepted runs');
  await letGo();
  giveToVfio(EDU[0]);
  const { evil } = placeOf(scene().state, scene().name);
  const confined = await runPrepared(lab.backend, prepare(evil.toString('utf8')), () => {});
  await confined.running?.over;
  const output = confined.running?.output() ?? '';
  await confined.end();
  unbindAll(EDU[0]);
  ok(output.includes(MARK), `control: the other program would be seen: ${output}`);
}

async function letGo(): Promise<void> {
  const common = ['--state', scene().state, '--device', EDU[0], '--write-timeout', '200'];
  await must('ironport-agent', ['release', ...common, '--settle-timeout', '60']);
}

/** Swapped before: nothing runs, and the device is as it was. */
async function before(lab: Lab, place: Place): Promise<void> {
  const found = stateOf(EDU[0]);
  for (const [what, swap] of Object.entries(SWAPS)) {
    const back = swap(place);
    try {
      notEqual(sha256(readFileSync(place.artifact)), sha256(place.good), 'control: it is swapped');
      await rejects(applyRun(lab, scene().name, 'node'), REFUSED, what);
    } finally {
      back();
    }
    nothingLeft();
    deepEqual(stateOf(EDU[0]), found, `${what}: the state before`);
    deepEqual(readFileSync(place.artifact), place.good, 'it is back');
    lab.say(`${what}: refused, and nothing ran`);
  }
}

/** Swapped all the time: who measures a path and opens it again is fooled, and what is sealed never is. */
async function during(lab: Lab, place: Place): Promise<void> {
  const prepareIt = await prepareAccepted(runPolicy('static'));
  for (const kind of ['file', 'link', 'folder link'] as const) {
    await whileOther(kind, place, async () => {
      let fooled = 0;
      for (let i = 0; fooled === 0; i++) {
        const measured = lookAt(place.artifact);
        const used = lookAt(place.artifact);
        const isFooled =
          measured?.equals(place.good) === true && used?.equals(place.good) === false;
        if (isFooled) fooled = i + 1;
      }
      let [sealed, refused] = [0, 0];
      while (sealed < 20 || refused < 20) {
        try {
          const prepared = prepareIt();
          const bytes = bytesOf(prepared.program);
          prepared.close();
          ok(bytes.equals(place.good), 'what is sealed is what was accepted');
          sealed++;
        } catch (error) {
          if (!isIronError(error, ...REFUSED_NOW)) throw error;
          refused++;
        }
      }
      lab.say(`${kind}: a path measured and opened again was wrong at look ${fooled};`);
      lab.say(`  sealed ${sealed} times, always what was accepted, and refused ${refused} times`);
      // The whole way, to the driver's end.
      const ran = await applyRun(lab, scene().name, 'node').catch((error: Error) => error);
      if (ran instanceof Error) ok(REFUSED.test(ran.message), ran.message);
      else {
        ok(ran.data.driven.output.includes('factorials: 0!'));
        ok(!ran.data.driven.output.includes(MARK));
        await letGo();
      }
      lab.say(`  ${ran instanceof Error ? ran.message : 'what was accepted ran'}`);
    });
    nothingLeft();
  }
}

/** Everything is swapped when it was opened and sealed: artifact, folder, and the runtime that runs it. */
async function after(lab: Lab, place: Place): Promise<void> {
  const runtime = '/swapped-node';
  linkSync('/bin/node', runtime);
  const file = join(ASIDE, 'policy.json');
  writeFileSync(
    file,
    readFileSync(runPolicy('node'), 'utf8').replace('"path":"/bin/node"', `"path":"${runtime}"`),
  );
  const prepared = (await prepareAccepted(file))();
  const back = SWAPS['another folder']?.(place);
  // Not even a program: a runtime that was opened again would not run.
  writeFileSync(`${runtime}.new`, 'nothing');
  renameSync(`${runtime}.new`, runtime);
  giveToVfio(EDU[0]);
  try {
    const confined = await runPrepared(lab.backend, prepared, () => {});
    ok(driverProcesses().length > 0);
    const { end } = await holdUntil(confined);
    const output = confined.running?.output() ?? '';
    deepEqual([end.why, end.driver?.status], ['driver-ended', 0], output);
    ok(output.includes('factorials: 0!') && !output.includes(MARK), output);
    lab.say('swapped when it was sealed: what was accepted ran, by the runtime that was measured');
  } finally {
    back?.();
    unlinkSync(runtime);
    unbindAll(EDU[0]);
  }
  nothingLeft();
}

/** The hand-over is somebody else's: swapped all the time, it is refused, or what was signed is taken. */
async function handedOver(lab: Lab): Promise<void> {
  const { handedOver: given, root, name } = scene();
  const folder = join(ASIDE, 'handed-over');
  cpSync(given, folder, { recursive: true });
  const artifact = join(folder, handoff.target(name));
  const good = readFileSync(artifact);
  const place: Place = { folder, artifact, good, evil: evilOf(good) };
  const take = async (): Promise<Buffer | string> => {
    const state = join(ASIDE, 'agent');
    try {
      await accept(new Agent({ state }), folder, { root });
      return readFileSync(placeOf(state, name).artifact);
    } catch (error) {
      if (!isIronError(error)) throw error;
      return error.code;
    } finally {
      rmSync(state, { recursive: true, force: true });
    }
  };
  deepEqual(await take(), good, 'control: it is accepted as it is');
  for (const kind of ['file', 'link'] as const) {
    const outcomes = new Map<string, number>();
    await whileOther(kind, place, async () => {
      for (let i = 0; i < 8; i++) {
        const taken = await take();
        if (typeof taken !== 'string') deepEqual(taken, good, 'what is taken is what was signed');
        const what = typeof taken === 'string' ? taken : 'taken';
        outcomes.set(what, (outcomes.get(what) ?? 0) + 1);
      }
    });
    lab.say(`handed over, a ${kind} swapped: ${JSON.stringify([...outcomes])}`);
    // Links are not followed at all.
    const allowed = kind === 'file' ? ['taken', 'E_HASH'] : ['E_IO'];
    for (const outcome of outcomes.keys()) ok(allowed.includes(outcome), outcome);
  }
}

export const swapped: readonly LabCase[] = [
  {
    name: 'swapped',
    title:
      'whatever is swapped between acceptance and exec: what was accepted runs, or nothing does',
    limitSeconds: 3600,
    async run(lab) {
      mkdirSync(ASIDE, { recursive: true });
      const place = placeOf(scene().state, scene().name);
      await control(lab);
      await before(lab, place);
      await during(lab, place);
      await after(lab, place);
      await handedOver(lab);
      rmSync(ASIDE, { recursive: true });
    },
  },
];
