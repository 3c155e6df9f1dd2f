/**
 * `npm run demo`: a driver's whole way, from its vendor's file to a device bound inside its grant,
 * with the four programs as processes, a real repository on loopback and a process that plays the
 * kernel in a folder. `--attack NAME|all` makes the attacks; `--keep` leaves the repository on.
 */

import { access, readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ATTACKS } from './attacks/index.ts';
import { runAttacks } from './attacks/run.ts';
import {
  admit,
  agentArgs,
  agentState,
  ceremony,
  clientArgs,
  DEVICE,
  EDU,
  publish,
  startService,
  submitCeremony,
} from './honest.ts';
import { startKernel } from './kernel/kernel.ts';
import { makeScene, type Scene, treeOf } from './scene.ts';
import { beginClock, detail, heading, step, total } from './support/console.ts';
import { must, show } from './support/programs.ts';

const HELP = `npm run demo -- [options]

  --artifact FILE   publish this file instead of the driver in examples/edu/
  --attack NAME     make one attack, or all of them: all, ${ATTACKS.map(({ name }) => name).join(', ')}
  --keep            leave the repository running at the end
  --help

Example: npm run demo -- --attack rollback
`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      artifact: { type: 'string' },
      attack: { type: 'string' },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  beginClock();
  const scene = await makeScene();
  try {
    if (values.attack !== undefined) return await runAttacks(scene, values.attack);
    await theWholeWay(scene, resolve(values.artifact ?? join(EDU, 'edu-driver.mjs')));
    await browse(scene, values.keep);
    return 0;
  } finally {
    await scene.service?.stop();
    await rm(scene.folder, { recursive: true, force: true });
  }
}

/** The main job in six steps, each with its time. */
async function theWholeWay(scene: Scene, artifact: string): Promise<void> {
  await access(artifact);
  heading(
    'A driver leaves its vendor signed, and reaches a device along a chain that anyone can check.',
  );

  await step(
    1,
    'key ceremony: root 2 of 3; targets, snapshot, timestamp with keys of their own',
    async () => {
      await ceremony(scene);
      await submitCeremony(scene);
      await startService(scene);
    },
  );
  detail(`the repository runs at ${scene.service?.url}, on SQLite and files`);

  const fingerprint = await step(2, 'the vendor acme makes its keys, asks, and is admitted', () =>
    admit(scene, 'acme'),
  );
  detail(`its request, signed by every key it names, has the fingerprint ${fingerprint}`);

  await step(3, 'acme signs at home and publishes', () => publish(scene, artifact, '1.0.0'));
  detail(scene.artifact);

  const out = join(scene.host, 'driver');
  const verdict = await step(4, 'a host with a pinned root fetches and verifies', () =>
    show('ironport-client', [
      ...[scene.service?.url ?? '', 'get-verified', scene.artifact, out],
      ...clientArgs(scene),
    ]),
  );
  detail(verdict);
  if (!(await readFile(out)).equals(await readFile(artifact)))
    throw new Error('the file that arrived is another one');

  await handOverAndBind(scene);
}

async function handOverAndBind(scene: Scene): Promise<void> {
  const folder = join(scene.folder, 'handed-over');
  const kernel = await startKernel(scene.sysfs);
  const device = [
    '--device',
    DEVICE,
    '--sysfs-root',
    scene.sysfs,
    '--policy',
    join(EDU, 'policy.json'),
  ];
  try {
    const said = await step(
      5,
      'handed over; the agent verifies again, plans and binds the device',
      async () => {
        const handoff = [
          scene.service?.url ?? '',
          'handoff',
          scene.artifact,
          folder,
          ...clientArgs(scene),
        ];
        await must('ironport-client', handoff);
        await must('ironport-agent', ['accept', folder, ...agentArgs(scene)]);
        const state = agentState(scene);
        const applied = await show('ironport-agent', [
          'apply',
          scene.artifact,
          ...device,
          ...state,
        ]);
        const status = ['status', ...state, '--sysfs-root', scene.sysfs];
        return [applied, await show('ironport-agent', status)];
      },
    );
    for (const text of said) detail(text);
  } finally {
    await kernel.stop();
  }
}

async function browse(scene: Scene, keep: boolean): Promise<void> {
  process.stdout.write(` 6. everything published can be browsed at ${scene.service?.url}/\n`);
  detail(`the tree itself: ${treeOf(scene)}`);
  process.stdout.write(`\nDone in ${total()}.\n`);
  if (!keep) return;
  process.stdout.write('The repository goes on running; Ctrl-C ends it.\n');
  await new Promise<void>((done) => {
    process.once('SIGINT', done);
    process.once('SIGTERM', done);
  });
}

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  return 1;
});
