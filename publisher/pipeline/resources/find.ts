/**
 * What a PCI driver's source shows of the resources that it uses: BARs, interrupts, DMA, device
 * ids. Only what stands there as a constant is taken as known; the rest is listed as not known.
 */

import type { CallSite, CUnit } from '../c/unit.ts';
import { lineCounter } from '../source.ts';
import { argumentsOf } from './arguments.ts';
import { evaluate, type Macros } from './constants.ts';
import { type FoundDevice, findDevices } from './devices.ts';

export interface FoundBar {
  readonly index: number;
  /** Bytes, when the source says how many it maps. */
  readonly length: bigint | undefined;
  readonly line: number;
}

export interface FoundInterrupts {
  readonly kind: 'intx' | 'msi' | 'msix';
  /** The most vectors that it asks for, when that is a constant. */
  readonly vectors: number | undefined;
  readonly line: number;
}

export interface FoundDma {
  readonly maskBits: number | undefined;
  /** Bytes of coherent memory, as far as they are constants. */
  readonly coherentBytes: bigint;
  readonly direction: 'to-device' | 'from-device' | 'bidirectional';
  readonly line: number;
}

export interface Resources {
  readonly bars: readonly FoundBar[];
  readonly interrupts: FoundInterrupts | undefined;
  readonly dma: FoundDma | undefined;
  /** Whether it writes registers, as far as the names of its calls tell. */
  readonly writes: boolean;
  readonly devices: readonly FoundDevice[];
  /** What is used and could not be read: sentences. */
  readonly unknown: readonly string[];
}

/** Where calls that name a BAR have its number and its length (include/linux/pci.h, Linux 6.1). */
const BAR_CALLS: ReadonlyMap<string, { readonly bar: number; readonly length?: number }> = new Map([
  ['pci_iomap', { bar: 1, length: 2 }],
  ['pci_iomap_wc', { bar: 1, length: 2 }],
  ['pcim_iomap', { bar: 1, length: 2 }],
  ['pci_iomap_range', { bar: 1 }],
  ['pci_ioremap_bar', { bar: 1 }],
  ['pci_ioremap_wc_bar', { bar: 1 }],
  ['pci_resource_start', { bar: 1 }],
  ['pci_resource_len', { bar: 1 }],
  ['pci_resource_end', { bar: 1 }],
  ['pci_resource_flags', { bar: 1 }],
  ['pci_request_region', { bar: 1 }],
]);
const BAR_MASKS: ReadonlyMap<string, number> = new Map([
  ['pcim_iomap_regions', 1],
  ['pcim_iomap_regions_request_all', 1],
  ['pci_request_selected_regions', 1],
  ['pci_request_selected_regions_exclusive', 1],
]);
/** Ways to registers that no BAR is named in. */
const OTHER_MAPS =
  /^(devm_)?ioremap(_wc|_uc|_cache|_nocache|_np)?$|^(devm_)?platform_ioremap_resource$/;
const WRITES =
  /^(io)?write(b|w|l|q)(_relaxed|_rep|be)?$|^iowrite\d|^out(b|w|l)(_p)?$|^memcpy_toio$|^memset_io$/;
const REQUEST_IRQ = /^(devm_|pci_)?request_(threaded_|any_context_)?irq$/;
const DMA_MASKS =
  /^(dma_set_mask|dma_set_mask_and_coherent|dma_set_coherent_mask|pci_set_dma_mask|pci_set_consistent_dma_mask)$/;
const DMA_USES = /^(dma|dmam|pci)_(alloc|map|pool|zalloc)_|^dma_pool_create$/;

/** Collects what `unit`, read from `text`, uses; `macros` are its own and those of given headers. */
export function findResources(text: string, unit: CUnit, macros: Macros): Resources {
  const finder = new Finder(text, unit, macros);
  return finder.run();
}

class Finder {
  readonly #text: string;
  readonly #unit: CUnit;
  readonly #macros: Macros;
  readonly #line: (offset: number) => number;
  readonly #bars = new Map<number, FoundBar>();
  readonly #unknown = new Set<string>();
  #interrupts: FoundInterrupts | undefined;
  #dma: FoundDma | undefined;
  readonly #directions = new Set<string>();
  #writes = false;

  constructor(text: string, unit: CUnit, macros: Macros) {
    this.#text = text;
    this.#unit = unit;
    this.#macros = macros;
    this.#line = lineCounter(text);
  }

  run(): Resources {
    for (const call of this.#unit.calls) {
      this.#bar(call);
      this.#interrupt(call);
      this.#useDma(call);
      if (WRITES.test(call.name)) this.#writes = true;
    }
    const { devices, unknown } = findDevices(this.#text, this.#unit.deviceTables, this.#macros);
    for (const what of unknown) this.#unknown.add(what);
    const direction =
      this.#directions.size === 1 && this.#directions.has('DMA_TO_DEVICE')
        ? 'to-device'
        : this.#directions.size === 1 && this.#directions.has('DMA_FROM_DEVICE')
          ? 'from-device'
          : 'bidirectional';
    return {
      bars: Array.from(this.#bars.values()).sort((a, b) => a.index - b.index),
      interrupts: this.#interrupts,
      dma: this.#dma === undefined ? undefined : { ...this.#dma, direction },
      writes: this.#writes,
      devices,
      unknown: Array.from(this.#unknown),
    };
  }

  #bar(call: CallSite): void {
    const at = this.#line(call.start);
    const mask = BAR_MASKS.get(call.name);
    if (mask !== undefined) {
      const bits = this.#value(call, mask);
      if (bits === undefined) this.#miss(call, 'the mask of BARs is not a constant');
      for (let i = 0; i < 6; i++)
        if (bits !== undefined && (bits >> BigInt(i)) & 1n) this.#addBar(i, undefined, at);
      return;
    }
    const form = BAR_CALLS.get(call.name);
    if (form === undefined) {
      if (OTHER_MAPS.test(call.name)) this.#miss(call, 'maps registers without naming a BAR');
      return;
    }
    const index = this.#value(call, form.bar);
    if (index === undefined || index > 5n) {
      this.#miss(call, 'the number of the BAR is not a constant from 0 to 5');
      return;
    }
    const length = form.length === undefined ? undefined : this.#value(call, form.length);
    // A length of 0 asks for all of the BAR.
    this.#addBar(Number(index), length === 0n ? undefined : length, at);
  }

  #addBar(index: number, length: bigint | undefined, line: number): void {
    const known = this.#bars.get(index);
    const longest =
      known?.length === undefined || (length !== undefined && length > known.length)
        ? (length ?? known?.length)
        : known.length;
    this.#bars.set(index, { index, length: longest, line: known?.line ?? line });
  }

  #interrupt(call: CallSite): void {
    const { name } = call;
    if (name === 'pci_alloc_irq_vectors' || name === 'pci_alloc_irq_vectors_affinity') {
      const flags = this.#argument(call, 3);
      const kind = /MSIX|ALL_TYPES/.test(flags)
        ? 'msix'
        : /PCI_IRQ_MSI\b/.test(flags)
          ? 'msi'
          : 'intx';
      this.#addInterrupt(kind, this.#value(call, 2), call);
    } else if (name === 'pci_enable_msix_range' || name === 'pci_enable_msix_exact') {
      this.#addInterrupt('msix', this.#value(call, name.endsWith('range') ? 3 : 2), call);
    } else if (name === 'pci_enable_msi') {
      this.#addInterrupt('msi', 1n, call);
    } else if (REQUEST_IRQ.test(name)) {
      this.#addInterrupt('intx', 1n, call);
    }
  }

  /** The most capable kind counts; of it, the greatest number of vectors. */
  #addInterrupt(kind: FoundInterrupts['kind'], count: bigint | undefined, call: CallSite): void {
    const most = { intx: 1n, msi: 32n, msix: 2048n }[kind];
    if (count === undefined || count < 1n || count > most)
      this.#miss(call, 'the number of vectors is not a constant');
    const vectors = count === undefined || count < 1n || count > most ? undefined : Number(count);
    const rank = { intx: 0, msi: 1, msix: 2 };
    const known = this.#interrupts;
    if (known !== undefined && rank[known.kind] > rank[kind]) return;
    const isBetter =
      known === undefined || rank[known.kind] < rank[kind] || (vectors ?? 0) > (known.vectors ?? 0);
    if (isBetter) this.#interrupts = { kind, vectors, line: this.#line(call.start) };
  }

  #useDma(call: CallSite): void {
    const isMask = DMA_MASKS.test(call.name);
    if (!isMask && !DMA_USES.test(call.name)) return;
    const dma: FoundDma = this.#dma ?? {
      maskBits: undefined,
      coherentBytes: 0n,
      direction: 'bidirectional',
      line: this.#line(call.start),
    };
    const bits = isMask ? this.#maskBits(call) : undefined;
    const maskBits = bits !== undefined && bits > (dma.maskBits ?? 0) ? bits : dma.maskBits;
    const bytes = /^(dmam?)_alloc_coherent$/.test(call.name) ? this.#value(call, 1) : undefined;
    this.#dma = { ...dma, maskBits, coherentBytes: dma.coherentBytes + (bytes ?? 0n) };
    for (const direction of argumentsOf(this.#text, call)
      .join(' ')
      .match(/\bDMA_(TO_DEVICE|FROM_DEVICE|BIDIRECTIONAL)\b/g) ?? [])
      this.#directions.add(direction);
    // Coherent memory goes both ways.
    if (/coherent|pool/.test(call.name) && !isMask) this.#directions.add('DMA_BIDIRECTIONAL');
  }

  #maskBits(call: CallSite): number | undefined {
    const mask = this.#value(call, 1);
    const bits = mask === undefined ? undefined : mask.toString(2);
    if (bits === undefined || !/^1+$/.test(bits)) {
      this.#miss(call, 'the DMA mask is not a constant');
      return undefined;
    }
    return bits.length;
  }

  #argument(call: CallSite, index: number): string {
    return argumentsOf(this.#text, call)[index] ?? '';
  }

  #value(call: CallSite, index: number): bigint | undefined {
    return evaluate(this.#argument(call, index), this.#macros);
  }

  #miss(call: CallSite, what: string): void {
    this.#unknown.add(`line ${this.#line(call.start)}, ${call.name}: ${what}`);
  }
}
