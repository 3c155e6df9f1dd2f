/** `ironport-client ADDRESS refresh`. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { table } from '../../shared/cli/table.ts';
import { formatInstant } from '../../shared/time.ts';
import { LIMIT_RATE, MIRROR, OFFLINE, REPOSITORY, ROOT, withPinned } from './options.ts';
import { rolesOf } from './show.ts';

export const refreshCommand: CommandSpec = {
  name: 'refresh',
  summary: 'bring the trusted metadata up to date',
  options: [...REPOSITORY, MIRROR, LIMIT_RATE, ROOT, ...OFFLINE],
  examples: ['ironport-client 127.0.0.1:8080 refresh'],
  schema: 'ironport-client/refresh/v1',
  run: (context) =>
    withPinned(context, async (repository) => {
      const roles = rolesOf(await repository.refresh({ mayLeaveUnread: true }));
      return {
        data: {
          store: repository.store.folder,
          roles: roles.map((role) => ({ ...role, expires: formatInstant(role.expires) })),
        },
        text: table(
          roles.map(({ role, version, expires }) => [
            role,
            `version ${version}`,
            `valid until ${formatInstant(expires)}`,
          ]),
        ),
      };
    }),
};
