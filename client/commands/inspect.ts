/** `ironport-client inspect FILE|URL|-`. */

import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CommandContext, CommandSpec } from '../../shared/cli/command.ts';
import { formatBytes, table } from '../../shared/cli/table.ts';
import { IronError } from '../../shared/errors.ts';
import { BUNDLE_LIMITS } from '../../shared/limits.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { openRegular, readFileCapped, readStreamCapped } from '../../shared/node/files.ts';
import { hashFile } from '../../shared/node/hash.ts';
import { Bundle } from '../bundle/bundle.ts';
import { isBundle } from '../bundle/format.ts';
import { BUNDLE_KIND, INSPECT_LIMIT, type Inspection, inspect } from '../inspect.ts';
import { bundleFacts } from '../inspect-files.ts';
import { argument } from './options.ts';

export const inspectCommand: CommandSpec = {
  name: 'inspect',
  summary: 'show what a file of this or another TUF repository says',
  description:
    'TUF metadata, DSSE, in-toto, Sigstore, SPDX, CycloneDX, bundles, hand-over records, and of ' +
    'key files the public part. Nothing is verified: it shows what the file says, true or not.',
  arguments: [
    { name: 'file', description: 'a file, a file or http(s) URL, or - for standard input' },
  ],
  examples: [
    'ironport-client inspect root.json',
    'ironport-client inspect http://127.0.0.1:8080/metadata/timestamp.json',
    'ironport-client inspect - --json < edu.js.ceiling.json',
  ],
  schema: 'ironport-client/inspect/v1',
  async run(context) {
    const place = localPlace(argument(context, 0, 'FILE'));
    const { kind, length, sha256, facts } =
      (await inspectBundle(place)) ?? inspect(platformCrypto, await load(context, place));
    return {
      data: { verified: false, kind, length, sha256, facts },
      text: table([
        ['kind', `${kind}, ${formatBytes(length)}, not verified`],
        ['sha256', sha256],
        ...facts,
      ]),
    };
  },
};

/** The path of a file URL, and anything else as it is. `E_USAGE` on one of another machine. */
function localPlace(place: string): string {
  if (!/^file:/i.test(place)) return place;
  try {
    return fileURLToPath(place);
  } catch (cause) {
    throw new IronError('E_USAGE', `not the URL of a file here: ${JSON.stringify(place)}`, {
      hint: 'write file:///PATH, or the path itself',
      cause,
    });
  }
}

/** A bundle can be larger than what is read into memory: of it only the index is. */
async function inspectBundle(place: string): Promise<Inspection | undefined> {
  if (place === '-' || /^https?:\/\//i.test(place)) return undefined;
  const file = await openRegular(place);
  try {
    const beginning = new Uint8Array(BUNDLE_LIMITS.header);
    await onPath(place, () => file.read(beginning, 0, beginning.length, 0));
    if (!isBundle(beginning)) return undefined;
  } finally {
    await file.close();
  }
  const bundle = await Bundle.open(place);
  try {
    return { kind: BUNDLE_KIND, facts: bundleFacts(bundle.index), ...(await hashFile(place)) };
  } finally {
    await bundle.close();
  }
}

async function load(context: CommandContext, place: string): Promise<Uint8Array> {
  if (place === '-') return readStreamCapped(process.stdin, INSPECT_LIMIT);
  if (!/^https?:\/\//i.test(place)) return readFileCapped(place, INSPECT_LIMIT);
  const { HttpFetcher } = await import('../fetch/http.ts');
  const url = URL.parse(place);
  if (url === null) throw new IronError('E_USAGE', `not a URL: ${JSON.stringify(place)}`);
  // One file of a server: its folder is the base, its name the path.
  const base = `${url.origin}${dirname(url.pathname).replace(/\/?$/, '/')}`;
  const fetcher = new HttpFetcher({
    metadata: base,
    targets: base,
    env: context.env,
    random: Math.random,
  });
  try {
    const name = `metadata/${url.pathname.slice(url.pathname.lastIndexOf('/') + 1)}`;
    const bytes = await fetcher.fetchFile(name, INSPECT_LIMIT, { signal: context.signal });
    if (bytes === undefined) throw new IronError('E_NOT_FOUND', `${place} does not exist`);
    return bytes;
  } finally {
    await fetcher.close();
  }
}
