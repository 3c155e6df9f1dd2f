/**
 * What the kernel says of a process (/proc/PID/status, proc_pid_status(5)), and whether that is a
 * confined driver. Pure.
 */

import { IronError } from '../../shared/errors.ts';

/** `E_SCHEMA` for a text that is no such file. */
export function parseProcessStatus(text: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const colon = line.indexOf(':');
    const name = line.slice(0, colon);
    // A process chooses its own name; the kernel escapes the line's end in it, and this does not rest on it.
    if (colon < 1 || fields.has(name))
      throw new IronError('E_SCHEMA', 'the kernel describes a process in a form that is not known');
    fields.set(name, line.slice(colon + 1).trim());
  }
  return fields;
}

/** `E_AGENT_REFUSED` unless everything that confines is in force; says what is not. */
export function requireConfined(
  status: ReadonlyMap<string, string>,
  { user, group, parent }: { user: number; group: number; parent: number },
): void {
  // It ended, and nobody has waited for it yet: the rest would be said of nothing.
  if (/^[ZX]/.test(status.get('State') ?? ''))
    throw new IronError('E_AGENT_REFUSED', 'the driver ended before it was looked at', {
      why: 'it had nothing to do, or failed at once',
      hint: 'see what it wrote',
      context: { reason: 'driver-ended' },
    });
  const wanted: [name: string, value: RegExp][] = [
    ['Seccomp', /^2$/],
    ['NoNewPrivs', /^1$/],
    ...['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map((name): [string, RegExp] => [
      name,
      /^0+$/,
    ]),
    ['Uid', new RegExp(`^${user}(\\s+${user}){3}$`)],
    ['Gid', new RegExp(`^${group}(\\s+${group}){3}$`)],
    ['Groups', /^$/],
    ['TracerPid', /^0$/],
    ['PPid', new RegExp(`^${parent}$`)],
  ];
  const wrong = wanted
    .filter(([name, value]) => !value.test(status.get(name) ?? 'missing'))
    .map(([name]) => `${name} ${status.get(name) ?? 'is missing'}`);
  if (wrong.length > 0)
    throw new IronError('E_AGENT_REFUSED', 'the driver is not confined', {
      why: `the kernel says: ${wrong.join('; ')}`,
      hint: 'it was ended; this should not happen, and is worth a report',
      context: { reason: 'driver-unconfined', found: wrong.join('; ') },
    });
}
