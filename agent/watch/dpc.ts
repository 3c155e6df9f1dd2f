/**
 * Downstream Port Containment, from the configuration space of the port above a device (PCIe 7.9.14).
 * Pure. The kernel recovers where it owns DPC; this only sees it, and never writes.
 */

const EXTENDED = 0x100;
const DPC = 0x001d;
/** DPC Control and Status (PCIe 7.9.14.3, 7.9.14.4), relative to the capability. */
const CONTROL = 0x06;
const STATUS = 0x08;
const LENGTH = 0x0c;

export interface DpcState {
  readonly enabled: boolean;
  /** The port contains what is below it. */
  readonly triggered: boolean;
  /** Why, by the specification's words; null when it is not triggered. */
  readonly reason: string | null;
  /** Root port PIO is still being dealt with. */
  readonly busy: boolean;
}

const REASONS = ['unmasked uncorrectable error', 'ERR_NONFATAL', 'ERR_FATAL'] as const;
const EXTENSIONS = ['root port PIO error', 'software'] as const;

/** The state of a port; undefined when it has no such capability, or shows only its first 256 bytes. */
export function parseDpc(config: Uint8Array): DpcState | undefined {
  const at = findDpc(config);
  if (at === undefined) return undefined;
  const view = new DataView(config.buffer, config.byteOffset, config.byteLength);
  const control = view.getUint16(at + CONTROL, true);
  const status = view.getUint16(at + STATUS, true);
  // Config that reads as ones is a port that is gone, and says nothing.
  if (status === 0xffff) return undefined;
  const triggered = (status & 1) !== 0;
  return {
    enabled: (control & 3) !== 0,
    triggered,
    reason: triggered ? reasonOf(status) : null,
    busy: (status & 0x10) !== 0,
  };
}

function reasonOf(status: number): string {
  const reason = REASONS[(status >> 1) & 3];
  if (reason !== undefined) return reason;
  return EXTENSIONS[(status >> 5) & 3] ?? 'reserved';
}

function findDpc(config: Uint8Array): number | undefined {
  const view = new DataView(config.buffer, config.byteOffset, config.byteLength);
  let at = EXTENDED;
  // PCIe 7.6.3: capabilities are at least 8 bytes and lie above 0x100; more than this is a loop.
  for (let step = 0; step < 480 && at >= EXTENDED && at + LENGTH <= config.length; step++) {
    const header = view.getUint32(at, true);
    if (header === 0 || header === 0xffff_ffff) return undefined;
    if ((header & 0xffff) === DPC) return at;
    at = (header >>> 20) & 0xffc;
  }
  return undefined;
}
