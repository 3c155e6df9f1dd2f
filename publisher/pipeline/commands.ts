/** The commands of the transformation pipeline. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { apply } from '../commands/apply.ts';
import { extract } from '../commands/extract.ts';
import { suggest } from '../commands/suggest.ts';

export const pipelineCommands: readonly CommandSpec[] = [extract, apply, suggest];
