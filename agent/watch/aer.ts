/**
 * Counters of Advanced Error Reporting, as sysfs shows them: `aer_dev_correctable`, `aer_dev_nonfatal`,
 * `aer_dev_fatal` of a device, `aer_rootport_total_err_*` of a root port. Pure.
 */

import { fromUtf8 } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';

/** Counts by the name of the error. */
export type AerCounters = ReadonlyMap<string, bigint>;

/** drivers/pci/pcie/aer.c, aer_stats_dev_attr: tokens without spaces, since 4.19. */
const TOKEN = /^([A-Za-z][A-Za-z0-9_]{0,63}) ([0-9]{1,20})$/;
/** Documentation/ABI/testing/sysfs-bus-pci-devices-aer_stats: names in words. */
const WORDS = /^([A-Za-z][A-Za-z0-9 ()/_-]{0,63}?) ([0-9]{1,20})$/;
/** The sum that the kernel appends. */
const TOTAL = /^TOTAL_ERR_(COR|NONFATAL|FATAL)$/;
const LINES = 64;

/** Reads the lines of such a file, in either form, or its single number. `E_SCHEMA`. */
export function parseAerCounters(bytes: Uint8Array): AerCounters {
  const text = readText(bytes);
  const counters = new Map<string, bigint>();
  const [, only] = /^([0-9]{1,20})\n?$/.exec(text) ?? [];
  if (only !== undefined) return counters.set('total', count(only));
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  if (lines.length === 0 || lines.length > LINES) throw bad(`it has ${lines.length} lines`);
  for (const line of lines) {
    const [, name, number] = TOKEN.exec(line) ?? WORDS.exec(line) ?? [];
    if (name === undefined || number === undefined) throw bad(JSON.stringify(line.slice(0, 80)));
    if (counters.has(name)) throw bad(`${name} stands twice`);
    counters.set(name, count(number));
  }
  return counters;
}

function readText(bytes: Uint8Array): string {
  if (bytes.length > 65_536) throw bad(`it has ${bytes.length} bytes`);
  try {
    return fromUtf8(bytes);
  } catch {
    throw bad('it is no text');
  }
}

function count(text: string): bigint {
  const value = BigInt(text);
  if (value >= 1n << 64n) throw bad(`${text} has more than 64 bits`);
  return value;
}

function bad(why: string): IronError {
  return new IronError('E_SCHEMA', 'the counters of errors are not in a form that is known', {
    why,
  });
}

/** Which errors were counted since, by name; a counter that fell began anew, and counts whole. */
export function aerIncrease(before: AerCounters, now: AerCounters): Map<string, bigint> {
  const more = new Map<string, bigint>();
  for (const [name, value] of now) {
    if (TOTAL.test(name)) continue;
    const was = before.get(name) ?? 0n;
    const increase = value >= was ? value - was : value;
    if (increase > 0n) more.set(name, increase);
  }
  return more;
}
