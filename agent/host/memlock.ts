/**
 * How much memory this process may hold in place for devices (RLIMIT_MEMLOCK). The kernel refuses
 * what is above it with ENOMEM and no number; we say it in bytes, and before anything is mapped.
 */

import { readFile } from 'node:fs/promises';
import { IronError } from '../../shared/errors.ts';
import { onPath } from '../../shared/node/file-system.ts';

/** include/uapi/linux/capability.h: whoever has it is not limited. */
const CAP_IPC_LOCK = 14n;

/** The limit in bytes; undefined when there is none for this process. */
export async function memlockLimit(proc = '/proc'): Promise<bigint | undefined> {
  const limits = `${proc}/self/limits`;
  const status = `${proc}/self/status`;
  return parseMemlock(
    await onPath(limits, () => readFile(limits, 'utf8')),
    await onPath(status, () => readFile(status, 'utf8')),
  );
}

/** From the texts of `limits` and `status`. What cannot be read is a limit of 0. */
export function parseMemlock(limits: string, status: string): bigint | undefined {
  const capabilities = /^CapEff:\s+([0-9a-f]{16})$/m.exec(status)?.[1];
  if (capabilities !== undefined && ((BigInt(`0x${capabilities}`) >> CAP_IPC_LOCK) & 1n) === 1n)
    return undefined;
  const soft = /^Max locked memory\s+(unlimited|[0-9]+)\s/m.exec(limits)?.[1];
  if (soft === 'unlimited') return undefined;
  return BigInt(soft ?? 0);
}

/** `E_MEMLOCK` when `bytes` are more than the limit. */
export function requireMemlock(bytes: bigint, limit: bigint | undefined): void {
  if (limit === undefined || bytes <= limit) return;
  throw new IronError(
    'E_MEMLOCK',
    `the device's memory takes ${bytes} bytes, and this process may lock ${limit}`,
    {
      why: 'memory that a device reaches stays in place, and counts against RLIMIT_MEMLOCK',
      hint: `nothing was changed; raise it to ${bytes} bytes or more (LimitMEMLOCK= of the unit, \`ulimit -l\`)`,
      context: { reason: 'memlock', needed_bytes: String(bytes), limit_bytes: String(limit) },
    },
  );
}
