/**
 * The process that confines itself and becomes the driver. All that it does is in the calls that it
 * is given (`sandbox/launch-plan.ts`): it makes them in order on its main thread, and says which one
 * failed. Threads that Node made besides are unconfined, run nothing, and end when the program runs.
 */

/** What is written to the report when a call failed; nothing is written when the program runs. */
export interface LaunchFailure {
  readonly step: string;
  /** Negative for an error of the kernel, else the result that was not the expected one. */
  readonly result: number;
}

/** Where the launcher finds its calls. Others can read what a process was started with, not this. */
export const CALLS_VARIABLE = 'IRONPORT_CALLS';

/** `node -e PROGRAM KOFFI REPORT`: a module's place, a descriptor; the calls as JSON are a variable. */
function launcher(): void {
  type Value = number | { kept: string } | { whole: string } | Block;
  type Register = number | bigint | { kept: string };
  type Block = { bytes: string; at?: [number, Block][] };
  type Step = { step: string; nr: number; arguments: Value[]; expect?: number; keep?: string };

  const { process } = globalThis;
  const { writeSync } = process.getBuiltinModule('node:fs');
  const { createRequire } = process.getBuiltinModule('node:module');
  const [, place = '', report = ''] = process.argv;
  const { IRONPORT_CALLS: calls = '' } = process.env;
  const fail = (step: string, result: number): void => {
    writeSync(Number(report), JSON.stringify({ step, result }));
    process.exit(1);
  };

  let step = 'load';
  try {
    const koffi = createRequire(place)(place) as typeof import('koffi');
    const syscall = koffi
      .load(null)
      .func('int64_t syscall(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t)');
    // Held until the end: the kernel is told where they are.
    const held: Buffer[] = [];
    const kept = new Map<string, number>();
    const addressOf = ({ bytes, at = [] }: Block): bigint => {
      const buffer = Buffer.alloc(Buffer.byteLength(bytes, 'base64'));
      buffer.write(bytes, 'base64');
      for (const [offset, block] of at) buffer.writeBigUInt64LE(addressOf(block), offset);
      held.push(buffer);
      return BigInt(koffi.address(buffer));
    };
    const registerOf = (value: Value): Register => {
      if (typeof value === 'number' || 'kept' in value) return value;
      return 'whole' in value ? BigInt.asIntN(64, BigInt(`0x${value.whole}`)) : addressOf(value);
    };
    const steps = (JSON.parse(calls) as Step[]).map((one) => ({
      ...one,
      // Made before the first call: between the last ones there is as little as can be.
      arguments: one.arguments.map(registerOf),
    }));
    for (const one of steps) {
      step = one.step;
      const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = one.arguments.map((value) =>
        typeof value === 'object' ? (kept.get(value.kept) ?? -1) : value,
      );
      const result = Number(syscall(one.nr, a, b, c, d, e, f));
      if (result < 0) fail(one.step, -koffi.errno());
      if (one.expect !== undefined && one.expect !== result) fail(one.step, result);
      if (one.keep !== undefined) kept.set(one.keep, result);
    }
    fail(step, 0);
  } catch {
    fail(step, 0);
  }
}

/** It needs no file of its own. */
export const LAUNCHER = `(${launcher.toString()})()`;
