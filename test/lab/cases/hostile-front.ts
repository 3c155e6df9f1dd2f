/** A front that turned hostile, on a real kernel: what it had bound is held, and nothing is gained. */

import { deepEqual, equal, ok } from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { ask, type Document, must } from '../../../scripts/demo/support/programs.ts';
import { systemClock } from '../../../shared/node/clock.ts';
import { pattern } from '../support/edu.ts';
import { engineOf, PAGE, putHostPolicy, putPolicy, roundTrip } from '../support/helped.ts';
import { HOSTILE, type Tried } from '../support/hostile-front.ts';
import { makeOperators } from '../support/operators.ts';
import { scene } from '../support/scene.ts';
import { EDU, stateOf } from '../support/vfio.ts';
import type { Lab, LabCase } from './case.ts';

/** The user that the front has, and one that the helper does not know. */
const [FRONT, STRANGER] = [64_900, 64_901];
const PLACE = '/tmp/hostile-front';
const HELPER = join(PLACE, 'helper.sock');
const SPOOL = join(PLACE, 'spool');
const OWN = join(PLACE, 'front');
const PEOPLE = join(OWN, 'people.sock');
const FLEET = join(PLACE, 'fleet-keys.json');

/** What was started, and is not to outlive the case. */
const started = new Set<ChildProcess>();

const asked = (...words: string[]): Promise<Document> =>
  ask('ironport-agent', [...words, '--via', PEOPLE]);

/** Starts a program of the agent's, and waits until `isUp`. */
async function start(
  say: Lab['say'],
  words: readonly string[],
  isUp: () => boolean,
  uid?: number,
): Promise<{ child: ChildProcess; ended: Promise<number | null> }> {
  const child = spawn(process.execPath, ['/bin/ironport-agent.js', ...words], {
    stdio: ['ignore', 'ignore', 'pipe'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  started.add(child);
  child.stderr?.on('data', (data) => say(String(data).trimEnd()));
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  while (!isUp()) {
    equal(child.exitCode, null, `${words[0]} serves`);
    await setTimeout(50);
  }
  return { child, ended };
}

/** What an agent keeps, by name and content, but for its log and its locks. */
function kept(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = names.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name));
  const ours = files.filter(
    (path) => !/\/(audit|lock|helper-lock|from-spool|trust\/policy-floor)/.test(path),
  );
  return Object.fromEntries(ours.sort().map((path) => [path, readFileSync(path, 'hex')]));
}

async function hostile(uid: number, entries: readonly string[]): Promise<Tried[]> {
  const devices = readdirSync('/sys/bus/pci/devices').filter((bdf) => !EDU.includes(bdf as never));
  const about = {
    socket: HELPER,
    spool: SPOOL,
    name: scene().name,
    device: EDU[0],
    devices,
    entries,
  };
  const child = spawn(process.execPath, ['-e', HOSTILE, JSON.stringify(about)], {
    ...{ uid, gid: uid, cwd: '/' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.on('data', (piece) => (said += piece));
  const status = await new Promise((resolve) => child.once('close', resolve));
  equal(status, 0, 'it came to its end');
  return said
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

async function run({ backend, say }: Lab): Promise<void> {
  const { state, name } = scene();
  const before = stateOf(EDU[0]);
  rmSync(PLACE, { recursive: true, force: true });
  for (const folder of [PLACE, SPOOL, OWN]) mkdirSync(folder, { recursive: true });
  for (const folder of [SPOOL, OWN]) chownSync(folder, FRONT, FRONT);
  await makeOperators(PLACE);
  // The agent keeps the floor of the form before this one.
  const version = systemClock();
  const old = await putPolicy(PLACE, version);
  const now = await putPolicy(PLACE, version + 1);
  const hostPolicy = await putHostPolicy(PLACE);
  const helper = await start(
    say,
    [
      ...['helper', '--socket', HELPER, '--spool', SPOOL, '--user', String(FRONT), '--user', '0'],
      ...['--state', state, '--fleet-keys', FLEET, '--host-policy', hostPolicy],
      ...['--backend', backend],
      ...['--write-timeout', '200', '--settle-timeout', '60'],
    ],
    () => existsSync(HELPER),
  );
  const words = ['front', '--helper', HELPER, '--socket', PEOPLE];
  const front = await start(say, words, () => existsSync(PEOPLE), FRONT);

  for (const entry of [old, now])
    ok((await asked('policy', 'accept', entry)).ok, 'control: each in its time');
  const applied = await asked('apply', name, '--device', EDU[0], '--hold');
  equal(applied.error, undefined);
  equal(applied.data.confinement.confined, true);
  const status = (await asked('status')).data;
  for (const { role, pid, resident_bytes } of status.processes)
    say(`${role}: process ${pid}, ${Math.round(resident_bytes / 2 ** 20)} MiB`);
  const holder = status.processes.find(({ role }: { role: string }) => role === 'holder');
  equal(holder.device, EDU[0]);
  const engine = engineOf(holder.pid);
  const window = BigInt(applied.data.grant.dma.windows[0].iova);
  await roundTrip(engine, window, 1);
  equal(stateOf(EDU[0]).busMaster, true, 'control: it is held');

  // From here on the front is somebody else's.
  front.child.kill('SIGKILL');
  await front.ended;
  const bytes = pattern(2 * PAGE, 7);
  writeSync(engine.memory, bytes, 0, bytes.length, 0);
  const [keeps, held] = [kept(state), stateOf(EDU[0])];
  const tried = await hostile(FRONT, [old, 'forged.json']);
  for (const { what, code } of tried) say(`${what}: ${code}`);
  ok(tried.length > 40, `${tried.length} attempts`);
  deepEqual(
    tried.filter(({ isGood }) => !isGood),
    [],
    'each is refused, with what it is refused by',
  );
  const strangers = await hostile(STRANGER, []);
  const got = strangers.filter(({ what }) => what !== 'a flood').map(({ code }) => code);
  deepEqual(new Set(got), new Set(['nothing']), 'not a byte');

  const after = Buffer.alloc(bytes.length);
  readSync(engine.memory, after, 0, after.length, 0);
  deepEqual(after, bytes, 'memory is as it was');
  deepEqual(kept(state), keeps, 'nothing was gained');
  deepEqual(stateOf(EDU[0]), held);
  const others = await ask('ironport-agent', ['status', '--via', HELPER]);
  equal(others.data.bindings[0].device, EDU[0], 'others are served');
  await roundTrip(engine, window, 2);
  engine.close();

  // Over the socket that the killed one left.
  const again = await start(say, words, () => true, FRONT);
  while ((await asked('status')).error?.code === 'E_NETWORK') await setTimeout(50);
  ok((await asked('release', '--device', EDU[0])).ok);
  deepEqual(stateOf(EDU[0]), before, 'the state before, exactly');
  for (const { child, ended } of [again, helper]) {
    child.kill('SIGTERM');
    equal(await ended, 0);
  }
  const lines = readFileSync(join(state, 'audit.jsonl'), 'utf8').trim().split('\n');
  const verdicts = lines.map((line) => JSON.parse(line)).filter(({ user }) => user === FRONT);
  ok(
    verdicts.some(({ verdict }) => verdict === 'E_ROLLBACK'),
    'refusals are audited',
  );
  await must('ironport-agent', ['audit', 'verify', '--state', state]);
}

export const hostileFronts: readonly LabCase[] = [
  {
    name: 'hostile-front',
    title: 'bound by way of front and helper; then the front is hostile, and nothing is gained',
    eachBackend: true,
    limitSeconds: 1800,
    async run(lab) {
      try {
        await run(lab);
      } catch (error) {
        // A helper that is left would go on holding the device, and be in the way of other cases.
        for (const child of started) child.kill('SIGKILL');
        const patient = ['--write-timeout', '200', '--settle-timeout', '60'];
        const words = ['release', '--device', EDU[0], '--state', scene().state, ...patient];
        await ask('ironport-agent', words);
        throw error;
      }
    },
  },
];
