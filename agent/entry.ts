/** An accepted driver, as the agent keeps it: what was verified, by what, and until when it is fresh. */

import { readdir } from 'node:fs/promises';
import { utf8 } from '../shared/bytes.ts';
import { IronError, isIronError } from '../shared/errors.ts';
import type { HandoffFile } from '../shared/handoff/record.ts';
import { Node } from '../shared/json/decode.ts';
import { parseJson } from '../shared/json/read.ts';
import { type JsonObject, jsonObject } from '../shared/json/value.ts';
import { acceptedFile, agentState, SIDECARS, type Sidecar } from '../shared/layout.ts';
import { AGENT_LIMITS } from '../shared/limits.ts';
import { type Ceiling, parseCeiling } from '../shared/manifest/ceiling.ts';
import type { IndexEntry } from '../shared/product/index-file.ts';
import type { Quorum } from '../shared/revocation/judge.ts';
import { formatInstant, type Instant } from '../shared/time.ts';
import { formatHardwareId, type HardwareId, parseHardwareId } from '../shared/tuf/hardware-id.ts';
import { parseArtifactPath } from '../shared/tuf/names.ts';
import type { Agent } from './agent.ts';

export interface Accepted {
  readonly artifact: HandoffFile;
  readonly sidecars: ReadonlyMap<Sidecar, HandoffFile>;
  readonly ceiling: Ceiling;
  /** The ceiling as it was signed. */
  readonly ceilingSource: JsonObject;
  /** Hardware that the operators gave the vendor, in the targets that were verified. */
  readonly hardwareIds: readonly HardwareId[];
  /** `vendor/product`. */
  readonly product: string;
  readonly generation: number;
  readonly acceptedAt: Instant;
  /** The first expiry among the metadata by which it was verified. */
  readonly freshUntil: Instant;
  /** Versions of that metadata, by role. */
  readonly versions: ReadonlyMap<string, number>;
  /** The signatures that it rests on, for lists of revocations that come later. */
  readonly quorums: readonly Quorum[];
  /** The list by which it was judged; undefined when its repository had none. */
  readonly revocations: { readonly epoch: number; readonly version: number } | undefined;
}

const SCHEMA = 'ironport-agent.accepted/v1';

export function formatAccepted(entry: Accepted): Uint8Array {
  const { artifact, acceptedAt, freshUntil, generation, product } = entry;
  return utf8(
    `${JSON.stringify({
      schema: SCHEMA,
      artifact,
      sidecars: jsonObject([...entry.sidecars].map(([name, file]) => [name, { ...file }])),
      ceiling: entry.ceilingSource,
      hardware_ids: entry.hardwareIds.map(formatHardwareId),
      product,
      generation,
      accepted_at: formatInstant(acceptedAt),
      fresh_until: formatInstant(freshUntil),
      versions: jsonObject(entry.versions),
      quorums: entry.quorums,
      revocations: entry.revocations ?? null,
    })}\n`,
  );
}

export function parseAccepted(bytes: Uint8Array): Accepted {
  const node = new Node(parseJson(bytes, { length: AGENT_LIMITS.state }), 'accepted');
  node.only(
    ...['schema', 'artifact', 'sidecars', 'ceiling', 'hardware_ids', 'product', 'generation'],
    ...['accepted_at', 'fresh_until', 'versions', 'quorums', 'revocations'],
  );
  node.get('schema').oneOf(SCHEMA);
  const ceiling = node.get('ceiling');
  return {
    artifact: parseFile(node.get('artifact')),
    sidecars: new Map(
      node
        .get('sidecars')
        .entries()
        .map(([name, file]) => [parseSidecarName(name, file), parseFile(file)]),
    ),
    ceiling: parseCeiling(ceiling),
    ceilingSource: ceiling.object(),
    hardwareIds: node
      .get('hardware_ids')
      .items()
      .map((id) => parseHardwareId(id.string())),
    product: node.get('product').string(),
    generation: node.get('generation').integer(0),
    acceptedAt: node.get('accepted_at').instant(),
    freshUntil: node.get('fresh_until').instant(),
    versions: new Map(
      node
        .get('versions')
        .entries()
        .map(([role, version]) => [role, version.integer(1)]),
    ),
    quorums: node.get('quorums').items().map(parseQuorum),
    revocations: parseListName(node.get('revocations')),
  };
}

function parseQuorum(node: Node): Quorum {
  node.only('what', 'keyids', 'threshold');
  const keyids = node.get('keyids').items();
  return {
    what: node.get('what').string(),
    keyids: keyids.map((keyid) => keyid.matching(/^[0-9a-f]{64}$/, 'a key id')),
    threshold: node.get('threshold').integer(1),
  };
}

function parseListName(node: Node): Accepted['revocations'] {
  if (node.value === null) return undefined;
  node.only('epoch', 'version');
  return { epoch: node.get('epoch').integer(1), version: node.get('version').integer(1) };
}

function parseFile(node: Node): HandoffFile {
  node.only('path', 'length', 'sha256');
  return {
    path: node.get('path').string(),
    length: node.get('length').integer(0),
    sha256: node.get('sha256').matching(/^[0-9a-f]{64}$/, 'a SHA-256 digest'),
  };
}

function parseSidecarName(name: string, node: Node): Sidecar {
  if (name in SIDECARS) return name as Sidecar;
  throw node.error('a sidecar is expected');
}

/** What a notice said of an accepted driver, as it is kept beside it. */
export function formatWithdrawal({ path, withdrawn }: IndexEntry): Uint8Array {
  const { reason = '', supersededBy = null } = withdrawn ?? {};
  const document = { schema: WITHDRAWAL, path, reason, superseded_by: supersededBy };
  return utf8(`${JSON.stringify(document)}\n`);
}

const WITHDRAWAL = 'ironport-agent.withdrawn/v1';

/** `E_WITHDRAWN` when a notice said that of the driver. A damaged note counts as one. */
async function refuseWithdrawn(agent: Agent, path: string): Promise<void> {
  const bytes = await agent.read(`${agentState.accepted(path)}/${acceptedFile.withdrawn}`);
  if (bytes === undefined) return;
  let why = 'a notice said so, and cannot be read any more';
  try {
    const node = new Node(parseJson(bytes, { length: AGENT_LIMITS.state }), 'withdrawn');
    why = node.get('reason').string();
  } catch (error) {
    if (!isIronError(error, 'E_JSON', 'E_SCHEMA')) throw error;
  }
  throw new IronError('E_WITHDRAWN', `${path} was withdrawn by its vendor`, {
    why,
    hint: 'nothing was changed; hand over another version, and release what is bound to this one',
    context: { path },
  });
}

/**
 * The accepted driver at a target path. `E_NOT_FOUND` when it was never accepted, `E_WITHDRAWN` when
 * a notice said since that its vendor withdrew it.
 */
export async function loadAccepted(agent: Agent, path: string): Promise<Accepted> {
  const entry = await loadEntry(agent, path);
  if (entry === undefined) {
    throw new IronError('E_NOT_FOUND', `${path} was not accepted by this agent`, {
      hint: 'hand it over first: `ironport-client handoff`, then `ironport-agent accept`',
      context: { path },
    });
  }
  await refuseWithdrawn(agent, path);
  return entry;
}

/** The same, withdrawn or not, for who asks about it and binds nothing; undefined when it is not there. */
export async function loadEntry(agent: Agent, path: string): Promise<Accepted | undefined> {
  parseArtifactPath(path);
  const bytes = await agent.read(`${agentState.accepted(path)}/${acceptedFile.entry}`);
  return bytes === undefined ? undefined : parseAccepted(bytes);
}

/** Every accepted driver, by target path. */
export async function listAccepted(agent: Agent): Promise<Accepted[]> {
  const folder = agent.place(agentState.acceptedFolder);
  const names = await readdir(folder).catch((): string[] => []);
  const found: Accepted[] = [];
  for (const name of names.filter((one) => !one.startsWith('.')).sort()) {
    const bytes = await agent.read(`${agentState.acceptedFolder}/${name}/${acceptedFile.entry}`);
    if (bytes !== undefined) found.push(parseAccepted(bytes));
  }
  return found;
}

/**
 * Whether this driver rests on metadata past its expiry; one that is not there any more does. The same bytes
 * under another path rest on other metadata.
 */
export function isStale(
  accepted: readonly Accepted[],
  { path, sha256 }: { readonly path: string; readonly sha256: string },
  now: Instant,
): boolean {
  const entry = accepted.find(
    ({ artifact }) => artifact.path === path && artifact.sha256 === sha256,
  );
  return entry === undefined || entry.freshUntil <= now;
}
