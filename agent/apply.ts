/**
 * Carrying out a plan: each step is in the journal before it is made, made by a child that may
 * hang, and believed only when sysfs shows its effect. When one fails, everything is undone in
 * reverse, from whatever state is found. A write that hangs ends everything: a device in the middle
 * of something is not touched again.
 */

import { setTimeout } from 'node:timers/promises';
import { asIronError, IronError } from '../shared/errors.ts';
import type { AuditEvent } from './audit.ts';
import { type BindingState, describeState, sameState } from './binding-state.ts';
import type { Written } from './host/write.ts';
import type { Journal, JournalEntry } from './journal.ts';
import {
  type Action,
  describeAction,
  effectOf,
  type Plan,
  route,
  type Step,
  writeOf,
} from './plan.ts';

/** How the engine reaches one device; sysfs behind it, or a model of it in a property test. */
export interface Hands {
  look(): Promise<BindingState>;
  act(action: Action): Promise<Written>;
}

export interface Applying {
  readonly device: string;
  readonly hands: Hands;
  readonly journal: Pick<Journal, 'append'>;
  /** Takes down what was done; a failure here stops a step, and never the way back. */
  readonly record: (event: AuditEvent) => Promise<unknown>;
  readonly settleMs: number;
  readonly signal?: AbortSignal;
  /** Called when a step is about to be made: for what people see. */
  readonly onStep?: (text: string) => void;
}

/**
 * Carries out the steps of `plan`. Throws `E_BIND_ROLLED_BACK` when a step failed and what had been
 * done was undone, `E_BIND_STUCK` when a write hangs or the way back failed too; then the journal
 * must stay where it is. `context.step` is the step that failed.
 */
export async function applyPlan(plan: Plan, applying: Applying): Promise<void> {
  for (const step of plan.steps) {
    try {
      await makeStep(step, applying);
    } catch (error) {
      if (error instanceof Stuck) throw await stuckError(error, applying);
      await rollBack(plan, step, asIronError(error), applying);
    }
  }
}

async function makeStep(step: Step, applying: Applying): Promise<void> {
  const { hands, journal, signal, onStep } = applying;
  const detail = describeAction(step.action);
  signal?.throwIfAborted();
  onStep?.(`step ${step.number}: ${detail}`);
  const found = await hands.look();
  // Precondition: somebody else at the same device is a reason to stop, not to hurry.
  if (!sameState(found, step.before)) {
    throw failure('the device is not as it was when the plan was made', 'changed-meanwhile', {
      expected: describeState(step.before),
      found: describeState(found),
    });
  }
  await journal.append({ event: 'intent', step: step.number, detail });
  await perform(step.action, step.before, step.number, applying);
  await journal.append({ event: 'done', step: step.number, detail });
}

/** Makes one write and waits for its effect. */
async function perform(
  action: Action,
  before: BindingState,
  step: number,
  { device, hands, record, settleMs }: Applying,
): Promise<void> {
  const { path, text } = writeOf(action, device);
  const write = {
    event: 'sysfs-write',
    device,
    path,
    old: valueBefore(action, before),
    new: text,
  };
  const written = await hands.act(action);
  await record({
    ...write,
    outcome: written.outcome === 'refused' ? written.errno : written.outcome,
  });
  if (written.outcome === 'stuck') throw new Stuck(step, action, written.pid);
  if (written.outcome === 'refused') {
    throw failure(`the kernel refused to ${describeAction(action)}`, 'write-refused', {
      errno: written.errno,
    });
  }
  await settle(action, before, hands, settleMs);
}

/** The value that the attribute showed: of the link where the attribute itself cannot be read. */
export function valueBefore(
  action: Action,
  { driver, override, vfs }: BindingState,
): string | null {
  if (action.kind === 'vfs') return String(vfs?.count ?? null);
  if (action.kind === 'autoprobe') return String(vfs?.autoprobe ?? null);
  return action.kind === 'override' ? override : driver;
}

/** Some drivers probe asynchronously: the effect of a write may show after it returned. */
async function settle(
  action: Action,
  before: BindingState,
  hands: Hands,
  settleMs: number,
): Promise<void> {
  const wanted = effectOf(action, before);
  const until = performance.now() + settleMs;
  for (let pause = 2; ; pause = Math.min(50, pause * 2)) {
    const found = await hands.look();
    if (sameState(found, wanted)) return;
    if (performance.now() >= until) {
      throw failure(
        `the kernel took the write to ${describeAction(action)}, and did something else`,
        differenceOf(before, wanted, found),
        { expected: describeState(wanted), found: describeState(found) },
      );
    }
    await setTimeout(pause);
  }
}

/** What is wrong with `found`, in a word. */
function differenceOf(before: BindingState, wanted: BindingState, found: BindingState): string {
  if (![null, before.driver, wanted.driver].includes(found.driver)) return 'other-driver';
  // A driver may make fewer than it was asked for, and say nothing.
  const isCounted = [before.vfs?.count, wanted.vfs?.count].includes(found.vfs?.count);
  return isCounted ? 'no-effect' : 'other-count';
}

/** Undoes `failed` and every step before it, and throws what the caller is to be told. */
async function rollBack(
  plan: Plan,
  failed: Step,
  cause: IronError,
  applying: Applying,
): Promise<never> {
  const action = describeAction(failed.action);
  await note(applying, { event: 'failed', step: failed.number, detail: cause.message });
  const stations = plan.steps.slice(0, failed.number).map(({ before }) => before);
  const undone = await undo(stations, applying);
  throw new IronError(
    'E_BIND_ROLLED_BACK',
    `step ${failed.number} of ${plan.steps.length} failed (${action}); what had been done was undone`,
    {
      why: `${cause.message}${cause.why === undefined ? '' : `: ${cause.why}`}`,
      hint: `${plan.device} is as it was before: ${describeState(plan.from)}`,
      // Stopped by a signal, it is still this that happened, and not merely a stop.
      ...(cause.code === 'E_CANCELLED' ? {} : { cause }),
      context: {
        ...cause.context,
        device: plan.device,
        step: failed.number,
        action,
        undone: undone.length === 0 ? 'nothing had been done' : undone.join('; '),
      },
    },
  );
}

/**
 * Goes back through `stations`, last first, whatever the state is that it finds. Returns what it
 * did, in words; throws `E_BIND_STUCK` when the device does not end at the first station.
 */
export async function undo(
  stations: readonly BindingState[],
  applying: Applying,
): Promise<string[]> {
  const { device, hands } = applying;
  const done: string[] = [];
  let problem: IronError | undefined;
  for (let i = stations.length - 1; i >= 0; i--) {
    const station = stations[i] as BindingState;
    try {
      let state = await hands.look();
      for (const action of route(state, station)) {
        const detail = describeAction(action);
        await note(applying, { event: 'undo', step: i + 1, detail });
        await perform(action, state, i + 1, { ...applying, record: quietly(applying.record) });
        await note(applying, { event: 'undone', step: i + 1, detail });
        done.push(detail);
        state = effectOf(action, state);
      }
    } catch (error) {
      if (error instanceof Stuck) throw await stuckError(error, applying);
      // The next station may be reachable all the same; what counts is where it ends.
      problem ??= asIronError(error);
    }
  }
  const first = stations[0];
  const found = await hands.look().catch((error) => {
    problem ??= asIronError(error);
    return undefined;
  });
  if (first === undefined || (found !== undefined && sameState(found, first))) return done;
  throw new IronError('E_BIND_STUCK', `${device} could not be brought back to where it was`, {
    why: problem?.message ?? 'every write back was taken, and the state is another one',
    hint: 'set it right by hand, then run `ironport-agent recover`; until then nothing touches it',
    cause: problem,
    context: {
      ...problem?.context,
      reason: 'undo-failed',
      device,
      wanted: describeState(first),
      found: found === undefined ? 'unknown' : describeState(found),
      undone: done.join('; ') || 'nothing',
    },
  });
}

/** A write that did not return in its time. */
class Stuck extends Error {
  readonly step: number;
  readonly action: Action;
  readonly pid: number;

  constructor(step: number, action: Action, pid: number) {
    super(`stuck in step ${step}`);
    this.step = step;
    this.action = action;
    this.pid = pid;
  }
}

async function stuckError(stuck: Stuck, applying: Applying): Promise<IronError> {
  const action = describeAction(stuck.action);
  await note(applying, {
    event: 'stuck',
    step: stuck.step,
    detail: `${action}, process ${stuck.pid}`,
  });
  return stuckWriteError(applying.device, stuck.pid, { step: stuck.step, action });
}

/** `E_BIND_STUCK` about a write that is still waiting in the kernel. */
export function stuckWriteError(
  device: string,
  pid: number,
  context: Readonly<Record<string, string | number>> = {},
): IronError {
  return new IronError(
    'E_BIND_STUCK',
    `a write for ${device} waits in the kernel and does not return`,
    {
      why: `process ${pid} waits; the driver that is bound does not let go, or does not answer`,
      hint: `close what uses ${device}; do not kill the process: it would wait for ever. Then run \`ironport-agent recover\``,
      context: { reason: 'write-stuck', device, pid, ...context },
    },
  );
}

function failure(
  message: string,
  reason: string,
  facts: Readonly<Record<string, string>>,
): IronError {
  const why = Object.entries(facts).map(([name, value]) => `${name} ${value}`);
  return new IronError('E_IO', message, { why: why.join('; '), context: { reason, ...facts } });
}

/** Into the journal if it can be: a full disk must not stop the way back. */
async function note({ journal }: Applying, entry: JournalEntry): Promise<void> {
  await journal.append(entry).catch(() => {});
}

function quietly(record: Applying['record']): Applying['record'] {
  return (event) => record(event).catch(() => {});
}
