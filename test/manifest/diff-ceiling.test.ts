import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { type Ceiling, parseCeiling } from '../../shared/manifest/ceiling.ts';
import { diffCeilings, isWider } from '../../shared/manifest/diff-ceiling.ts';
import { explainCeiling } from '../../shared/manifest/explain-ceiling.ts';
import { hexU64 } from '../../shared/manifest/numbers.ts';
import type { Window } from '../../shared/manifest/windows.ts';
import { holds, node } from './support.ts';

const edu = JSON.parse(
  readFileSync(new URL('../../examples/edu/ceiling.json', import.meta.url), 'utf8'),
);
const ceiling = (change: object = {}): Ceiling => parseCeiling(node({ ...edu, ...change }));
const words = (before: object, after: object): string[] =>
  diffCeilings(ceiling(before), ceiling(after)).map(({ effect, text }) => `${effect}: ${text}`);
const NO_DMA = { total_bytes: '0x0', windows_max: 0 };
const hex = (value: number): string => hexU64(BigInt(value));
const bar = (index: number, offset: number, length: number, access = 'read') => ({
  index,
  offset_bytes: hexU64(BigInt(offset)),
  length_bytes: hexU64(BigInt(length)),
  access,
});

t.test('each way of having more or less, in words', async (t) => {
  const dma = (change: object) => ({ dma: { ...edu.dma, ...change } });
  const each = { dma_bytes: '0x1000', mmio_bytes: '0x1000', interrupts_per_second: 5 };
  const fixed = { iova: '0x1000', length_bytes: '0x1000', access: 'read' };
  for (const [before, after, expected] of [
    [{}, {}, []],
    [
      { bars: [bar(2, 0, 0x1000)] },
      { bars: [bar(2, 0, 0x1000, 'read-write')] },
      ['wider: BAR 2, 0x0..0xfff (4 KiB): becomes writable, it was read only'],
    ],
    [
      { bars: [bar(2, 0, 0x2000, 'read-write')] },
      { bars: [bar(2, 0, 0x1000), bar(1, 0, 0x1000, 'read-write')] },
      [
        'wider: BAR 1, 0x0..0xfff (4 KiB): newly asked for, to read and write',
        'narrower: BAR 2, 0x1000..0x1fff (4 KiB): given up',
        'narrower: BAR 2, 0x0..0xfff (4 KiB): only read from now on',
      ],
    ],
    [{ bars: [bar(0, 0, 0x1000), bar(0, 0x1000, 0x1000)] }, { bars: [bar(0, 0, 0x2000)] }, []],
    [
      {},
      dma({ total_bytes: '0x4000000' }),
      ['wider: DMA: memory at once grows from 64 KiB to 64 MiB'],
    ],
    [
      dma({ direction: 'to-device' }),
      {},
      ['wider: DMA: the device may read and write memory, before only read it'],
    ],
    [
      dma({ direction: 'to-device' }),
      dma({ direction: 'from-device' }),
      ['wider: DMA: the device may write memory, before only read it'],
    ],
    [
      dma({ windows: [fixed] }),
      {},
      [
        'wider: DMA: the device may read and write memory, before only read it',
        'wider: DMA: windows lie wherever the agent puts them, before only in 0x1000..0x1fff',
      ],
    ],
    [
      {},
      dma({ windows: [{ ...fixed, access: 'read-write' }] }),
      ['narrower: DMA: windows lie only in 0x1000..0x1fff, before wherever the agent put them'],
    ],
    [
      dma({ windows: [fixed] }),
      dma({ windows: [{ ...fixed, access: 'read-write' }] }),
      ['wider: DMA: the device may now write 0x1000..0x1fff'],
    ],
    [
      dma({ windows: [fixed] }),
      dma({ windows: [{ ...fixed, iova: '0x1800', access: 'read-write' }] }),
      [
        'wider: DMA: the device may now read and write 0x2000..0x27ff',
        'wider: DMA: the device may now write 0x1800..0x1fff',
        'narrower: DMA: the device may no longer read 0x1000..0x17ff',
      ],
    ],
    [
      {},
      dma({ ...NO_DMA, mask_bits: 64, direction: 'to-device', alignment_bytes: '0x1000' }),
      ['narrower: DMA: none any more, before up to 64 KiB at once'],
    ],
    [
      dma({ ...NO_DMA, mask_bits: 32 }),
      dma({ ...NO_DMA, mask_bits: 64, segments_max: 1, direction: 'to-device' }),
      [],
    ],
    [
      dma({ windows: [] }),
      dma({ direction: 'to-device', windows: [fixed] }),
      [
        'wider: DMA: newly asked for: at most 64 KiB in 1 window, the device reads, addresses of 28 bits',
        'wider: DMA window: 0x1000..0x1fff, 4 KiB, the device reads',
      ],
    ],
    [
      dma({ segments_max: 4 }),
      {},
      ['wider: DMA: any number of pieces in one transfer, before up to 4'],
    ],
    [
      {},
      dma({ boundary_bytes: '0x100000', alignment_bytes: '0x1000' }),
      [
        'other: DMA: windows begin at multiples of 4 KiB, before anywhere',
        'other: DMA: windows cross no multiple of 1 MiB, before they may cross any address',
      ],
    ],
    [
      {},
      { interrupts: { kind: 'msi', vectors: 4, per_second_budget: 1000 } },
      ['wider: interrupts: 4 vectors, before 1'],
    ],
    [
      {},
      { interrupts: { kind: 'none', vectors: 0, per_second_budget: 0 } },
      ['narrower: interrupts: none any more, before msi, 1 vector, at most 1000 a second'],
    ],
    [
      { interrupts: { kind: 'none', vectors: 0, per_second_budget: 0 } },
      {},
      ['wider: interrupts: newly asked for: msi, 1 vector, at most 1000 a second'],
    ],
    [
      { interrupts: { kind: 'msix', vectors: 4, per_second_budget: 1000 } },
      {},
      ['wider: interrupts: msi, before msix', 'narrower: interrupts: 1 vector, before 4'],
    ],
    [
      {},
      { ports: [{ port: 0x60, count: 5 }] },
      ['wider: I/O ports 0x60..0x64 (5 ports): newly asked for'],
    ],
    [
      {},
      { devices: [{ vendor: '0x1234', device: '0x11e8' }] },
      ['wider: for every device 1234:11e8; before only for 1234:11e8, class 00ff00'],
    ],
    [
      { devices: [{ vendor: '0x1234', device: '0x11e8' }] },
      {},
      ['narrower: no longer for every device 1234:11e8; only for 1234:11e8, class 00ff00'],
    ],
    [
      { devices: [{ vendor: '0x1234', device: '0x11e8' }] },
      { devices: [{ vendor: '0x1234', device: '0x11e9' }] },
      ['wider: now also for the device 1234:11e9', 'narrower: no longer for the device 1234:11e8'],
    ],
    [
      { virtual_functions: { count_max: 1, each } },
      { virtual_functions: { count_max: 2, each: { ...each, mmio_bytes: '0x400' } } },
      [
        'wider: virtual functions: at most 2, before 1',
        'narrower: each virtual function: 1 KiB of registers, before 4 KiB',
      ],
    ],
    [
      { virtual_functions: { count_max: 1, each } },
      {},
      ['narrower: virtual functions: none any more, before at most 1'],
    ],
    [
      {},
      { virtual_functions: { count_max: 4, each } },
      [
        'wider: virtual functions: newly asked for: at most 4, each with 4 KiB of DMA, 4 KiB of registers and 5 interrupts a second',
      ],
    ],
    [
      {},
      { isolation: { mode: 'shared-virtual-addressing', pasid_bits: 8 } },
      [
        'wider: the device works in the address space of a process (shared virtual addressing): it reaches all memory of that process, before only windows of DMA',
      ],
    ],
    [
      { requires: { device_attestation: true, boot_state: 'trusted' } },
      { requires: { device_attestation: false, boot_state: 'degraded' } },
      [
        'wider: the device need not attest itself any more',
        'wider: the measured boot of the host: degraded or trusted, before trusted',
      ],
    ],
    [{ generation: 3 }, { generation: 2 }, ['wider: security generation goes back from 3 to 2']],
    [
      {},
      { generation: 2, abi: { min: 1, max: 2, features: '0x3' } },
      [
        'other: driver ABI 1 to 2, before 1',
        'wider: now asks for the descriptor of its device itself, past the broker of the agent',
        'other: now needs the ABI features 0x2',
        'other: security generation 2, before 1',
      ],
    ],
    [
      { abi: { min: 1, max: 1, layout: { size_bytes: '0x40', alignment_bytes: '0x8' } } },
      {},
      ['other: descriptor of the driver ABI: none, before 64 bytes at multiples of 8 bytes'],
    ],
  ] as [object, object, string[]][]) {
    t.same(words(before, after), expected, JSON.stringify(after));
  }
});

const bars = fc
  .array(
    fc.tuple(
      fc.constantFrom(0, 4),
      fc.integer({ min: 0, max: 3 }),
      fc.integer({ min: 1, max: 4 }),
      fc.constantFrom('read', 'read-write'),
    ),
    { maxLength: 4 },
  )
  .map((list) => {
    const ends = new Map<number, number>();
    return list.map(([index, gap, length, access]) => {
      const start = (ends.get(index) ?? 0) + gap;
      ends.set(index, start + length);
      return bar(index, start, length, access);
    });
  });

t.test('wider means: some address is allowed that was not', async (t) => {
  const may = (claim: Ceiling, write: boolean): Set<string> =>
    new Set(
      claim.bars
        .filter(({ access }) => !write || access === 'read-write')
        .flatMap(({ index, window }) => {
          const all: string[] = [];
          for (let at = window.start; at < window.end; at++) all.push(`${index} ${at}`);
          return all;
        }),
    );
  const more = (a: Set<string>, b: Set<string>): boolean => [...b].some((it) => !a.has(it));
  holds(
    t,
    'for every two lists of BAR windows',
    fc.property(bars, bars, (a, b) => {
      const [before, after] = [ceiling({ bars: a }), ceiling({ bars: b })];
      const expected =
        more(may(before, false), may(after, false)) || more(may(before, true), may(after, true));
      assert.equal(isWider(before, after), expected);
      // What is wider one way is narrower the other.
      const back = diffCeilings(after, before);
      assert.equal(
        back.some(({ effect }) => effect === 'narrower'),
        expected,
      );
      assert.deepEqual(diffCeilings(before, before), []);
    }),
    300,
  );
});

const UNIT = 0x1000;
const dmaClaims = fc
  .record({
    maskBits: fc.constantFrom(20, 32),
    units: fc.nat(6),
    windowsMax: fc.integer({ min: 1, max: 4 }),
    direction: fc.constantFrom('to-device', 'from-device', 'bidirectional'),
    segments: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
    fixed: fc.option(
      fc.array(
        fc.tuple(
          fc.integer({ min: 1, max: 3 }),
          fc.integer({ min: 1, max: 2 }),
          fc.constantFrom('read', 'write', 'read-write'),
        ),
        { maxLength: 3 },
      ),
      { nil: undefined },
    ),
  })
  .map(({ maskBits, units, windowsMax, direction, segments, fixed }) => {
    let [at, left] = [0, units];
    const allowed = { 'to-device': 'read', 'from-device': 'write', bidirectional: undefined };
    const windows = fixed?.slice(0, units === 0 ? 0 : windowsMax).flatMap(([gap, length, any]) => {
      const take = Math.min(length, left);
      left -= take;
      const start = at + gap;
      at = start + take;
      const access = allowed[direction as 'to-device'] ?? any;
      return take === 0
        ? []
        : [{ iova: hex(start * UNIT), length_bytes: hex(take * UNIT), access }];
    });
    return {
      mask_bits: maskBits,
      total_bytes: hex(units * UNIT),
      windows_max: units === 0 ? 0 : windowsMax,
      direction,
      segments_max: segments,
      windows,
    };
  });

t.test('of memory too: some address, some amount, or somewhere to put it', async (t) => {
  const SEEN = 24;
  /** What the device may do where, by asking for each address in turn. */
  const may = ({ dma }: Ceiling): Set<string> => {
    const reach = new Set<string>();
    for (let at = 1; at < SEEN; at++)
      for (const access of ['read', 'write'] as const) {
        const open = dma.direction !== (access === 'read' ? 'from-device' : 'to-device');
        const isIn = ({ window, access: given }: { window: Window; access: string }): boolean =>
          window.start <= BigInt(at * UNIT) &&
          BigInt(at * UNIT) < window.end &&
          given.includes(access);
        if (dma.totalBytes > 0n && (dma.windows === undefined ? open : dma.windows.some(isIn)))
          reach.add(`${access} ${at}`);
      }
    return reach;
  };
  holds(
    t,
    'for every two claims of DMA',
    fc.property(dmaClaims, dmaClaims, (a, b) => {
      const [before, after] = [ceiling({ dma: a }), ceiling({ dma: b })];
      const [had, has] = [may(before), may(after)];
      const more = [...has].some((it) => !had.has(it));
      const pieces = ({ dma }: Ceiling): number => dma.segmentsMax ?? Number.POSITIVE_INFINITY;
      const grows =
        after.dma.totalBytes > before.dma.totalBytes ||
        after.dma.windowsMax > before.dma.windowsMax ||
        after.dma.maskBits > before.dma.maskBits ||
        pieces(after) > pieces(before);
      // Without memory no number about it is more than before.
      assert.equal(isWider(before, after), has.size > 0 && (had.size === 0 || more || grows));
      // What is more one way is something else than before the other way.
      const back = diffCeilings(after, before).map(({ effect }) => effect);
      if (isWider(before, after)) assert.ok(back.some((effect) => effect !== 'other'));
      assert.deepEqual(diffCeilings(before, before), []);
    }),
    500,
  );
});

t.test('a ceiling in sentences', async (t) => {
  t.same(explainCeiling(ceiling()), [
    ['for', '1234:11e8, class 00ff00'],
    ['BAR 0', 'read and write 0x0..0xfff, 4 KiB'],
    ['BAR 0', 'read and write 0x40000..0x40fff, 4 KiB'],
    ['interrupts', 'msi, 1 vector, at most 1000 a second'],
    ['DMA', 'at most 64 KiB in 1 window, the device reads and writes, addresses of 28 bits'],
    ['DMA window', 'where the agent puts it'],
    ['virtual functions', 'none'],
    ['isolation', 'memory is reached through mapped windows'],
    ['requires', 'no attestation of the device, any boot'],
    ['driver ABI', '1'],
    ['generation', '1'],
  ]);
});
