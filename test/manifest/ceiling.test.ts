import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { IronError } from '../../shared/errors.ts';
import { parseCeiling } from '../../shared/manifest/ceiling.ts';
import { lintCeiling } from '../../shared/manifest/lint-ceiling.ts';
import { holds, node, refused } from './support.ts';

const file = new URL('../../examples/edu/ceiling.json', import.meta.url);
const edu = JSON.parse(readFileSync(file, 'utf8'));

t.test('the example is read and needs no advice', async (t) => {
  const ceiling = parseCeiling(node(edu));
  t.same(ceiling.devices, [{ vendor: 0x1234, device: 0x11e8, class: 0x00ff00 }]);
  t.same(
    ceiling.bars.map(({ index, window }) => [index, window.start, window.end]),
    [
      [0, 0n, 0x1000n],
      [0, 0x40000n, 0x41000n],
    ],
  );
  t.match(ceiling, { generation: 1, abi: { min: 1, max: 1 }, dma: { totalBytes: 0x10000n } });
  t.same(lintCeiling(ceiling), []);
});

const bar = { index: 0, offset_bytes: '0x0', length_bytes: '0x1000', access: 'read' };
const device = { vendor: '0x1234', device: '0x11e8' };
const iova = { iova: '0x1000', length_bytes: '0x1000', access: 'read' };
const vf = { dma_bytes: '0x1000', mmio_bytes: '0x1000', interrupts_per_second: 0 };
const over = (name: string, change: object): object => ({ [name]: { ...edu[name], ...change } });

t.test('one wrong thing each', async (t) => {
  for (const [change, code, message] of [
    // shape
    [{ extra: 1 }, 'E_SCHEMA', /unknown/],
    [{ __proto__x: 1 }, 'E_SCHEMA', /unknown/],
    [{ dma: undefined }, 'E_SCHEMA', /missing/],
    [{ devices: [{ ...device, devise: '0x0001' }] }, 'E_SCHEMA', /unknown/],
    [{ devices: [{ vendor: '0x1234' }] }, 'E_SCHEMA', /missing/],
    [{ devices: [{ vendor: 0x1234, device: 1 }] }, 'E_SCHEMA', /string/],
    [{ devices: [{ ...device, vendor: '0x123' }] }, 'E_SCHEMA', /0x0000/],
    [{ devices: [{ ...device, class: '0xff00' }] }, 'E_SCHEMA', /0x000000/],
    [{ bars: [{ ...bar, index: 6 }] }, 'E_SCHEMA', /0 to 5/],
    [{ bars: [{ ...bar, offset_bytes: 0 }] }, 'E_SCHEMA', /string/],
    [{ bars: [{ ...bar, length_bytes: '0x0' }] }, 'E_SCHEMA', /at least/],
    [{ bars: [{ ...bar, access: 'write' }] }, 'E_SCHEMA', /one of/],
    [{ bars: [{ ...bar, writable: true }] }, 'E_SCHEMA', /unknown/],
    [{ bars: Array.from({ length: 1025 }, () => bar) }, 'E_SCHEMA', /more than 1024/],
    [{ ports: [{ port: 65536, count: 1 }] }, 'E_SCHEMA', /65535/],
    [{ ports: [{ port: 1, count: 0 }] }, 'E_SCHEMA', /1 to/],
    [{ generation: 0 }, 'E_SCHEMA', /from 1/],
    [over('abi', { max: '1' }), 'E_SCHEMA', /integer/],
    [over('interrupts', { storm: 1 }), 'E_SCHEMA', /unknown/],
    [over('dma', { mask_bits: 65 }), 'E_SCHEMA', /64/],
    [over('dma', { windows: [{ ...iova, iova: '0x0' }] }), 'E_SCHEMA', /at least/],
    // contradictions
    [{ devices: [] }, 'E_CEILING', /some device/],
    [{ bars: [bar, { ...bar, offset_bytes: '0xfff' }] }, 'E_CEILING', /BAR 0 overlap/],
    [{ bars: [{ ...bar, offset_bytes: '0xfffffffffffff001' }] }, 'E_CEILING', /past/],
    [{ ports: [{ port: 65535, count: 2 }] }, 'E_CEILING', /past/],
    [
      {
        ports: [
          { port: 1, count: 2 },
          { port: 2, count: 1 },
        ],
      },
      'E_CEILING',
      /overlap/,
    ],
    [over('interrupts', { vectors: 33 }), 'E_CEILING', /1 to 32/],
    [over('interrupts', { vectors: 0 }), 'E_CEILING', /1 to 32/],
    [over('interrupts', { kind: 'intx', vectors: 2 }), 'E_CEILING', /1 to 1/],
    [over('interrupts', { kind: 'none' }), 'E_CEILING', /no vectors/],
    [over('interrupts', { kind: 'none', vectors: 0 }), 'E_CEILING', /budget/],
    [over('abi', { min: 2 }), 'E_CEILING', /below/],
    [over('dma', { total_bytes: '0x0' }), 'E_CEILING', /go together/],
    [over('dma', { windows_max: 0 }), 'E_CEILING', /go together/],
    [over('dma', { mask_bits: 15 }), 'E_CEILING', /mask reaches/],
    [over('dma', { windows: [{ ...iova, iova: '0xffff001' }] }), 'E_CEILING', /28 bits/],
    [over('dma', { windows: [iova, { ...iova, iova: '0x2000' }] }), 'E_CEILING', /more than 1/],
    [over('dma', { alignment_bytes: '0x3' }), 'E_SCHEMA', /power of two/],
    [over('dma', { boundary_bytes: '0x0' }), 'E_SCHEMA', /at least/],
    [over('dma', { segments_max: 0 }), 'E_SCHEMA', /from 1/],
    [over('dma', { windows: [iova], alignment_bytes: '0x2000' }), 'E_CEILING', /multiple of 8192/],
    [over('dma', { windows: [iova], boundary_bytes: '0x800' }), 'E_CEILING', /crosses/],
    [{ virtual_functions: { count_max: 0, each: vf } }, 'E_SCHEMA', /1 to 65535/],
    [{ virtual_functions: { count_max: 1, each: { ...vf, more: 1 } } }, 'E_SCHEMA', /unknown/],
    [
      { virtual_functions: { count_max: 1, each: { ...vf, dma_bytes: '0x0' } } },
      'E_CEILING',
      /without DMA/,
    ],
    [{ isolation: { mode: 'none' } }, 'E_SCHEMA', /one of/],
    [{ isolation: { mode: 'mapped', pasid_bits: 1 } }, 'E_CEILING', /go together/],
    [{ isolation: { mode: 'shared-virtual-addressing' } }, 'E_CEILING', /go together/],
    [{ isolation: { mode: 'shared-virtual-addressing', pasid_bits: 21 } }, 'E_SCHEMA', /0 to 20/],
    [{ requires: { device_attestation: 1, boot_state: 'any' } }, 'E_SCHEMA', /true or false/],
    [{ requires: { device_attestation: true, boot_state: 'good' } }, 'E_SCHEMA', /one of/],
    [{ requires: { device_attestation: true } }, 'E_SCHEMA', /missing/],
    [over('abi', { features: 1 }), 'E_SCHEMA', /string/],
    [over('abi', { layout: { size_bytes: '0x18' } }), 'E_SCHEMA', /missing/],
    [
      over('abi', { layout: { size_bytes: '0x18', alignment_bytes: '0x6' } }),
      'E_SCHEMA',
      /power of two/,
    ],
    [over('dma', { windows_max: 2, windows: [iova, iova] }), 'E_CEILING', /overlap/],
    [over('dma', { windows: [{ ...iova, length_bytes: '0x10001' }] }), 'E_CEILING', /more bytes/],
    [over('dma', { direction: 'from-device', windows: [iova] }), 'E_CEILING', /contradict/],
  ] as const) {
    refused(t, () => parseCeiling(node({ ...edu, ...change })), code, message);
  }
  const windows = [bar, { ...bar, offset_bytes: '0x1000' }, { ...bar, index: 1 }];
  t.equal(parseCeiling(node({ ...edu, bars: windows })).bars.length, 3, 'touching, and two BARs');
});

t.test('any value where another is expected is refused with a code', async (t) => {
  const places = fc.constantFrom(...Object.keys(edu));
  holds(
    t,
    'never a crash',
    fc.property(places, fc.jsonValue(), (place, value) => {
      try {
        const document = JSON.parse(JSON.stringify({ ...edu, [place]: value }, integers));
        return parseCeiling(node(document)).devices.length > 0;
      } catch (error) {
        return (
          error instanceof IronError && ['E_SCHEMA', 'E_CEILING', 'E_JSON'].includes(error.code)
        );
      }
    }),
    500,
  );
});

/** Fractions never pass the reader, and are not what is tried here. */
function integers(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Math.trunc(value) || 0 : value;
}

t.test('advice', async (t) => {
  const lint = (change: object): string =>
    lintCeiling(parseCeiling(node({ ...edu, ...change }))).join('\n');
  for (const [change, advice] of [
    [{ bars: [{ ...bar, length_bytes: '0xa0' }] }, /not whole pages/],
    [{ bars: [] }, /nothing can be granted/],
    [
      { bars: Array.from({ length: 9 }, (_, i) => ({ ...bar, offset_bytes: `0x${i}000` })) },
      /9 BAR windows/,
    ],
    [{ ports: [{ port: 0x60, count: 1 }] }, /claim the BAR/],
    [over('interrupts', { per_second_budget: 0 }), /first interrupt/],
    [over('interrupts', { kind: 'intx' }), /shared pin/],
    [over('dma', { mask_bits: 64, total_bytes: '0x40000001' }), /1 GiB/],
    [over('dma', { windows: [{ ...iova, length_bytes: '0x1' }] }), /DMA window .* not whole/],
    [{ devices: [device] }, /devices\[0\]/],
  ] as const) {
    t.match(lint(change), advice);
  }
});
