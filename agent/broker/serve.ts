/**
 * The broker's life: waits for leave to begin, then serves one request after the other, until the
 * driver is gone. It waits where the driver makes it wait, and answers to nobody else: what stops a
 * device does not go through here. Uses nothing but what it is given (`program.ts`).
 */

import type { Policy } from './policy.ts';
import type { Bucket, Tally } from './rate.ts';
import type { Report } from './report.ts';
import type { Codec, STATUS, Status, WIRE } from './wire.ts';

/** The broker's descriptors. */
export const BROKER_FD = { device: 3, requests: 4, replies: 5, reports: 6, leave: 7 } as const;

export interface Serving {
  readonly wire: typeof WIRE;
  readonly statuses: typeof STATUS;
  readonly codec: Codec;
  readonly policy: Policy;
  readonly bucket: Bucket;
  readonly tally: Tally;
  /** Where a region begins in the device's descriptor. */
  readonly bases: ReadonlyMap<number, bigint>;
  readonly fds: typeof BROKER_FD;
}

export interface ServingIo {
  /** As read(2), pread(2): returns how many bytes; 0 at the end. */
  read(fd: number, bytes: Uint8Array, from: number, length: number, at: number | null): number;
  write(fd: number, bytes: Uint8Array, length: number, at: number | null): number;
  nowMs(): number;
  waitMs(time: number): void;
}

export function serve(serving: Serving, io: ServingIo): void {
  const { wire, statuses, codec, policy, bucket, tally, bases, fds } = serving;
  const tell = (report: Report): void => {
    const line = new TextEncoder().encode(`${JSON.stringify(report)}\n`);
    io.write(fds.reports, line, line.length, null);
  };
  const requests = new Uint8Array(64 * wire.request);
  const register = new Uint8Array(4);
  const view = new DataView(register.buffer);

  /** One access, of the width that was asked for. */
  const access = (isWrite: boolean, width: number, at: number, value: bigint): bigint => {
    view.setUint32(0, Number(value), true);
    const count = isWrite
      ? io.write(fds.device, register, width, at)
      : io.read(fds.device, register, 0, width, at);
    if (count !== width) throw new Error('less than was asked for');
    const found = width === 1 ? view.getUint8(0) : view.getUint16(0, true);
    return isWrite ? 0n : BigInt(width === 4 ? view.getUint32(0, true) : found);
  };
  const answer = (place: number): Uint8Array => {
    const request = codec.request(requests, place);
    const { op, width, region, offset, sequence, value } = request;
    let status: Status = policy(request);
    let result = 0n;
    if (status === statuses.good) {
      try {
        const at = Number((bases.get(region) as bigint) + offset);
        result = access(op === wire.op.write, width, at, value);
      } catch {
        status = statuses.device;
      }
    }
    const report = tally.note(status, request);
    if (report !== undefined) tell(report);
    return codec.reply(status, sequence, result);
  };

  // The agent gives leave when all is in place, the bus master last.
  if (io.read(fds.leave, new Uint8Array(1), 0, 1, null) !== 1) return;
  try {
    for (let held = 0; ; ) {
      const count = io.read(fds.requests, requests, held, requests.length - held, null);
      if (count === 0) break;
      held += count;
      let done = 0;
      for (; held - done >= wire.request; done += wire.request) {
        const pause = bucket(io.nowMs());
        if (pause > 0) io.waitMs(pause);
        const reply = answer(done);
        // Shorter than PIPE_BUF: written whole, or not at all (pipe(7)).
        io.write(fds.replies, reply, reply.length, null);
      }
      requests.copyWithin(0, done, held);
      held -= done;
    }
  } catch {
    // The driver does not listen any more.
  }
  for (const report of tally.totals()) tell(report);
}
