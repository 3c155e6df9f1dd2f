/** What host and guest say to each other over the port between them: one JSON object a line. */

/** A case in one form: the same case may run once for each backend. */
export interface CaseRun {
  /** `case` or `case/backend`. */
  readonly name: string;
  /** After so many seconds the guest ends it, and it failed. */
  readonly limitSeconds: number;
}

export type FromGuest =
  | { readonly kind: 'ready' }
  | { readonly kind: 'monitor'; readonly command: string }
  | {
      readonly kind: 'result';
      readonly name: string;
      readonly status: number;
      readonly seconds: number;
      readonly output: string;
    }
  /** Asks for the power to be cut, now. */
  | { readonly kind: 'cut'; readonly name: string };

export type FromHost =
  | { readonly kind: 'run'; readonly cases: readonly CaseRun[] }
  | { readonly kind: 'answer'; readonly answer: string };

/** What a case's process asks of the guest's first one. */
export type FromCase =
  | { readonly kind: 'monitor'; readonly command: string }
  | { readonly kind: 'cut' };
