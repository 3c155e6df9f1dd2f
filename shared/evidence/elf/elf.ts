/**
 * What an ELF file says of itself: what it is for, what it needs from others, its build id and, of
 * a kernel module, what stands in .modinfo. Nothing of it is believed beyond that it stands there.
 */

import { toHex } from '../../bytes.ts';
import { IronError } from '../../errors.ts';
import { ELF_LIMITS } from '../../limits.ts';
import { readNeeded } from './dynamic.ts';
import { type Headers, readHeaders, type Section } from './headers.ts';
import { machineName } from './machine.ts';
import { type ModuleInfo, readModuleInfo } from './module-info.ts';
import { Names } from './names.ts';
import { malformed, type View } from './view.ts';

export interface Elf {
  readonly bits: 32 | 64;
  readonly byteOrder: 'little' | 'big';
  readonly kind: 'relocatable' | 'executable' | 'shared' | 'other';
  /** The usual name, or `machine N`. */
  readonly machine: string;
  /** In lower-case hexadecimal, when a note has one. */
  readonly buildId?: string;
  /** Symbols that it takes from elsewhere, sorted, each once. */
  readonly symbols: readonly string[];
  /** Libraries that the loader must find first (DT_NEEDED), in their order. */
  readonly libraries: readonly string[];
  /** Of a kernel module. */
  readonly module?: ModuleInfo;
}

const KINDS: Readonly<Record<number, Elf['kind']>> = {
  1: 'relocatable',
  2: 'executable',
  3: 'shared',
};
const SHT = { symbols: 2, note: 7, dynamicSymbols: 11, noBits: 8 } as const;
const PT_NOTE = 4;
const NT_GNU_BUILD_ID = 3;

/** Reads a file; what is appended to it does not matter. `E_SCHEMA`, `E_TOO_LARGE`. */
export function parseElf(bytes: Uint8Array): Elf {
  if (bytes.length > ELF_LIMITS.file)
    throw new IronError('E_TOO_LARGE', `an ELF file of more than ${ELF_LIMITS.file} bytes`);
  const headers = readHeaders(bytes);
  const names = new Names();
  const buildId = findBuildId(headers);
  const info = findSection(headers, names, '.modinfo');
  const module = info === undefined ? undefined : readModuleInfo(info, names);
  return {
    bits: headers.bits,
    byteOrder: headers.isLittle ? 'little' : 'big',
    kind: KINDS[headers.type] ?? 'other',
    machine: machineName(headers.machine),
    ...(buildId !== undefined && { buildId }),
    symbols: readUndefined(headers, names),
    libraries: readNeeded(headers, names),
    ...(module !== undefined && { module }),
  };
}

function content({ view }: Headers, section: Section, what: string): View {
  if (section.type === SHT.noBits) throw malformed(`${what} has no bytes`);
  return view.view(section.offset, section.size, what);
}

/** The one section of that name: of two, nobody knows which another reader would take. */
function findSection(headers: Headers, names: Names, name: string): Uint8Array | undefined {
  const table = headers.sections[headers.names];
  if (headers.names === 0 || table === undefined) return undefined;
  const text = content(headers, table, 'the table of section names').bytes;
  const wanted = `${name}\0`;
  const found = headers.sections.filter(
    (one) =>
      text[one.name] === wanted.charCodeAt(0) &&
      Array.from(wanted).every((char, i) => text[one.name + i] === char.charCodeAt(0)),
  );
  if (found.length > 1) throw malformed(`there are ${found.length} sections ${name}`);
  const [only] = found;
  if (only === undefined) return undefined;
  names.at(text, only.name, 'the name of a section');
  return content(headers, only, name).bytes;
}

/** Undefined symbols: those of the loader where there are any, else all (System V ABI, st_shndx). */
function readUndefined(headers: Headers, names: Names): string[] {
  const of = (type: number): Section[] => headers.sections.filter((one) => one.type === type);
  const tables = of(SHT.dynamicSymbols).length > 0 ? of(SHT.dynamicSymbols) : of(SHT.symbols);
  const found = new Set<string>();
  const size = headers.bits === 64 ? 24 : 16;
  // st_shndx stands behind st_name, st_info and st_other, of 32 bits also behind value and size.
  const sectionAt = headers.bits === 64 ? 6 : 14;
  let left: number = ELF_LIMITS.symbols;
  for (const table of tables) {
    if (table.entry !== size) throw malformed(`symbols of ${table.entry} bytes`);
    const text = headers.sections[table.link];
    if (text === undefined) throw malformed('a symbol table without names');
    const strings = content(headers, text, 'the names of symbols').bytes;
    const symbols = content(headers, table, 'a symbol table');
    const count = Math.floor(symbols.bytes.length / size);
    left -= count;
    if (left < 0) throw malformed(`more than ${ELF_LIMITS.symbols} symbols`);
    for (let i = 1; i < count; i++) {
      if (symbols.u16(i * size + sectionAt) !== 0) continue;
      const at = symbols.u32(i * size);
      if (at !== 0) found.add(names.at(strings, at, 'the name of a symbol'));
    }
  }
  return [...found].sort();
}

/** The note of the linker, in a section or, where there are none, in a segment. */
function findBuildId(headers: Headers): string | undefined {
  const sections = headers.sections.filter(({ type }) => type === SHT.note);
  const segments = headers.segments.filter(({ type }) => type === PT_NOTE);
  const places = sections.length > 0 ? sections : segments;
  const found = new Set<string>();
  let left: number = ELF_LIMITS.notes;
  for (const { offset, size } of places) {
    left -= size;
    if (left < 0) throw malformed(`more than ${ELF_LIMITS.notes} bytes of notes`);
    for (const id of buildIds(headers.view.view(offset, size, 'a note'))) found.add(id);
  }
  if (found.size > 1) throw malformed('it has two build ids');
  return [...found][0];
}

function* buildIds(view: View): Generator<string> {
  const end = view.bytes.length;
  const padded = (length: number): number => Math.ceil(length / 4) * 4;
  for (let at = 0; at + 12 <= end; ) {
    const [nameLength, length, type] = [view.u32(at), view.u32(at + 4), view.u32(at + 8)];
    const description = at + 12 + padded(nameLength);
    // Notes with another alignment (properties of GNU) are not padded as we think; none has an id.
    if (description + length > end) return;
    const isGnu = nameLength === 4 && toHex(view.bytes.subarray(at + 12, at + 16)) === '474e5500';
    if (isGnu && type === NT_GNU_BUILD_ID && length > 0 && length <= 64)
      yield toHex(view.bytes.subarray(description, description + length));
    at = description + padded(length);
  }
}
