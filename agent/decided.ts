/**
 * Whether a device is bound, as one line of the audit log, with the hashes of all that it was decided from:
 * what stands beside the lines of the gates, which are about device and host alone.
 */

import { asIronError } from '../shared/errors.ts';
import type { JsonObject } from '../shared/json/value.ts';
import { agentState } from '../shared/layout.ts';
import { REVOCATION_LIMITS } from '../shared/limits.ts';
import type { Agent } from './agent.ts';
import { sha256 } from './audit.ts';
import { type Accepted, formatAccepted } from './entry.ts';
import { loadPolicy } from './grant.ts';
import { cutText } from './sound-text.ts';

export interface Deciding {
  readonly device: string;
  readonly driver: Accepted;
  /** The file of the fleet policy; undefined for what operators signed. */
  readonly policy: string | undefined;
}

export interface Deeds<T> {
  /** Gives back what was made, when that cannot be written down. */
  readonly giveBack?: (made: T) => void;
  /** The policy that it was made by, when it says: the file may have been another one a moment before. */
  readonly policyOf?: (made: T) => string;
}

/**
 * Decides by `act`, and writes down what came of it: a refusal in any case that can be, a pass before
 * anything is done on it.
 */
export async function decided<T>(
  agent: Agent,
  deciding: Deciding,
  act: () => Promise<T>,
  { giveBack, policyOf }: Deeds<T> = {},
): Promise<T> {
  const { device, driver } = deciding;
  const path = driver.artifact.path;
  const line = { event: 'bind-decision', device, path, inputs: await inputsOf(agent, deciding) };
  let made: T;
  try {
    made = await act();
  } catch (error) {
    const { code, message, context } = asIronError(error);
    const why = { code, reason: `${context.reason ?? ''}`, what: cutText(message, 1000) };
    // A log that takes no more must not hide why.
    await agent.audit.append({ ...line, decision: 'refuse', ...why }).catch(() => {});
    throw error;
  }
  try {
    const inputs =
      policyOf === undefined ? line.inputs : { ...line.inputs, policy: policyOf(made) };
    const pass = { decision: 'pass', code: null, reason: null, what: null };
    await agent.audit.append({ ...line, inputs, ...pass });
    return made;
  } catch (error) {
    giveBack?.(made);
    throw error;
  }
}

/** Null for what is not there, or cannot be read: then that is what decides. */
async function inputsOf(agent: Agent, { driver, policy }: Deciding): Promise<JsonObject> {
  const stored = async (path: string, cap?: number): Promise<string | null> => {
    const bytes = await agent.read(path, cap).catch(() => undefined);
    return bytes === undefined ? null : sha256(bytes);
  };
  return {
    driver: driver.artifact.sha256,
    ceiling: driver.sidecars.get('ceiling')?.sha256 ?? null,
    entry: sha256(formatAccepted(driver)),
    policy: await loadPolicy(agent, policy).then(
      (loaded) => loaded.sha256,
      () => null,
    ),
    floors: await stored(agentState.floors),
    generations: await stored(agentState.generations),
    revocations: await stored(agentState.revocations, REVOCATION_LIMITS.list),
  };
}
