/** Files that the commands of the pipeline write for people to go on with. */

import { utf8 } from '../../../shared/bytes.ts';
import type { CommandContext } from '../../../shared/cli/command.ts';
import type { JsonObject } from '../../../shared/json/value.ts';
import { writeFileAtomic, writeFileExclusive } from '../../../shared/node/files.ts';
import type { CeilingDraft } from '../resources/ceiling-draft.ts';

/** Indented, for people; the same document always gives the same bytes. */
export function jsonFile(document: JsonObject): Uint8Array {
  return utf8(`${JSON.stringify(document, null, 2)}\n`);
}

/** Writes the draft where `--ceiling-out` says and lists what is left to decide. */
export async function writeDraft(
  context: CommandContext,
  { ceiling, todo }: CeilingDraft,
): Promise<void> {
  const path = context.text('ceiling-out');
  if (path === undefined) return;
  await writeNew(context, path, jsonFile(ceiling));
  context.ui.note(`${path} is a draft; before it is signed:`);
  for (const sentence of todo) context.ui.note(`  ${sentence}`);
}

/** A file that people edit afterwards: other content is only replaced with `--force`. `E_EXISTS`. */
export async function writeNew(
  context: CommandContext,
  path: string,
  bytes: Uint8Array,
): Promise<void> {
  if (context.flag('force')) await writeFileAtomic(path, bytes);
  else await writeFileExclusive(path, bytes);
}
