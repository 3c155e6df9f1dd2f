/** From a product to the one artifact of it that is for this host. */

import { IronError } from '../../shared/errors.ts';
import { RUNTIME_ABI } from '../../shared/manifest/abi.ts';
import {
  type Choice,
  choose,
  type HostFacts,
  type KnownDevice,
  mayMatch,
  onlyChosen,
} from '../../shared/product/choose.ts';
import {
  CHANNELS,
  type Channel,
  type IndexEntry,
  type ProductIndex,
} from '../../shared/product/index-file.ts';
import { NO_PRODUCT_POLICY, type ProductPolicy } from '../../shared/product/product-policy.ts';
import { parseArtifactPath, parseVendorName, quoted } from '../../shared/tuf/names.ts';
import type { VerifiedTarget } from '../verify-target.ts';
import { bucketOf } from './bucket.ts';
import { type IndexSource, loadIndex } from './indexes.ts';

/** What a host says about itself; without any of it, the newest that all hosts are offered. */
export interface Host {
  readonly policy?: ProductPolicy | undefined;
  readonly device?: KnownDevice | undefined;
  /** machine-id(5); what it is used for is in bucket.ts. */
  readonly machineId: string;
}

export interface ProductName {
  readonly vendor: string;
  readonly product: string;
  readonly channel: Channel | undefined;
}

/** `VENDOR/PRODUCT` or `VENDOR/PRODUCT@CHANNEL`; undefined for anything with another number of segments. */
export function parseProductName(text: string): ProductName | undefined {
  const [vendor, rest, ...more] = text.split('/');
  if (vendor === undefined || rest === undefined || more.length > 0) return undefined;
  const [product = '', channel, ...extra] = rest.split('@');
  parseVendorName(vendor);
  parseArtifactPath(`${vendor}/${product}/1/x`);
  if (channel === undefined) return { vendor, product, channel: undefined };
  const known = CHANNELS.find((one) => one === channel);
  if (known === undefined || extra.length > 0) {
    throw new IronError(
      'E_USAGE',
      `there is no channel ${quoted(rest.slice(product.length + 1))}`,
      {
        hint: `the channels are ${CHANNELS.join(' and ')}: acme/edu@testing`,
      },
    );
  }
  return { vendor, product, channel: known };
}

/** `host` as the choice takes it. */
export function hostFacts(host: Host, channel?: Channel): HostFacts {
  return {
    policy: host.policy ?? NO_PRODUCT_POLICY,
    channel,
    device: host.device,
    abi: RUNTIME_ABI.version,
    bucketOf: (sha256) => bucketOf(host.machineId, sha256),
  };
}

/** What an index chose: one artifact. */
export type OneChosen = Choice & { readonly only: IndexEntry };

/** Chooses by the product's verified index. `E_TARGET_UNKNOWN` when it has none. */
export async function chooseProduct(
  source: IndexSource,
  name: ProductName,
  host: Host,
): Promise<OneChosen> {
  const { vendor, product } = name;
  const index = await loadIndex(source, vendor, product);
  if (index === undefined) {
    throw new IronError('E_TARGET_UNKNOWN', `${vendor}/${product} has no index`, {
      why: 'nobody who may speak for it lists one',
      hint: 'nothing was changed; `ironport-client ADDRESS index` shows what there is, for a whole path',
      context: { product: `${vendor}/${product}` },
    });
  }
  return chooseOne(index, name, host);
}

/** The one version for this host. `E_TARGET_UNKNOWN` and the like when there is none, or more. */
export function chooseOne(index: ProductIndex, { channel }: ProductName, host: Host): OneChosen {
  const choice = choose(index, hostFacts(host, channel));
  return { ...choice, only: onlyChosen(choice) };
}

/** The artifact that was verified is the one that the index spoke of. `E_CONFLICT`, `E_CEILING`. */
export function verifyChosen(
  { verdict, checks }: VerifiedTarget,
  { index, only, why }: OneChosen,
  { device }: Host,
): void {
  const same =
    verdict.sha256 === only.sha256 &&
    verdict.length === only.length &&
    verdict.ceiling.generation === only.generation;
  if (!same) {
    throw new IronError('E_CONFLICT', `the index is not true about ${only.path}`, {
      why: 'its digest, length or generation is another one than the vendor signed for the artifact',
      hint: 'nothing was installed; tell the vendor',
      context: { path: only.path },
    });
  }
  const fits = (match: (typeof verdict.ceiling.devices)[number]): boolean =>
    device === undefined || mayMatch(match, device);
  if (!verdict.ceiling.devices.some(fits)) {
    throw new IronError('E_CEILING', `the ceiling of ${only.path} is not for this device`, {
      why: 'the index says that it is; the ceiling decides',
      hint: 'nothing was installed; tell the vendor',
      context: { path: only.path },
    });
  }
  checks.push({
    rule: 'product index',
    what: `revision ${index.revision} of ${index.vendor}/${index.product} has it: ${why}`,
  });
}

/** Whether the policy lets a path be installed that was asked for by name. `E_POLICY`. */
export function verifyPolicy(
  { verdict, checks }: VerifiedTarget,
  policy: ProductPolicy | undefined,
): void {
  if (policy === undefined) return;
  const product = `${verdict.name.vendor}/${verdict.name.product}`;
  const held = policy.hold.get(product);
  const why =
    held !== undefined && held !== verdict.name.version
      ? `it holds ${product} at ${held}`
      : policy.approved !== undefined && !policy.approved.has(verdict.sha256)
        ? 'it does not approve this digest'
        : undefined;
  if (why !== undefined) {
    throw new IronError('E_POLICY', `the product policy refuses ${verdict.path}`, {
      why,
      hint: 'nothing was installed; the operators of the fleet can change the policy',
      context: { path: verdict.path, sha256: verdict.sha256 },
    });
  }
  checks.push({ rule: 'product policy', what: `nothing in it speaks against ${verdict.path}` });
}
