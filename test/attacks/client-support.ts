/**
 * The client under test, for the files of this folder that are named for one attack each: a
 * process over a simulator behind HTTP, as a suite of strangers runs it, judged by its exit status,
 * its files and its requests. The codes of the same refusals inside the library are in the files of
 * this folder that are named for a theme.
 */

import { readdirSync } from 'node:fs';
import t, { type Test } from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { Subject } from '../conformance/subject.ts';
import type { DelegationDraft, Simulator } from '../support/simulator.ts';

// Up to some thirty processes a file, one after the other; a slow machine is no failure.
t.setTimeout(900_000);

/** A client that has the root, and a repository with nothing in it. */
export function initialised(t: Test): Promise<Subject> {
  return Subject.initialised(t);
}

/** A client that has the root, and a repository whose role A lists `file`. */
export async function made(t: Test, change: (sim: Simulator) => void = () => {}): Promise<Subject> {
  const subject = await Subject.initialised(t);
  const { sim } = subject;
  sim.delegate('targets', 'A', { paths: ['*'] });
  sim.addTarget('A', 'file', utf8('honest'));
  change(sim);
  sim.publish('targets');
  return subject;
}

/** The same after the honest download: what an attack must leave as it is. */
export async function served(
  t: Test,
  change: (sim: Simulator) => void = () => {},
): Promise<Subject> {
  const subject = await made(t, change);
  t.equal(await subject.download('file'), 0, 'the honest repository is taken');
  t.strictSame(subject.downloaded(), { file: 'honest' });
  subject.urls();
  return subject;
}

/** The first delegation of `targets`. */
export function delegation(sim: Simulator): DelegationDraft {
  const [role] = sim.targets.delegations?.roles ?? [];
  if (role === undefined) throw new Error('the simulator has no delegation');
  return role;
}

/** A download of `path` that must fail, and leave no target. */
export async function refused(
  t: Test,
  subject: Subject,
  path = 'file',
  what = path,
): Promise<void> {
  t.equal(await subject.download(path), 1, what);
  t.strictSame(subject.downloaded(), {}, `${what}: nothing is there`);
}

/** What the attacker is refused with, and how far the honest part before it led. */
export interface Refusal {
  /** The code that the client says. */
  readonly code: string;
  /** Roles whose honest news came before the lie, and are rightly kept. */
  readonly learned?: readonly string[];
  readonly path?: string;
  /** Days from now by the client's clock. */
  readonly days?: number;
  readonly what?: string;
}

/**
 * A download that must fail for the reason of the attack. Every file of metadata other than those
 * of `learned`, and every file in the folder of targets, is byte for byte what it was.
 */
export async function withstands(t: Test, subject: Subject, refusal: Refusal): Promise<void> {
  const { code, learned = [], path = 'file', days = 0, what = path } = refusal;
  const before = photograph(subject, learned);
  t.equal(await subject.download(path, days), 1, `${what}: refused`);
  t.match(subject.said, new RegExp(`^${code}:`), `${what}: ${code}`);
  t.strictSame(photograph(subject, learned), before, `${what}: nothing has changed`);
}

/** The attack is over: the same client takes `content` from the honest repository. */
export async function recovers(
  t: Test,
  subject: Subject,
  content: string,
  days = 0,
): Promise<void> {
  t.equal(await subject.download('file', days), 0, 'the honest repository is taken again');
  t.equal(subject.downloaded().file, content);
}

function photograph(subject: Subject, without: readonly string[]): Record<string, unknown> {
  const roles = readdirSync(subject.metadata)
    .filter((name) => name.endsWith('.json'))
    .map((name) => name.slice(0, -'.json'.length))
    .filter((role) => !without.includes(role));
  return {
    metadata: Object.fromEntries(
      roles.sort().map((role) => [role, new TextDecoder().decode(subject.bytes(role))]),
    ),
    targets: subject.downloaded(),
  };
}
