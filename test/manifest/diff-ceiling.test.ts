import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { type Ceiling, parseCeiling } from '../../shared/manifest/ceiling.ts';
import { diffCeilings, isWider } from '../../shared/manifest/diff-ceiling.ts';
import { explainCeiling } from '../../shared/manifest/explain-ceiling.ts';
import { hexU64 } from '../../shared/manifest/numbers.ts';
import { holds, node } from './support.ts';

const edu = JSON.parse(
  readFileSync(new URL('../../examples/edu/ceiling.json', import.meta.url), 'utf8'),
);
const ceiling = (change: object = {}): Ceiling => parseCeiling(node({ ...edu, ...change }));
const words = (before: object, after: object): string[] =>
  diffCeilings(ceiling(before), ceiling(after)).map(({ effect, text }) => `${effect}: ${text}`);
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
      ['wider: DMA: windows lie wherever the agent puts them, before at fixed addresses'],
    ],
    [
      dma({ windows: [fixed] }),
      dma({ windows: [{ ...fixed, access: 'read-write' }] }),
      ['wider: DMA, where the device may write: 0x1000..0x1fff: newly asked for'],
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
        'other: DMA: windows begin at multiples of 4 KiB, before of 1 byte',
        'other: DMA: no window crosses a multiple of 1 MiB',
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
      ['narrower: interrupts: none any more, before msi'],
    ],
    [{}, { ports: [{ port: 0x60, count: 5 }] }, ['wider: I/O ports 0x60..0x64: newly asked for']],
    [
      {},
      { devices: [{ vendor: '0x1234', device: '0x11e8' }] },
      ['wider: for every device 1234:11e8, before only for 1234:11e8, class 00ff00'],
    ],
    [
      { devices: [{ vendor: '0x1234', device: '0x11e8' }] },
      {},
      ['narrower: of the devices 1234:11e8 only 1234:11e8, class 00ff00'],
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
      ['wider: virtual functions: without any limit, before at most 1'],
    ],
    [
      {},
      { isolation: { mode: 'shared-virtual-addressing', pasid_bits: 8 } },
      [
        'wider: the device works in the address space of a process (shared virtual addressing): all that the process has, before windows of DMA',
      ],
    ],
    [
      { requires: { device_attestation: true, boot_state: 'trusted' } },
      { requires: { device_attestation: false, boot_state: 'degraded' } },
      [
        'wider: the device need not attest itself any more',
        'wider: the measured boot of the host: degraded is enough, before it must be trusted',
      ],
    ],
    [{ generation: 3 }, { generation: 2 }, ['wider: security generation goes back from 3 to 2']],
    [
      {},
      { generation: 2, abi: { min: 1, max: 2, features: '0x3' } },
      [
        'other: driver ABI 1 to 2, before 1 to 1',
        'wider: now asks for the descriptor of its device itself, past the broker of the agent',
        'other: now needs the ABI features 0x2',
        'other: security generation 2, before 1',
      ],
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

t.test('a ceiling in sentences', async (t) => {
  t.same(explainCeiling(ceiling()), [
    ['for', '1234:11e8, class 00ff00'],
    ['BAR 0', 'read and write 0x0..0xfff, 4 KiB'],
    ['BAR 0', 'read and write 0x40000..0x40fff, 4 KiB'],
    ['interrupts', 'msi, 1 vector, at most 1000 a second'],
    ['DMA', 'at most 64 KiB in 1 window, the device reads and writes, addresses of 28 bits'],
    ['DMA window', 'where the agent puts it'],
    ['isolation', 'memory is reached through mapped windows'],
    ['requires', 'no attestation of the device, any boot'],
    ['driver ABI', '1 to 1'],
    ['generation', '1'],
  ]);
});
