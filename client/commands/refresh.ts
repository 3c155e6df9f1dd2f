/** `ironport-client ADDRESS refresh`. */

import type { CommandContext, CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { table } from '../../shared/cli/table.ts';
import { formatInstant } from '../../shared/time.ts';
import type { Repository } from '../repository.ts';
import { failureData, failureText, MAP, ofEach, refuseRoots, withMapped } from './map-options.ts';
import { LIMIT_RATE, MIRROR, OFFLINE, REPOSITORY, ROOT, withPinned } from './options.ts';
import { rolesOf } from './show.ts';

export const refreshCommand: CommandSpec = {
  name: 'refresh',
  summary: 'bring the trusted metadata up to date',
  description:
    'With --map, of every repository of the map; each is said by its name, one that fails stops no ' +
    'other, and the exit status is that of the gravest failure.',
  options: [...REPOSITORY, MIRROR, LIMIT_RATE, ROOT, ...OFFLINE, ...MAP],
  examples: [
    'ironport-client 127.0.0.1:8080 refresh',
    'ironport-client refresh --map map.json --roots roots',
  ],
  schema: 'ironport-client/refresh/v1',
  run: (context) => (context.text('map') === undefined ? ofOne(context) : ofMap(context)),
};

function ofOne(context: CommandContext): Promise<CommandResult> {
  refuseRoots(context);
  return withPinned(context, async (repository) => {
    const roles = await refreshed(repository);
    return {
      data: { store: repository.store.folder, roles: roles.map(roleData), repositories: null },
      text: table(roles.map(roleRow)),
    };
  });
}

function ofMap(context: CommandContext): Promise<CommandResult> {
  return withMapped(context, async (mapped) => {
    const { values, failed, exit } = ofEach(
      await mapped.each(async (repository) => ({
        store: repository.store.folder,
        roles: await refreshed(repository),
      })),
    );
    const names = [...mapped.map.repositories.keys()];
    return {
      exit,
      data: {
        store: mapped.folder,
        roles: null,
        repositories: names.map((name) => ({
          name,
          store: values.get(name)?.store ?? null,
          roles: values.get(name)?.roles.map(roleData) ?? null,
          error: failureData(failed.get(name)),
        })),
      },
      text: table(
        names.flatMap((name) => {
          const error = failed.get(name);
          if (error !== undefined) return [[name, ...failureText(error)]];
          return values.get(name)?.roles.map((role) => [name, ...roleRow(role)]) ?? [];
        }),
      ),
    };
  });
}

type Role = ReturnType<typeof rolesOf>[number];

async function refreshed(repository: Repository): Promise<Role[]> {
  return rolesOf(await repository.refresh({ mayLeaveUnread: true }));
}

function roleData(role: Role): object {
  return { ...role, expires: formatInstant(role.expires) };
}

function roleRow({ role, version, expires }: Role): string[] {
  return [role, `version ${version}`, `valid until ${formatInstant(expires)}`];
}
