/** How a command's failure becomes words, a document and an exit status. */

import { CODES, type Code, docsAnchor, type ErrorContext, IronError } from '../errors.ts';
import { fromErrno, isErrno } from '../node/errno.ts';
import { type Env, printableLine, styled } from './ui.ts';

/**
 * Whatever was thrown, as an error of ours. After a signal, an abort is `E_CANCELLED` whoever
 * wrapped it; file and network errors of the system get their own codes; the rest is a defect.
 */
export function toIronError(error: unknown, signal?: AbortSignal): IronError {
  if (signal?.aborted === true && isAbort(error, signal)) {
    return new IronError('E_CANCELLED', 'stopped before it was done', {
      hint: 'run the command again; what it had finished stays finished',
      cause: error,
    });
  }
  if (error instanceof IronError) return error;
  if (isErrno(error)) return fromErrno(error);
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new IronError('E_INTERNAL', message, {
    why: 'this is a defect of the program and not of what it was given',
    hint: 'run it again with IRONPORT_DEBUG=1 and report what it prints',
    cause: error,
  });
}

function isAbort(error: unknown, signal: AbortSignal): boolean {
  // Bounded: a chain of causes may be a ring.
  let at = error;
  for (let i = 0; i < 8 && at !== undefined && at !== null; i++) {
    if (at === signal.reason) return true;
    if (!(at instanceof Error)) return false;
    if (at.name === 'AbortError') return true;
    at = at.cause;
  }
  return false;
}

/** The `error` member of a `--json` document. */
export interface ErrorDocument {
  readonly code: Code;
  readonly message: string;
  readonly why: string | null;
  readonly hint: string | null;
  readonly context: ErrorContext;
}

export function errorDocument(error: IronError): ErrorDocument {
  return {
    code: error.code,
    message: error.message,
    why: error.why ?? null,
    hint: error.hint ?? null,
    context: error.context,
  };
}

/** What happened, why, what to do and where to read more; ends with a line feed. */
export function errorBlock(error: IronError, color: boolean, env: Env): string {
  const lines = [
    `${styled(`error[${error.code}]:`, 'red', color)} ${printableLine(error.message)}`,
    ...(error.why === undefined ? [] : [`  why:  ${printableLine(error.why)}`]),
    ...(error.hint === undefined ? [] : [`  do:   ${printableLine(error.hint)}`]),
    `  more: ${docsAnchor(error.code)}`,
  ];
  if (env.IRONPORT_DEBUG === '1') lines.push(stackOf(error));
  return `${lines.join('\n')}\n`;
}

function stackOf(error: IronError): string {
  const cause = error.cause instanceof Error ? error.cause.stack : undefined;
  return [error.stack, cause === undefined ? undefined : `caused by ${cause}`]
    .filter((stack) => stack !== undefined)
    .map((stack) => stack.split('\n').map(printableLine).join('\n'))
    .join('\n');
}

/** Every exit status and the codes that end with it, in order; 0 is not an error. */
export function exitStatuses(): readonly (readonly [status: number, codes: readonly Code[]])[] {
  const statuses = new Map<number, Code[]>();
  for (const code of Object.keys(CODES) as Code[]) {
    const status = CODES[code].exit;
    statuses.set(status, [...(statuses.get(status) ?? []), code]);
  }
  return Array.from(statuses).sort(([a], [b]) => a - b);
}
