/** `ironport-client ADDRESS doctor`: what is wrong with a store, and what can be done. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { table } from '../../shared/cli/table.ts';
import { CODES } from '../../shared/errors.ts';
import { examine, repair } from '../doctor/doctor.ts';
import type { Finding } from '../doctor/finding.ts';
import { writeReport } from '../doctor/report.ts';
import { OFFLINE, REPOSITORY, withRepository } from './options.ts';

export const doctorCommand: CommandSpec = {
  name: 'doctor',
  summary: 'look over what this machine trusts of a repository, and repair what can be repaired',
  description:
    'Verifies the pinned root, the version floors and every stored file, and looks at folder, ' +
    'disk, clock, lock and repository. Damage to stored metadata heals by itself at the next ' +
    'refresh; --repair does so now. The pinned root and the floors are never made up. Exit ' +
    'status 6 when something is broken that nothing here can mend.',
  options: [
    ...REPOSITORY,
    OFFLINE[0] as (typeof OFFLINE)[number],
    { flags: '--repair', description: 'remove what does not verify, and refresh' },
    { flags: '--report <file>', description: 'write all of it to a file, without secrets' },
  ],
  examples: [
    'ironport-client 127.0.0.1:8080 doctor',
    'ironport-client 127.0.0.1:8080 doctor --repair --report doctor.json',
  ],
  schema: 'ironport-client/doctor/v1',
  run: (context) =>
    withRepository(context, async (repository) => {
      const first = await examine(repository);
      const repaired = context.flag('repair') ? await repair(repository, first) : [];
      const findings = context.flag('repair') ? await examine(repository) : first;
      const report = context.text('report');
      if (report !== undefined) {
        await writeReport(report, repository, [...first, ...repaired, ...findings], context.env);
      }
      const isBroken = findings.some(({ state }) => state === 'broken');
      return {
        exit: isBroken ? CODES.E_STORE.exit : 0,
        data: {
          healthy: !isBroken,
          store: repository.store.folder,
          findings: findings.map(data),
          repaired: repaired.map(data),
          report: report ?? null,
        },
        text: [
          table([...repaired.map(row), ...findings.map(row)]),
          ...findings.flatMap(({ subject, advice }) =>
            advice === undefined ? [] : [`${subject}: ${advice}`],
          ),
          ...(report === undefined ? [] : [`report: ${report}`]),
        ].join('\n'),
      };
    }),
};

function data({ state, subject, what, advice }: Finding): object {
  return { state, subject, what, advice: advice ?? null };
}

function row({ state, subject, what }: Finding): string[] {
  return [state, subject, what];
}
