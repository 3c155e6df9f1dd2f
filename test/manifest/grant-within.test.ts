/** Whatever is asked, allowed and found: a grant is inside all three, address by address. */

import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import { type Ceiling, parseCeiling } from '../../shared/manifest/ceiling.ts';
import type { VfBudget } from '../../shared/manifest/cut.ts';
import type { DeviceFacts } from '../../shared/manifest/device.ts';
import { computeGrant, type Grant } from '../../shared/manifest/grant.ts';
import { parseIsm2 } from '../../shared/manifest/ism2.ts';
import { type FleetPolicy, type PolicyEntry, parsePolicy } from '../../shared/manifest/policy.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { eduDevice } from './edu.ts';
import { holds, node } from './support.ts';

const PAGE = 4096n;
/** Everything generated begins and ends at quarters of pages, so that asking there asks everywhere. */
const UNIT = 1024n;
const hex = (units: number | bigint): string => `0x${(BigInt(units) * UNIT).toString(16)}`;

const access = fc.constantFrom('read', 'read-write');
const index = fc.constantFrom(0, 1, 4);

/** Disjoint windows of one BAR, in units, by gaps and lengths. */
const windows = fc.array(fc.tuple(fc.nat(6), fc.integer({ min: 1, max: 16 }), access), {
  maxLength: 4,
});
const bars = fc
  .array(fc.tuple(index, windows), { minLength: 1, maxLength: 3 })
  .map((list) => [...new Map(list)].flatMap(([index, gaps]) => barWindows(index, gaps)));

function barWindows(index: number, gaps: [number, number, string][]) {
  let at = 0;
  return gaps.map(([gap, length, access]) => {
    const start = at + gap;
    at = start + length;
    return { index, offset_bytes: hex(start), length_bytes: hex(length), access };
  });
}

const direction = fc.constantFrom('to-device', 'from-device', 'bidirectional');
const KINDS = ['intx', 'msi', 'msix'] as const;
const dmaClaim = fc
  .tuple(
    fc.constantFrom(14, 21, 32, 64),
    fc.integer({ min: 4, max: 16 }),
    fc.integer({ min: 1, max: 3 }),
  )
  .chain(([mask_bits, units, windows_max]) =>
    fc.record({
      mask_bits: fc.constant(mask_bits),
      total_bytes: fc.constant(hex(units)),
      windows_max: fc.constant(windows_max),
      direction: fc.constant('bidirectional'),
      windows: fc.option(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 10 })), {
          maxLength: windows_max,
        }),
        { nil: undefined },
      ),
    }),
  )
  .map(({ windows, ...claim }) => {
    let [at, left] = [0, Number(BigInt(claim.total_bytes) / UNIT)];
    const list = windows?.flatMap(([gap, length]) => {
      const start = at + gap;
      at = start + Math.min(length, left);
      left -= at - start;
      const window = { iova: hex(start), length_bytes: hex(at - start), access: 'read-write' };
      return at > start && at <= 16 ? [window] : [];
    });
    return list === undefined ? claim : { ...claim, windows: list };
  });

const ceilings = fc
  .record({
    bars,
    ports: fc.constantFrom([], [{ port: 0xc400, count: 0x800 }]),
    kind: fc.constantFrom(...KINDS),
    vectors: fc.integer({ min: 1, max: 32 }),
    per_second_budget: fc.nat(100),
    dma: dmaClaim,
  })
  .map(({ bars, ports, kind, vectors, per_second_budget, dma }) =>
    parseCeiling(
      node({
        devices: [{ vendor: '0x1234', device: '0x11e8' }],
        bars,
        ports,
        interrupts: { kind, vectors: kind === 'intx' ? 1 : vectors, per_second_budget },
        dma,
        abi: { min: 1, max: 1 },
        generation: 1,
      }),
    ),
  );

const whole = [0, 1, 4].map((index) => ({ index, access: 'read-write' }));
const policies = fc
  .record({
    bars: fc.oneof(bars, fc.constant(whole)),
    ports: fc.boolean(),
    interrupts: fc.record({
      kinds: fc.subarray([...KINDS]),
      vectors: fc.nat(32),
      per_second_budget: fc.nat(100),
    }),
    dma: fc.record({ total_bytes: fc.nat(32).map(hex), windows_max: fc.nat(3), direction }),
  })
  .map((entry) =>
    parsePolicy(
      utf8(
        JSON.stringify({
          schema: 'ironport.fleet-policy/v1',
          page_size_bytes: Number(PAGE),
          grant_seconds: 60,
          allow: [
            { ...entry, namespace: 'acme', devices: [{ vendor: '0x1234', device: '0x11e8' }] },
          ],
        }),
      ),
    ),
  );

const devices = fc
  .record({
    sizes: fc.tuple(fc.nat(64), fc.nat(64), fc.nat(4)),
    shift: fc.nat(3),
    interrupts: fc.record({ intx: fc.boolean(), msi: fc.nat(32), msix: fc.nat(32) }),
    reserved: fc.array(fc.tuple(fc.nat(1200), fc.integer({ min: 1, max: 40 })), { maxLength: 3 }),
  })
  .map(
    ({ sizes, shift, interrupts, reserved }): DeviceFacts => ({
      ...eduDevice,
      interrupts,
      bars: [
        {
          index: 0,
          base: 0x10000000n + BigInt(shift) * UNIT,
          size: BigInt(sizes[0]) * UNIT,
          kind: 'memory',
        },
        { index: 1, base: 0x20000000n, size: BigInt(sizes[1]) * UNIT, kind: 'memory' },
        { index: 4, base: 0xc000n, size: BigInt(sizes[2]) * UNIT, kind: 'io' },
      ],
      reservedIova: reserved.map(([start, length]) => ({
        start: BigInt(start) * UNIT,
        end: BigInt(start + length) * UNIT,
      })),
    }),
  );

const budgets = fc.option(
  fc.record({
    dmaBytes: fc.nat(32).map((units) => BigInt(units) * UNIT),
    mmioBytes: fc.nat(64).map((units) => BigInt(units) * UNIT),
    interruptsPerSecond: fc.nat(100),
  }),
  { nil: undefined },
);

interface Range {
  readonly start: bigint;
  readonly end: bigint;
}
const length = ({ start, end }: Range): bigint => end - start;
const sum = (ranges: readonly Range[]): bigint =>
  ranges.reduce((n, range) => n + length(range), 0n);
const units = ({ start, end }: Range): bigint[] =>
  Array.from({ length: Number((end - start) / UNIT) }, (_, i) => start + BigInt(i) * UNIT);
const has = (range: Range, at: bigint): boolean => at >= range.start && at < range.end;

function checkRegisters(
  grant: Grant,
  ceiling: Ceiling,
  entry: PolicyEntry,
  device: DeviceFacts,
): void {
  for (const [kind, ranges] of [
    ['memory', grant.mmio],
    ['io', grant.ports],
  ] as const) {
    for (const { bar: index, offset, window, access } of ranges) {
      const bar = device.bars.find((bar) => bar.index === index);
      assert.ok(bar !== undefined && bar.kind === kind);
      assert.equal(bar.base + offset, window.start);
      const allows = (
        list: readonly { index: number; window: Range; access: string }[],
        at: bigint,
      ) =>
        list.some(
          (w) =>
            w.index === index && has(w.window, at) && (w.access === access || access === 'read'),
        );
      for (const at of units(window)) {
        const inBar = at - bar.base;
        assert.ok(inBar >= 0n && inBar < bar.size, 'inside the device');
        assert.ok(allows(entry.bars, inBar), 'inside the policy');
        const absolute = kind === 'io' && ceiling.ports.some((ports) => has(ports, at));
        assert.ok(absolute || allows(ceiling.bars, inBar), 'inside the ceiling');
      }
      if (kind === 'memory') assert.equal((window.start | window.end) % PAGE, 0n, 'whole pages');
      else assert.ok(entry.ports, 'ports only where the policy says so');
    }
  }
}

function checkDma(
  { dma }: Grant,
  ceiling: Ceiling,
  entry: PolicyEntry,
  device: DeviceFacts,
  vf?: VfBudget,
): void {
  const ranges = dma.windows.map(({ window }) => window);
  const total = sum(ranges);
  assert.equal(dma.totalBytes, total);
  assert.ok(total <= ceiling.dma.totalBytes && total <= entry.dma.totalBytes);
  assert.ok(vf === undefined || total <= vf.dmaBytes);
  assert.ok(ranges.length <= Math.min(ceiling.dma.windowsMax, entry.dma.windowsMax));
  for (const { window, access } of dma.windows) {
    assert.equal((window.start | window.end) % PAGE, 0n, 'whole pages');
    assert.ok(window.start > 0n && window.end <= 1n << BigInt(ceiling.dma.maskBits));
    if (entry.dma.direction !== 'bidirectional') {
      assert.equal(access, entry.dma.direction === 'to-device' ? 'read' : 'write');
    }
    for (const at of units(window)) {
      assert.ok(!device.reservedIova.some((range) => has(range, at)), 'not reserved');
      const own = ceiling.dma.windows;
      assert.ok(own === undefined || own.some(({ window }) => has(window, at)));
      assert.equal(ranges.filter((range) => has(range, at)).length, 1, 'disjoint');
    }
  }
}

function checkInterrupts(
  { interrupts }: Grant,
  ceiling: Ceiling,
  entry: PolicyEntry,
  device: DeviceFacts,
): void {
  const { kind, vectors, perSecondBudget } = interrupts;
  if (kind === 'none') {
    assert.equal(vectors, 0);
    return;
  }
  assert.equal(kind, ceiling.interrupts.kind);
  assert.ok(entry.interrupts.kinds.includes(kind));
  const found = {
    intx: device.interrupts.intx ? 1 : 0,
    msi: device.interrupts.msi,
    msix: device.interrupts.msix,
  };
  assert.ok(vectors >= 1 && vectors <= found[kind]);
  assert.ok(vectors <= ceiling.interrupts.vectors && vectors <= entry.interrupts.vectors);
  assert.ok(perSecondBudget <= ceiling.interrupts.perSecondBudget);
  assert.ok(perSecondBudget <= entry.interrupts.perSecondBudget);
}

/** Every whole page of a claim that one window of the policy and the BAR hold is granted. */
function checkNotLess(
  grant: Grant,
  ceiling: Ceiling,
  entry: PolicyEntry,
  device: DeviceFacts,
): void {
  for (const claim of ceiling.bars) {
    const bar = device.bars.find(({ index }) => index === claim.index);
    if (bar === undefined || bar.kind === 'io') continue;
    for (const allowed of entry.bars.filter(({ index }) => index === claim.index)) {
      for (let page = bar.base - (bar.base % PAGE); page < bar.base + bar.size; page += PAGE) {
        const offsets = units({ start: page, end: page + PAGE }).map((at) => at - bar.base);
        const inAll = offsets.every(
          (at) => at >= 0n && at < bar.size && has(claim.window, at) && has(allowed.window, at),
        );
        if (inAll)
          assert.ok(
            grant.mmio.some(({ window }) => has(window, page)),
            'no page is lost',
          );
      }
    }
  }
}

t.test('grant ⊆ ceiling ∩ policy ∩ device', async (t) => {
  const seen = { granted: 0, dma: 0, ports: 0, refused: 0 };
  const check = (
    ceiling: Ceiling,
    policy: FleetPolicy,
    device: DeviceFacts,
    vfBudget: VfBudget | undefined,
  ): void => {
    const [entry] = policy.allow as [PolicyEntry];
    let grant: Grant;
    try {
      grant = computeGrant(
        {
          ceiling,
          ceilingSha256: '',
          policy,
          policySha256: '',
          artifact: { path: 'acme/edu/1.0.0/edu.js', sha256: '' },
          device,
          hostId: '',
          iommuDomain: 1,
          bindingNonce: 1,
          expires: 0,
          ...(vfBudget === undefined ? {} : { vfBudget }),
        },
        platformCrypto,
      );
    } catch (error) {
      assert.ok(error instanceof IronError, String(error));
      assert.ok(['E_GRANT_EMPTY', 'E_MANIFEST'].includes(error.code), error.code);
      seen.refused++;
      return;
    }
    seen.granted++;
    if (grant.dma.windows.length > 0) seen.dma++;
    if (grant.ports.length > 0) seen.ports++;
    assert.deepEqual(parseIsm2(grant.ism2), grant.manifest);
    assert.ok(grant.manifest.mmio.length + grant.manifest.ports.length > 0);
    checkRegisters(grant, ceiling, entry, device);
    checkDma(grant, ceiling, entry, device, vfBudget);
    checkInterrupts(grant, ceiling, entry, device);
    if (vfBudget === undefined) checkNotLess(grant, ceiling, entry, device);
    else {
      assert.ok(sum(grant.mmio.map(({ window }) => window)) <= vfBudget.mmioBytes);
      assert.ok(grant.interrupts.perSecondBudget <= vfBudget.interruptsPerSecond);
    }
    const claimed = sum(ceiling.bars.map(({ window }) => window)) + sum(ceiling.ports);
    const got = sum([...grant.mmio, ...grant.ports].map(({ window }) => window));
    const less =
      got < claimed ||
      grant.dma.totalBytes < sum((ceiling.dma.windows ?? []).map(({ window }) => window)) ||
      (ceiling.dma.windows === undefined && grant.dma.totalBytes < ceiling.dma.totalBytes) ||
      grant.interrupts.vectors < ceiling.interrupts.vectors;
    if (less) assert.ok(grant.narrowings.length > 0, 'what is less is said');
  };
  holds(t, 'for all inputs', fc.property(ceilings, policies, devices, budgets, check), 1500);
  t.ok(
    seen.granted > 200 && seen.dma > 50 && seen.ports > 20 && seen.refused > 50,
    JSON.stringify(seen),
  );
});
