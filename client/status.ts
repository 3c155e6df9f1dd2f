/** What a host trusts now, and for how long: read from its store, verified, without the network. */

import type { Instant } from '../shared/time.ts';
import type { SignedCommon } from '../shared/tuf/envelope.ts';
import type { Floors } from '../shared/verify/floors.ts';
import { judgedNow } from '../shared/verify/time-floor.ts';
import type { TrustedMetadata } from '../shared/verify/trusted.ts';
import { loadDelegated, type Workflow } from '../shared/verify/workflow.ts';
import { StoredFetcher } from './fetch/stored.ts';
import type { Repository } from './repository.ts';
import { OverlayStore } from './store/overlay.ts';

export interface RoleStatus {
  readonly role: string;
  readonly version: number;
  readonly expires: Instant;
  /** Since when this machine has the file. */
  readonly since: Instant | undefined;
}

/** What a host trusts, and the present by which it judges expiry. */
export interface HostStatus {
  readonly roles: readonly RoleStatus[];
  readonly now: Instant;
  /** How many seconds the clock is behind what this host knows; 0 when it is believed. */
  readonly clockBehind: number;
}

/** Every stored role that verifies. An expired one is listed: that it expired is what is asked. */
export async function readStatus(repository: Repository): Promise<HostStatus> {
  // At the beginning of time nothing has expired yet: the signatures and versions are judged here,
  // and the dates by whoever asks.
  const { store } = repository;
  const fetcher = new StoredFetcher(store);
  const updater = repository.updater([], fetcher, () => 0, new TimelessStore(store));
  const trusted = await updater.refresh();
  const top: [string, SignedCommon | undefined][] = [
    ['root', trusted.root],
    ['timestamp', trusted.timestamp],
    ['snapshot', trusted.anySnapshot],
    ['targets', trusted.targets('targets')],
  ];
  const stored = new Set(await repository.store.storedRoles());
  const delegated = await updater.run((it) => delegatedRoles(it, stored));
  const roles: RoleStatus[] = [];
  for (const [role, file] of [...top, ...delegated]) {
    if (file === undefined) continue;
    const { version, expires } = file;
    roles.push({ role, version, expires, since: await store.storedAt(role, version) });
  }
  const clock = repository.clock();
  const now = judgedNow(clock, (await store.floors()).time);
  return { roles, now, clockBehind: now - clock };
}

/** The store without its time floor, by which nothing is to be judged here, and left as it is. */
export class TimelessStore extends OverlayStore {
  override async floors(): Promise<Floors> {
    const { time: _, ...floors } = await super.floors();
    return floors;
  }
}

/** Those that `targets` delegates to and that are stored. */
function* delegatedRoles(
  trusted: TrustedMetadata,
  stored: ReadonlySet<string>,
): Workflow<[string, SignedCommon | undefined][]> {
  const found: [string, SignedCommon | undefined][] = [];
  for (const role of trusted.targets('targets')?.delegations?.roles ?? []) {
    if (!stored.has(role.name)) continue;
    const edge = { role: role.name, keys: role, terminating: role.terminating };
    try {
      found.push([role.name, yield* loadDelegated(trusted, ['targets'], edge)]);
    } catch {
      // Stored for an older snapshot: the next search that needs it fetches it anew.
    }
  }
  return found;
}
