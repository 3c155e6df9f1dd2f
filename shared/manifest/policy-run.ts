/**
 * What a fleet policy says about drivers that the agent runs: which users they may become, which
 * runtimes there are, and what a driver may use up. Without it a driver's device is bound, and
 * nothing is run.
 */

import type { Node } from '../json/decode.ts';
import { MANIFEST_LIMITS, RUN_LIMITS } from '../limits.ts';
import { type LeakBounds, readLeakBounds } from './leak.ts';
import { readU64 } from './numbers.ts';

/** A file that stays where it is, and is used only while it has this digest. */
export interface NamedFile {
  /** Absolute. */
  readonly path: string;
  /** Lowercase hex. */
  readonly sha256: string;
}

/** What runs drivers that are no programs of the machine's own. */
export interface RuntimeRule extends NamedFile {
  readonly name: string;
  /** Between the runtime's name and the program. */
  readonly arguments: readonly string[];
  /** What it reads: the loader, libraries, and whatever else it insists on. */
  readonly files: readonly NamedFile[];
}

export interface RunRules {
  /** `count` user numbers from `first` that nobody else on the host has. */
  readonly users: { readonly first: number; readonly count: number };
  readonly runtimes: readonly RuntimeRule[];
}

/**
 * `brokered`: a process between the driver and its device makes single accesses. `direct`: a driver
 * that asks for it has the device's descriptor, under a filter.
 */
export const RUN_MODES = ['brokered', 'direct'] as const;
export type RunMode = (typeof RUN_MODES)[number];

/** How the drivers of one entry are run. */
export interface RunEntry {
  /** `static` for an ELF program, or the name of a runtime. */
  readonly program: string;
  readonly memoryBytes: bigint;
  /** Processes and threads. */
  readonly processes: number;
  /** Accesses of registers through a broker, over all windows. */
  readonly accessesPerSecond: number;
  /** The most that a driver is given, if it asks. */
  readonly mode: RunMode;
  /** When its use of memory or descriptors is a leak. */
  readonly leak: LeakBounds;
}

export const STATIC_PROGRAM = 'static';

const NAME = /^[a-z0-9][a-z0-9._-]{0,31}$/;
// Neither a name of a folder above, nor a null byte, nor a path that says the same twice.
const PATH = /^(\/(?!\.{1,2}(\/|$))[^/\0]+)+$/;
const SHA256 = /^[0-9a-f]{64}$/;

export function readRunRules(node: Node): RunRules {
  node.only('users', 'runtimes');
  const users = node.get('users').only('first', 'count');
  // Two for each driver that runs at once: its own, and its broker's.
  const count = users.get('count').integer(2, RUN_LIMITS.users);
  const runtimes = node.maybe('runtimes')?.items(MANIFEST_LIMITS.entries).map(readRuntime) ?? [];
  const names = runtimes.map(({ name }) => name);
  if (new Set(names).size !== names.length)
    throw node.get('runtimes').error('two runtimes have one name');
  return {
    users: {
      first: users.get('first').integer(RUN_LIMITS.userFirst, RUN_LIMITS.userLast - count + 1),
      count,
    },
    runtimes,
  };
}

function readRuntime(node: Node): RuntimeRule {
  node.only('name', 'path', 'sha256', 'arguments', 'files');
  const name = node.get('name').matching(NAME, 'a name like "node"');
  if (name === STATIC_PROGRAM) throw node.get('name').error('a runtime is not called "static"');
  const list = node.maybe('arguments')?.items(RUN_LIMITS.runtimeFiles) ?? [];
  return {
    name,
    ...readFile(node),
    arguments: list.map((one) => one.matching(/^[^\0]{1,256}$/, 'an argument')),
    files: (node.maybe('files')?.items(RUN_LIMITS.runtimeFiles) ?? []).map((file) =>
      readFile(file.only('path', 'sha256')),
    ),
  };
}

function readFile(node: Node): NamedFile {
  return {
    path: node.get('path').matching(PATH, 'an absolute path'),
    sha256: node.get('sha256').matching(SHA256, 'a SHA-256'),
  };
}

/** An entry's `run`; `rules` is what the policy says for all. */
export function readRunEntry(node: Node, rules: RunRules | null): RunEntry {
  node.only('program', 'memory_bytes', 'processes', 'accesses_per_second', 'mode', 'leak');
  if (rules === null) throw node.error('the policy has no "run" that says as which users');
  const program = node.get('program').string();
  if (program !== STATIC_PROGRAM && !rules.runtimes.some(({ name }) => name === program))
    throw node.get('program').error('"static" or the name of a runtime of the policy is expected');
  const memoryBytes = readU64(node.get('memory_bytes'), RUN_LIMITS.memoryLeast);
  if (memoryBytes > RUN_LIMITS.memoryMost)
    throw node.get('memory_bytes').error('more than a terabyte');
  return {
    program,
    memoryBytes,
    processes: node.get('processes').integer(1, RUN_LIMITS.processes),
    accessesPerSecond: node.get('accesses_per_second').integer(1, RUN_LIMITS.accessesPerSecond),
    mode: node.maybe('mode')?.oneOf(...RUN_MODES) ?? 'brokered',
    leak: readLeakBounds(node.maybe('leak'), memoryBytes),
  };
}
