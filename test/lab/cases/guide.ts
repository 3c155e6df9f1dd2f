/** The guides of the agent, word for word and in their order, in the machine's shell, on a real device. */

import { deepEqual, ok } from 'node:assert/strict';
import { existsSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  AGENT_PAGES,
  agentPages,
  HELPER_PAGE,
  problems,
  says,
  steps,
} from '../../support/guide.ts';
import { Shell } from '../../support/shell.ts';
import { GUIDE, GUIDE_ENV, prepareGuide } from '../support/guide.ts';
import { nothingLeft } from '../support/held.ts';
import { EDU, stateOf } from '../support/vfio.ts';
import type { LabCase } from './case.ts';

const PAGES = '/docs/guide';
/** The folder for control groups that the guide makes. */
const GROUP = '/sys/fs/cgroup/ironport';

/** Types every line of a page; which incident is meant by `INCIDENT` goes on from page to page. */
async function walk(
  shell: Shell,
  page: string,
  incident: string | undefined,
  say: (text: string) => void,
): Promise<string | undefined> {
  const all = steps(readFileSync(join(PAGES, page), 'utf8'));
  ok(all.length > 15, `${page} has lines`);
  let meant = incident;
  for (const step of all) {
    const named = (text: string): string => text.replace('INCIDENT', meant ?? 'INCIDENT');
    const line = named(step.line);
    say(`$ ${line}`);
    let done = await shell.type(line);
    meant = /^incident ([0-9a-f]{32})$/m.exec(done.printed)?.[1] ?? meant;
    const shown = step.shown.map(named);
    // What is left running is waited for until it says what stands there, or that it is over.
    const isThere = (printed: string): boolean => shown.every((one) => says(printed, one));
    if (line.endsWith('&'))
      done = await shell.until((printed) => isThere(printed) || /^(error\[|let go)/m.test(printed));
    deepEqual(problems({ ...step, shown }, done), [], `${line}\n${done.printed}`);
  }
  return meant;
}

export const guide: readonly LabCase[] = [
  {
    name: 'guide',
    title: "every line of the agent's guides, typed into this machine's shell",
    limitSeconds: 1800,
    async run({ say }) {
      // Helper and front run in this machine in a case of their own, `hostile-front`.
      deepEqual(
        [...AGENT_PAGES, HELPER_PAGE].sort(),
        agentPages(PAGES),
        'no page is left unwalked',
      );
      await prepareGuide();
      const before = stateOf(EDU[0]);
      const env = { ...process.env, ...GUIDE_ENV };
      const shell = new Shell({ command: ['sh'], folder: GUIDE, env });
      let incident: string | undefined;
      for (const page of AGENT_PAGES) incident = await walk(shell, page, incident, say);
      await shell.close();
      deepEqual(stateOf(EDU[0]), before, 'the device is as it was');
      nothingLeft();
      if (existsSync(GROUP)) rmdirSync(GROUP);
    },
  },
];
