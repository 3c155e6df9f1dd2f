import fc from 'fast-check';
import t from 'tap';
import { matchesDevice } from '../../shared/manifest/device.ts';
import {
  parseInterrupts,
  parseReservedRegions,
  parseResourceFile,
} from '../../shared/manifest/pci.ts';
import { eduDevice } from './edu.ts';
import { holds, refused } from './support.ts';

const line = (start: bigint, end: bigint, flags: bigint): string =>
  `${[start, end, flags].map((n) => `0x${n.toString(16).padStart(16, '0')}`).join(' ')}\n`;
const none = line(0n, 0n, 0n);

t.test('the BARs of a resource file', async (t) => {
  const text = [
    line(0xfea00000n, 0xfeafffffn, 0x40200n),
    none,
    line(0x800000000n, 0x800003fffn, 0x14220cn),
    none,
    line(0xc000n, 0xc01fn, 0x40101n),
    line(0x0n, 0xfffn, 0x20040200n),
    line(0xfeb00000n, 0xfeb3ffffn, 0x46200n),
    none.repeat(6),
  ].join('');
  t.same(parseResourceFile(text), [
    { index: 0, base: 0xfea00000n, size: 0x100000n, kind: 'memory' },
    { index: 2, base: 0x800000000n, size: 0x4000n, kind: 'memory' },
    { index: 4, base: 0xc000n, size: 0x20n, kind: 'io' },
    { index: 5, base: 0n, size: 0x1000n, kind: 'memory' },
  ]);
  t.same(parseResourceFile(''), []);
  for (const bad of [
    'x',
    '0x0 0x0',
    '0x0 0x0 0x0 0x0',
    '0xG 0x0 0x0',
    `0x1${'0'.repeat(16)} 0x0 0x0`,
  ]) {
    refused(t, () => parseResourceFile(`${none}${bad}\n`), 'E_SCHEMA', /line 2/);
  }
  refused(t, () => parseResourceFile(line(2n, 1n, 0x200n)), 'E_SCHEMA', /ends before/);
});

/** A configuration space with capabilities `[offset, id, next, control]`. */
function config(first: number, ...capabilities: [number, number, number, number][]): Uint8Array {
  const bytes = new Uint8Array(256);
  bytes[0x06] = 0x10;
  bytes[0x34] = first;
  bytes[0x3d] = 1;
  for (const [at, id, next, control] of capabilities) {
    bytes.set([id, next, control & 0xff, control >> 8], at);
  }
  return bytes;
}

t.test('how a device interrupts', async (t) => {
  t.same(parseInterrupts(config(0x40, [0x40, 0x05, 0, 0x0080])), { intx: true, msi: 1, msix: 0 });
  const both = config(0x43, [0x40, 0x11, 0x52, 0x8003], [0x50, 0x05, 0, 0x000a]);
  t.same(
    parseInterrupts(both),
    { intx: true, msi: 32, msix: 4 },
    'low bits of pointers are masked',
  );
  t.same(parseInterrupts(config(0x40, [0x40, 0x05, 0, 0x000e])).msi, 0, 'reserved count');
  t.same(
    parseInterrupts(config(0x40, [0x40, 0x01, 0x40, 0])),
    { intx: true, msi: 0, msix: 0 },
    'a loop',
  );
  t.same(parseInterrupts(config(0x10, [0x10, 0x05, 0, 0])).msi, 0, 'inside the header');
  t.same(parseInterrupts(both.subarray(0, 64)), { intx: true, msi: 0, msix: 0 }, 'unprivileged');
  const silent = config(0x40, [0x40, 0x05, 0, 0]);
  silent[0x06] = 0;
  silent[0x3d] = 0;
  t.same(parseInterrupts(silent), { intx: false, msi: 0, msix: 0 }, 'no capabilities, no pin');
  t.same(parseInterrupts(new Uint8Array()), { intx: false, msi: 0, msix: 0 });
  holds(
    t,
    'any bytes',
    fc.property(fc.uint8Array({ maxLength: 4096 }), (bytes) => {
      const { msi, msix } = parseInterrupts(bytes);
      return msi >= 0 && msi <= 32 && msix >= 0 && msix <= 2048;
    }),
  );
});

t.test('reserved regions of a group', async (t) => {
  t.same(
    parseReservedRegions(
      '0x00000000fee00000 0x00000000feefffff msi\n0x0 0xffff direct-relaxable\n',
    ),
    [
      { start: 0xfee00000n, end: 0xfef00000n },
      { start: 0n, end: 0x10000n },
    ],
  );
  t.same(parseReservedRegions(''), []);
  for (const bad of ['0x1 0x0 msi', '0x0 0x1', 'fee00000 feefffff msi', '0x0 0x1 msi x']) {
    refused(t, () => parseReservedRegions(`${bad}\n`), 'E_SCHEMA');
  }
});

t.test('a match asks for what it names', async (t) => {
  const ids = { vendor: 0x1234, device: 0x11e8 };
  t.equal(matchesDevice(ids, eduDevice), true);
  for (const [key, value] of Object.entries({
    subsystemVendor: 0x1af4,
    subsystemDevice: 0x1100,
    class: 0x00ff00,
    revision: 0x10,
  })) {
    t.equal(matchesDevice({ ...ids, [key]: value }, eduDevice), true, key);
    t.equal(matchesDevice({ ...ids, [key]: value + 1 }, eduDevice), false, key);
    t.equal(matchesDevice({ ...ids, [key]: 0 }, eduDevice), false, `${key} 0 is not "any"`);
  }
});
