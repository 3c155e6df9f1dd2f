/** `scanner rescan`: the scanner before what is published, whose signatures are newer than its intake. */

import { basename, join } from 'node:path';
import type { Verdict } from '../../shared/api/upload.ts';
import { toHex } from '../../shared/bytes.ts';
import type { CommandContext, CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { formatBytes } from '../../shared/cli/table.ts';
import { IronError } from '../../shared/errors.ts';
import { data } from '../../shared/layout.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { systemRandom } from '../../shared/node/random.ts';
import { formatInstant, parseInstant } from '../../shared/time.ts';
import { parseVendorName } from '../../shared/tuf/names.ts';
import { DIR_OPTION, homeOf } from '../config.ts';
import { openDatabase } from '../db/open.ts';
import { addRescan } from '../db/rescans.ts';
import { some } from '../intake/check.ts';
import {
  demandScannerWorks,
  listedRoles,
  type RescanParts,
  type RescanReport,
  VendorRescan,
} from '../intake/scan/rescan.ts';
import { loadPublished, type Published } from '../storage/published.ts';
import { needScanner } from './scanner.ts';

/** What became of one vendor's files, and where it is kept. */
interface Row extends RescanReport {
  readonly vendor: string | null;
  /** Id of what is kept of it; null where there was nothing to look at. */
  readonly submission: string | null;
}

export const scannerRescan: CommandSpec = {
  name: 'scanner rescan',
  summary: 'have the scanner look again at what is published and listed',
  description:
    'For a scanner that knows more than when the bytes came in. Reads every target that the live snapshot lists from the published tree, holds it against what was signed, and gives it to the scanner, as the user who runs this, beside a service that may run. Changes nothing that is published: to withdraw or to revoke is for people, and the output says how. What it says is kept and shown like the verdicts of intake: `verdicts list`, `verdicts show`, and `ironport submission` for the vendor. Broken off, it keeps what it found by then, and begins anew the next time. Exit status 16 when something was found, else 6 when there are files that could not be looked at.',
  options: [
    DIR_OPTION,
    { flags: '--vendor <name>', description: 'of this vendor only' },
    {
      flags: '--since <instant>',
      description:
        'only what came into the tree then or later, by the times of its file system, e.g. 2030-01-01T00:00:00Z',
    },
  ],
  examples: [
    'ironport-repo scanner rescan --dir repo-data',
    'ironport-repo scanner rescan --vendor acme --since 2030-01-01T00:00:00Z --dir repo-data',
  ],
  schema: 'ironport-repo/scanner-rescan/v1',
  run: rescan,
};

async function rescan(context: CommandContext): Promise<CommandResult> {
  const { ui, signal } = context;
  const home = homeOf(context);
  const [name, from] = [context.text('vendor'), context.text('since')];
  const wanted = name === undefined ? undefined : parseVendorName(name);
  const since = from === undefined ? undefined : parseInstant(from);
  const setting = await needScanner(home);
  const published = await loadPublished(join(home, data.tree), platformCrypto);
  const vendors = published === undefined ? undefined : listedRoles(published);
  if (published === undefined || (wanted !== undefined && !vendors?.has(wanted)))
    throw new IronError(
      'E_NOT_FOUND',
      `nothing ${wanted === undefined ? '' : `of ${wanted} `}is published here`,
      {
        hint: 'nothing was changed; look at --dir',
      },
    );
  const began = systemClock();
  await demandScannerWorks({ published, setting, signal });
  const progress = ui.progress('looked at');
  const parts: RescanParts = {
    ...{ home, published, setting, signal, since },
    onBytes: (count) => progress.advance(count),
    onRemark: (kind, { path, said }) =>
      ui.warn(kind === 'found' ? `${path}: ${said}` : `${path} was not looked at: ${said}`),
  };
  const rows: Row[] = [];
  for (const [vendor, roles] of vendors ?? []) {
    if (wanted !== undefined && vendor !== wanted) continue;
    const look = new VendorRescan(parts, roles);
    try {
      await look.run();
    } finally {
      // Also of one that is broken off: what was found by then is known.
      const row = keep(parts, vendor === 'targets' ? null : vendor, look.report);
      if (row.vendor !== null || row.submission !== null) rows.push(row);
    }
  }
  progress.done();
  return resultOf(rows, { program: setting.program, snapshot: published.snapshot.version, began });
}

/** Beside a service that may run: the database has a lock of its own, and nobody else changes these rows. */
function keep(
  { home, published, setting }: RescanParts,
  vendor: string | null,
  report: RescanReport,
): Row {
  const { files, found, failed, cut } = report;
  if (files + found.length + failed.length === 0 && cut === undefined)
    return { ...report, vendor, submission: null };
  const id = toHex(systemRandom(16));
  const role = vendor ?? 'targets';
  const db = openDatabase(join(home, data.database));
  try {
    const verdicts = verdictsOf(report, basename(setting.program), published);
    const { snapshot, timestamp } = published;
    const versions = { snapshot: snapshot.version, timestamp: timestamp.version };
    const row = { id, vendor, role, version: published.version(role), verdicts, ...versions };
    addRescan(db, row, systemClock());
  } finally {
    db.close();
  }
  return { ...report, vendor, submission: id };
}

/** One of all files, and one of each that something is to be said of. */
function verdictsOf(
  { files, bytes, found, failed, cut }: RescanReport,
  program: string,
  { snapshot }: Published,
): Verdict[] {
  const check = 'rescan';
  const looked = `${program} looked at ${some(files, 'file')} (${formatBytes(bytes)}) of snapshot ${snapshot.version}`;
  const detail = `${looked}: ${outcome({ found, failed, cut })}`;
  const [first] = [
    ...(found.length > 0 ? (['E_POLICY'] as const) : []),
    ...(failed.length > 0 ? (['E_IO'] as const) : []),
    ...(cut === undefined ? [] : (['E_CANCELLED'] as const)),
  ];
  return [
    first === undefined ? { check, ok: true, detail } : { check, ok: false, detail, code: first },
    ...found.map(({ path, sha256, said }) => ({
      ...{ check, ok: false, code: 'E_POLICY' as const },
      detail: `${path} (SHA-256 ${sha256}): ${said}`,
    })),
    ...failed.map(({ path, sha256, said }) => ({
      ...{ check, ok: false, code: 'E_IO' as const },
      detail: `${path} (SHA-256 ${sha256}) was not looked at: ${said}`,
    })),
  ];
}

function outcome({ found, failed, cut }: Pick<RescanReport, 'found' | 'failed' | 'cut'>): string {
  return [
    found.length === 0
      ? 'nothing was found'
      : `something was found in ${some(found.length, 'file')}`,
    ...(failed.length === 0 ? [] : [`${some(failed.length, 'file')} could not be looked at`]),
    ...(cut === undefined ? [] : [`not all were looked at: ${cut}`]),
  ].join('; ');
}

function resultOf(
  rows: readonly Row[],
  {
    program,
    snapshot,
    began,
  }: { readonly program: string; readonly snapshot: number; readonly began: number },
): CommandResult {
  const found = rows.flatMap((row) => row.found);
  const failed = rows.flatMap((row) => row.failed);
  const cut = rows.find((row) => row.cut !== undefined)?.cut;
  const files = rows.reduce((sum, row) => sum + row.files, 0);
  const bytes = rows.reduce((sum, row) => sum + row.bytes, 0);
  const isKnown = failed.length === 0 && cut === undefined;
  return {
    data: {
      ...{ program, snapshot, began: formatInstant(began), files, bytes },
      ...{ found: found.length, failed: failed.length, complete: isKnown },
      vendors: rows.map(({ cut: why, ...row }) => ({ ...row, cut: why ?? null })),
    },
    text: [
      `snapshot ${snapshot}: ${basename(program)} looked at ${some(files, 'file')} (${formatBytes(bytes)}): ${outcome({ found, failed, cut })}`,
      ...found.map(({ path, said }) => `  FOUND ${path}: ${said}`),
      ...failed.map(({ path, said }) => `  not looked at: ${path}: ${said}`),
      ...rows.flatMap(({ vendor, submission }) =>
        submission === null
          ? []
          : [`  kept: ${vendor ?? 'the operators'}, \`ironport-repo verdicts show ${submission}\``],
      ),
      ...(found.length === 0 ? [] : adviceOn(rows)),
    ].join('\n'),
    ...(found.length > 0 ? { exit: 16 } : isKnown ? {} : { exit: 6 }),
  };
}

/** What people can do. Nothing is withdrawn by a program that may be wrong. */
function adviceOn(rows: readonly Row[]): string[] {
  const digests = [...new Set(rows.flatMap(({ found }) => found.map(({ sha256 }) => sha256)))];
  const more = digests.length > 3 ? ' …' : '';
  return [
    'nothing that is published was changed:',
    ...rows.flatMap(({ vendor, submission, found }) =>
      vendor === null || found.length === 0
        ? []
        : [
            `  ${vendor} reads it with \`ironport submission ${submission}\`, and withdraws a version with \`ironport withdraw PRODUCT@VERSION --reason TEXT\``,
          ],
    ),
    `  the security team denies the bytes on every host: \`ironport-repo revocations add ${digests.slice(0, 3).join(' ')}${more} --reason TEXT …\``,
  ];
}
