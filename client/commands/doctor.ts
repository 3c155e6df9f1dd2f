/** `ironport-client ADDRESS doctor`: what is wrong with a store, and what can be done. */

import type { CommandContext, CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { table } from '../../shared/cli/table.ts';
import { CODES, IronError } from '../../shared/errors.ts';
import { examine, repair } from '../doctor/doctor.ts';
import type { Finding } from '../doctor/finding.ts';
import { writeReport } from '../doctor/report.ts';
import type { Repository } from '../repository.ts';
import { failureData, failureText, MAP, ofEach, refuseRoots, withMapped } from './map-options.ts';
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
    ...MAP,
  ],
  examples: [
    'ironport-client 127.0.0.1:8080 doctor',
    'ironport-client 127.0.0.1:8080 doctor --repair --report doctor.json',
    'ironport-client doctor --map map.json',
  ],
  schema: 'ironport-client/doctor/v1',
  run: (context) => (context.text('map') === undefined ? ofOne(context) : ofMap(context)),
};

interface Examined {
  readonly store: string;
  readonly first: readonly Finding[];
  readonly repaired: readonly Finding[];
  /** After the repair, where there was one. */
  readonly findings: readonly Finding[];
}

function ofOne(context: CommandContext): Promise<CommandResult> {
  refuseRoots(context);
  return withRepository(context, async (repository) => {
    const examined = await look(context, repository);
    const { first, repaired, findings } = examined;
    const report = context.text('report');
    if (report !== undefined) {
      await writeReport(report, repository, [...first, ...repaired, ...findings], context.env);
    }
    return {
      exit: isBroken(examined) ? CODES.E_STORE.exit : 0,
      data: { ...examinedData(examined), report: report ?? null, repositories: null },
      text: [
        table([...repaired.map(row), ...findings.map(row)]),
        ...findings.flatMap(advised),
        ...(report === undefined ? [] : [`report: ${report}`]),
      ].join('\n'),
    };
  });
}

/** Of each store of a map; what is broken in one is said by its name. */
function ofMap(context: CommandContext): Promise<CommandResult> {
  if (context.text('report') !== undefined) {
    throw new IronError('E_USAGE', 'a report is of one repository', {
      hint: 'nothing was done; name the one: `ironport-client ADDRESS doctor --store STORE/repositories/NAME --report FILE`',
    });
  }
  return withMapped(context, async (mapped) => {
    const { values, failed, exit } = ofEach(await mapped.each((one) => look(context, one)));
    const names = [...mapped.map.repositories.keys()];
    const broken = [...values.values()].some(isBroken);
    return {
      exit: broken ? CODES.E_STORE.exit : exit,
      data: {
        ...{ healthy: !broken && failed.size === 0, store: mapped.folder },
        ...{ findings: null, repaired: null, report: null },
        repositories: names.map((name) => {
          const examined = values.get(name);
          return {
            name,
            ...(examined === undefined ? UNKNOWN : examinedData(examined)),
            error: failureData(failed.get(name)),
          };
        }),
      },
      text: [
        table(
          names.flatMap((name) => {
            const [examined, error] = [values.get(name), failed.get(name)];
            if (error !== undefined) return [[name, ...failureText(error)]];
            const { repaired = [], findings = [] } = examined ?? {};
            return [...repaired, ...findings].map((one) => [name, ...row(one)]);
          }),
        ),
        ...names.flatMap((name) =>
          (values.get(name)?.findings ?? []).flatMap(advised).map((line) => `${name}: ${line}`),
        ),
      ].join('\n'),
    };
  });
}

async function look(context: CommandContext, repository: Repository): Promise<Examined> {
  const first = await examine(repository);
  const store = repository.store.folder;
  if (!context.flag('repair')) return { store, first, repaired: [], findings: first };
  const repaired = await repair(repository, first);
  return { store, first, repaired, findings: await examine(repository) };
}

function isBroken({ findings }: Examined): boolean {
  return findings.some(({ state }) => state === 'broken');
}

const UNKNOWN = { healthy: false, store: null, findings: null, repaired: null };

function examinedData(examined: Examined): object {
  const { store, findings, repaired } = examined;
  return {
    ...{ healthy: !isBroken(examined), store },
    ...{ findings: findings.map(data), repaired: repaired.map(data) },
  };
}

function advised({ subject, advice }: Finding): string[] {
  return advice === undefined ? [] : [`${subject}: ${advice}`];
}

function data({ state, subject, what, advice }: Finding): object {
  return { state, subject, what, advice: advice ?? null };
}

function row({ state, subject, what }: Finding): string[] {
  return [state, subject, what];
}
