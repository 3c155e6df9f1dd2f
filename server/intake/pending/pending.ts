/**
 * Changes that wait for signatures. A draft begins with a signature by a key that counts today, so
 * strangers cannot leave anything here; it grows by signatures, whoever brings them; and when
 * nothing is missing it is handed in like any other submission, and judged as one.
 */

import {
  type DraftFile,
  type DraftReply,
  type DraftState,
  draftId,
  draftPart,
  lacking,
  operatorParts,
} from '../../../shared/api/pending.ts';
import { errorBodyOf } from '../../../shared/api/upload.ts';
import { toBase64, toHex } from '../../../shared/bytes.ts';
import { asIronError, IronError, isIronError } from '../../../shared/errors.ts';
import { revocations as place } from '../../../shared/layout.ts';
import { DRAFT_LIMITS, METADATA_LIMITS } from '../../../shared/limits.ts';
import { formatInstant, type Instant } from '../../../shared/time.ts';
import { parseEnvelope } from '../../../shared/tuf/envelope.ts';
import type { Drafts, StoredDraft } from '../../db/drafts.ts';
import type { Queue } from '../../db/queue.ts';
import type { CurrentTree, Published } from '../../storage/published.ts';
import type { Shelves } from '../examine.ts';
import type { Intake } from '../intake.ts';
import { demandNext } from '../operator-files.ts';
import { listStaleness, listsNow } from './lists.ts';
import { wantedOfOperators } from './operators.ts';
import { type RoleFile, sortRoles, wantedOfVendor } from './vendors.ts';
import type { Collected } from './wanted.ts';

export interface PendingParts extends Shelves {
  readonly clock: () => Instant;
  readonly current: CurrentTree;
  readonly queue: Queue;
  readonly drafts: Drafts;
  readonly intake: Intake;
}

export class PendingChanges {
  readonly #parts: PendingParts;

  constructor(parts: PendingParts) {
    this.#parts = parts;
  }

  /** Takes the operators' files with the signatures that they have. The signatures decide. */
  async takeOperators(files: readonly Uint8Array[]): Promise<DraftReply> {
    const { crypto, current, clock, intake } = this.#parts;
    const published = await current.need();
    const now = clock();
    const id = draftId(crypto, undefined, operatorParts(files));
    if (this.#isSubmitted(id)) return this.#found(id);
    const wanted = await wantedOfOperators(crypto, published, files, now);
    return await this.#take({ id, vendor: null }, wanted, published, now, (whole, beside) =>
      intake.submitOperatorFiles(whole, false, beside),
    );
  }

  /** Takes the role of a vendor, which signed the request, roles nested in it, or both. */
  async takeRoles(vendor: string, files: readonly RoleFile[]): Promise<DraftReply> {
    const { crypto, current, clock } = this.#parts;
    const published = await current.need();
    const now = clock();
    const said = files.map(({ role, bytes }) => {
      const signed = parseEnvelope(bytes, METADATA_LIMITS.targets, role).signedBytes();
      return draftPart(vendor, role, signed);
    });
    const id = draftId(crypto, vendor, said);
    if (this.#isSubmitted(id)) return this.#found(id);
    const wanted = await wantedOfVendor(this.#parts, published, { vendor, files }, now);
    return await this.#take({ id, vendor }, wanted, published, now, (whole, beside) =>
      this.#submitRoles(
        vendor,
        whole.map((bytes, i) => ({ role: (wanted[i] as Collected).role, bytes })),
        beside,
      ),
    );
  }

  /** Roles with all of their signatures; those below the own one go the way of uploaded ones. */
  async #submitRoles(
    vendor: string,
    roles: readonly RoleFile[],
    beside: (id: string) => void,
  ): Promise<void> {
    const { crypto, intake } = this.#parts;
    const { own, nested } = sortRoles(vendor, roles);
    const blobs = nested.map(({ role, bytes }) => ({
      role,
      bytes,
      sha256: toHex(crypto.sha256(bytes)),
    }));
    // Bins without an entry are one and the same file.
    const files = [...new Map(blobs.map((blob) => [blob.sha256, blob])).values()];
    if (files.length > 0) await intake.receiver.receiveBatch(vendor, files);
    const below = blobs.map(({ role, sha256 }) => ({ role, sha256 }));
    await intake.submitRole({ vendor, role: vendor, bytes: own?.bytes, below }, beside);
  }

  /**
   * Hands in what has all of its signatures and waits still: this machine stopped in between, or had
   * no room. What refuses one is noted with it.
   */
  async resume(): Promise<void> {
    const { drafts } = this.#parts;
    for (const { id, vendor, files } of drafts.open()) {
      if (lacking({ files }) > 0) continue;
      const held = drafts.files(id);
      const named = held.map((bytes, i) => ({ role: files[i]?.role ?? vendor ?? '', bytes }));
      const handIn = vendor === null ? this.takeOperators(held) : this.takeRoles(vendor, named);
      await handIn.catch((error) => {
        if (!isIronError(error) || isIronError(error, ...OWN_FAULTS)) throw error;
      });
    }
  }

  /** Those of the operators, or of a vendor, newest first, those that ended too. */
  async list(vendor: string | undefined): Promise<DraftReply[]> {
    await this.#sweep(vendor);
    return this.#parts.drafts.list(vendor ?? null).map((draft) => this.#reply(draft));
  }

  /** One of them, with its files while it is open. `E_NOT_FOUND`. */
  async find(id: string, vendor: string | undefined): Promise<DraftReply> {
    await this.#sweep(vendor);
    const { drafts } = this.#parts;
    const draft = drafts.get(id);
    // Another vendor's is not there, just as one that never was.
    if (draft === undefined || draft.vendor !== (vendor ?? null))
      throw new IronError('E_NOT_FOUND', 'no such change waits for signatures');
    const reply = this.#reply(draft);
    return draft.state === 'open' ? { ...reply, contents: drafts.files(id).map(toBase64) } : reply;
  }

  /** Drops one of the operators': for the owner of the machine, who makes room. `E_NOT_FOUND`. */
  async drop(id: string): Promise<DraftReply> {
    const { state } = await this.find(id, undefined);
    if (state !== 'open')
      throw new IronError('E_NOTHING_TO_DO', `it is ${state}, and waits for nothing`);
    const error = new IronError('E_CANCELLED', 'the owner of the service dropped it');
    this.#parts.drafts.end(id, 'dropped', errorBodyOf(error));
    return await this.find(id, undefined);
  }

  /** Brought once more after it was handed in: then the answer is what became of it. */
  #isSubmitted(id: string): boolean {
    return this.#parts.drafts.get(id)?.state === 'submitted';
  }

  async #take(
    { id, vendor }: Pick<StoredDraft, 'id' | 'vendor'>,
    wanted: readonly Collected[],
    published: Published,
    now: Instant,
    submit: (files: Uint8Array[], beside: (id: string) => void) => Promise<unknown>,
  ): Promise<DraftReply> {
    const { drafts } = this.#parts;
    await this.#end(vendor, published, now);
    const state = drafts.get(id)?.state;
    if (state === 'submitted') return this.#found(id);
    // From here to the end of `hold` nothing is awaited.
    const opener = wanted.map((file) => file.opener).find((key) => key !== undefined);
    if (opener === undefined && state !== 'open') {
      // What is wrong with the signatures that are there is said first.
      for (const file of wanted) file.join([]);
      throw new IronError('E_NOT_AUTHORISED', 'no key that counts today signed this change', {
        why: 'a change waits here from its first signature on, by a key that is published',
        hint: 'nothing was changed; sign it first',
      });
    }
    const lifetime = vendor === null ? DRAFT_LIMITS.seconds : DRAFT_LIMITS.vendorSeconds;
    const expires = Math.min(now + lifetime, ...wanted.flatMap((file) => file.expires ?? []));
    const draft = { id, vendor, opener: opener ?? '', expires };
    let whole: Uint8Array[] = [];
    let about: DraftFile[] = [];
    drafts.hold(draft, now, (held) => {
      // Two nested roles can say the very same; each keeps its own signatures.
      const names = drafts.get(id)?.files ?? [];
      const heldAs = (role: string) => held?.filter((_, i) => names[i]?.role === role) ?? [];
      whole = wanted.map((file) => file.join(heldAs(file.role)));
      about = wanted.map((file, i) => file.about(whole[i] as Uint8Array));
      return { about, files: whole };
    });
    if (about.every(({ signatures }) => signatures.every(({ have, need }) => have >= need)))
      await this.#submit(id, () => submit(whole, (to) => drafts.submitted(id, to)));
    return this.#found(id);
  }

  /** Nothing is missing. What then refuses it ends the draft; what this machine lacks does not. */
  async #submit(id: string, submit: () => Promise<unknown>): Promise<void> {
    const { drafts } = this.#parts;
    try {
      await submit();
    } catch (thrown) {
      // Of two who brought the last signature at once, one was first.
      if (drafts.get(id)?.state !== 'open') return;
      const error = asIronError(thrown);
      if (!isIronError(error, ...PASSING)) drafts.end(id, 'refused', errorBodyOf(error));
      throw error;
    }
  }

  async #sweep(vendor: string | undefined): Promise<void> {
    await this.#end(vendor ?? null, await this.#parts.current.need(), this.#parts.clock());
  }

  /** Ends what ran out, and what does not follow the published versions any more. */
  async #end(vendor: string | null, published: Published, now: Instant): Promise<void> {
    const { crypto, drafts } = this.#parts;
    const lists = vendor === null ? await listsNow(crypto, published) : undefined;
    for (const { id, state, files, expires } of drafts.list(vendor)) {
      if (state !== 'open') continue;
      const isList = files.some(({ role }) => role === place.list);
      if (isList && lists?.id === id) {
        drafts.settle(id);
        continue;
      }
      const stale = isList
        ? listStaleness(crypto, drafts.files(id)[0], lists)
        : staleness(files, published);
      if (stale !== undefined) drafts.end(id, 'stale', errorBodyOf(stale));
      else if (expires <= now) drafts.end(id, 'expired', errorBodyOf(ranOut(expires)));
    }
    drafts.forget(vendor, now);
  }

  #found(id: string): DraftReply {
    const draft = this.#parts.drafts.get(id);
    if (draft === undefined) throw new IronError('E_INTERNAL', 'a draft was not kept');
    return this.#reply(draft);
  }

  #reply({ id, state, files, submission, error, created, expires }: StoredDraft): DraftReply {
    const became = submission === null ? undefined : this.#parts.queue.get(submission);
    return {
      id,
      state: state === 'submitted' ? stateOf(submission, became?.state) : state,
      opened: formatInstant(created),
      until: formatInstant(expires),
      files: [...files],
      submission,
      error: became?.error ?? error,
    };
  }
}

/** These say nothing about the change: it waits on, and may be brought again. */
const OWN_FAULTS = ['E_INTERNAL', 'E_IO', 'E_NO_SPACE', 'E_STORE', 'E_LOCKED'] as const;
const PASSING = [...OWN_FAULTS, 'E_CANCELLED', 'E_QUOTA', 'E_TRY_AGAIN'] as const;

/** A refusal that was forgotten meanwhile was one. */
function stateOf(submission: string | null, state: DraftState | undefined): DraftState {
  // A list is published together with the role that lists it, by whoever hands in both.
  if (submission === null) return 'published';
  return state ?? 'refused';
}

function staleness(files: readonly DraftFile[], published: Published): IronError | undefined {
  try {
    const roots = files.filter(({ role }) => role === 'root').map(({ version }) => version);
    if (roots.length > 0) demandNext('root', Math.min(...roots), published.root.version);
    for (const { role, version } of files)
      if (role !== 'root' && role !== 'beside')
        demandNext(role, version, versionOf(published, role));
    return undefined;
  } catch (error) {
    return asIronError(error);
  }
}

function versionOf(published: Published, role: string): number {
  return role === 'targets' ? published.targets.version : published.version(role);
}

function ranOut(expires: Instant): IronError {
  return new IronError('E_EXPIRED', 'the change did not get its signatures in time', {
    why: `it waited until ${formatInstant(expires)}`,
    hint: 'nothing was published; make and sign it again',
  });
}
