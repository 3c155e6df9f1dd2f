/** Makes attacks and judges them: refused, by whom, for which reason, with what left changed. */

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CODES } from '../../../shared/errors.ts';
import {
  admit,
  ceremony,
  clientArgs,
  EDU,
  nextDriver,
  publish,
  startService,
  submitCeremony,
} from '../honest.ts';
import { copyScene, type Scene } from '../scene.ts';
import { detail, heading, total } from '../support/console.ts';
import { must } from '../support/programs.ts';
import { type Answer, type Attack, isRefused } from './attack.ts';
import { ATTACKS } from './index.ts';

export interface AttackResult {
  readonly attack: Attack;
  readonly answers: readonly Answer[];
  readonly said: readonly string[];
  readonly refused: boolean;
}

/**
 * What every attack starts from: a repository with two vendors, two published versions of a
 * driver, and a host that verified the first one. Nothing of it runs any more.
 */
export async function prepare(scene: Scene): Promise<void> {
  await ceremony(scene);
  await submitCeremony(scene);
  await startService(scene);
  await admit(scene, 'acme');
  await admit(scene, 'mallory', 'PCI:0x1af4');
  const first = await publish(scene, join(EDU, 'edu-driver.mjs'), '1.0.0');
  const args = [
    scene.service?.url ?? '',
    'get-verified',
    first,
    join(scene.host, 'driver'),
    ...clientArgs(scene),
  ];
  await must('ironport-client', args);
  await publish(scene, await nextDriver(scene), '1.1.0');
  await scene.service?.stop();
  scene.service = undefined;
}

/** One attack on a copy of the prepared scene. */
export async function mount(scene: Scene, attack: Attack): Promise<AttackResult> {
  const copy = await copyScene(scene, attack.name);
  const said: string[] = [];
  try {
    const answers = await attack.run(copy, (line) => said.push(line));
    // An attack that nobody was shown was refused by nobody.
    return { attack, answers, said, refused: answers.length > 0 && answers.every(isRefused) };
  } finally {
    await copy.service?.stop();
    await rm(copy.folder, { recursive: true, force: true });
  }
}

/** `--attack NAME|all`: exit status 0 only when every attack was refused for its own reason. */
export async function runAttacks(scene: Scene, name: string): Promise<number> {
  const chosen = ATTACKS.filter((attack) => name === 'all' || attack.name === name);
  if (chosen.length === 0) {
    process.stderr.write(
      `there is no attack ${name}; there are all, ${ATTACKS.map((attack) => attack.name).join(', ')}\n`,
    );
    return CODES.E_USAGE.exit;
  }
  heading(
    'Preparing: a repository, two vendors, two published versions, a host that verified the first.',
  );
  await prepare(scene);
  const results: AttackResult[] = [];
  for (const attack of chosen) {
    heading(`${attack.name}: ${attack.summary}`);
    const result = await mount(scene, attack);
    results.push(result);
    print(result);
  }
  if (name === 'all') table(results);
  process.stdout.write(`\nDone in ${total()}.\n`);
  return results.every(({ refused }) => refused) ? 0 : 1;
}

function print({ answers, said, refused }: AttackResult): void {
  for (const line of said) detail(line);
  for (const { party, error, changed, expected } of answers) {
    if (error === undefined) {
      detail(`the ${party} accepted it`);
      continue;
    }
    detail(`${party}: error[${error.code}]: ${error.message}`);
    if (error.why != null) detail(`  why:  ${error.why}`);
    if (error.hint != null) detail(`  do:   ${error.hint}`);
    if (error.code !== expected) detail(`  but ${expected} was the reason to refuse it for`);
    detail(changed.length === 0 ? '  nothing was changed' : `  changed: ${changed.join(', ')}`);
  }
  detail(refused ? 'REFUSED, for the right reason' : 'NOT REFUSED as it must be');
}

function table(results: readonly AttackResult[]): void {
  heading('attack               refused by        reason                       changed');
  for (const { attack, answers, refused } of results) {
    const parties = answers.map(({ party }) => party).join(', ');
    const reasons = [...new Set(answers.map(({ error }) => error?.code ?? 'accepted'))].join(', ');
    const changed = answers.some((one) => one.changed.length > 0) ? 'YES' : 'nothing';
    process.stdout.write(
      `${attack.name.padEnd(20)} ${(refused ? parties : 'NOBODY').padEnd(17)} ${reasons.padEnd(28)} ${changed}\n`,
    );
  }
}
