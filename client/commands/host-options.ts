/** What the commands that choose a version ask about this host, and how they show the choice. */

import type { CommandContext, OptionSpec } from '../../shared/cli/command.ts';
import { table } from '../../shared/cli/table.ts';
import type { HostPolicy } from '../../shared/evidence/policy/host-policy.ts';
import { INDEX_LIMITS } from '../../shared/limits.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import type { Choice } from '../../shared/product/choose.ts';
import { type ProductPolicy, parseProductPolicy } from '../../shared/product/product-policy.ts';
import { machineId } from '../find/bucket.ts';
import { readDevice } from '../find/device.ts';
import { type Host, type ProductName, parseProductName, verifyPolicy } from '../find/resolve.ts';
import type { VerifyOptions } from '../repository.ts';
import { stateFolder } from '../store/locate.ts';
import type { VerifiedTarget } from '../verify-target.ts';

export const PRODUCT_POLICY: OptionSpec = {
  flags: '--product-policy <file>',
  description: 'which versions this host takes: channels, approved digests, what is held at one',
  env: 'IRONPORT_PRODUCT_POLICY',
};

export const HOST: readonly OptionSpec[] = [
  PRODUCT_POLICY,
  {
    flags: '--machine-id <file>',
    description: 'take the id that decides about rollouts from here instead of /etc/machine-id',
    env: 'IRONPORT_MACHINE_ID',
  },
];

export const SYSFS: OptionSpec = {
  flags: '--sysfs-root <dir>',
  description: 'read devices below this folder',
  default: '/sys',
};

export const DEVICE: OptionSpec = {
  flags: '--device <device>',
  description: 'it must be for this one: 0000:00:05.0, or PCI:0x1234:0x11e8',
};

/** This host as the options describe it. `E_CONFIG` about a policy that is not valid. */
export async function loadHost(context: CommandContext): Promise<Host> {
  const device = context.text('device');
  return {
    policy: await loadProductPolicy(context),
    device: device === undefined ? undefined : await readDevice(device, context.need('sysfs-root')),
    machineId: await machineId(context.text('machine-id'), stateFolder(context.env)),
  };
}

/** A repository, or several that must agree. */
interface Verifies<T extends VerifiedTarget> {
  verify(path: string, options: VerifyOptions): Promise<T>;
  verifyProduct(
    name: ProductName,
    host: Host,
    options: VerifyOptions,
  ): Promise<T & { readonly choice: Choice }>;
}

/**
 * Verifies what NAME is on this host, by its policy for evidence: a whole path as it is, unless the
 * product policy speaks against it; of a product, the version that is chosen.
 */
export async function verifyNamed<T extends VerifiedTarget>(
  context: CommandContext,
  from: Verifies<T>,
  name: string,
  policy: HostPolicy | undefined,
): Promise<{ readonly verified: T; readonly choice: Choice | undefined }> {
  const product = parseProductName(name);
  if (product !== undefined) {
    const verified = await from.verifyProduct(product, await loadHost(context), { policy });
    return { verified, choice: verified.choice };
  }
  const verified = await from.verify(name, { policy });
  verifyPolicy(verified, await loadProductPolicy(context));
  return { verified, choice: undefined };
}

/** The product policy that `--product-policy` names. `E_CONFIG` about one that is not valid. */
export async function loadProductPolicy(
  context: CommandContext,
): Promise<ProductPolicy | undefined> {
  const path = context.text('product-policy');
  if (path === undefined) return undefined;
  return parseProductPolicy(await readFileCapped(path, INDEX_LIMITS.productPolicy));
}

/** What `--json` says of a choice. */
export function choiceData({ index, channel, chosen, why, passedOver }: Choice): object {
  return {
    product: `${index.vendor}/${index.product}`,
    channel,
    revision: index.revision,
    chosen: chosen.map(({ path }) => path),
    why,
    passed_over: passedOver.map(({ entry, reason, why }) => ({
      path: entry.path,
      version: entry.version,
      reason,
      why,
    })),
  };
}

/** The choice in lines: what was chosen and why, then what was passed over. */
export function choiceText({ index, channel, chosen, why, passedOver }: Choice): string {
  const name = `${index.vendor}/${index.product}`;
  return [
    ...(chosen.length === 0
      ? [`${name}: no version in ${channel} is for this host`]
      : chosen.map(({ path }) => `${path}\n  ${why}`)),
    table(passedOver.map(({ entry, why }) => ['  passed over', entry.version, why])),
  ]
    .filter((line) => line !== '')
    .join('\n');
}
