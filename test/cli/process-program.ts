/** A program that meets the real process: large results, signals, a reader that goes away. */

import { setTimeout } from 'node:timers/promises';
import { runProgram } from '../../shared/cli/run.ts';

const common = { summary: 'for the test', examples: ['x'], schema: 'process/x/v1' } as const;

process.exitCode = await runProgram(
  {
    name: 'process',
    summary: 'for the test',
    commands: [
      {
        ...common,
        name: 'large',
        run: async () => ({ data: 'x'.repeat(4_000_000), text: 'x'.repeat(4_000_000) }),
      },
      {
        ...common,
        name: 'wait',
        run: async ({ ui, signal }) => {
          ui.stage('waiting');
          await setTimeout(20_000, undefined, { signal });
          return { data: null };
        },
      },
      {
        ...common,
        name: 'serve',
        run: async ({ ui, signal }) => {
          ui.stage('waiting');
          await setTimeout(20_000, undefined, { signal }).catch(() => {});
          return { data: null, text: 'ended in order' };
        },
      },
      {
        ...common,
        name: 'stubborn',
        run: async ({ ui }) => {
          ui.stage('waiting');
          await setTimeout(20_000);
          return { data: null };
        },
      },
    ],
  },
  process.argv.slice(2),
);
