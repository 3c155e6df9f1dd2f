/** What sysfs shows of errors along the whole way from a device up to its root port. */

import { AGENT_LIMITS } from '../../shared/limits.ts';
import type { Severity } from '../../shared/manifest/containment.ts';
import { isBdf } from '../host/bdf.ts';
import type { Sysfs } from '../host/sysfs.ts';
import { type AerCounters, aerIncrease, parseAerCounters } from './aer.ts';
import { type DpcState, parseDpc } from './dpc.ts';
import type { WatchEvent } from './event.ts';

const FILES: readonly (readonly [file: string, severity: Severity])[] = [
  ['aer_dev_correctable', 'correctable'],
  ['aer_dev_nonfatal', 'non-fatal'],
  ['aer_dev_fatal', 'fatal'],
  ['aer_rootport_total_err_cor', 'correctable'],
  ['aer_rootport_total_err_nonfatal', 'non-fatal'],
  ['aer_rootport_total_err_fatal', 'fatal'],
];

/** Configuration space of any function (PCI 3.0, 6.1); what comes behind it not every one has. */
const CONVENTIONAL = 256;

/** The counters and the containment of one function on the way. */
interface Station {
  readonly bdf: string;
  readonly counters: ReadonlyMap<string, AerCounters>;
  /** Undefined where the function is no port with DPC, or it could not be read. */
  readonly dpc: DpcState | undefined;
  /** What could not be read, in words. */
  readonly unread: readonly string[];
}

/** The way, the device first. */
export type PathState = readonly Station[];

/** Folders of the functions from a device up: `devices/pci0000:00/0000:00:08.0/0000:01:00.0`. */
export function wayUp(folder: string): string[] {
  const parts = folder.split('/');
  const ways: string[] = [];
  for (let i = parts.length; i > 0 && isBdf(parts[i - 1] ?? ''); i--)
    ways.push(parts.slice(0, i).join('/'));
  return ways;
}

/** Reads them all; what cannot be read is told, and hides nothing else. `E_NOT_FOUND` without a device. */
export async function readPath(sysfs: Sysfs, bdf: string): Promise<PathState> {
  const stations: Station[] = [];
  const folders = wayUp(await sysfs.deviceFolder(bdf));
  for (const [i, folder] of folders.entries()) {
    const counters = new Map<string, AerCounters>();
    const unread: string[] = [];
    for (const [file] of FILES) {
      try {
        const bytes = await sysfs.bytes(`${folder}/${file}`, AGENT_LIMITS.attribute);
        if (bytes !== undefined) counters.set(file, parseAerCounters(bytes));
      } catch (error) {
        unread.push(`${file}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    // The capability is on the port above (PCIe 7.9.14), and the device's own space is VFIO's.
    const dpc = i === 0 ? undefined : await readDpc(sysfs, folder, unread);
    const name = folder.slice(folder.lastIndexOf('/') + 1);
    stations.push({ bdf: name, counters, dpc, unread });
  }
  return stations;
}

/** Without the right to it (CAP_SYS_ADMIN) the kernel shows 64 bytes: no port would be seen to contain. */
async function readDpc(
  sysfs: Sysfs,
  folder: string,
  unread: string[],
): Promise<DpcState | undefined> {
  try {
    const config = await sysfs.bytes(`${folder}/config`, AGENT_LIMITS.config);
    if (config !== undefined && config.length >= CONVENTIONAL) return parseDpc(config);
    unread.push(`config: ${config?.length ?? 0} bytes can be read, and whether it contains is not`);
  } catch (error) {
    unread.push(`config: ${error instanceof Error ? error.message : String(error)}`);
  }
  return undefined;
}

/** What is so already, and is news to whoever begins to watch: a port that contains the device. */
export function standingEvents(path: PathState): WatchEvent[] {
  return path.flatMap((station) => dpcEvents(undefined, station));
}

/** What happened between two looks at the same way. */
export function pathEvents(before: PathState, now: PathState): WatchEvent[] {
  return now.flatMap((station) => {
    const earlier = before.find(({ bdf }) => bdf === station.bdf);
    return [...aerEvents(earlier, station), ...dpcEvents(earlier, station)];
  });
}

function aerEvents(before: Station | undefined, { bdf, counters }: Station): WatchEvent[] {
  return FILES.flatMap(([file, severity]): WatchEvent[] => {
    const now = counters.get(file);
    if (now === undefined) return [];
    // What was counted before anybody looked is no news.
    const was = before?.counters.get(file) ?? now;
    const more = [...aerIncrease(was, now)].map(([name, count]) => `${count} ${name}`);
    if (more.length === 0) return [];
    return [{ kind: 'aer', severity, what: `${bdf} ${file}: ${more.join(', ')}` }];
  });
}

function dpcEvents(before: Station | undefined, { bdf, dpc }: Station): WatchEvent[] {
  if (dpc?.triggered !== true || before?.dpc?.triggered === true) return [];
  return [{ kind: 'dpc', what: `${bdf} contains what is below it: ${dpc.reason}` }];
}
