/** The section .modinfo of a kernel module: `key=value`, each ended by a zero byte. */

import type { Names } from './names.ts';
import { malformed } from './view.ts';

export interface ModuleInfo {
  readonly name?: string;
  readonly version?: string;
  /** As MODULE_LICENSE says it: the kernel's words, not SPDX's. One for each time it is said. */
  readonly licences: readonly string[];
  /** Which kernel it was built for, and how that was configured. */
  readonly vermagic?: string;
  /** A checksum over its sources, made by the kernel's build. */
  readonly srcversion?: string;
  /** Modules that must be loaded before. */
  readonly depends: readonly string[];
  /** Hardware and names that it is loaded for. */
  readonly aliases: readonly string[];
}

const ONCE = ['name', 'version', 'vermagic', 'srcversion', 'depends'] as const;

export function readModuleInfo(bytes: Uint8Array, names: Names): ModuleInfo {
  const once = new Map<string, string>();
  const lists = { license: new Set<string>(), alias: new Set<string>() };
  for (const text of entries(bytes)) {
    const equals = text.indexOf(0x3d);
    // The kernel passes over what has no value; so do we.
    if (equals < 1) continue;
    const key = keyOf(text.subarray(0, equals));
    const value = (): string => names.text(text.subarray(equals + 1), `${key} in .modinfo`);
    if (key === 'license' || key === 'alias') lists[key].add(value());
    else if ((ONCE as readonly string[]).includes(key)) {
      const [before, now] = [once.get(key), value()];
      // The kernel takes the first; whoever reads the second would be told something else.
      if (before !== undefined && before !== now) throw malformed(`.modinfo says ${key} twice`);
      once.set(key, now);
    }
  }
  const some = (key: (typeof ONCE)[number]): object => {
    const value = once.get(key);
    return value === undefined || value === '' ? {} : { [key]: value };
  };
  return {
    ...some('name'),
    ...some('version'),
    licences: [...lists.license],
    ...some('vermagic'),
    ...some('srcversion'),
    depends: [...new Set((once.get('depends') ?? '').split(',').filter((name) => name !== ''))],
    aliases: [...lists.alias],
  };
}

function* entries(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(0, at);
    if (end === -1) throw malformed('.modinfo does not end with a zero byte');
    if (end > at) yield bytes.subarray(at, end);
    at = end + 1;
  }
}

/** Keys that we know are short and plain; any other is none of them. */
function keyOf(bytes: Uint8Array): string {
  return bytes.length > 16 ? '' : String.fromCharCode(...bytes);
}
