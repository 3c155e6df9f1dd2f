/** ELF files: good ones of each class and byte order, and what hostile ones are refused for. */

import t from 'tap';
import { concatBytes, utf8 } from '../../shared/bytes.ts';
import { isIronError } from '../../shared/errors.ts';
import { parseElf } from '../../shared/evidence/elf/elf.ts';
import { ELF_LIMITS } from '../../shared/limits.ts';
import {
  BUILD_ID,
  buildElf,
  buildIdNote,
  EDU_INFO,
  EDU_MODULE,
  eduModule,
  LIBRARY,
  library,
  modinfo,
  symbolSections,
} from './elf-support.ts';
import { refused } from './support.ts';

const VARIANTS = [
  [64, true],
  [64, false],
  [32, true],
  [32, false],
] as const;

t.test('a kernel module, in each class and byte order', async (t) => {
  for (const [bits, isLittle] of VARIANTS) {
    const elf = parseElf(eduModule(bits, isLittle));
    t.match(elf, {
      bits,
      byteOrder: isLittle ? 'little' : 'big',
      kind: 'relocatable',
      machine: bits === 64 ? 'x86-64' : 'arm',
      buildId: BUILD_ID,
      libraries: [],
    });
    t.same(elf.symbols, ['kmalloc', 'pci_iomap', 'request_irq'], 'sorted, once, none defined here');
    t.same(elf.module, {
      name: 'edu',
      version: '1.2.0',
      licences: ['GPL v2'],
      vermagic: '6.12.0-lab SMP mod_unload ',
      srcversion: '0123456789ABCDEF0123456',
      depends: ['vfio', 'vfio-pci-core'],
      aliases: ['pci:v00001234d000011E8sv*sd*bc*sc*i*'],
    });
  }
});

t.test('a shared library: what the loader must find', async (t) => {
  for (const [bits, isLittle] of VARIANTS) {
    const elf = parseElf(library(bits, isLittle));
    t.match(elf, {
      kind: 'shared',
      machine: bits === 64 ? 'aarch64' : 'mips',
      symbols: ['memcpy', 'sin'],
    });
    t.same(elf.libraries, ['libc.so.6', 'libm.so.6']);
    t.equal(elf.module, undefined);
  }
});

t.test('what is not there is not claimed', async (t) => {
  const bare = parseElf(buildElf({ machine: 9999, type: 4 }));
  t.same(bare, {
    bits: 64,
    byteOrder: 'little',
    kind: 'other',
    machine: 'machine 9999',
    symbols: [],
    libraries: [],
  });
  const empty = parseElf(buildElf({ sections: [modinfo('novalue', 'depends=', 'version=')] }));
  t.same(empty.module, { licences: [], depends: [], aliases: [] });
});

t.test('every truncation is refused or reads as less, with a code', async (t) => {
  for (const whole of [EDU_MODULE, LIBRARY]) {
    for (let length = 0; length < whole.length; length++) {
      try {
        parseElf(whole.subarray(0, length));
        t.fail(`${length} of ${whole.length} bytes were taken`);
      } catch (error) {
        if (!isIronError(error, 'E_SCHEMA')) throw error;
      }
    }
  }
});

const set = (bytes: Uint8Array, at: number, ...values: number[]): Uint8Array => {
  const copy = Uint8Array.from(bytes);
  copy.set(values, at);
  return copy;
};
/** Where the headers of the sections begin, and one of them. */
const section = (bytes: Uint8Array, index: number, field: number): number =>
  Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(40, true)) + 64 * index + field;

t.test('hostile headers', async (t) => {
  const bad = (bytes: Uint8Array, name: string) =>
    refused(t, () => parseElf(bytes), 'E_SCHEMA', name);
  bad(set(EDU_MODULE, 0, 0x7e), 'another magic');
  bad(set(EDU_MODULE, 4, 3), 'a class of its own');
  bad(set(EDU_MODULE, 5, 0), 'no byte order');
  bad(set(EDU_MODULE, 6, 2), 'another version');
  const full = [255, 255, 255, 255, 255, 255, 255, 255];
  bad(set(EDU_MODULE, 40, ...full), 'sections at 2^64 - 1');
  bad(set(EDU_MODULE, 40, 0, 0, 0, 0, 0, 0, 32, 0), 'sections at 2^53');
  bad(set(EDU_MODULE, 58, 63, 0), 'section headers of another size');
  bad(set(LIBRARY, 54, 1, 0), 'program headers of another size');
  bad(set(LIBRARY, 56, 255, 254), '65,279 program headers');
  // e_shnum 0: their number stands in section 0.
  const many = set(EDU_MODULE, 60, 0, 0);
  bad(set(many, section(EDU_MODULE, 0, 32), ...full), 'sections without number');
  bad(
    set(many, section(EDU_MODULE, 0, 32), 1, 0, 1, 0),
    `more than ${ELF_LIMITS.headers} sections`,
  );
  const extended = set(many, section(EDU_MODULE, 0, 32), 6);
  t.equal(parseElf(extended).module?.name, 'edu', 'the number in section 0 is taken');
  const links = set(extended, 62, 255, 255);
  t.equal(
    parseElf(set(links, section(EDU_MODULE, 0, 40), 5)).module?.name,
    'edu',
    'so is the names',
  );
});

t.test('hostile tables', async (t) => {
  const bad = (bytes: Uint8Array, name: string) =>
    refused(t, () => parseElf(bytes), 'E_SCHEMA', name);
  const [symbols, strings] = symbolSections(['kmalloc'], 2) as [
    ReturnType<typeof modinfo>,
    ReturnType<typeof modinfo>,
  ];
  const of = (...sections: ReturnType<typeof modinfo>[]): Uint8Array => buildElf({ sections });
  t.same(parseElf(of(symbols, strings)).symbols, ['kmalloc']);
  bad(of({ ...symbols, entry: 0 }, strings), 'symbols of no bytes');
  bad(of({ ...symbols, link: 99 }, strings), 'names in a section that is not there');
  bad(of(symbols, { ...strings, type: 8 }), 'names that have no bytes');
  bad(of(symbols, { ...strings, data: strings.data.subarray(0, 1) }), 'a name beyond its table');
  bad(of(symbols, { ...strings, data: utf8('\0kmalloc') }), 'names without a zero byte');
  const long = utf8(`\0${'k'.repeat(ELF_LIMITS.name + 1)}\0`);
  bad(of(symbols, { ...strings, data: long }), 'a name without end');
  bad(of(symbols, { ...strings, data: utf8('\0k\u001b[2J\0') }), 'a name that moves the cursor');
  bad(of(symbols, { ...strings, data: Uint8Array.of(0, 0xff, 0xfe, 0) }), 'a name that is no text');
  bad(of(modinfo('name=a'), modinfo('name=b')), 'two sections .modinfo');
  bad(of(modinfo('name=a', 'name=b')), 'two names');
  bad(of({ ...modinfo(), data: utf8('name=a') }), '.modinfo without an end');
  bad(
    of({ ...modinfo(), data: concatBytes(utf8('license=G'), Uint8Array.of(0xff, 0)) }),
    'no UTF-8',
  );
  bad(of(buildIdNote(), buildIdNote(true, 'ff'.repeat(20))), 'two build ids');
  const many = Array.from({ length: ELF_LIMITS.names + 1 }, (_, i) => `alias=${i}\0`).join('');
  bad(of({ ...modinfo(), data: utf8(many) }), 'names without number');
  bad(of({ ...buildIdNote(), data: new Uint8Array(ELF_LIMITS.notes + 1) }), 'notes without end');
  // Overlapping sections: each is read for itself, and within the file.
  const overlapping = set(EDU_MODULE, section(EDU_MODULE, 4, 24), ...Array(8).fill(0));
  bad(overlapping, 'the strings of the header as notes and modinfo');
  t.equal(parseElf(of(modinfo(...EDU_INFO, ...EDU_INFO))).module?.name, 'edu', 'the same twice');
});

t.test('libraries whose names nobody loads, or that lie beyond', async (t) => {
  const bad = (bytes: Uint8Array, name: string) =>
    refused(t, () => parseElf(bytes), 'E_SCHEMA', name);
  const view = new DataView(LIBRARY.buffer, LIBRARY.byteOffset);
  const segments = Number(view.getBigUint64(32, true));
  const dynamic = Number(view.getBigUint64(segments + 56 + 8, true));
  bad(set(LIBRARY, segments, 4), 'no segment loads them');
  bad(set(LIBRARY, dynamic + 8, 255, 255), 'a name beyond the table');
  bad(set(LIBRARY, dynamic + 32, 6), 'no address of the names');
  bad(set(LIBRARY, dynamic + 56, 255, 255, 255, 255, 255, 255, 255, 255), 'a size of 2^64 - 1');
  bad(set(LIBRARY, segments + 8, 255, 255, 255, 127), 'a segment beyond the file');
});

t.test('too large is said before anything is read', async (t) => {
  const huge = { length: ELF_LIMITS.file + 1 } as unknown as Uint8Array;
  refused(t, () => parseElf(huge), 'E_TOO_LARGE', 'huge');
});
