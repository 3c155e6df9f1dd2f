/** How much memory a process has in the machine. */

import { readProc } from './proc.ts';

/** Bytes (proc_pid_status(5), VmRSS); null when it is gone, or is not ours to look at. */
export async function residentBytes(proc: string, pid: number): Promise<number | null> {
  const status = await readProc(`${proc}/${pid}/status`).catch(() => '');
  const [, kibibytes] = /^VmRSS:\s+([0-9]+) kB$/m.exec(status) ?? [];
  return kibibytes === undefined ? null : 1024 * Number(kibibytes);
}
