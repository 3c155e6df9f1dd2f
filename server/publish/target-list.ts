/**
 * Which bytes a publication brings into the tree as targets, and where they lie until then: in
 * quarantine, under their digests, or published under another path. They are not staged: they were
 * made durable when they came in, nobody removes them before the publication is noted as committed,
 * and the list of them, a file beside the staged folder, is durable with the rest.
 */

import { createReadStream } from 'node:fs';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { utf8 } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import { Node } from '../../shared/json/decode.ts';
import { parseJson } from '../../shared/json/read.ts';
import { data, tree } from '../../shared/layout.ts';
import { isErrno } from '../../shared/node/errno.ts';
import { writeFileExclusive } from '../../shared/node/files.ts';
import { promptFiles } from '../../shared/node/prompt-files.ts';
import { type PublishParts, stagingOf } from './parts.ts';

/** One target of a publication. */
export interface PlacedTarget {
  /** Its path in the tree. */
  readonly place: string;
  /** Where its bytes are now, absolute. */
  readonly from: string;
}

type Home = Pick<PublishParts, 'home'>;

/** Longer than any line of ours: two paths and their digests. */
const LINE = 16_384;

export function targetListOf(parts: Home, id: string): string {
  return `${stagingOf(parts, id)}.targets`;
}

/** Writes the list; `settleStaged` makes it durable. */
export async function writeTargetList(
  parts: Home,
  id: string,
  targets: readonly PlacedTarget[],
): Promise<void> {
  const lines = targets.map(({ place, from }) => {
    const origin = relative(parts.home, from);
    return `${JSON.stringify([place, origin])}\n`;
  });
  const options = { mode: 0o600, durable: false, files: promptFiles };
  await writeFileExclusive(targetListOf(parts, id), utf8(lines.join('')), options);
}

/** The list of a publication; none when it brings no targets. `E_STORE` when it is none of ours. */
export async function readTargetList(parts: Home, id: string): Promise<PlacedTarget[]> {
  const path = targetListOf(parts, id);
  const targets: PlacedTarget[] = [];
  try {
    const input = createReadStream(path);
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY }))
      targets.push(parseLine(parts, line));
  } catch (cause) {
    if (isErrno(cause) && cause.code === 'ENOENT') return [];
    if (cause instanceof IronError && cause.code !== 'E_STORE')
      throw new IronError('E_STORE', `${path} is damaged`, {
        why: cause.message,
        hint: 'nothing was published; the disk lost what it had promised to keep',
        cause,
      });
    throw cause;
  }
  return targets;
}

function parseLine(parts: Home, line: string): PlacedTarget {
  const tuple = new Node(parseJson(utf8(line), { length: LINE, depth: 1 }), 'target');
  const [place, origin] = tuple.items(2).map((item) => item.string());
  const isOurs =
    place?.startsWith(`${tree.targetsFolder}/`) === true &&
    (origin?.startsWith(`${data.quarantine}/`) === true ||
      origin?.startsWith(`${data.tree}/${tree.targetsFolder}/`) === true);
  if (!isOurs || `${place}/${origin}`.split('/').includes('..'))
    throw tuple.error('not a target and where its bytes are');
  return { place: place as string, from: join(parts.home, origin as string) };
}
