/**
 * What configuration space says beyond interrupts: the kind of header, and the serial number.
 * The bytes come from hardware: walks are bounded and pointers checked.
 */

/** Header type (PCI 3.0, 6.2.1): 0 an endpoint, 1 a bridge, 2 a CardBus bridge. */
export function headerType(config: Uint8Array): number | null {
  const byte = config[0x0e];
  return byte === undefined ? null : byte & 0x7f;
}

const EXTENDED = 0x100;
const DEVICE_SERIAL_NUMBER = 0x0003;

/**
 * The Device Serial Number (PCIe 7.9.3) as `00-11-22-33-44-55-66-77`, most significant byte first.
 * Null when the device has none, or when the reader may see only the first 256 bytes.
 */
export function deviceSerial(config: Uint8Array): string | null {
  const at = extendedCapability(config, DEVICE_SERIAL_NUMBER, 12);
  if (at === undefined) return null;
  const bytes = Array.from(config.subarray(at + 4, at + 12)).reverse();
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('-');
}

/** Capability, offset of its control register, bit that enables it (PCIe 10.5.1, 10.5.2, 7.8.9). */
const TRANSLATION = [
  ['ATS', 0x000f, 6, 0x8000],
  ['PRI', 0x0013, 4, 0x0001],
  ['PASID', 0x001b, 6, 0x0001],
] as const;

export interface Translation {
  readonly name: string;
  readonly enabled: boolean;
}

/** A device's own ways to translate addresses, and whether each is on. */
export function translations(config: Uint8Array): Translation[] {
  const view = new DataView(config.buffer, config.byteOffset, config.byteLength);
  return TRANSLATION.flatMap(([name, id, control, bit]) => {
    const at = extendedCapability(config, id, 8);
    if (at === undefined) return [];
    return [{ name, enabled: (view.getUint16(at + control, true) & bit) !== 0 }];
  });
}

/** Those of them that are on. */
export function enabledTranslation(config: Uint8Array): string[] {
  return translations(config)
    .filter(({ enabled }) => enabled)
    .map(({ name }) => name);
}

/** Where an extended capability with all of its `length` bytes is. */
function extendedCapability(config: Uint8Array, id: number, length: number): number | undefined {
  const view = new DataView(config.buffer, config.byteOffset, config.byteLength);
  let at = EXTENDED;
  // PCIe 7.6.3: capabilities are at least 8 bytes and lie above 0x100; more than this is a loop.
  for (let step = 0; step < 480 && at >= EXTENDED && at + length <= config.length; step++) {
    const header = view.getUint32(at, true);
    if (header === 0 || header === 0xffff_ffff) return undefined;
    if ((header & 0xffff) === id) return at;
    at = (header >>> 20) & 0xffc;
  }
  return undefined;
}
