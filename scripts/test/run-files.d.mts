export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** A line for each assertion that failed. */
  readonly failures: readonly string[];
  /** A line for each that failed, and did not when its file was run again alone. */
  readonly unsteady: readonly string[];
}

export function runFiles(
  files: readonly string[],
  options?: { readonly isAgain?: boolean },
): Promise<Counts>;
