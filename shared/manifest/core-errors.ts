/**
 * The errors of IronShim-rs's core, by its own names, as errors of this project: a bare-metal
 * kernel and this agent refuse the same thing under the same word (`context.core`), and a script
 * sees one of our codes.
 */

import { type Code, type ErrorDetails, IronError, isIronError } from '../errors.ts';

/** Name in IronShim-rs, whether a driver may go on after it, and the code that it has here. */
const CORE = {
  OutOfMemory: ['fatal', 'E_QUOTA'],
  InvalidAddress: ['fatal', 'E_OUT_OF_GRANT'],
  ResourceNotGranted: ['recoverable', 'E_OUT_OF_GRANT'],
  InterruptInUse: ['fatal', 'E_CONFLICT'],
  AccessDenied: ['recoverable', 'E_OUT_OF_GRANT'],
  OutOfBounds: ['recoverable', 'E_OUT_OF_GRANT'],
  BudgetExceeded: ['recoverable', 'E_OUT_OF_GRANT'],
  Quarantined: ['recoverable', 'E_AGENT_REFUSED'],
  Revoked: ['recoverable', 'E_OUT_OF_GRANT'],
  InvalidState: ['recoverable', 'E_AGENT_REFUSED'],
  SignatureInvalid: ['fatal', 'E_SIGNATURE'],
  RateLimited: ['recoverable', 'E_TRY_AGAIN'],
  Timeout: ['recoverable', 'E_EXPIRED'],
  Unsupported: ['fatal', 'E_AGENT_REFUSED'],
} as const satisfies Record<string, readonly ['fatal' | 'recoverable', Code]>;

export type CoreErrorName = keyof typeof CORE;
export type ErrorClass = 'fatal' | 'recoverable';

export const CORE_ERRORS = Object.keys(CORE) as readonly CoreErrorName[];

/** IronShim-rs `Error::class`. */
export function errorClass(name: CoreErrorName): ErrorClass {
  return CORE[name][0];
}

/** The error called `name`. `details.code` replaces the usual code of that name. */
export function coreError(
  name: CoreErrorName,
  message: string,
  details: ErrorDetails & { readonly code?: Code } = {},
): IronError {
  const { code = CORE[name][1], context, ...rest } = details;
  return new IronError(code, message, {
    ...rest,
    context: { ...context, core: name, class: errorClass(name) },
  });
}

/** The name by which IronShim-rs would call `error`, or undefined when it is none of these. */
export function coreName(error: unknown): CoreErrorName | undefined {
  const name = isIronError(error) ? error.context.core : undefined;
  return CORE_ERRORS.find((known) => known === name);
}
