/** `ironport-client env`: what the surroundings say, and who said it. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { table } from '../../shared/cli/table.ts';
import { describeEnvironment } from '../environment.ts';

export const envCommand: CommandSpec = {
  name: 'env',
  summary: 'show every variable that this program reads, and where its value comes from',
  description:
    'Flags come before variables, variables before the configuration file: the one that ' +
    'IRONPORT_CONFIG names, else ./ironport-client.json, else ' +
    '$XDG_CONFIG_HOME/ironport/ironport-client.json, an object of "repository", "mirrors", ' +
    '"store", "offline" and "limit-rate". In the working folder "store" cannot be set. Passwords are never shown.',
  examples: ['ironport-client env', 'ironport-client env --json'],
  schema: 'ironport-client/env/v1',
  async run({ env, configured }) {
    const variables = describeEnvironment(env, configured);
    return {
      data: {
        variables: variables.map(({ name, shown, source, secret, meaning }) => ({
          name,
          value: shown,
          source,
          secret: secret === true,
          meaning,
        })),
      },
      text: table([
        ['variable', 'value', 'from', ''],
        ...variables.map(({ name, shown, source, secret, meaning }) => [
          name,
          shown ?? '',
          source,
          secret === true ? `${meaning} (secret)` : meaning,
        ]),
      ]),
    };
  },
};
