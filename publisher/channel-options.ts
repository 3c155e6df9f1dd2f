/** What `publish` and `promote` both take: the channel, how many hosts, and what is said about it. */

import type { CommandContext, OptionSpec } from '../shared/cli/command.ts';
import { IronError } from '../shared/errors.ts';
import { CHANNELS, type Channel, isCve, isPlain } from '../shared/product/index-file.ts';
import { loadNotes } from './product-index.ts';

export const SAYING_OPTIONS: readonly OptionSpec[] = [
  { flags: '--notes <file>', description: 'release notes, as text' },
  {
    flags: '--fixes <cve>',
    description: 'a vulnerability that it fixes: CVE-2030-12345',
    repeatable: true,
  },
];

export function readChannel(text: string): Channel {
  const channel = CHANNELS.find((one) => one === text);
  if (channel !== undefined) return channel;
  throw new IronError('E_USAGE', `there is no channel ${JSON.stringify(text.slice(0, 40))}`, {
    hint: `the channels are ${CHANNELS.join(' and ')}`,
  });
}

/** `10%` or `10`: of a hundred hosts, how many. */
export function readPercent(text: string): number {
  const [, digits] = /^(\d{1,3})%?$/.exec(text) ?? [];
  const percent = Number(digits ?? Number.NaN);
  if (percent >= 0 && percent <= 100) return percent;
  throw new IronError('E_USAGE', `not a share of the hosts: ${JSON.stringify(text.slice(0, 40))}`, {
    hint: 'write a whole number from 0 to 100 and %: 10%',
  });
}

/** Notes and fixes, as far as they were given. */
export async function loadSaying(
  context: CommandContext,
): Promise<{ notes?: string; fixes?: readonly string[] }> {
  const path = context.text('notes');
  const fixes = context.list('fixes');
  const wrong = fixes.find((fix) => !isCve(fix));
  if (wrong !== undefined) {
    throw new IronError('E_USAGE', `not a CVE id: ${JSON.stringify(wrong.slice(0, 40))}`, {
      hint: 'write it as CVE-2030-12345',
    });
  }
  const notes = await loadNotes(path);
  if (!isPlain(notes)) {
    throw new IronError('E_SCHEMA', `${path} has control characters in it`, {
      hint: 'nothing was signed; release notes are plain text',
    });
  }
  return {
    ...(path === undefined ? {} : { notes }),
    ...(fixes.length === 0 ? {} : { fixes: [...new Set(fixes)] }),
  };
}
