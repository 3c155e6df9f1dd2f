/**
 * The fleet policy: what the operators of a host let drivers have, whatever a vendor signed. One
 * JSON file on the host, `ironport.fleet-policy/v1`. What no entry allows is not granted; the
 * first entry that names both the artifact's namespace and the device decides, alone.
 */

import { type Code, IronError, isIronError } from '../errors.ts';
import { Node } from '../json/decode.ts';
import { lineOf } from '../json/line.ts';
import { parseJson } from '../json/read.ts';
import { LIFETIMES, MANIFEST_LIMITS } from '../limits.ts';
import type { Instant } from '../time.ts';
import { parseArtifactPath } from '../tuf/names.ts';
import {
  DIRECTIONS,
  type Direction,
  INTERRUPT_KINDS,
  type InterruptKind,
  REGISTER_ACCESS,
  type RegisterAccess,
} from './ceiling.ts';
import {
  type DeviceIdentity,
  type DeviceMatch,
  matchesDevice,
  parseDeviceMatch,
  showIdentity,
} from './device.ts';
import { readU64 } from './numbers.ts';
import { type RunEntry, type RunRules, readRunEntry, readRunRules } from './policy-run.ts';
import { readVfRules, type VfRules } from './policy-vf.ts';
import { ADDRESS_SPACE, endsWithin, firstOverlap, type Window, windowAt } from './windows.ts';

export const POLICY_SCHEMA = 'ironport.fleet-policy/v1';

/** A BAR that may be granted, whole or in part. */
export interface AllowedBar {
  readonly index: number;
  readonly window: Window;
  readonly access: RegisterAccess;
}

/** By which a device translates addresses, asks for pages, or speaks for several address spaces. */
export const TRANSLATIONS = ['ATS', 'PRI', 'PASID'] as const;
export type Translation = (typeof TRANSLATIONS)[number];

export interface PolicyEntry {
  /** `acme` or `acme/edu`: target paths that begin with it, whole segments. */
  readonly namespace: string;
  readonly devices: readonly DeviceMatch[];
  readonly bars: readonly AllowedBar[];
  /** Whether I/O ports may be granted at all, in the BARs above. */
  readonly ports: boolean;
  readonly interrupts: {
    readonly kinds: readonly InterruptKind[];
    readonly vectors: number;
    readonly perSecondBudget: number;
    /** Of one vector at once; null: as much as its share of a second. */
    readonly burst: number | null;
    /** Of one vector for as long as its driver runs; null: no end. */
    readonly lifetimeMax: number | null;
  };
  readonly dma: {
    readonly totalBytes: bigint;
    readonly windowsMax: number;
    readonly direction: Direction;
  };
  /** What such devices may have enabled to translate addresses by themselves; they are trusted with it. */
  readonly translation: readonly Translation[];
  /** Least security generation. */
  readonly generation: number;
  /** What the virtual functions of such a device may have; null: it may have none. */
  readonly virtualFunctions: VfRules | null;
  /** How such drivers are run; null: they are not. */
  readonly run: RunEntry | null;
}

export interface FleetPolicy {
  /** That of the fleet's keys which sign it; of no meaning in a policy that root put in place. */
  readonly epoch: number;
  /** Which one it is, and how long it stands: what operators sign must say it. */
  readonly version: number | undefined;
  readonly expires: Instant | undefined;
  /** Bytes of the pages that this host's MMU and IOMMU fence with; a power of two. */
  readonly pageSize: bigint;
  /** How long a grant is good for. */
  readonly grantSeconds: number;
  /** How long after its expiry what was bound before may be bound again to the same device. */
  readonly rebindGraceSeconds: number;
  /** As whom and by what drivers run; null: none does. */
  readonly run: RunRules | null;
  readonly allow: readonly PolicyEntry[];
}

/** Reads a policy file. Every refusal is `E_CONFIG`, with the place in the file. */
export function parsePolicy(bytes: Uint8Array): FleetPolicy {
  try {
    return readPolicy(new Node(parseJson(bytes, { length: MANIFEST_LIMITS.policy }), 'policy'));
  } catch (error) {
    if (!isIronError(error, ...UNREADABLE)) throw error;
    const where = `${error.message}${lineOf(error, bytes)}`;
    throw new IronError('E_CONFIG', `the fleet policy is not valid: ${where}`, {
      cause: error,
      hint: 'correct the policy file; without a valid one nothing is granted',
      context: error.context,
    });
  }
}

const UNREADABLE: readonly Code[] = ['E_JSON', 'E_SCHEMA', 'E_TOO_LARGE'];

function readPolicy(node: Node): FleetPolicy {
  node.only(
    ...['schema', 'epoch', 'version', 'expires', 'page_size_bytes', 'grant_seconds'],
    ...['rebind_grace_seconds', 'run', 'allow'],
  );
  node.get('schema').oneOf(POLICY_SCHEMA);
  const pageSize = node.get('page_size_bytes').integer(4096, 2 ** 30);
  // Rounding by mask needs a power of two, and no MMU has other pages.
  if (!Number.isInteger(Math.log2(pageSize)))
    throw node.error('page_size_bytes is no power of two');
  const rules = node.maybe('run');
  const run = rules === undefined ? null : readRunRules(rules);
  return {
    epoch: node.maybe('epoch')?.integer(1) ?? 1,
    version: node.maybe('version')?.integer(1),
    expires: node.maybe('expires')?.instant(),
    pageSize: BigInt(pageSize),
    // A grant that outlives every root says nothing any more.
    grantSeconds: node.get('grant_seconds').integer(1, LIFETIMES.root),
    rebindGraceSeconds:
      node.maybe('rebind_grace_seconds')?.integer(0, LIFETIMES.root) ??
      MANIFEST_LIMITS.rebindGraceSeconds,
    run,
    allow: node
      .get('allow')
      .items(MANIFEST_LIMITS.entries)
      .map((entry) => readEntry(entry, run)),
  };
}

const NAMESPACE = /^[a-z0-9][a-z0-9-]{0,31}(\/[A-Za-z0-9][A-Za-z0-9._+~-]*){0,2}$/;

function readEntry(node: Node, rules: RunRules | null): PolicyEntry {
  node.only(
    ...['namespace', 'devices', 'bars', 'ports', 'interrupts', 'dma', 'generation'],
    ...['virtual_functions', 'run', 'translation'],
  );
  const run = node.maybe('run');
  const vfs = node.maybe('virtual_functions');
  const interrupts = node
    .get('interrupts')
    .only('kinds', 'vectors', 'per_second_budget', 'burst', 'lifetime_max');
  const dma = node.get('dma').only('total_bytes', 'windows_max', 'direction');
  return {
    namespace: node.get('namespace').matching(NAMESPACE, 'a namespace like "acme" or "acme/edu"'),
    devices: node.get('devices').items(MANIFEST_LIMITS.entries).map(parseDeviceMatch),
    bars: readBars(node.get('bars')),
    ports: node.get('ports').boolean(),
    interrupts: {
      kinds: interrupts
        .get('kinds')
        .items()
        .map((kind) => kind.oneOf(...INTERRUPT_KINDS)),
      vectors: interrupts.get('vectors').integer(0),
      perSecondBudget: interrupts.get('per_second_budget').integer(0),
      burst: interrupts.maybe('burst')?.integer(1) ?? null,
      lifetimeMax: interrupts.maybe('lifetime_max')?.integer(1) ?? null,
    },
    dma: {
      totalBytes: readU64(dma.get('total_bytes')),
      windowsMax: dma.get('windows_max').integer(0),
      direction: dma.get('direction').oneOf(...DIRECTIONS),
    },
    translation: (node.maybe('translation')?.items(TRANSLATIONS.length) ?? []).map((what) =>
      what.oneOf(...TRANSLATIONS),
    ),
    generation: node.maybe('generation')?.integer(1) ?? 1,
    virtualFunctions: vfs === undefined ? null : readVfRules(vfs),
    run: run === undefined ? null : readRunEntry(run, rules),
  };
}

function readBars(list: Node): AllowedBar[] {
  const bars = list.items(MANIFEST_LIMITS.entries).map((node): AllowedBar => {
    node.only('index', 'access', 'offset_bytes', 'length_bytes');
    const whole =
      node.maybe('offset_bytes') === undefined && node.maybe('length_bytes') === undefined;
    const window = whole
      ? windowAt(0n, ADDRESS_SPACE)
      : windowAt(readU64(node.get('offset_bytes')), readU64(node.get('length_bytes'), 1n));
    if (!endsWithin(window, ADDRESS_SPACE)) throw node.error('it ends past the last address');
    return {
      index: node.get('index').integer(0, 5),
      window,
      access: node.get('access').oneOf(...REGISTER_ACCESS),
    };
  });
  for (let index = 0; index <= 5; index++) {
    const windows = bars.filter((bar) => bar.index === index).map((bar) => bar.window);
    if (firstOverlap(windows) !== undefined) throw list.error(`windows of BAR ${index} overlap`);
  }
  return bars;
}

/** `E_POLICY` when the ceiling is of an older generation than the entry asks for. */
export function requireGeneration(
  { generation }: { readonly generation: number },
  entry: Pick<PolicyEntry, 'generation'>,
): void {
  if (generation >= entry.generation) return;
  throw new IronError(
    'E_POLICY',
    `security generation ${generation}, and the fleet policy asks for ${entry.generation}`,
    { hint: 'nothing was changed; install a version of the driver with the newer generation' },
  );
}

/**
 * The entry that decides over binding the driver at `path` to `device`. Throws `E_POLICY` when
 * there is none: a host grants nothing that its policy does not name.
 */
export function entryFor(policy: FleetPolicy, path: string, device: DeviceIdentity): PolicyEntry {
  const { vendor } = parseArtifactPath(path);
  const named = policy.allow.filter(({ namespace }) => path.startsWith(`${namespace}/`));
  const entry = named.find(({ devices }) => devices.some((match) => matchesDevice(match, device)));
  if (entry !== undefined) return entry;
  const about =
    named.length === 0 ? `drivers at ${path}` : `drivers of ${vendor} for ${showIdentity(device)}`;
  throw new IronError('E_POLICY', `the fleet policy allows no ${about}`, {
    hint: 'nothing was changed; the operators of the fleet can add an entry to the policy',
    context: { path },
  });
}
