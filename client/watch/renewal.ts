/**
 * What the product policy says of an artifact that was handed over before. To renew its record is to
 * let it be accepted anew, so what may not be installed today is not renewed either.
 */

import { IronError } from '../../shared/errors.ts';
import { CHANNELS } from '../../shared/product/index-file.ts';
import { type ProductPolicy, policyChannel } from '../../shared/product/product-policy.ts';
import { loadIndex } from '../find/indexes.ts';
import { verifyPolicy } from '../find/resolve.ts';
import type { Repository } from '../repository.ts';
import type { VerifiedTarget } from '../verify-target.ts';

/**
 * `E_POLICY` when the policy does not approve the artifact, holds another version, or takes the
 * product from a more tried channel. The rollout has no say: it is about who is offered a version
 * first, and this host has it.
 */
export async function verifyRenewal(
  { fetcher, signal }: Pick<Repository, 'fetcher' | 'signal'>,
  verified: VerifiedTarget,
  policy: ProductPolicy | undefined,
): Promise<void> {
  verifyPolicy(verified, policy);
  const { path, name } = verified.verdict;
  const { vendor, product } = name;
  // What the fleet holds, it chose by name, whatever its channel.
  if (policy === undefined || policy.hold.has(`${vendor}/${product}`)) return;
  const allowed = policyChannel(policy, vendor, product);
  if (allowed === undefined) return;
  const { updater } = verified;
  const { consistentSnapshot } = (await updater.trusted()).root;
  const source = { updater, fetcher, consistentSnapshot, signal };
  const index = await loadIndex(source, vendor, product);
  const channel = index?.entries.find((entry) => entry.path === path)?.channel;
  if (channel !== undefined && CHANNELS.indexOf(channel) >= CHANNELS.indexOf(allowed)) return;
  throw new IronError('E_POLICY', `the product policy refuses ${path}`, {
    why:
      channel === undefined
        ? `it takes ${vendor}/${product} from ${allowed}, and no index says where ${path} is`
        : `it is in ${channel}, and this host takes ${vendor}/${product} from ${allowed}`,
    hint: 'what was handed over is left as it is; the operators of the fleet can hold this version, or change the channel',
    context: { path, channel: channel ?? null, allowed },
  });
}
