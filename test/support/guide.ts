/** The sessions of a guide: its console blocks, line by line, and whether what came is what stands there. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CODES, type Code } from '../../shared/errors.ts';

export interface Step {
  /** What is typed after `$ `. */
  readonly line: string;
  /** The lines below it, up to the next that is typed. */
  readonly shown: readonly string[];
  /** It is about a device that is real: a block that begins with `console machine`. */
  readonly needsMachine: boolean;
}

/** What came of a line that was typed. */
export interface Done {
  readonly exit: number;
  /** Standard output and standard error, as they came. */
  readonly printed: string;
}

/** Of all the console blocks of a page of Markdown, in their order. */
export function steps(page: string): Step[] {
  const blocks = page.matchAll(/^```console( machine)?\n([\s\S]*?)^```$/gm);
  return [...blocks].flatMap(([, machine, block = '']) =>
    block
      .split(/^\$ /m)
      .slice(1)
      .map((text) => {
        const [line = '', ...shown] = text.trimEnd().split('\n');
        return { line, shown, needsMachine: machine !== undefined };
      }),
  );
}

/** Whether a line of `printed` is `shown`, in which `…` stands for anything. */
export function says(printed: string, shown: string): boolean {
  const pattern = shown
    .split('…')
    .map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
    .join('.*');
  return new RegExp(`^${pattern}$`, 'm').test(printed);
}

/** With what a line must end: 0, or the status of the code of the refusal that stands below it. */
export function expectedExit({ shown }: Step): number {
  const [, code] = /^error\[(\w+)\]/.exec(shown[0] ?? '') ?? [];
  return code === undefined ? 0 : CODES[code as Code].exit;
}

/** What of a step did not come as it stands there; empty when all did. */
export function problems(step: Step, { exit, printed }: Done): string[] {
  const expected = expectedExit(step);
  const missing = step.shown.filter((one) => !says(printed, one));
  return [
    ...(exit === expected ? [] : [`it ended with ${exit}, and not with ${expected}`]),
    ...missing.map((one) => `not printed: ${one}`),
  ];
}

/** The pages on which commands of the agent are typed, in the order in which one goes on from the other. */
export const AGENT_PAGES = ['host-devices.md', 'host-quarantine.md'] as const;

/** Where helper and front are typed, which units start: it is walked with both in one process. */
export const HELPER_PAGE = 'host-helper.md';

/** Pages about devices that only a played kernel has as a guide finds them: no machine walks these. */
export const PLAYED_PAGES: readonly string[] = ['host-vfs.md'];

/** The pages of the agent by what stands in them, so that none is left unwalked. */
export function agentPages(folder: string): string[] {
  const isTyped = (name: string): boolean =>
    /^\$ ironport-agent /m.test(readFileSync(join(folder, name), 'utf8'));
  return readdirSync(folder)
    .filter((name) => name.endsWith('.md') && isTyped(name) && !PLAYED_PAGES.includes(name))
    .sort();
}
