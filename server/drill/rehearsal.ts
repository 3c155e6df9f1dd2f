/** What every rehearsal has: a copy, signers, hosts that look at it, and what they found. */

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CommandContext } from '../../shared/cli/command.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { asIronError, IronError, isIronError } from '../../shared/errors.ts';
import { data, tree } from '../../shared/layout.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { formatMetadata, sign, withFields } from '../../shared/tuf/build.ts';
import type { TrustedMetadata } from '../../shared/verify/trusted.ts';
import { Host } from '../publish/preflight/host.ts';
import { loadPublished, type Published } from '../storage/published.ts';
import { Steps } from './steps.ts';

/** Keys of the operators who take part, as `--key` names them. */
export interface DrillKeys {
  readonly root: readonly string[];
  readonly targets: readonly string[];
}

export interface Check {
  readonly what: string;
  readonly ok: boolean;
  readonly detail: string;
}

/** Targets that hosts are asked to find, of each vendor at the most. */
const PATHS = 16;

export class Rehearsal {
  readonly context: CommandContext;
  readonly steps: Steps;
  readonly keys: DrillKeys;
  /** The service's folder of the copy. */
  readonly home: string;
  /** What the operators sign, and what a thief shows. */
  readonly work: string;
  readonly checks: Check[] = [];
  /** Seconds until it was over: the last command that hosts needed. */
  recovered = 0;

  constructor(context: CommandContext, folder: string, keys: DrillKeys) {
    this.context = context;
    this.home = join(folder, 'repo');
    this.work = join(folder, 'work');
    this.keys = keys;
    this.steps = new Steps(context);
  }

  get tree(): string {
    return join(this.home, data.tree);
  }

  async published(): Promise<Published> {
    const published = await loadPublished(this.tree, crypto);
    if (published !== undefined) return published;
    throw new IronError('E_NO_PIN', 'nothing is published in this repository', {
      hint: 'nothing was rehearsed; hand in a first root and targets',
    });
  }

  /** A host that pinned root 1. */
  newcomer(published: Published): Host {
    const first = published.roots.get(1);
    if (first === undefined) throw new IronError('E_INTERNAL', 'a tree without its first root');
    return new Host(crypto, systemClock, first);
  }

  /** Some targets of each vendor whose role is in force, which hosts find now and must find again. */
  async paths(published: Published): Promise<string[]> {
    const paths: string[] = [];
    for (const { name } of published.delegations?.roles ?? []) {
      const role = (await published.role(name))?.targets;
      if (role === undefined || role.expires <= systemClock()) continue;
      paths.push(...role.paths().slice(0, PATHS));
    }
    return paths;
  }

  /** A check that holds when `act` does. */
  async holds(
    what: string,
    act: () => Promise<TrustedMetadata>,
  ): Promise<TrustedMetadata | undefined> {
    try {
      const trusted = await act();
      const { root } = trusted;
      const detail = `accepts root ${root.version}, timestamp ${trusted.requireFreshTimestamp().version}`;
      this.checks.push({ what, ok: true, detail });
      return trusted;
    } catch (error) {
      this.checks.push({ what, ok: false, detail: asIronError(error).message });
      return undefined;
    }
  }

  /** Every file of the copy again, by hash, by signature and with the real client. */
  async wholeTree(): Promise<void> {
    const exit = await this.steps.take(['fsck', '--dir', this.home]);
    const detail = exit === 0 ? 'all in order' : 'it has findings; `ironport-repo fsck` lists them';
    this.checks.push({ what: 'fsck of the tree, after', ok: exit === 0, detail });
  }

  /** A check that holds when the client refuses, for want of a signature that counts. */
  async refused(what: string, act: () => Promise<unknown>): Promise<void> {
    try {
      await act();
      this.checks.push({ what, ok: false, detail: 'it was accepted' });
    } catch (error) {
      const ok = isIronError(error, 'E_THRESHOLD');
      this.checks.push({ what, ok, detail: asIronError(error).message });
    }
  }

  /**
   * What a thief shows who has the timestamp key: a version far ahead, over what is published. The
   * folder of a mirror that has nothing else.
   */
  async forge(
    signers: readonly Signer[],
    { timestamp }: Published,
    ahead: number,
  ): Promise<string> {
    const forged = withFields(timestamp.envelope.tree, { version: timestamp.version + ahead });
    const folder = join(this.work, `thief-${ahead}`);
    await mkdir(join(folder, tree.metadataFolder), { recursive: true });
    const bytes = formatMetadata(forged, await sign(crypto, forged, signers));
    await writeFile(join(folder, tree.timestamp), bytes);
    return folder;
  }
}
