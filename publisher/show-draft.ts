/** What a change that waits would change: each of its roles, shown against what is published. */

import type { CommandContext } from '../shared/cli/command.ts';
import { type JsonObject, type JsonValue, jsonObject } from '../shared/json/value.ts';
import { platformCrypto as crypto } from '../shared/node/crypto.ts';
import { BranchWalk } from '../shared/tuf/branch-walk.ts';
import { objectMember } from '../shared/tuf/build.ts';
import type { DelegatedKeys } from '../shared/tuf/delegations.ts';
import type { TrustChange } from '../shared/tuf/diff/change.ts';
import { diffText } from '../shared/tuf/diff/trust-diff.ts';
import { depthOf, isBinName, parentRole } from '../shared/tuf/nested.ts';
import type { Targets } from '../shared/tuf/targets.ts';
import { publishedBranch } from './branch.ts';
import { demandBelowFile, demandFollows, demandOwnRole, roleChanges, showRole } from './co-sign.ts';
import type { Base } from './rebase/base.ts';
import type { PublishedBranch } from './rebase/published-branch.ts';
import type { Session } from './session.ts';

/** A file of a draft, with the role that the service says it is of. */
export interface DraftedFile {
  readonly role: string;
  readonly bytes: Uint8Array;
  readonly file: Targets;
}

/** One that was found to be a role of this vendor, and what it changes. */
export interface ShownFile extends DraftedFile {
  /** Whose signatures count on a nested role; undefined for the vendor's own. */
  readonly keys: DelegatedKeys | undefined;
  readonly changes: readonly TrustChange[];
}

/**
 * Says what each file changes, against what is published. Nothing of what the service says counts:
 * `E_NOT_AUTHORISED`, `E_VERSION` for a file that is no role of this vendor, or not its next.
 */
export async function showDraft(
  session: Session,
  base: Base,
  files: readonly DraftedFile[],
): Promise<ShownFile[]> {
  const { context, config } = session;
  const { vendor } = config;
  const branch = publishedBranch(session, base);
  const named = new Map(files.map(({ role, file }) => [role, file]));
  const after = new BranchWalk(
    crypto,
    vendor,
    async (role) => named.get(role) ?? (await branch.read(role)),
  );
  const judged: Omit<ShownFile, 'changes'>[] = [];
  // What a role below is judged by, the one above it, is judged before.
  for (const one of files.toSorted((a, b) => depthOf(a.role) - depthOf(b.role))) {
    if (one.role === vendor) {
      demandOwnRole(one.file, base.role, vendor);
      demandFollows(one.file, base, vendor);
      judged.push({ ...one, keys: undefined });
    } else {
      judged.push({ ...one, keys: await demandBelowFile(base, after, one.role, one.file) });
    }
  }
  const published = await publishedRoles(base, branch, after, files);
  const before = listed([...published.values()]);
  const listedAfter = listed(files.map(({ file }) => file));
  const drafted = new Set(files.map(({ role }) => role));
  const ended = [...published].flatMap(([name, file]) => (drafted.has(name) ? [] : [file]));
  const bins = judged.filter(({ role }) => isBinName(role));
  const ofBins = showBins(context, { bins, published, before, after: listedAfter });
  return judged.map((one) => {
    const { role, file } = one;
    const ofBin = ofBins.get(role);
    if (ofBin !== undefined) return { ...one, changes: ofBin };
    const old = published.get(role);
    // The loss of entries is told at the role that listed them; of a role that ends, at the vendor's own.
    const gone = [...(old === undefined ? [] : [old]), ...(role === vendor ? ended : [])];
    // The first role of a vendor is shown as a whole.
    const entries = before.size === 0 ? undefined : compared(before, listedAfter, gone, file);
    const name = files.length === 1 ? 'it' : role;
    return { ...one, changes: showRole(context, old, file, name, entries) };
  });
}

/** What is published of the roles of a draft, and of those that end with it. */
async function publishedRoles(
  base: Base,
  branch: PublishedBranch,
  after: BranchWalk,
  files: readonly DraftedFile[],
): Promise<Map<string, Targets>> {
  const { vendor } = branch;
  const published = new Map<string, Targets>();
  if (base.role !== undefined && files.some(({ role }) => role === vendor))
    published.set(vendor, base.role);
  const drafted = new Set(files.map(({ role }) => role));
  for await (const name of branch.names())
    if (drafted.has(name) || (await after.keys(name)) === undefined)
      published.set(name, await branch.below(name));
  return published;
}

interface DraftedBins {
  readonly bins: readonly DraftedFile[];
  readonly published: ReadonlyMap<string, Targets>;
  /** Entries of all that is published, and of all that is drafted. */
  readonly before: ReadonlyMap<string, JsonValue>;
  readonly after: ReadonlyMap<string, JsonValue>;
}

/**
 * What the bins change, shown together: of each what it says of a path, in which no line may be missed;
 * of all of them until when they are valid. Which bin a path is in, its hash says.
 */
function showBins(
  context: CommandContext,
  { bins, published, before, after }: DraftedBins,
): Map<string, TrustChange[]> {
  const changes = new Map<string, TrustChange[]>();
  /** What is said alike of several bins, as a new date is, by its text. */
  const lines = new Map<string, { readonly change: TrustChange; roles: number }>();
  for (const { role, file } of bins) {
    const old = published.get(role);
    const entries =
      before.size === 0 ? undefined : compared(before, after, old === undefined ? [] : [old], file);
    const said = roleChanges(old, file, entries);
    changes.set(role, said);
    for (const change of said) {
      const line = lines.get(change.text) ?? { change, roles: 0 };
      lines.set(change.text, line);
      line.roles += 1;
    }
  }
  if (bins.length > 0) {
    const texts = Array.from(lines.values(), ({ change, roles }) =>
      roles === 1 ? change : { ...change, text: `${change.text} (${roles} bins)` },
    );
    const parents = new Set(bins.map(({ role }) => parentRole(role) ?? role));
    const whose = [...parents].join(' and ');
    context.ui.stage(`this is what ${bins.length} bins of ${whose} change:\n${diffText(texts)}`);
  }
  return changes;
}

function listed(roles: readonly Targets[]): Map<string, JsonValue> {
  return new Map(
    roles.flatMap(({ envelope }) => Object.entries(objectMember(envelope.tree, 'targets'))),
  );
}

/**
 * What the entries of a file are compared with: the same paths wherever they are published, so that
 * one that only moves says nothing and one that is exchanged on the way is told; and what its role
 * listed and no file lists any more.
 */
function compared(
  before: ReadonlyMap<string, JsonValue>,
  after: ReadonlyMap<string, JsonValue>,
  gone: readonly Targets[],
  file: Targets,
): JsonObject {
  const known = file.paths().flatMap((path): [string, JsonValue][] => {
    const entry = before.get(path);
    return entry === undefined ? [] : [[path, entry]];
  });
  const lost = [...listed(gone)].filter(([path]) => !after.has(path));
  return jsonObject([...known, ...lost]);
}
