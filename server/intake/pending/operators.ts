/** Changes of the operators that lack signatures: roots, targets and what goes along, or a list. */

import { collecting, isListAlone } from '../../../shared/api/pending.ts';
import { isResignedRole, parseResignedRole } from '../../../shared/api/resigned-role.ts';
import type { Crypto } from '../../../shared/crypto/crypto.ts';
import { IronError } from '../../../shared/errors.ts';
import { LIFETIMES } from '../../../shared/limits.ts';
import { isListFile } from '../../../shared/revocation/signed-list.ts';
import type { Instant } from '../../../shared/time.ts';
import { parseRoot, type Root } from '../../../shared/tuf/root.ts';
import { demandsOf } from '../../../shared/tuf/standing.ts';
import { parseTargets } from '../../../shared/tuf/targets.ts';
import type { Published } from '../../storage/published.ts';
import { demandSoundTargets } from '../checks/operator-targets.ts';
import { demandLifetime } from '../lifetime.ts';
import { demandNext, demandSoundRoot } from '../operator-files.ts';
import { collectedList } from './lists.ts';
import { besideFile, type Collected, collectedRole, type Wanted } from './wanted.ts';

/**
 * What each file needs. Refuses at once what no signature can help: `E_CONFLICT` when it does not
 * follow what is published, and what intake would refuse of its content.
 */
export async function wantedOfOperators(
  crypto: Crypto,
  published: Published,
  files: readonly Uint8Array[],
  now: Instant,
): Promise<Collected[]> {
  if (isListAlone(files)) return [await collectedList(crypto, published, files[0])];
  const roots: { bytes: Uint8Array; root: Root }[] = [];
  const targets: Uint8Array[] = [];
  const others: Uint8Array[] = [];
  for (const bytes of files) {
    const type = collecting(bytes)?.signed.get('_type').string();
    if (type === undefined) others.push(bytes);
    else if (type === 'root') roots.push({ bytes, root: parseRoot(bytes) });
    else targets.push(bytes);
  }
  if (roots.length + targets.length === 0) throw nothingToSign();
  if (targets.length > 1)
    throw new IronError('E_USAGE', 'only one targets file can be handed in at a time');
  roots.sort((a, b) => a.root.version - b.root.version);
  const root = roots.at(-1)?.root ?? published.root;
  const wanted = [
    ...wantedRoots(published, roots, now),
    ...targets.map((bytes) => wantedTargets(published, bytes, root, now)),
  ];
  return [...wanted.map((file) => collectedRole(crypto, file)), ...others.map(beside)];
}

function wantedRoots(
  published: Published,
  roots: readonly { readonly bytes: Uint8Array; readonly root: Root }[],
  now: Instant,
): Wanted[] {
  let before = published.root;
  const wanted: Wanted[] = [];
  for (const { bytes, root } of roots) {
    demandNext('root', root.version, before.version);
    const demands = demandsOf({ type: 'root', file: root }, before);
    // Its own keys are what it says itself: only those of the root before it were there already.
    const standing = before === published.root ? demands.at(-1) : undefined;
    const { version, expires, envelope } = root;
    wanted.push({ role: 'root', version, expires, bytes, envelope, demands, also: [], standing });
    before = root;
  }
  if (roots.length > 0) demandSoundRoot(before, now);
  return wanted;
}

function wantedTargets(published: Published, bytes: Uint8Array, root: Root, now: Instant): Wanted {
  const file = parseTargets(bytes, 'targets');
  demandNext('targets', file.version, published.targets.version);
  demandLifetime('targets', file, LIFETIMES.targets, now);
  demandSoundTargets(file, published.targets);
  const demands = demandsOf({ type: 'targets', file }, root);
  const [standing] = demandsOf({ type: 'targets', file }, published.root);
  const also = root === published.root || standing === undefined ? [] : [standing];
  const { version, expires, envelope } = file;
  return { role: 'targets', version, expires, bytes, envelope, demands, also, standing };
}

/** Complete by itself: it is judged when the whole is handed in. */
function beside(bytes: Uint8Array): Collected {
  const role = isResignedRole(bytes) ? parseResignedRole(bytes).role : bytes;
  const file = isListFile(bytes) ? undefined : parseTargets(role, 'file');
  const { version = 0, expires = 0 } = file ?? {};
  return besideFile(bytes, version, expires);
}

function nothingToSign(): IronError {
  return new IronError('E_USAGE', 'neither a root nor targets are among these files', {
    why: 'what goes along with a change of these waits with it, and a list of revocations waits alone',
    hint: 'nothing was changed; bring the list alone, or all of the change',
  });
}
