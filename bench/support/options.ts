/** `--name`, `--name=value` and `--name value` of a bench; what nobody knows is refused. */

import { parseArgs } from 'node:util';

export interface BenchOptions {
  readonly json: boolean;
  readonly rounds: number;
  flag(name: string): boolean;
  text(name: string): string | undefined;
}

export function benchOptions(
  flags: readonly string[],
  texts: readonly string[],
  rounds: number,
): BenchOptions {
  const option = (type: 'boolean' | 'string') => (name: string) => [name, { type }] as const;
  const { values } = parseArgs({
    options: {
      ...Object.fromEntries(['json', ...flags].map(option('boolean'))),
      ...Object.fromEntries(['rounds', ...texts].map(option('string'))),
    },
  });
  const given = Number(values.rounds ?? rounds);
  if (!Number.isInteger(given) || given < 1)
    throw new Error('--rounds takes a whole number from 1');
  return {
    json: values.json === true,
    rounds: given,
    flag: (name) => values[name] === true,
    text: (name) => values[name] as string | undefined,
  };
}
