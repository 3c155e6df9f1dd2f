/**
 * Landlock (include/uapi/linux/landlock.h): what a kernel's version of it can refuse. All of it is
 * refused; only listed files are given back. Pure.
 */

import { IronError } from '../../shared/errors.ts';

export const LANDLOCK = {
  version: 1,
  pathBeneath: 1,
  execute: 1n << 0n,
  readFile: 1n << 2n,
} as const;

/** All rights over files that version `abi` knows: 13 at first, then REFER, TRUNCATE, IOCTL_DEV. */
function fileRights(abi: number): bigint {
  const count = abi >= 5 ? 16n : abi >= 3 ? 15n : abi === 2 ? 14n : 13n;
  return (1n << count) - 1n;
}

/** struct landlock_ruleset_attr, as long as this version of it is. `E_AGENT_REFUSED` without any. */
export function rulesetAttr(abi: number): Buffer {
  if (abi < 1)
    throw new IronError('E_AGENT_REFUSED', 'this kernel cannot keep a driver from files', {
      why: 'it has no Landlock, or it was not switched on at boot',
      hint: 'boot with landlock among the security modules (lsm=landlock,…)',
      context: { reason: 'landlock' },
    });
  const bytes = Buffer.alloc(24);
  bytes.writeBigUInt64LE(fileRights(abi), 0);
  // Binding and connecting TCP; the filter allows no sockets either.
  bytes.writeBigUInt64LE(abi >= 4 ? 3n : 0n, 8);
  // Abstract sockets and signals, to processes outside.
  bytes.writeBigUInt64LE(abi >= 6 ? 3n : 0n, 16);
  return bytes.subarray(0, abi >= 6 ? 24 : abi >= 4 ? 16 : 8);
}

/** struct landlock_path_beneath_attr, packed: reading and running the one file behind `fd`. */
export function readableFile(fd: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeBigUInt64LE(LANDLOCK.execute | LANDLOCK.readFile, 0);
  bytes.writeInt32LE(fd, 8);
  return bytes;
}
