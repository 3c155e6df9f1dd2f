/** Driver processes: confined on this kernel, and bounded by a control group of their own. */

import { deepEqual, equal, ok } from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { makeCgroup } from '../../../agent/host/cgroup.ts';
import { type Driver, launch } from '../../../agent/host/launch.ts';
import { openMeasured } from '../../../agent/host/sealed.ts';
import { elf, resultsOf, type Syscall } from '../../agent/elf.ts';
import { ATTEMPTS, CALLS, isRefused, PAUSE, unsealed } from '../../agent/hostile.ts';
import { sealed, sha256, WITH, window } from '../../agent/launch-support.ts';
import type { LabCase } from './case.ts';

const GROUPS = '/sys/fs/cgroup';
const MIB = 1 << 20;

async function written(driver: Driver, count: number): Promise<number[]> {
  while (driver.bytes().length < 8 * count) await setTimeout(50);
  return resultsOf(driver.bytes());
}

function group(name: string, memoryBytes: number, processes = 64) {
  return makeCgroup(GROUPS, `ironport-lab-${name}`, { memoryBytes, processes }, 'limits');
}

/** So that it is looked at before it is ended. */
const NAP: Syscall = [35, new Uint8Array(new BigInt64Array([2n, 0n]).buffer), 0];
/** MAP_POPULATE: the kernel writes to each page. */
const HOG = elf([NAP, [9, 0, 128 * MIB, 3, 0x8022, -1, 0]], [PAUSE]);

export const drivers: readonly LabCase[] = [
  {
    name: 'driver-hostile',
    title: 'a driver that tries everything is refused everything',
    standsAlone: true,
    async run({ say }) {
      const cgroup = group('hostile', 256 * MIB);
      deepEqual(cgroup.missing, []);
      const driver = await launch({
        ...WITH,
        program: sealed(elf(CALLS, [PAUSE])),
        descriptors: [window(), unsealed()],
        cgroup,
      });
      const results = await written(driver, ATTEMPTS.length);
      for (const [i, [what]] of ATTEMPTS.entries()) {
        const result = results[i] ?? Number.NaN;
        say(`${what}: ${result}`);
        ok(isRefused(what, result), `${what}: ${result}`);
      }
      await driver.end();
      ok(!existsSync(cgroup.path));
    },
  },
  {
    name: 'driver-bounds',
    title: 'memory and processes of a driver are bounded by its control group',
    standsAlone: true,
    async run({ say }) {
      const roomy = await launch({
        ...WITH,
        program: sealed(HOG),
        cgroup: group('roomy', 256 * MIB),
      });
      const [, address = 0] = await written(roomy, 2);
      ok(address > 0, 'control: with room for it, it has it');
      await roomy.end();

      const tight = group('tight', 48 * MIB);
      const hog = await launch({ ...WITH, program: sealed(HOG), cgroup: tight });
      const { signal, outOfMemory } = await hog.ended;
      equal(signal, 'SIGKILL');
      equal(outOfMemory, 'limit', 'and whose memory it was');
      const events = readFileSync(join(tight.path, 'memory.events'), 'utf8');
      say(events);
      ok(/^oom_kill [1-9]/m.test(events));
      await hog.end();

      // Every thread runs the same calls, and so makes threads too: 2^12 of them if nothing stops it.
      const program = elf(
        Array.from({ length: 12 }, (): Syscall => [56, 0x10f00, 0]),
        [PAUSE],
      );
      const path = '/tmp/driver-bounds';
      writeFileSync(path, program, { mode: 0o755 });
      const bound = group('threads', 128 * MIB, 8);
      const bomb = await launch({
        ...WITH,
        program: sealed(HOG),
        runtime: { fd: openMeasured(path, sha256(program)), arguments: [], files: [] },
        cgroup: bound,
      });
      const read = (name: string): string => readFileSync(join(bound.path, name), 'utf8').trim();
      while (!/^max [1-9]/.test(read('pids.events'))) await setTimeout(50);
      equal(read('pids.current'), '8');
      await bomb.end();
      ok(!existsSync(bound.path), 'nothing of it is left');
    },
  },
];
