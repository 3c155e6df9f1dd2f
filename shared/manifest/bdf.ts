/** Addresses of PCI functions as the kernel writes them: `0000:00:05.0`. */

import { IronError } from '../errors.ts';
import { quoted } from '../tuf/names.ts';

// include/linux/pci.h, pci_name(): "%04x:%02x:%02x.%d". Domains of VMD bridges have five digits
// (10000:…), and more than four digits never begin with a zero. A bus has 32 devices of 8 functions.
const FORM = /^(?:[0-9a-f]{4}|[1-9a-f][0-9a-f]{4,7}):[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/;

/** Whether `text` is such an address, in the kernel's own spelling. */
export function isBdf(text: string): boolean {
  return FORM.test(text);
}

/** `text`, when it is an address in the kernel's own spelling; `E_USAGE` otherwise. */
export function parseBdf(text: string): string {
  if (isBdf(text)) return text;
  throw new IronError('E_USAGE', `not the address of a PCI function: ${quoted(text)}`, {
    hint: 'write it as sysfs does, with the domain and in lower case: 0000:00:05.0',
  });
}
