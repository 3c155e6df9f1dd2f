/**
 * Which version of a product is for this host: the newest that no condition passes over. Pure and
 * explained: each version that is not taken is said, with the condition that passed it over.
 */

import { IronError } from '../errors.ts';
import {
  type DeviceIdentity,
  type DeviceMatch,
  deviceMatchJson,
  matchesDevice,
} from '../manifest/device.ts';
import { CHANNELS, type Channel, type IndexEntry, type ProductIndex } from './index-file.ts';
import { type ProductPolicy, policyChannel } from './product-policy.ts';

/**
 * A device as far as it is known. What is not known rules nothing out: ids are typed to look around,
 * and the agent holds the device itself against the ceiling before it binds it.
 */
export type KnownDevice = Pick<DeviceIdentity, 'vendor' | 'device'> & Partial<DeviceIdentity>;

export interface HostFacts {
  readonly policy: ProductPolicy;
  /** The channel that was asked for, when one was. */
  readonly channel?: Channel | undefined;
  /** The device that it must be for, when it must be for one. */
  readonly device?: KnownDevice | undefined;
  /** Version of the driver ABI that this host's runtime speaks. */
  readonly abi: number;
  /** Where this host stands in the rollout of an artifact: 0 to below 100, by its SHA-256. */
  readonly bucketOf: (sha256: string) => number;
}

export type Reason =
  | 'withdrawn'
  | 'device'
  | 'abi'
  | 'hold'
  | 'channel'
  | 'approval'
  | 'rollout'
  | 'older';

export interface PassedOver {
  readonly entry: IndexEntry;
  readonly reason: Reason;
  /** In words. */
  readonly why: string;
}

export interface Choice {
  readonly index: ProductIndex;
  readonly channel: Channel;
  /** Files of one version; none when every version was passed over. */
  readonly chosen: readonly IndexEntry[];
  /** In words, why that version; empty when there is none. */
  readonly why: string;
  /** Newest first. */
  readonly passedOver: readonly PassedOver[];
}

/** Chooses. `E_POLICY` when a channel is asked for that the host's policy does not allow. */
export function choose(index: ProductIndex, host: HostFacts): Choice {
  const channel = channelFor(index, host);
  const passedOver: PassedOver[] = [];
  const chosen: IndexEntry[] = [];
  // The order of release decides; versions' names are never compared.
  for (const entry of [...index.entries].reverse()) {
    const found = chosen[0];
    const objection =
      found === undefined || found.version === entry.version
        ? objectionTo(entry, index, host, channel)
        : (['older', `${found.version} was released after it`] as const);
    if (objection === undefined) chosen.push(entry);
    else passedOver.push({ entry, reason: objection[0], why: objection[1] });
  }
  const [first] = chosen;
  return {
    index,
    channel,
    chosen,
    passedOver,
    why: first === undefined ? '' : reasonFor(first, index, host, channel),
  };
}

function channelFor({ vendor, product }: ProductIndex, host: HostFacts): Channel {
  const allowed = policyChannel(host.policy, vendor, product);
  const { channel } = host;
  if (channel === undefined) return allowed ?? 'stable';
  if (allowed !== undefined && CHANNELS.indexOf(channel) < CHANNELS.indexOf(allowed)) {
    throw new IronError('E_POLICY', `this host takes ${vendor}/${product} from ${allowed}`, {
      why: `its policy says so, and ${channel} was asked for`,
      hint: 'nothing was changed; leave the channel out, or have the policy changed',
    });
  }
  return channel;
}

/** `PCI:0x1234:0x11e8 with class 0x00ff00`. */
function showMatch(match: DeviceMatch): string {
  const { vendor, device, ...rest } = deviceMatchJson(match);
  const more = Object.entries(rest).map(([key, id]) => `${key.replace('_', ' ')} ${id}`);
  return `PCI:${vendor}:${device}${more.length === 0 ? '' : ` with ${more.join(', ')}`}`;
}

/** Whether nothing that is known of `device` speaks against `match`. */
export function mayMatch(match: DeviceMatch, device: KnownDevice): boolean {
  const known = Object.entries(match).filter(
    ([key]) => device[key as keyof KnownDevice] !== undefined,
  );
  return matchesDevice(Object.fromEntries(known) as DeviceMatch, device as DeviceIdentity);
}

function objectionTo(
  entry: IndexEntry,
  { vendor, product }: ProductIndex,
  host: HostFacts,
  channel: Channel,
): readonly [Reason, string] | undefined {
  const { device, policy, abi } = host;
  if (entry.withdrawn !== undefined) return ['withdrawn', `withdrawn: ${entry.withdrawn.reason}`];
  if (device !== undefined && !entry.devices.some((match) => mayMatch(match, device))) {
    const ids = entry.devices.slice(0, 8).map(showMatch);
    return ['device', `it is for ${[...new Set(ids)].join('; ')}`];
  }
  if (abi < entry.abi.min || abi > entry.abi.max) {
    return ['abi', `it speaks driver ABI ${entry.abi.min} to ${entry.abi.max}, this host ${abi}`];
  }
  const held = policy.hold.get(`${vendor}/${product}`);
  if (held !== undefined && held !== entry.version) return ['hold', `the policy holds ${held}`];
  if (policy.approved !== undefined && !policy.approved.has(entry.sha256)) {
    return ['approval', 'the policy does not approve its digest'];
  }
  // What the fleet holds, it chose by name: neither channel nor chance says anything about it.
  if (held !== undefined) return undefined;
  if (CHANNELS.indexOf(entry.channel) < CHANNELS.indexOf(channel)) {
    return ['channel', `it is in ${entry.channel}, and this host takes ${channel}`];
  }
  const bucket = host.bucketOf(entry.sha256);
  if (!(bucket < entry.rolloutPercent)) {
    const at = bucket.toFixed(1);
    return [
      'rollout',
      `it is offered to ${entry.rolloutPercent} % of the hosts, and this one stands at ${at}`,
    ];
  }
  return undefined;
}

function reasonFor(
  entry: IndexEntry,
  { vendor, product }: ProductIndex,
  host: HostFacts,
  channel: Channel,
): string {
  if (host.policy.hold.has(`${vendor}/${product}`)) return `the policy holds ${entry.version}`;
  const share =
    entry.rolloutPercent === 100 ? 'all hosts' : `${entry.rolloutPercent} % of the hosts`;
  return `the newest in ${channel} for this host: in ${entry.channel} for ${share}`;
}

/** The one file that was chosen. Throws the coded reason when there is none, or more than one. */
export function onlyChosen({ index, channel, chosen, passedOver }: Choice): IndexEntry {
  const name = `${index.vendor}/${index.product}`;
  const [only, ...more] = chosen;
  if (only !== undefined && more.length === 0) return only;
  if (only !== undefined) {
    throw new IronError(
      'E_USAGE',
      `${name} ${only.version} has ${chosen.length} files for this host`,
      {
        why: chosen
          .map(({ path }) => path)
          .join(', ')
          .slice(0, 500),
        hint: 'nothing was changed; name one of them by its whole path, or give --device',
      },
    );
  }
  const reasons = new Set(passedOver.map(({ reason }) => reason));
  const code =
    reasons.has('hold') || reasons.has('approval')
      ? 'E_POLICY'
      : reasons.size === 1 && reasons.has('withdrawn')
        ? 'E_WITHDRAWN'
        : 'E_NOT_FOUND';
  const words = passedOver.slice(0, 4).map(({ entry, why }) => `${entry.version}: ${why}`);
  throw new IronError(code, `no version of ${name} in ${channel} is for this host`, {
    why: words.join('; ').slice(0, 1000) || 'the index lists none',
    hint: 'nothing was changed; `ironport-client ADDRESS find --device BDF` shows every version',
    context: { product: name, channel },
  });
}
