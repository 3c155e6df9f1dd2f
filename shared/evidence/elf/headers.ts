/** The headers of an ELF file: what it is, its sections and its segments (System V ABI, chapter 4). */

import { ELF_LIMITS } from '../../limits.ts';
import { malformed, View } from './view.ts';

export interface Section {
  readonly name: number;
  readonly type: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
  readonly info: number;
  readonly entry: number;
}

export interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: bigint;
  readonly size: number;
}

export interface Headers {
  readonly view: View;
  readonly bits: 32 | 64;
  readonly isLittle: boolean;
  /** e_type and e_machine. */
  readonly type: number;
  readonly machine: number;
  readonly sections: readonly Section[];
  /** The section that holds the sections' names; 0 when there is none. */
  readonly names: number;
  readonly segments: readonly Segment[];
}

const MAGIC = [0x7f, 0x45, 0x4c, 0x46];
/** e_phnum, e_shstrndx: the number did not fit, and stands in section 0. */
const EXTENDED = 0xffff;

/** Whether the bytes begin as an ELF file does. */
export function isElf(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, i) => bytes[i] === byte);
}

/** Reads them all. `E_SCHEMA`. */
export function readHeaders(bytes: Uint8Array): Headers {
  if (!isElf(bytes)) throw malformed('it does not begin with 7f 45 4c 46');
  const [classOf, order, version] = [bytes[4], bytes[5], bytes[6]];
  if (classOf !== 1 && classOf !== 2) throw malformed('its class is neither 32 nor 64 bits');
  if (order !== 1 && order !== 2) throw malformed('its byte order is unknown');
  if (version !== 1) throw malformed('its version is not 1');
  const is64 = classOf === 2;
  const view = new View(bytes, order === 1, is64);
  // After e_ident: e_type, e_machine, e_version, then e_entry, e_phoff, e_shoff, by class.
  const word = is64 ? 8 : 4;
  const segmentsAt = view.offset(24 + word);
  const sectionsAt = view.offset(24 + 2 * word);
  const counts = 24 + 3 * word + 4;
  const [, segmentSize, segmentCount, sectionSize, sectionCount, names] = Array.from(
    { length: 6 },
    (_, i) => view.u16(counts + 2 * i),
  ) as [number, number, number, number, number, number];

  const sections = readSections(view, sectionsAt, sectionSize, sectionCount);
  const first = sections[0];
  return {
    view,
    bits: is64 ? 64 : 32,
    isLittle: order === 1,
    type: view.u16(16),
    machine: view.u16(18),
    sections,
    names: names === EXTENDED ? (first?.link ?? 0) : names,
    segments: readSegments(
      view,
      segmentsAt,
      segmentSize,
      segmentCount === EXTENDED ? (first?.info ?? segmentCount) : segmentCount,
    ),
  };
}

function readSections(view: View, at: number, size: number, count: number): Section[] {
  if (at === 0) return [];
  const wanted = view.is64 ? 64 : 40;
  if (size !== wanted) throw malformed(`section headers of ${size} bytes`);
  const read = (i: number): Section =>
    readSection(view.view(at + i * size, size, 'a section header'));
  // e_shnum 0: more than fit, their number is the size of section 0.
  const all = count === 0 ? read(0).size : count;
  if (all > ELF_LIMITS.headers) throw malformed(`${all} sections`);
  return Array.from({ length: all }, (_, i) => read(i));
}

function readSection(view: View): Section {
  const word = view.is64 ? 8 : 4;
  // sh_name, sh_type, sh_flags, sh_addr, sh_offset, sh_size, sh_link, sh_info, sh_addralign, sh_entsize
  return {
    name: view.u32(0),
    type: view.u32(4),
    offset: view.offset(8 + 2 * word),
    size: view.offset(8 + 3 * word),
    link: view.u32(8 + 4 * word),
    info: view.u32(12 + 4 * word),
    entry: view.offset(16 + 5 * word),
  };
}

function readSegments(view: View, at: number, size: number, count: number): Segment[] {
  if (at === 0 || count === 0) return [];
  if (size !== (view.is64 ? 56 : 32)) throw malformed(`program headers of ${size} bytes`);
  if (count > ELF_LIMITS.headers) throw malformed(`${count} program headers`);
  return Array.from({ length: count }, (_, i) => {
    const one = view.view(at + i * size, size, 'a program header');
    const [offset, address, length] = view.is64 ? [8, 16, 32] : [4, 8, 16];
    return {
      type: one.u32(0),
      offset: one.offset(offset as number),
      address: one.address(address as number),
      size: one.offset(length as number),
    };
  });
}
