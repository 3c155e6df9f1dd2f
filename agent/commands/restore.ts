/** `ironport-agent restore`. */

import type { CommandContext, CommandSpec, OptionSpec } from '../../shared/cli/command.ts';
import { asIronError, CODES, type IronError } from '../../shared/errors.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import type { Agent } from '../agent.ts';
import type { HoldEnd } from '../hold.ts';
import type { Sysfs } from '../host/sysfs.ts';
import { type Restored, restore } from '../restore.ts';
import { DRIVER_FAILED, hasFailed, holdBound } from './bound.ts';
import {
  DEVICE,
  deviceOf,
  FLEET_KEYS,
  openAgent,
  openSysfs,
  POLICY,
  STATE,
  SYSFS,
  TIMEOUTS,
} from './options.ts';
import { drivenJson } from './show-driven.ts';

const ONLY: OptionSpec = { ...DEVICE, required: false, description: 'this device alone' };

export const restoreCommand: CommandSpec = {
  name: 'restore',
  summary: 'bind again what `apply --keep` declared, as at the start of a machine',
  description:
    'Each is bound after every gate again, from the fleet policy that it was declared with. What was ' +
    'bound before, the same bytes to the same device, needs no fresh metadata for `rebind_grace_seconds` ' +
    'of that policy; what is revoked or withdrawn, or below a floor, is not bound. One that is not bound ' +
    'leaves the others served. What was declared with --hold is held by this command, until it is stopped.',
  options: [
    ONLY,
    { ...POLICY, description: 'a fleet policy instead of those declared' },
    FLEET_KEYS,
    STATE,
    SYSFS,
    ...TIMEOUTS,
  ],
  examples: ['ironport-agent restore', 'ironport-agent restore --device 0000:00:05.0'],
  schema: 'ironport-agent/restore/v1',
  async run(context) {
    const sysfs = await openSysfs(context);
    const agent = openAgent(context, { timeouts: true });
    const holdings: Promise<Held>[] = [];
    await restore(agent, sysfs, {
      bdf: context.text('device') === undefined ? undefined : deviceOf(context),
      policy: context.text('policy'),
      signal: context.signal,
      onStep: (text) => context.ui.stage(text),
      onRestored: (restored) => holdings.push(holdOne(context, agent, sysfs, restored)),
    });
    const all = await Promise.all(holdings);
    const [first] = all.flatMap(({ restored, error }) => error ?? restored.error ?? []);
    const isBad = all.some(({ end }) => end !== undefined && hasFailed(end));
    const exit = first === undefined ? (isBad ? DRIVER_FAILED : 0) : CODES[first.code].exit;
    return {
      data: { restored: all.map(dataOf) },
      ...(exit === 0 ? {} : { exit }),
      text: all.length === 0 ? 'nothing is declared' : all.map(textOf).join('\n'),
    };
  },
};

interface Held {
  readonly restored: Restored;
  readonly end: HoldEnd | undefined;
  /** Why holding it failed. */
  readonly error: IronError | undefined;
}

/** Holds what is to be held; whatever comes of it, the others go on. */
async function holdOne(
  context: CommandContext,
  agent: Agent,
  sysfs: Sysfs,
  restored: Restored,
): Promise<Held> {
  const { device, bound, error } = restored;
  if (error !== undefined) context.ui.warn(`${device}: ${error.code}: ${error.message}`);
  try {
    const end = bound && (await holdBound(context, agent, sysfs, bound));
    return { restored, end, error: undefined };
  } catch (thrown) {
    const failed = asIronError(thrown);
    context.ui.warn(`${device}: ${failed.code}: ${failed.message}`);
    return { restored, end: undefined, error: failed };
  }
}

function outcomeOf({ bound, error }: Restored): string {
  if (error !== undefined) return 'not bound';
  return bound === undefined ? 'bound already' : 'bound';
}

function dataOf({ restored, end, error }: Held): JsonObject {
  const failed = error ?? restored.error;
  return {
    device: restored.device,
    driver: restored.driver ?? null,
    outcome: outcomeOf(restored),
    stale: restored.bound?.isStale ?? null,
    code: failed?.code ?? null,
    message: failed?.message ?? null,
    driven: drivenJson(restored.bound?.confined?.running, end),
  };
}

function textOf(held: Held): string {
  const { restored, error } = held;
  const failed = error ?? restored.error;
  const why = failed === undefined ? '' : `, ${failed.code}: ${failed.message}`;
  const stale = restored.bound?.isStale === true ? ', on metadata that is stale' : '';
  return `${restored.device}  ${outcomeOf(restored)}  ${restored.driver ?? 'unknown'}${stale}${why}`;
}
