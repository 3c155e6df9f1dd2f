/**
 * A helper that comes after one that died: takes over the holders that went on meanwhile, each only when
 * everything says that it is the one that was written down, and ends whatever else was left. Until it is
 * gone, what is not taken over is treated as able to do all that it could.
 */

import { closeSync, fstatSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { asIronError, type IronError } from '../../shared/errors.ts';
import { AGENT_LIMITS } from '../../shared/limits.ts';
import { isErrno } from '../../shared/node/errno.ts';
import type { Agent } from '../agent.ts';
import type { AuditEvent } from '../audit.ts';
import { loadBinding } from '../binding.ts';
import { findHolders } from '../host/holders.ts';
import { readBootId } from '../host/host-facts.ts';
import { endGroupsIn, type LeftGroup } from '../host/left-groups.ts';
import { libc } from '../host/libc.ts';
import { descriptorOf } from '../host/peer.ts';
import { type OtherProcess, openProcess } from '../host/process.ts';
import type { Sysfs } from '../host/sysfs.ts';
import { askHolder } from './ask-holder.ts';
import { type HolderNote, readNotes, removeNote } from './holder-note.ts';
import type { Holders } from './holders.ts';
import {
  type Candidate,
  judgePassed,
  type NoteFacts,
  type PassedFacts,
  type Refused,
} from './judge-passed.ts';
import type { Keeping } from './keeping.ts';
import { type Passed, parsePassed } from './passed.ts';

export interface Adopting {
  readonly agent: Agent;
  /** What this process was started with. */
  readonly passed: readonly Passed[];
  /** Where descriptors are kept; without it there were none to be given back. */
  readonly keeping: Keeping | undefined;
  readonly holders: Holders;
  /** Below it are the control groups of drivers, and of nobody else's. */
  readonly cgroup?: string | undefined;
  /** Processes that have a device open. */
  readonly opened: (device: string) => Promise<readonly number[]>;
  readonly onSaid: (device: string, text: string) => void;
  /** How long a holder may take to answer, and to end. */
  readonly seconds?: number;
}

export interface Adoption {
  readonly adopted: readonly string[];
  readonly refused: readonly Refused[];
}

/**
 * The descriptors that this process was started with, which nothing that it starts itself is to have. What
 * is none is among them all the same: it is judged, and told of.
 */
export function takePassed(env: Readonly<Record<string, string | undefined>>): Passed[] {
  return parsePassed(env, process.pid).map(({ fd, name }) => ({ fd: isOpen(fd) ? fd : -1, name }));
}

function isOpen(fd: number): boolean {
  try {
    libc().closeOnExec(fd);
    return true;
  } catch (error) {
    if (isErrno(error)) return false;
    throw error;
  }
}

/** As `Adopting.opened` wants it, on the running kernel. */
export function openedOn(sysfs: Sysfs, proc: string): Adopting['opened'] {
  return async (device) => await findHolders(sysfs, device, proc).catch(() => []);
}

/**
 * Takes over what it was given, and ends the rest. Throws only what keeps this helper from looking at all:
 * what is known of no device is left to no chance.
 */
export async function adopt(adopting: Adopting): Promise<Adoption> {
  const { agent, passed, onSaid } = adopting;
  const { notes, damaged } = await readNotes(agent);
  const boot = await readBootId(agent.proc);
  const looked = await Promise.all(notes.map((note) => lookAt(adopting, note, boot)));
  const facts = looked.map((one) => one.facts);
  const found = new Map(looked.map((one) => [one.facts.note, one]));
  const own = { boot, user: process.getuid?.() ?? 0 };
  const judged = judgePassed(passed.map(factsOf), facts, own);

  const isIt = await Promise.all(
    judged.candidates.map((one) => takeOver(adopting, one, found.get(one.note)?.holder)),
  );
  const adopted = judged.candidates.filter((_, i) => isIt[i] === true).map(({ note }) => note);
  const wrong = judged.candidates.filter((_, i) => isIt[i] !== true);
  const refused: Refused[] = [
    ...judged.refused,
    ...wrong.map((one) => ({ why: 'answer', ...one }) as const),
  ];
  await Promise.all(refused.map((one) => refuse(adopting, one, one.note && found.get(one.note))));
  await Promise.all(damaged.map((device) => forget(adopting, device)));
  const kept = new Set(adopted.map(({ device }) => device));
  const left = await endLeft(adopting, kept);

  const lines: AuditEvent[] = [
    ...adopted.map(adoptedEvent),
    ...refused.map(refusedEvent),
    ...damaged.map(damagedEvent),
    ...left.map(({ device, of }) => ({ event: 'left-over-ended', device, what: of })),
  ];
  const waitMs = 1000 * AGENT_LIMITS.enforceWaitSeconds;
  if (lines.length > 0)
    await agent
      .alone(() => agent.audit.append(...lines), { waitMs })
      .catch((error) => onSaid('the audit log', asIronError(error).message));
  return { adopted: [...kept], refused };
}

/** Asks who is there, and has it among the holders when it is who was written down. */
async function takeOver(
  { agent, keeping, holders, onSaid, seconds }: Adopting,
  { passed, note }: Candidate,
  holder: OtherProcess | undefined,
): Promise<boolean> {
  const { device, domain, grantSha256 } = note;
  const socket = new Socket({ fd: passed.fd, readable: true, writable: true });
  socket.on('error', () => {});
  const says = await askHolder(socket, agent.random, seconds);
  if (
    holder === undefined ||
    says?.pid !== holder.pid ||
    says.device !== device ||
    says.grantSha256 !== grantSha256
  ) {
    bidFarewell(socket);
    return false;
  }
  keeping?.takeOver(device, domain);
  holders.adopt(device, {
    pid: holder.pid,
    letGo: () => void socket.end(),
    closed: holder.ended.then(() => void socket.destroy()),
  });
  onSaid(device, `taken over: process ${holder.pid} holds it`);
  return true;
}

interface Looked {
  readonly facts: NoteFacts;
  /** The very one that was written down; undefined when it is gone, */
  readonly holder: OtherProcess | undefined;
  /** or may be there, and cannot be got hold of. */
  readonly error: IronError | undefined;
}

async function lookAt(
  { agent, opened }: Adopting,
  note: HolderNote,
  boot: string,
): Promise<Looked> {
  let holder: OtherProcess | undefined;
  let error: IronError | undefined;
  try {
    // A number of another boot is anybody's.
    if (note.boot === boot) holder = await openProcess(note.process);
  } catch (thrown) {
    error = asIronError(thrown);
  }
  const binding = await loadBinding(agent, note.device).catch(() => undefined);
  const seen = holder && {
    user: userOf(holder.pid, agent.proc),
    holdsDevice: (await opened(note.device)).includes(holder.pid),
  };
  return { facts: { note, binding, process: seen }, holder, error };
}

/** proc_pid_status(5), the effective one; -1 when it is gone. */
function userOf(pid: number, proc: string): number {
  try {
    const [, user] =
      /^Uid:\t[0-9]+\t([0-9]+)/m.exec(readFileSync(join(proc, String(pid), 'status'), 'latin1')) ??
      [];
    return user === undefined ? -1 : Number(user);
  } catch {
    return -1;
  }
}

function factsOf({ fd, name }: Passed): PassedFacts {
  if (fd < 0) return { fd, name, inode: null, isStream: false };
  const { dev, ino } = fstatSync(fd, { bigint: true });
  return { fd, name, inode: `${dev}:${ino}`, isStream: libc().isStream(fd) };
}

/**
 * Nothing is left of it: whoever is at the other end hears that nobody is here, which is what a holder
 * lets go at; and the process that was written down is ended where it does not by itself.
 */
async function refuse(
  { agent, keeping, onSaid, seconds }: Adopting,
  { why, passed, note }: Refused,
  found: Looked | undefined,
): Promise<void> {
  const device = note?.device ?? passed?.name ?? '';
  onSaid(device, `not taken over: ${why}`);
  if (passed !== undefined) {
    // Who answered wrongly has heard it by now, and its descriptor is closed.
    if (why !== 'answer') letGoOf(passed.fd);
    keeping?.drop(passed.name);
  }
  if (note === undefined) return;
  try {
    if (found?.error !== undefined) throw found.error;
    await found?.holder?.end(seconds);
  } catch (error) {
    onSaid(device, asIronError(error).message);
    // It may still hold the device: what was written down is what a later helper ends it by.
    return;
  }
  await forget({ agent, onSaid }, note.device);
}

/** A note that stays is told of and judged again by a later helper, which ends nobody else by it. */
async function forget(
  { agent, onSaid }: Pick<Adopting, 'agent' | 'onSaid'>,
  device: string,
): Promise<void> {
  await removeNote(agent, device).catch((error) => onSaid(device, asIronError(error).message));
}

/**
 * Whoever is at the other end hears that nobody is here, whatever copies somebody else keeps. Node would
 * first wait until all that was written is taken, which who never reads does not do.
 */
function bidFarewell(socket: Socket): void {
  const fd = descriptorOf(socket);
  if (fd !== undefined) libc().endWriting(fd);
  socket.destroy();
}

function letGoOf(fd: number): void {
  if (fd < 0) return;
  if (libc().isStream(fd)) libc().endWriting(fd);
  closeSync(fd);
}

function adoptedEvent({ device, domain, process: { pid } }: HolderNote): AuditEvent {
  return { event: 'adopted', device, domain, process: pid };
}

function refusedEvent({ why, passed, note }: Refused): AuditEvent {
  return {
    event: 'not-adopted',
    device: note?.device ?? null,
    why,
    name: passed?.name ?? null,
    process: note?.process.pid ?? null,
  };
}

function damagedEvent(device: string): AuditEvent {
  return { event: 'not-adopted', device, why: 'note-damaged', name: null, process: null };
}

/** Drivers and brokers of devices that nobody holds for us any more. */
async function endLeft(
  { cgroup, onSaid }: Adopting,
  kept: ReadonlySet<string>,
): Promise<readonly LeftGroup[]> {
  if (cgroup === undefined) return [];
  const { ended, stuck } = await endGroupsIn(cgroup, (device) => !kept.has(device));
  for (const { device, error } of stuck) onSaid(device, error.message);
  return ended;
}
