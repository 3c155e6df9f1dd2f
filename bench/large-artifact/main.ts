/**
 * One large artifact all the way: publish, get-verified, handoff, accept; memory of each process,
 * and time beside what a person would type instead, `curl -o FILE URL && sha256sum FILE`.
 *
 *   npm run bench:large -- [--rounds 3] [--mib 1024] [--json]
 *
 * It needs about six times the artifact's size in the temporary folder (TMPDIR), and cleans up.
 */

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { admit, ceremony, submitCeremony } from '../../scripts/demo/honest.ts';
import { makeScene, type Scene } from '../../scripts/demo/scene.ts';
import { type Bar, barTable, mebibytes, ratio, seconds, table } from '../support/bar.ts';
import { median } from '../support/in-turn.ts';
import type { Usage } from '../support/measured.ts';
import { benchOptions } from '../support/options.ts';
import { writeArtifact } from './artifact.ts';
import {
  accept,
  curlAndSum,
  getVerified,
  handedOver,
  handOff,
  publish,
  startService,
} from './steps.ts';

const STEPS = [
  'curl && sha256sum',
  'publish',
  'get-verified',
  'handoff',
  'accept',
  'server',
] as const;
type Step = (typeof STEPS)[number];

const options = benchOptions([], ['mib'], 3);
const size = Number(options.text('mib') ?? 1024) * 1024 * 1024;
const say = (text: string): void => console.error(text);
const taken = new Map<Step, Usage[]>(STEPS.map((step) => [step, []]));

const scene = await makeScene();
const cleanUp = (): Promise<void> => rm(scene.folder, { recursive: true, force: true });
process.once('SIGINT', () => void cleanUp().finally(() => process.exit(130)));
try {
  await measureAll(scene);
} finally {
  await cleanUp();
}
report();

async function measureAll(scene: Scene): Promise<void> {
  say('a repository with one vendor …');
  await ceremony(scene);
  await submitCeremony(scene);
  const service = await startService(scene);
  try {
    scene.service = { url: service.url, stop: async () => {} };
    await admit(scene, 'acme');
    for (let round = 1; round <= options.rounds; round++) await oneRound(scene, service.url, round);
  } finally {
    await take('server', service.stop);
  }
}

async function oneRound(scene: Scene, url: string, round: number): Promise<void> {
  say(`round ${round} of ${options.rounds} …`);
  const file = join(scene.folder, 'large.bin');
  const sha256 = await writeArtifact(file, size);
  const artifact = { file, sha256, path: `acme/edu/1.0.${round}/large.bin` };
  await take('publish', () => publish(scene, url, artifact));
  const contest = [
    () => take('curl && sha256sum', () => curlAndSum(scene, url, artifact)),
    () => take('get-verified', () => getVerified(scene, url, artifact)),
  ];
  // In turn, and each round another one first.
  for (const compete of round % 2 === 1 ? contest : contest.toReversed()) await compete();
  await take('handoff', () => handOff(scene, url, artifact));
  await take('accept', () => accept(scene));
  await rm(handedOver(scene), { recursive: true, force: true });
}

/** A step that fails is said and not measured; the others may still be. */
async function take(step: Step, run: () => Promise<Usage>): Promise<void> {
  try {
    took(step, await run());
  } catch (error) {
    process.exitCode = 1;
    say(`  ${step} failed: ${error instanceof Error ? error.message : error}`);
  }
}

function took(step: Step, usage: Usage): void {
  taken.get(step)?.push(usage);
  say(`  ${step}: ${seconds(usage.wallSeconds)} s, ${mebibytes(usage.peakMiB)} MiB`);
}

function report(): void {
  const steps = STEPS.map((step) => {
    const usages = taken.get(step) ?? [];
    const peaks = usages.map(({ peakMiB }) => peakMiB).filter((peak) => peak !== undefined);
    return {
      step,
      wallSeconds: median(usages.map(({ wallSeconds }) => wallSeconds)),
      cpuSeconds: median(usages.map(({ cpuSeconds }) => cpuSeconds)),
      // Of memory the most, not the median: once too much is too much.
      peakMiB: peaks.length === 0 ? undefined : Math.max(...peaks),
    };
  });
  const wall = (step: Step) => steps.find((each) => each.step === step)?.wallSeconds;
  const times = (step: Step, atMost: number): Bar => ({
    what: `${step}: time, in curl && sha256sum`,
    measured: ratio(wall(step), wall('curl && sha256sum')),
    atMost,
    unit: '×',
  });
  const bars = [
    times('get-verified', 1),
    times('publish', 2),
    ...steps
      .filter(({ step }) => step !== 'curl && sha256sum')
      .map(
        ({ step, peakMiB }): Bar => ({
          what: `${step}: memory`,
          measured: peakMiB,
          atMost: 150,
          unit: 'MiB',
        }),
      ),
  ];
  if (options.json) {
    console.log(JSON.stringify({ schema: 'ironport.bench-large/v1', bytes: size, steps, bars }));
    return;
  }
  const rows = steps.map(({ step, wallSeconds, cpuSeconds, peakMiB }) => [
    step,
    step === 'server' ? '–' : seconds(wallSeconds),
    seconds(cpuSeconds),
    mebibytes(peakMiB),
  ]);
  console.log(table([`${size / 1024 / 1024} MiB`, 'wall s', 'CPU s', 'peak MiB'], rows));
  console.log(`\n${barTable(bars)}`);
}
