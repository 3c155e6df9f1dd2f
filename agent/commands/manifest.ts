/** `ironport-agent manifest`: a resource manifest between its JSON form and its bytes. */

import { createReadStream } from 'node:fs';
import { fromHex, fromUtf8, toHex } from '../../shared/bytes.ts';
import type { CommandSpec } from '../../shared/cli/command.ts';
import { IronError } from '../../shared/errors.ts';
import { MANIFEST_LIMITS } from '../../shared/limits.ts';
import { inspectIsm2, parseIsm2 } from '../../shared/manifest/ism2.ts';
import { manifestJson, parseManifestJson } from '../../shared/manifest/manifest-json.ts';
import { hexU64 } from '../../shared/manifest/numbers.ts';
import { type Objection, windowObjections } from '../../shared/manifest/objections.ts';
import {
  canonicalBytes,
  ism2Bytes,
  manifestSha256,
  type ResourceManifest,
} from '../../shared/manifest/resource-manifest.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';

export const manifestEncode: CommandSpec = {
  name: 'manifest encode',
  summary: 'print canonical bytes, hash and ISM2 blob of a resource manifest',
  description:
    'FILE is a JSON object {driver_id, iommu_domain, binding_nonce, mmio, ports}; - is standard ' +
    'input. Windows that overlap or end past their space are encoded, as IronShim-rs does, and ' +
    'earn a warning: `manifest decode` and the agent refuse them.',
  arguments: [{ name: 'file', description: 'the manifest as JSON, or -' }],
  examples: [
    'ironport-agent manifest encode manifest.json',
    'ironport-agent manifest encode - --json < manifest.json',
  ],
  schema: 'ironport-agent/manifest-encode/v1',
  async run({ args, ui }) {
    const manifest = parseManifestJson(await readInput(args[0]));
    const warnings = windowObjections(manifest);
    for (const { message } of warnings) ui.warn(message);
    const revoked = [...manifest.mmio, ...manifest.ports].filter((window) => window.revoked).length;
    if (revoked > 0) {
      ui.note(`${revoked} windows are revoked: the hash covers that, an ISM2 blob cannot say it`);
    }
    const data = {
      canonical: toHex(canonicalBytes(manifest)),
      sha256: manifestSha256(manifest, platformCrypto),
      ism2: toHex(ism2Bytes(manifest)),
      warnings,
    };
    const text = `canonical ${data.canonical}\nsha256    ${data.sha256}\nism2      ${data.ism2}`;
    // The shape is IronShim-rs's vectors': no envelope around it.
    return { data, text, bare: true };
  },
};

export const manifestDecode: CommandSpec = {
  name: 'manifest decode',
  summary: 'print what an ISM2 blob says',
  description:
    'FILE holds the blob or its hexadecimal; - is standard input. Bytes after the end, windows ' +
    'that overlap and windows that end past their space are refused.',
  arguments: [{ name: 'file', description: 'the ISM2 blob, raw or in hexadecimal, or -' }],
  options: [
    { flags: '--lenient', description: 'print it with the objections instead of refusing' },
  ],
  examples: [
    'ironport-agent manifest decode driver.ism2',
    'ironport-agent manifest decode --lenient - < driver.ism2',
  ],
  schema: 'ironport-agent/manifest-decode/v1',
  async run({ args, flag, ui }) {
    const blob = fromHexOrRaw(await readInput(args[0]));
    const { manifest, objections } = flag('lenient')
      ? inspectIsm2(blob)
      : { manifest: parseIsm2(blob), objections: [] as readonly Objection[] };
    for (const { code, message } of objections) ui.warn(`${code}: ${message}`);
    return {
      data: { manifest: manifestJson(manifest), warnings: objections },
      text: describe(manifest, objections),
    };
  },
};

export const manifestCommands: readonly CommandSpec[] = [manifestEncode, manifestDecode];

/** The whole of FILE or of standard input, up to the limit. */
async function readInput(file: string | undefined): Promise<Uint8Array> {
  if (file === undefined)
    throw new IronError('E_USAGE', 'a file, or - for standard input, is missing');
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of file === '-' ? process.stdin : createReadStream(file)) {
      length += (chunk as Uint8Array).length;
      if (length > MANIFEST_LIMITS.document) {
        throw new IronError('E_TOO_LARGE', `more than ${MANIFEST_LIMITS.document} bytes: ${file}`);
      }
      chunks.push(chunk as Uint8Array);
    }
  } catch (cause) {
    if (cause instanceof IronError) throw cause;
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new IronError(missing ? 'E_NOT_FOUND' : 'E_IO', `cannot read ${file}`, {
      cause,
      why: (cause as Error).message,
    });
  }
  return Buffer.concat(chunks);
}

/** Bytes that are all hexadecimal digits and white space are the text of a blob: none begins so. */
function fromHexOrRaw(bytes: Uint8Array): Uint8Array {
  if (bytes.length === 0 || !bytes.every((byte) => HEX_TEXT.has(byte))) return bytes;
  const digits = fromUtf8(bytes).replace(/\s+/g, '').toLowerCase();
  if (digits.length % 2 !== 0) {
    throw new IronError('E_MANIFEST', `not whole bytes: ${digits.length} hexadecimal digits`);
  }
  return fromHex(digits);
}

const HEX_TEXT: ReadonlySet<number> = new Set(Buffer.from('0123456789abcdefABCDEF \t\r\n'));

function describe(manifest: ResourceManifest, objections: readonly Objection[]): string {
  const mark = (window: string): string => {
    const codes = objections.filter((objection) => objection.window === window);
    return codes.map(({ code }) => `  ! ${code}`).join('');
  };
  return [
    `driver_id     ${hexU64(manifest.driverId)}`,
    `iommu_domain  ${manifest.iommuDomain}`,
    `binding_nonce ${manifest.bindingNonce}`,
    ...manifest.mmio.map(
      ({ base, size }, i) =>
        `mmio[${i}]       ${hexU64(base)} + ${hexU64(size)}${mark(`mmio[${i}]`)}`,
    ),
    ...manifest.ports.map(
      ({ port, count }, i) => `ports[${i}]      ${port} + ${count}${mark(`ports[${i}]`)}`,
    ),
    ...objections
      .filter(({ window }) => window === null)
      .map(({ code, message }) => `! ${code}: ${message}`),
  ].join('\n');
}
