/** The vendor's folder: who it is, which keys it has and where, in `vendor.json`. */

import { isAbsolute, join, resolve } from 'node:path';
import { utf8 } from '../shared/bytes.ts';
import { IronError, isIronError } from '../shared/errors.ts';
import { Node } from '../shared/json/decode.ts';
import { vendorFolder } from '../shared/layout.ts';
import { ADMISSION_LIMITS, NESTED_LIMITS, PUBLISHER_LIMITS } from '../shared/limits.ts';
import { readJsonFile, writeFileAtomic, writeFileExclusive } from '../shared/node/files.ts';
import { isSignerUri } from '../shared/node/signers/uri.ts';
import { formatHardwareId, type HardwareId, parseHardwareId } from '../shared/tuf/hardware-id.ts';
import { parseVendorName } from '../shared/tuf/names.ts';
import { nestedRole } from '../shared/tuf/nested.ts';

const SCHEMA = 'ironport.vendor-config/v1';

export interface VendorConfig {
  readonly vendor: string;
  readonly contact: string;
  readonly hardwareIds: readonly HardwareId[];
  /** How many TUF keys must sign the role. */
  readonly threshold: number;
  /** Signers, by key file or URI; paths are relative to the folder. */
  readonly keys: Readonly<Record<'tuf' | 'evidence' | 'api', readonly string[]>>;
  /** Signers of roles nested in the vendor's, by role, as far as they are known here. */
  readonly nested?: ReadonlyMap<string, readonly string[]>;
}

/** Reads `vendor.json` in `dir`. `E_NOT_FOUND` when there is none, `E_CONFIG` when it is no good. */
export async function loadConfig(dir: string): Promise<VendorConfig> {
  const path = join(dir, vendorFolder.config);
  try {
    return parseConfig(new Node(await readJsonFile(path, PUBLISHER_LIMITS.config), path));
  } catch (error) {
    if (isIronError(error, 'E_NOT_FOUND')) {
      throw new IronError('E_NOT_FOUND', `${dir} is no vendor's folder`, {
        why: `there is no ${vendorFolder.config} in it`,
        hint: '`ironport init --dir DIR` makes one',
        cause: error,
      });
    }
    if (isIronError(error, 'E_SCHEMA', 'E_JSON', 'E_NAME', 'E_TOO_LARGE'))
      throw new IronError('E_CONFIG', error.message, { cause: error, context: { path } });
    throw error;
  }
}

function parseConfig(node: Node): VendorConfig {
  node.only('schema', 'vendor', 'contact', 'hardware_ids', 'threshold', 'keys', 'nested');
  node.get('schema').oneOf(SCHEMA);
  const keys = node.get('keys').only('tuf', 'evidence', 'api');
  const uris = (list: string): string[] =>
    keys
      .get(list)
      .items(ADMISSION_LIMITS.keys)
      .map((item) => item.string());
  const tuf = uris('tuf');
  const vendor = parseVendorName(node.get('vendor').string());
  return {
    vendor,
    contact: node.get('contact').string(),
    hardwareIds: node
      .get('hardware_ids')
      .items(ADMISSION_LIMITS.hardwareIds)
      .map((item) => parseHardwareId(item.string())),
    // TUF 4.3: at least 1, and never more than there are keys.
    threshold: node.get('threshold').integer(1, tuf.length),
    keys: { tuf, evidence: uris('evidence'), api: uris('api') },
    nested: parseNested(node.maybe('nested'), vendor),
  };
}

function parseNested(node: Node | undefined, vendor: string): Map<string, readonly string[]> {
  return new Map(
    (node?.entries(NESTED_LIMITS.roles) ?? []).map(([name, list]) => [
      nestedRole(vendor, name),
      list.items(ADMISSION_LIMITS.keys).map((item) => item.string()),
    ]),
  );
}

/** Writes `vendor.json`; `E_EXISTS` when there is another one. */
export async function writeConfig(dir: string, config: VendorConfig): Promise<void> {
  await writeFileExclusive(join(dir, vendorFolder.config), format(config), { mode: 0o600 });
}

/** Writes another `vendor.json` in place of the one that is there. */
export async function replaceConfig(dir: string, config: VendorConfig): Promise<void> {
  await writeFileAtomic(join(dir, vendorFolder.config), format(config), { mode: 0o600 });
}

function format(config: VendorConfig): Uint8Array {
  const document = {
    schema: SCHEMA,
    vendor: config.vendor,
    contact: config.contact,
    hardware_ids: config.hardwareIds.map(formatHardwareId),
    threshold: config.threshold,
    keys: config.keys,
    ...(config.nested === undefined || config.nested.size === 0
      ? {}
      : {
          nested: Object.fromEntries(
            [...config.nested].map(([role, uris]) => [role.slice(config.vendor.length + 1), uris]),
          ),
        }),
  };
  return utf8(`${JSON.stringify(document, null, 2)}\n`);
}

/** A signer of the command line as the configuration has it, so that it holds from anywhere. */
export function fromAnywhere(uri: string): string {
  return isSignerUri(uri) && !uri.startsWith('file:') ? uri : resolve(uri.replace(/^file:/, ''));
}

/** A signer of the configuration as the openers of signers take it. */
export function resolveKey(dir: string, uri: string): string {
  const [, scheme, rest] = /^([a-z][a-z0-9+.-]*):(.*)$/s.exec(uri) ?? [];
  if (scheme !== undefined && scheme !== 'file') return uri;
  const path = rest ?? uri;
  return isAbsolute(path) ? path : join(dir, path);
}
