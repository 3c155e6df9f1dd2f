/** The command line of the client under test: options with a value each, then a command. */

import { IronError } from '../../shared/errors.ts';

/** What the client is asked to do. */
export type Task =
  | { readonly command: 'init'; readonly folder: string; readonly root: string }
  | { readonly command: 'refresh'; readonly folder: string; readonly metadataUrl: string }
  | {
      readonly command: 'download';
      readonly folder: string;
      readonly metadataUrl: string;
      readonly targetUrl: string;
      readonly targetFolder: string;
      /** In the order in which they were given. */
      readonly targets: readonly string[];
    };

const OPTIONS = [
  '--metadata-dir',
  '--metadata-url',
  '--target-name',
  '--target-base-url',
  '--target-dir',
] as const;
type Option = (typeof OPTIONS)[number];

/** Reads a command line; `E_USAGE` when it is none. A value may begin with `-`: names may. */
export function parseArguments(argv: readonly string[]): Task {
  const values = new Map<Option, string[]>();
  let at = 0;
  for (; argv[at]?.startsWith('--') === true; at += 2) {
    const option = OPTIONS.find((name) => name === argv[at]);
    const value = argv[at + 1];
    if (option === undefined) throw usage(`the option ${argv[at]} is unknown`);
    if (value === undefined) throw usage(`${option} needs a value`);
    values.set(option, [...(values.get(option) ?? []), value]);
  }
  const one = (option: Option): string => {
    const [value, ...more] = values.get(option) ?? [];
    if (value === undefined || more.length > 0) throw usage(`${option} is expected once`);
    return value;
  };
  const [command, ...rest] = argv.slice(at);
  const folder = one('--metadata-dir');
  if (rest.length !== (command === 'init' ? 1 : 0)) throw usage('too few or too many arguments');
  switch (command) {
    case 'init':
      return { command, folder, root: rest[0] as string };
    case 'refresh':
      return { command, folder, metadataUrl: one('--metadata-url') };
    case 'download': {
      const targets = values.get('--target-name') ?? [];
      if (targets.length === 0) throw usage('--target-name is expected');
      return {
        command,
        folder,
        metadataUrl: one('--metadata-url'),
        targetUrl: one('--target-base-url'),
        targetFolder: one('--target-dir'),
        targets,
      };
    }
    default:
      throw usage('init ROOT_FILE, refresh or download is expected');
  }
}

function usage(message: string): IronError {
  return new IronError('E_USAGE', message, {
    hint: 'usage: client --metadata-dir D [--metadata-url U] [--target-name P]… [--target-base-url B] [--target-dir T] init ROOT_FILE | refresh | download',
  });
}
