/** What a broker tells the agent about requests: counts, and an example. Pure. */

import { IronError } from '../../shared/errors.ts';
import { Node } from '../../shared/json/decode.ts';
import { parseJson } from '../../shared/json/read.ts';
import { STATUS, type StatusName } from './wire.ts';

/** Requests that had one answer. */
export interface Report {
  readonly status: StatusName;
  /** How many by now. */
  readonly count: number;
  /** The one that made it so many; absent when the driver is gone and all is counted. */
  readonly example?: {
    readonly op: number;
    readonly width: number;
    readonly region: number;
    /** `0x…` */
    readonly offset: string;
  };
}

/** Longest line that a broker writes. */
export const REPORT_LINE = 512;
const STATUS_NAMES = Object.keys(STATUS) as StatusName[];

/** A line of a broker, which is believed no more than its driver. `E_JSON`, `E_SCHEMA`, `E_TOO_LARGE`. */
export function parseReport(line: Uint8Array): Report {
  const node = new Node(parseJson(line, { length: REPORT_LINE }), 'report').only(
    ...['status', 'count', 'example'],
  );
  const name = node.get('status').string();
  const status = STATUS_NAMES.find((one) => one === name);
  if (status === undefined) throw new IronError('E_SCHEMA', 'a report of no known kind');
  const count = node.get('count').integer(0);
  const example = node.maybe('example')?.only('op', 'width', 'region', 'offset');
  if (example === undefined) return { status, count };
  const byte = (key: string): number => example.get(key).integer(0, 255);
  return {
    ...{ status, count },
    example: {
      ...{ op: byte('op'), width: byte('width'), region: byte('region') },
      offset: example.get('offset').matching(/^0x[0-9a-f]{1,16}$/, 'an offset'),
    },
  };
}

/** What was told of so far. */
export class Refusals {
  readonly totals = new Map<StatusName, number>();
  /** Counts that were worth a line, by kind. */
  readonly #told = new Map<StatusName, number>();

  /**
   * Takes a report; true when it is worth a line: it has an example, and says at least twice what
   * was last told of that kind. So many lines there can be of one, whatever the broker says.
   */
  take({ status, count, example }: Report): boolean {
    if (count < (this.totals.get(status) ?? 0)) return false;
    this.totals.set(status, count);
    const isTold = example !== undefined && count > 0 && count >= 2 * (this.#told.get(status) ?? 0);
    if (isTold) this.#told.set(status, count);
    return isTold;
  }
}
