/**
 * The guides about what the agent does, word for word and in their order, over a tree in which a process
 * plays the kernel. What needs a real one is left to the lab, which walks all of it (`npm run lab`).
 */

import { copyFileSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chdir, cwd } from 'node:process';
import t, { type Test } from 'tap';
import { program } from '../../agent/main.ts';
import { makeKeyFile } from '../../shared/node/signers/file.ts';
import { keyObject } from '../../shared/tuf/key.ts';
import {
  AGENT_PAGES,
  agentPages,
  HELPER_PAGE,
  PLAYED_PAGES,
  problems,
  steps,
} from '../support/guide.ts';
import { runInProcess } from '../support/program.ts';
import { POLICY, type Scene, scene } from './support.ts';
import { vfScene } from './vfs-support.ts';

const GUIDE = 'docs/guide';

/** The words of a line, as a shell that knows double quotes divides it. */
const wordsOf = (line: string): string[] =>
  [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '');

/** What each page begins with, beside the state of an agent: made by the client, and by operators. */
async function prepare({ folder }: Scene): Promise<void> {
  const at = (name: string): string => join(folder, name);
  copyFileSync(POLICY, at('policy.json'));
  renameSync(at('handoff'), at('handed-over'));
  const keys = await Promise.all([makeKeyFile('ed25519'), makeKeyFile('ed25519')]);
  for (const [i, { file }] of keys.entries())
    writeFileSync(at(`operator-${i + 1}.json`), file, { mode: 0o600 });
  const list = keys.map(({ key }) => keyObject(key));
  const fleet = { schema: 'ironport.fleet-keys/v1', threshold: 2, keys: list };
  writeFileSync(at('fleet-keys.json'), JSON.stringify(fleet), { mode: 0o644 });
}

/** Runs what is typed on the pages, one after another; `INCIDENT` is the id that was printed last. */
async function walk(t: Test, names: readonly string[], place: Scene, state: string): Promise<void> {
  const home = cwd();
  t.teardown(() => chdir(home));
  const pages = names.map((name) => readFileSync(join(GUIDE, name), 'utf8'));
  chdir(place.folder);
  const env = { IRONPORT_AGENT_STATE: state };
  let incident = 'INCIDENT';
  for (const page of pages) {
    const all = steps(page);
    t.ok(all.length > 10, 'there are lines');
    for (const step of all.filter(({ needsMachine }) => !needsMachine)) {
      const [name, ...words] = wordsOf(step.line.replace('INCIDENT', incident));
      t.equal(name, 'ironport-agent', step.line);
      const spec = program.commands.find((one) => `${words.join(' ')} `.startsWith(`${one.name} `));
      const takesTree = spec?.options?.some(({ flags }) => flags.startsWith('--sysfs-root'));
      const argv = takesTree === true ? [...words, '--sysfs-root', place.sysfs] : words;
      const { exit, stdout, stderr } = await runInProcess(program, argv, env);
      const printed = stdout + stderr;
      incident = /^incident ([0-9a-f]{32})$/m.exec(printed)?.[1] ?? incident;
      const shown = step.shown.map((one) => one.replace('INCIDENT', incident));
      t.strictSame(problems({ ...step, shown }, { exit, printed }), [], step.line, { printed });
    }
  }
}

t.test('every line of the pages about devices and quarantine', async (t) => {
  const place = await scene(t, {});
  await prepare(place);
  // The first page has the hand-over accepted: by an agent that has not pinned a root yet.
  await walk(t, AGENT_PAGES, place, join(place.folder, 'fresh'));
});

t.test('every line of the page about virtual functions', async (t) => {
  const place = await vfScene(t);
  await walk(t, PLAYED_PAGES, place, place.state);
});

t.test('every page on which the agent is typed is walked', async (t) => {
  t.strictSame([...AGENT_PAGES, HELPER_PAGE].sort(), agentPages(GUIDE));
});

t.test('the links of these pages lead somewhere', async (t) => {
  for (const page of [...AGENT_PAGES, ...PLAYED_PAGES]) {
    const text = readFileSync(join(GUIDE, page), 'utf8');
    for (const [, target] of text.matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g))
      t.ok(existsSync(join(GUIDE, target as string)), `${page}: ${target}`);
  }
});
