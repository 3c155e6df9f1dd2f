/** `drill`: thefts rehearsed against a copy, by the real commands, with the time that it took. */

import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CommandContext, CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { confirm, YES_OPTION } from '../../shared/cli/confirm.ts';
import { table } from '../../shared/cli/table.ts';
import { keyIdentity } from '../../shared/crypto/key.ts';
import { IronError } from '../../shared/errors.ts';
import { data } from '../../shared/layout.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { keyIdentities } from '../../shared/tuf/role.ts';
import { KEY_OPTION, PASSPHRASE_OPTION, publicKeyOf } from '../ceremony/signers.ts';
import { DIR_OPTION, homeOf } from '../config.ts';
import { copyRepository } from '../drill/copy.ts';
import { replaceOnlineKeys } from '../drill/online-keys.ts';
import { type Check, type DrillKeys, Rehearsal } from '../drill/rehearsal.ts';
import type { Step } from '../drill/steps.ts';
import { exchangeVendorKeys } from '../drill/vendor-key.ts';
import { CurrentTree, type Published } from '../storage/published.ts';

const SCENARIOS = {
  'online-key': 'the online keys are stolen',
  'vendor-key': "a vendor's key is stolen",
  'server-disk': 'the disk of the service is stolen',
} as const;
type Scenario = keyof typeof SCENARIOS;

interface Outcome {
  readonly scenario: Scenario;
  readonly vendor: string | null;
  readonly recovered: boolean;
  /** From the theft to the last command that hosts needed. */
  readonly seconds: number;
  readonly steps: readonly Step[];
  readonly checks: readonly Check[];
}

export const drill: CommandSpec = {
  name: 'drill',
  summary: 'rehearse thefts against a copy of the repository, and measure the recovery',
  description:
    "Copies what is published, runs the real recovery commands on the copy with the keys that are given, and has the real client look, from root 1 and as a host that a thief misled. The repository itself is only read, and its service may run. What is signed is really signed: it is good for an hour, lies in a private folder of this machine, and is deleted at the end. Without --key the keys of a development repository are taken. The time is that of the machines: bring people's yourself.",
  options: [
    DIR_OPTION,
    {
      ...KEY_OPTION,
      required: false,
      description: 'a key of root or of targets, as many as must sign',
    },
    {
      flags: '--only <theft>',
      description: `${Object.keys(SCENARIOS).join(', ')}; without it, all of them`,
      repeatable: true,
    },
    { flags: '--vendor <name>', description: 'whose key is stolen; without it, the first' },
    { flags: '--work <folder>', description: 'where the copies are made', default: tmpdir() },
    YES_OPTION,
    PASSPHRASE_OPTION,
  ],
  examples: [
    'ironport-repo drill --dir repo-data --key root-1.json --key root-2.json --key targets-1.json',
  ],
  schema: 'ironport-repo/drill/v1',
  async run(context) {
    const home = homeOf(context);
    const published = await new CurrentTree(join(home, data.tree), platformCrypto).need();
    const scenarios = scenariosOf(context.list('only'));
    const keys = await keysOf(context, published, await urisOf(context, home));
    demandEnough(published, keys, scenarios);
    await confirm(context, 'sign what the rehearsal needs, good for an hour, with these keys?');
    const outcomes: Outcome[] = [];
    for (const scenario of scenarios) {
      context.ui.stage(`${SCENARIOS[scenario]}:`);
      outcomes.push(await rehearse(context, home, keys, scenario));
    }
    return report(outcomes);
  },
};

function scenariosOf(names: readonly string[]): Scenario[] {
  const all = Object.keys(SCENARIOS) as Scenario[];
  if (names.length === 0) return all;
  const unknown = names.find((name) => !all.some((known) => known === name));
  if (unknown === undefined) return all.filter((name) => names.includes(name));
  throw new IronError('E_USAGE', `no theft is called ${unknown}`, {
    hint: `there are ${all.join(', ')}`,
  });
}

/** `--key`, or the keys of a development repository. */
async function urisOf(context: CommandContext, home: string): Promise<readonly string[]> {
  const given = context.list('key');
  if (given.length > 0) return given;
  const folder = join(home, data.developmentKeys);
  const names = await readdir(folder).catch(() => []);
  const keys = names.filter((name) => name.endsWith('.json') && !name.endsWith('.pub.json'));
  if (keys.length > 0) return keys.sort().map((name) => join(folder, name));
  throw new IronError('E_USAGE', 'the option --key is needed', {
    hint: 'nothing was rehearsed; give as many keys of root and of targets as must sign',
  });
}

/** Which of the keys may sign what; those of neither are left out. */
async function keysOf(
  context: CommandContext,
  { root }: Published,
  uris: readonly string[],
): Promise<DrillKeys> {
  const keys: { root: string[]; targets: string[] } = { root: [], targets: [] };
  for (const uri of uris) {
    const identity = keyIdentity(await publicKeyOf(context, uri));
    for (const role of ['root', 'targets'] as const)
      if (keyIdentities(root.keys, root.roles[role]).has(identity)) keys[role].push(uri);
  }
  return keys;
}

function demandEnough({ root }: Published, keys: DrillKeys, scenarios: readonly Scenario[]): void {
  const wanted = new Set(scenarios.map((name) => (name === 'vendor-key' ? 'targets' : 'root')));
  for (const role of wanted) {
    const { threshold } = root.roles[role];
    if (keys[role].length >= threshold) continue;
    throw new IronError('E_USAGE', `${keys[role].length} keys of ${role} are here`, {
      why: `${threshold} must sign`,
      hint: 'nothing was rehearsed; give more with --key, or leave a rehearsal out with --only',
      context: { role, threshold },
    });
  }
}

async function rehearse(
  context: CommandContext,
  home: string,
  keys: DrillKeys,
  scenario: Scenario,
): Promise<Outcome> {
  const folder = await mkdtemp(join(context.need('work'), 'ironport-drill-'));
  try {
    // Of a stolen disk nothing comes back but what is published: others have that, too.
    await copyRepository(home, join(folder, 'repo'), { keys: scenario !== 'server-disk' });
    await mkdir(join(folder, 'work'), { mode: 0o700 });
    const it = new Rehearsal(context, folder, keys);
    const vendor =
      scenario === 'vendor-key'
        ? await exchangeVendorKeys(it, context.text('vendor'))
        : await replaceOnlineKeys(it, home).then(() => null);
    return {
      scenario,
      vendor,
      recovered: it.checks.every(({ ok }) => ok),
      seconds: it.recovered,
      steps: it.steps.taken,
      checks: it.checks,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function report(outcomes: readonly Outcome[]): CommandResult {
  const rows = outcomes.map(({ scenario, vendor, recovered, seconds, steps }) => [
    vendor === null ? SCENARIOS[scenario] : `${SCENARIOS[scenario]} (${vendor})`,
    recovered ? 'recovered' : 'NOT RECOVERED',
    `${seconds.toFixed(1)} s`,
    `${steps.length} commands`,
  ]);
  const checks = outcomes.flatMap(({ scenario, checks }) =>
    checks.map(
      ({ what, ok, detail }) => `${ok ? 'ok     ' : 'FAILED '} ${scenario}: ${what}: ${detail}`,
    ),
  );
  return {
    data: { rehearsals: outcomes },
    text: [table([['THEFT', '', 'TIME', ''], ...rows]), ...checks].join('\n'),
    ...(outcomes.every(({ recovered }) => recovered) ? {} : { exit: 6 }),
  };
}
