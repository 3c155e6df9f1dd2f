/** ELF files, built as a linker lays them out, so that tests can build bad ones. */

import { concatBytes, utf8 } from '../../shared/bytes.ts';

export interface SectionOf {
  readonly name: string;
  readonly type: number;
  readonly data: Uint8Array;
  readonly link?: number;
  readonly info?: number;
  readonly entry?: number;
}

export interface ElfOf {
  readonly bits?: 32 | 64;
  readonly isLittle?: boolean;
  readonly type?: number;
  readonly machine?: number;
  readonly sections?: readonly SectionOf[];
  /** `at` is an offset into the data of all sections; the address is the same. */
  readonly segments?: readonly { readonly type: number; readonly of: string }[];
}

/** Numbers in a byte order. */
export class Pen {
  readonly #isLittle: boolean;
  constructor(isLittle: boolean) {
    this.#isLittle = isLittle;
  }
  number(value: number | bigint, size: number): Uint8Array {
    const bytes = new Uint8Array(size);
    let rest = BigInt(value);
    for (let i = 0; i < size; i++) {
      bytes[this.#isLittle ? i : size - 1 - i] = Number(rest & 0xffn);
      rest >>= 8n;
    }
    return bytes;
  }
  /** `[value, size]` pairs, one after the other. */
  numbers(...pairs: readonly (readonly [number | bigint, number])[]): Uint8Array {
    return concatBytes(...pairs.map(([value, size]) => this.number(value, size)));
  }
}

/** Header, section data, section headers, program headers; section 0 is the empty one. */
export function buildElf({
  bits = 64,
  isLittle = true,
  type = 1,
  machine = 62,
  sections = [],
  segments = [],
}: ElfOf): Uint8Array {
  const pen = new Pen(isLittle);
  const word = bits / 8;
  const headerSize = bits === 64 ? 64 : 52;
  const strings = stringTable([...sections.map(({ name }) => name), '.shstrtab']);
  const all: SectionOf[] = [...sections, { name: '.shstrtab', type: 3, data: strings.bytes }];
  let at = headerSize;
  const places = all.map(({ data }) => {
    const place = at;
    at += data.length;
    return place;
  });
  const sectionsAt = at;
  const sectionSize = bits === 64 ? 64 : 40;
  const segmentsAt = sectionsAt + sectionSize * (all.length + 1);
  const sectionHeaders = all.map(({ name, type, data, link = 0, info = 0, entry = 0 }, i) =>
    pen.numbers(
      ...([
        [strings.at(name), 4],
        [type, 4],
        [0, word],
        [0, word],
        [places[i] as number, word],
        [data.length, word],
        [link, 4],
        [info, 4],
        [1, word],
        [entry, word],
      ] as const),
    ),
  );
  const programHeaders = segments.map(({ type, of }) => {
    const i = all.findIndex(({ name }) => name === of);
    const [place, size] = [places[i] as number, (all[i] as SectionOf).data.length];
    return bits === 64
      ? pen.numbers(
          [type, 4],
          [4, 4],
          [place, 8],
          [place, 8],
          [place, 8],
          [size, 8],
          [size, 8],
          [1, 8],
        )
      : pen.numbers(
          [type, 4],
          [place, 4],
          [place, 4],
          [place, 4],
          [size, 4],
          [size, 4],
          [4, 4],
          [1, 4],
        );
  });
  const header = concatBytes(
    Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, bits === 64 ? 2 : 1, isLittle ? 1 : 2, 1),
    new Uint8Array(9),
    pen.numbers([type, 2], [machine, 2], [1, 4], [0, word]),
    pen.numbers([segments.length > 0 ? segmentsAt : 0, word], [sectionsAt, word], [0, 4]),
    pen.numbers([headerSize, 2], [bits === 64 ? 56 : 32, 2], [segments.length, 2]),
    pen.numbers([sectionSize, 2], [all.length + 1, 2], [all.length, 2]),
  );
  const data = all.map((one) => one.data);
  const empty = new Uint8Array(sectionSize);
  return concatBytes(header, ...data, empty, ...sectionHeaders, ...programHeaders);
}

export function stringTable(names: readonly string[]): {
  readonly bytes: Uint8Array;
  readonly at: (name: string) => number;
} {
  const bytes = utf8(`\0${names.map((name) => `${name}\0`).join('')}`);
  const places = new Map<string, number>();
  let at = 1;
  for (const name of names) {
    places.set(name, at);
    at += utf8(name).length + 1;
  }
  return { bytes, at: (name) => places.get(name) ?? 0 };
}

/** A symbol table and its strings: `undefined` symbols, and one that is defined here. */
export function symbolSections(
  names: readonly string[],
  link: number,
  { bits = 64, isLittle = true, type = 2 } = {},
): SectionOf[] {
  const pen = new Pen(isLittle);
  const strings = stringTable([...names, 'defined_here']);
  const symbol = (name: string, section: number): Uint8Array =>
    bits === 64
      ? pen.numbers([strings.at(name), 4], [0, 1], [0, 1], [section, 2], [0, 8], [0, 8])
      : pen.numbers([strings.at(name), 4], [0, 4], [0, 4], [0, 1], [0, 1], [section, 2]);
  const data = concatBytes(
    symbol('', 0),
    ...names.map((name) => symbol(name, 0)),
    symbol('defined_here', 1),
  );
  return [
    { name: '.symtab', type, data, link, entry: bits === 64 ? 24 : 16 },
    { name: '.strtab', type: 3, data: strings.bytes },
  ];
}

export const BUILD_ID = '00112233445566778899aabbccddeeff00112233';

export function buildIdNote(isLittle = true, id = BUILD_ID): SectionOf {
  const pen = new Pen(isLittle);
  const bytes = Buffer.from(id, 'hex');
  const data = concatBytes(
    pen.numbers([4, 4], [bytes.length, 4], [3, 4]),
    utf8('GNU\0'),
    Uint8Array.from(bytes),
  );
  return { name: '.note.gnu.build-id', type: 7, data };
}

export const modinfo = (...lines: string[]): SectionOf => ({
  name: '.modinfo',
  type: 1,
  data: utf8(lines.map((line) => `${line}\0`).join('')),
});

export const EDU_INFO = [
  'name=edu',
  'version=1.2.0',
  'license=GPL v2',
  'vermagic=6.12.0-lab SMP mod_unload ',
  'srcversion=0123456789ABCDEF0123456',
  'depends=vfio,vfio-pci-core',
  'alias=pci:v00001234d000011E8sv*sd*bc*sc*i*',
  'author=Zoë',
  'parm=debug:how much to say',
];

export function eduModule(bits: 32 | 64 = 64, isLittle = true): Uint8Array {
  return buildElf({
    bits,
    isLittle,
    machine: bits === 64 ? 62 : 40,
    sections: [
      ...symbolSections(['pci_iomap', 'kmalloc', 'request_irq', 'kmalloc'], 2, { bits, isLittle }),
      buildIdNote(isLittle),
      modinfo(...EDU_INFO),
    ],
  });
}

/** A kernel module as the tests know it. */
export const EDU_MODULE = eduModule();

/** A shared library that needs two others; its strings are loaded, and the loader finds them so. */
export function library(bits: 32 | 64 = 64, isLittle = true): Uint8Array {
  const pen = new Pen(isLittle);
  const word = bits / 8;
  const strings = stringTable(['libc.so.6', 'libm.so.6']);
  const symbols = symbolSections(['memcpy', 'sin'], 3, { bits, isLittle, type: 11 });
  const header = bits === 64 ? 64 : 52;
  const pairs: [number, number][] = [
    [1, strings.at('libc.so.6')],
    [1, strings.at('libm.so.6')],
    [5, header],
    [10, strings.bytes.length],
    [0, 0],
  ];
  const dynamic = concatBytes(
    ...pairs.map(([tag, value]) => pen.numbers([tag, word], [value, word])),
  );
  return buildElf({
    bits,
    isLittle,
    type: 3,
    machine: bits === 64 ? 183 : 8,
    sections: [
      { name: '.dynstr', type: 3, data: strings.bytes },
      ...symbols,
      { name: '.dynamic', type: 6, data: dynamic, link: 1, entry: 2 * word },
    ],
    segments: [
      { type: 1, of: '.dynstr' },
      { type: 2, of: '.dynamic' },
    ],
  });
}

export const LIBRARY = library();
