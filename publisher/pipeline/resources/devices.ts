/** Device ids in tables of `struct pci_device_id` (include/linux/pci.h, Linux 6.1). */

import { lineCounter } from '../source.ts';
import { splitList } from './arguments.ts';
import { evaluate, type Macros } from './constants.ts';

export interface FoundDevice {
  readonly vendor: number;
  readonly device: number;
  readonly subsystemVendor?: number;
  readonly subsystemDevice?: number;
}

const FIELDS = ['vendor', 'device', 'subvendor', 'subdevice'] as const;
type Ids = { [K in (typeof FIELDS)[number]]?: string };

/** Entries of one table; more is data that no person wrote a ceiling for. */
const MOST_ENTRIES = 1024;

/** The devices of all tables in `text`, and what could not be read. */
export function findDevices(
  text: string,
  tables: readonly { readonly start: number; readonly end: number }[],
  macros: Macros,
): { devices: FoundDevice[]; unknown: string[] } {
  const devices = new Map<string, FoundDevice>();
  const unknown: string[] = [];
  const line = lineCounter(text);
  for (const { start, end } of tables) {
    const entries = splitList(text.slice(start + 1, end - 1));
    if (entries.length > MOST_ENTRIES)
      unknown.push(`line ${line(start)}: the table has more than ${MOST_ENTRIES} entries`);
    for (const entry of entries.slice(0, MOST_ENTRIES)) {
      const ids = idsOf(entry);
      if (ids === undefined) continue;
      const device = deviceOf(ids, macros);
      if (device === undefined) unknown.push(`line ${line(start)}: the ids of ${shown(entry)}`);
      else devices.set(JSON.stringify(device), device);
    }
  }
  return { devices: Array.from(devices.values()), unknown };
}

/** What an entry says, as texts; undefined for the empty entry that ends a table. */
function idsOf(entry: string): Ids | undefined {
  const body = /^\{(.*)\}$/s.exec(entry)?.[1]?.trim() ?? entry;
  if (/^0? ?,?$/.test(body)) return undefined;
  const ids: Ids = {};
  let isNamed = false;
  splitList(body).forEach((part, i) => {
    const [, field, value] = /^\. ?(\w+) ?= ?(.*)$/s.exec(part) ?? [];
    const known = FIELDS.find((name) => name === field);
    const filled = macroIds(part);
    // What follows a macro or a named field without a name comes behind the ids.
    isNamed ||= field !== undefined || filled !== undefined;
    if (known !== undefined && value !== undefined) ids[known] = value;
    else if (filled !== undefined) Object.assign(ids, filled);
    else if (!isNamed) Object.assign(ids, positional(part, i));
  });
  return ids;
}

function positional(part: string, index: number): Ids {
  const field = FIELDS[index];
  return field === undefined ? {} : { [field]: part };
}

/** The macros that fill the first fields. */
function macroIds(part: string): Ids | undefined {
  const [, name, list] = /^(PCI_\w+) ?\((.*)\)$/s.exec(part) ?? [];
  if (name === undefined || list === undefined) return undefined;
  const [a = '', b = '', c = '', d = ''] = splitList(list);
  switch (name) {
    case 'PCI_DEVICE':
      return { vendor: a, device: b };
    case 'PCI_DEVICE_SUB':
      return { vendor: a, device: b, subvendor: c, subdevice: d };
    case 'PCI_VDEVICE':
      return { vendor: `PCI_VENDOR_ID_${a}`, device: b };
    case 'PCI_DEVICE_DATA':
      return { vendor: `PCI_VENDOR_ID_${a}`, device: `PCI_DEVICE_ID_${a}_${b}` };
    default:
      return {};
  }
}

function deviceOf(ids: Ids, macros: Macros): FoundDevice | undefined {
  const id = (text: string | undefined): number | undefined => {
    const value = evaluate(text ?? '', macros);
    return value === undefined || value > 0xffffn ? undefined : Number(value);
  };
  const [vendor, device] = [id(ids.vendor), id(ids.device)];
  if (vendor === undefined || device === undefined) return undefined;
  const found: { -readonly [K in keyof FoundDevice]: FoundDevice[K] } = { vendor, device };
  // PCI_ANY_ID is no condition.
  const [subvendor, subdevice] = [id(ids.subvendor), id(ids.subdevice)];
  if (subvendor !== undefined) found.subsystemVendor = subvendor;
  if (subdevice !== undefined) found.subsystemDevice = subdevice;
  return found;
}

function shown(entry: string): string {
  return JSON.stringify(entry.length > 60 ? `${entry.slice(0, 60)}…` : entry);
}
