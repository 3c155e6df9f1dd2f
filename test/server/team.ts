/** A security team at a running service, and what it and the renewal machine hand in. */

import type { Test } from 'tap';
import { listingTree, withRevocations } from '../../server/ceremony/revocations.ts';
import { asIronError } from '../../shared/errors.ts';
import { LIFETIMES } from '../../shared/limits.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import {
  formatMetadata,
  sign,
  targetEntry,
  targetsTree,
  withFields,
} from '../../shared/tuf/build.ts';
import type { RevocationTrust } from '../../shared/tuf/revocation-trust.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import { TODAY } from '../support/clock.ts';
import { type TestKey, testKey } from '../support/keys.ts';
import { signedTargets, type TestVendor } from '../support/repository.ts';
import { signList, TRUST, testList } from '../support/revocations.ts';
import { type Running, running } from './support.ts';

export const HOT = testKey('renewal');

/** Targets that name a team and delegate to the hot key. */
export async function teamTargets(
  it: Running,
  version: number,
  trust: RevocationTrust = TRUST,
  hot = HOT,
  vendor: TestVendor = it.acme,
): Promise<Uint8Array> {
  const plain = parseTargets(await signedTargets(it.operators, version, [vendor]), 'targets');
  const tree = withRevocations(platformCrypto, plain.envelope.tree, trust, hot.key);
  return formatMetadata(tree, await sign(platformCrypto, tree, it.operators.targets.slice(0, 1)));
}

interface Listing {
  readonly expires?: number;
  readonly signer?: TestKey;
  readonly more?: string;
}

export async function listing(
  list: Uint8Array,
  version: number,
  change: Listing = {},
): Promise<Uint8Array> {
  const expires = change.expires ?? TODAY + LIFETIMES.revocations;
  let tree = listingTree(platformCrypto, list, version, expires);
  if (change.more !== undefined) {
    const entry = targetEntry({ length: 1, sha256: '0'.repeat(64) });
    const entries = new Map([...Object.entries(tree.targets as object), [change.more, entry]]);
    tree = withFields(tree, {
      targets: targetsTree(1, expires, { targets: entries }).targets as never,
    });
  }
  return formatMetadata(tree, await sign(platformCrypto, tree, [change.signer ?? HOT]));
}

/** Hands in and publishes; the code of the refusal, or what it is called. */
export async function submit(it: Running, ...files: Uint8Array[]): Promise<string> {
  const { intake, worker } = it.repository;
  try {
    const { id } = await intake.submitOperatorFiles(files, false);
    await worker.drain();
    const { state, error, role } = intake.find(id, undefined);
    return state === 'published' ? role : (error?.code ?? state);
  } catch (error) {
    return asIronError(error).code;
  }
}

/** A service with a team and its first list. */
export async function withTeam(
  t: Test,
  vendor?: TestVendor,
): Promise<Running & { list: Uint8Array }> {
  const it = await running(t);
  const list = await signList(testList(1));
  const targets = await teamTargets(it, 2, TRUST, HOT, vendor);
  const files = [targets, list, await listing(list, 1)];
  t.equal(await submit(it, ...files), 'targets and revocations');
  return { ...it, list };
}
