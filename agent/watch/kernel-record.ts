/**
 * Records of the kernel's log, as /dev/kmsg gives them, and what they say of an IOMMU. Pure. A line is
 * believed when all of it has the form that the kernel gives it: what somebody writes into the log
 * through a driver's message begins otherwise, and what a process wrote is not the kernel's.
 */

import { fromUtf8 } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';

export interface KernelRecord {
  readonly sequence: bigint;
  /** False for what a process wrote into the log. */
  readonly isKernels: boolean;
  readonly message: string;
}

/** Documentation/ABI/testing/dev-kmsg: `prefix;message`, and lines of ` KEY=value` below. */
const FORM = /^([0-9]{1,10}),([0-9]{1,20}),([0-9]{1,20}),([^;\n]{0,256});([^\n]*)(?:\n|$)/;
const LONGEST = 8192;

/** One read of /dev/kmsg. `E_SCHEMA`. */
export function parseKernelRecord(bytes: Uint8Array): KernelRecord {
  if (bytes.length > LONGEST) throw bad(`it has ${bytes.length} bytes`);
  let text: string;
  try {
    text = fromUtf8(bytes);
  } catch {
    throw bad('it is no text');
  }
  const [, priority, sequence, , , message] = FORM.exec(text) ?? [];
  if (priority === undefined || sequence === undefined || message === undefined)
    throw bad(JSON.stringify(text.slice(0, 80)));
  // syslog.h: the facility is above the three bits of the level, and 0 is the kernel's.
  return { sequence: BigInt(sequence), isKernels: Number(priority) >> 3 === 0, message };
}

function bad(why: string): IronError {
  return new IronError('E_SCHEMA', 'a record of the kernel is not in the form that is known', {
    why,
  });
}

export interface IommuFault {
  /** `00:05.0`, or with the domain where the kernel tells it: `0000:00:05.0`. */
  readonly device: string;
  readonly access: 'read' | 'write' | 'interrupt' | 'unknown';
  readonly address: bigint;
  readonly reason: string;
}

/** drivers/iommu/intel/dmar.c, dmar_fault_do_one(). */
const DMAR =
  /^DMAR: \[DMA (Read|Write) (?:NO_PASID|PASID 0x[0-9a-f]{1,8})\] Request device \[([0-9a-f]{2}:[01][0-9a-f]\.[0-7])\] fault addr 0x([0-9a-f]{1,16}) \[fault reason 0x([0-9a-f]{2,8})\] ([ -~]{1,120})$/;
const REMAPPING =
  /^DMAR: \[INTR-REMAP\] Request device \[([0-9a-f]{2}:[01][0-9a-f]\.[0-7])\] fault index 0x([0-9a-f]{1,16}) \[fault reason 0x([0-9a-f]{2,8})\] ([ -~]{1,120})$/;
/** drivers/iommu/amd/iommu.c, amd_iommu_report_page_fault(): by way of the device, or with its address. */
const AMD_FAULT =
  'Event logged \\[IO_PAGE_FAULT (?:device=((?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\\.[0-7]) )?domain=0x[0-9a-f]{4,8} address=0x([0-9a-f]{1,16}) flags=0x([0-9a-f]{4,8})\\]';
const AMD = new RegExp(
  `^(?:vfio-pci ([0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\\.[0-7]): )?AMD-Vi: ${AMD_FAULT}$`,
);

/** The fault that a message is about; undefined for every other one. */
export function readFault(message: string): IommuFault | undefined {
  const dma = DMAR.exec(message);
  if (dma !== null) {
    const [, access, device = '', address = '', , reason = ''] = dma;
    const kind = access === 'Read' ? 'read' : 'write';
    return { device, access: kind, address: BigInt(`0x${address}`), reason };
  }
  const remapping = REMAPPING.exec(message);
  if (remapping !== null) {
    const [, device = '', index = '', , reason = ''] = remapping;
    return { device, access: 'interrupt', address: BigInt(`0x${index}`), reason };
  }
  const amd = AMD.exec(message);
  const device = amd?.[1] ?? amd?.[2];
  if (amd === null || device === undefined) return undefined;
  const [, , , address = '', flags = ''] = amd;
  return { device, access: 'unknown', address: BigInt(`0x${address}`), reason: `flags 0x${flags}` };
}

/** lib/ratelimit.c, ___ratelimit(): how many messages of an IOMMU's function were not printed. */
const SUPPRESSED =
  /^(dmar_fault|amd_iommu_report_page_fault|amd_iommu_report_rmp_fault|arm_smmu_[a-z0-9_]{1,40}): ([0-9]{1,10}) callbacks suppressed$/;

export function readSuppressed(message: string): number | undefined {
  const [, , count] = SUPPRESSED.exec(message) ?? [];
  return count === undefined ? undefined : Number(count);
}

/** Whether a fault is about this device; the messages of DMAR leave the PCI domain out. */
export function isAbout(fault: IommuFault, bdf: string): boolean {
  return fault.device === bdf || bdf.endsWith(`:${fault.device}`);
}
