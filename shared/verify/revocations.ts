/**
 * Which revocations are in force, by the client workflow: the targets say whose list counts, the
 * role `revocations` says which one, and that it was renewed of late; the list itself is judged by
 * the team's signatures. No list, a stale one or an older one is a refusal, each with its code.
 */

import { toHex } from '../bytes.ts';
import { IronError, isIronError } from '../errors.ts';
import { revocations as place } from '../layout.ts';
import { REVOCATION_LIMITS } from '../limits.ts';
import { NO_REVOCATION_FLOORS, type RevocationFloors, raiseEach } from '../revocation/floors.ts';
import type { RevocationList } from '../revocation/list.ts';
import { floorsOf, verifyList } from '../revocation/signed-list.ts';
import { keyId } from '../tuf/key.ts';
import { parseRevocationTrust, type RevocationTrust } from '../tuf/revocation-trust.ts';
import type { TargetEntry } from '../tuf/targets.ts';
import { parseVendorFloors } from '../tuf/vendor-floors.ts';
import type { TrustedMetadata } from './trusted.ts';
import { type FoundTarget, findTarget, loadTargets, type Workflow } from './workflow.ts';

/** What the whole of a verification is judged by. */
export interface Revocations {
  /** Undefined in a repository whose targets never named a security team. */
  readonly list: RevocationList | undefined;
  /** The list as it was signed. */
  readonly bytes: Uint8Array | undefined;
  /** Who lists it: its expiry is the freshness of all that is judged by the list. */
  readonly found: FoundTarget | undefined;
}

const NONE: Revocations = { list: undefined, bytes: undefined, found: undefined };

/**
 * Finds, fetches and verifies the list. A repository without a security team has none, unless this
 * host saw one before. `E_REVOCATIONS_MISSING`, `E_REVOCATIONS_STALE`, `E_REVOCATIONS`,
 * `E_ROLLBACK`, and what the walk throws.
 */
export function* loadRevocations(trusted: TrustedMetadata): Workflow<Revocations> {
  // A refresh may have left them unread, and they say whether there is a list at all.
  yield* loadTargets(trusted);
  const trust = trustOf(trusted);
  if (trust === undefined) return NONE;
  const found = yield* findList(trusted);
  const { bytes, isNew } = yield* fetchList(trusted, found.entry);
  const before = trusted.floors.revocations;
  const verified = verifyList(trusted.crypto, bytes, trust, before);
  trusted.raiseRevocations(floorsOf(verified));
  // Floors first: a crash in between leaves a stored list that is too old to be used.
  if (isRaised(before, trusted.floors.revocations))
    yield { kind: 'floors', floors: trusted.floors };
  if (isNew) yield { kind: 'store-list', bytes };
  const { epoch, version } = verified.list;
  trusted.report({
    rule: 'revocations',
    what: `list ${version} of epoch ${epoch} is signed by ${verified.keys.length} of the security team, ${trust.threshold} must; listed by ${place.role} ${found.targets.version}`,
    keys: verified.keys.map((key) => keyId(trusted.crypto, key)),
    version,
  });
  return { list: verified.list, bytes, found };
}

/** Both halves, or neither: the team in the targets, and the delegation to the role. */
function trustOf(trusted: TrustedMetadata): RevocationTrust | undefined {
  const targets = trusted.targets('targets');
  if (targets === undefined) throw new IronError('E_INTERNAL', 'revocations before targets');
  const trust = parseRevocationTrust(targets.envelope.signed);
  const isDelegated = targets.delegations?.roles.some(({ name }) => name === place.role) === true;
  const seen = trusted.floors.revocations?.epoch ?? 0;
  if (trust !== undefined && isDelegated) {
    if (trust.epoch >= seen) return trust;
    throw new IronError(
      'E_ROLLBACK',
      `revocations went back from epoch ${seen} to ${trust.epoch}`,
      {
        why: 'epochs only count up, in whichever targets they stand',
        hint: 'nothing was changed; ask who runs the repository',
        context: { role: place.role, reason: 'older-epoch', offered: trust.epoch, floor: seen },
      },
    );
  }
  if (trust === undefined && !isDelegated && seen === 0) return undefined;
  throw missing(
    trust !== undefined
      ? 'the targets name a security team, and delegate to no role that lists its revocations'
      : isDelegated
        ? 'the targets delegate to the role of revocations, and name nobody who may sign them'
        : `this machine saw revocations of epoch ${seen}, and the targets name none any more`,
  );
}

/** Only `targets → revocations` speaks for the list, whatever else may be delegated. */
function* findList(trusted: TrustedMetadata): Workflow<FoundTarget> {
  let found: FoundTarget | undefined;
  try {
    found = yield* findTarget(trusted, place.list);
  } catch (cause) {
    // A role that was never published is not in the snapshot.
    if (isIronError(cause, 'E_MIX_AND_MATCH') && !trusted.snapshot().roles.has(place.role))
      throw missing('no list was published yet', cause);
    if (!isIronError(cause, 'E_EXPIRED') || cause.context.role !== place.role) throw cause;
    throw new IronError(
      'E_REVOCATIONS_STALE',
      `the list of revocations is stale: ${cause.message}`,
      {
        why: 'it is renewed every few days even when nothing changes, so that nobody can hold a newer one back',
        hint: 'nothing was changed; compare the clock, try another mirror, or ask who runs the repository',
        cause,
        context: cause.context,
      },
    );
  }
  const isItsOwn = found?.chain.length === 2 && found.role === place.role;
  if (found !== undefined && isItsOwn) return found;
  throw missing(
    found === undefined
      ? `the role ${place.role} lists no ${place.list}`
      : `${found.chain.join(' → ')} speaks for ${place.list}`,
  );
}

/** The stored list when it is the one that is listed; else from the repository, held to its entry. */
function* fetchList(
  trusted: TrustedMetadata,
  entry: TargetEntry,
): Workflow<{ readonly bytes: Uint8Array; readonly isNew: boolean }> {
  if (entry.length > REVOCATION_LIMITS.list) {
    throw new IronError('E_TOO_LARGE', `${entry.path} has ${entry.length} bytes`, {
      why: `at most ${REVOCATION_LIMITS.list} are read`,
      hint: 'nothing was changed; the security team must shorten the list',
    });
  }
  const cached = yield { kind: 'cached-list' };
  if (cached !== undefined && isEntry(trusted, entry, cached))
    return { bytes: cached, isNew: false };
  const bytes = yield { kind: 'fetch-list', entry, maxLength: entry.length };
  if (bytes === undefined) throw missing(`the repository does not have the list that is signed`);
  if (isEntry(trusted, entry, bytes)) return { bytes, isNew: true };
  // TUF 5.7.2
  throw new IronError('E_HASH', `${entry.path} is not the file that was signed`, {
    hint: 'nothing was changed; the mirror is incomplete or altered: try another one',
    context: { path: entry.path },
  });
}

function isEntry({ crypto }: TrustedMetadata, entry: TargetEntry, bytes: Uint8Array): boolean {
  return (
    bytes.length === entry.length && entry.hashes.get('sha256') === toHex(crypto.sha256(bytes))
  );
}

/**
 * What a vendor says of the product of this artifact, in its own role: the floor rises with it and
 * never goes down again within the epoch. Of that product alone: what a vendor says of ten thousand
 * others must not fill the floors of a host that never asked for them.
 */
export function* learnVendorFloors(
  trusted: TrustedMetadata,
  { chain, files, entry }: Pick<FoundTarget, 'chain' | 'files' | 'entry'>,
): Workflow<void> {
  const [vendor, role] = [chain[1], files[1]];
  if (vendor === undefined || role === undefined) return;
  const component = entry.path.split('/', 2).join('/');
  const floor = parseVendorFloors(role.envelope.signed, vendor).get(component);
  if (floor === undefined) return;
  const said = new Map([[component, floor]]);
  const before = trusted.floors.revocations ?? NO_REVOCATION_FLOORS;
  trusted.raiseRevocations({ ...before, vendors: raiseEach(before.vendors, said) });
  if (isRaised(before, trusted.floors.revocations))
    yield { kind: 'floors', floors: trusted.floors };
}

function isRaised(before: RevocationFloors | undefined, after: RevocationFloors | undefined) {
  const text = (floors: RevocationFloors | undefined): string =>
    JSON.stringify(
      floors === undefined ? null : [{ ...floors }, [...floors.generations], [...floors.vendors]],
    );
  return text(before) !== text(after);
}

function missing(why: string, cause?: unknown): IronError {
  return new IronError('E_REVOCATIONS_MISSING', 'there is no list of revocations to judge by', {
    why,
    hint: 'nothing was changed; try another mirror, or ask who runs the repository',
    ...(cause === undefined ? {} : { cause }),
  });
}
