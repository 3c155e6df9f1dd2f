/** What an attack is: who is attacked, with what, and by which reason it must fail. */

import type { Code } from '../../../shared/errors.ts';
import type { Scene } from '../scene.ts';
import type { Document } from '../support/programs.ts';

/** One honest party that was shown the forgery, and what it answered. */
export interface Answer {
  readonly party: 'intake' | 'client' | 'agent';
  readonly error: Document['error'];
  /** The only code that counts as a refusal for the right reason. */
  readonly expected: Code;
  /** Context fields that must have these values, e.g. `{ role: 'root' }`. */
  readonly context?: Readonly<Record<string, string | number>>;
  /** Files of the victim that differ from before; none may. */
  readonly changed: readonly string[];
}

export interface Attack {
  readonly name: string;
  /** One line: what the attacker has, and what it tries. */
  readonly summary: string;
  /** Mounts the attack on a scene of its own. Throws when the attack itself could not be made. */
  run(scene: Scene, say: (line: string) => void): Promise<readonly Answer[]>;
}

/** Whether a party refused for the expected reason and kept everything as it was. */
export function isRefused(answer: Answer): boolean {
  const { error, expected, context, changed } = answer;
  return (
    error?.code === expected &&
    Object.entries(context ?? {}).every(([key, value]) => error.context?.[key] === value) &&
    changed.length === 0
  );
}
