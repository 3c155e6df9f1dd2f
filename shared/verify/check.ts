/** A verdict is a list of checks: what was compared, by which keys, against which version. */

export interface Check {
  /** The clause that demanded the check: `TUF 5.4.3.1`. */
  readonly rule: string;
  /** What was found to hold, in words. */
  readonly what: string;
  /** Ids of the keys whose signatures counted. */
  readonly keys?: readonly string[];
  /** Version of the file that was checked, or against which it was. */
  readonly version?: number;
}

/** Where a verifier says what it checked, as it goes. */
export type Report = (check: Check) => void;
