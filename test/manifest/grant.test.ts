import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import t from 'tap';
import { toHex } from '../../shared/bytes.ts';
import { nobleCrypto } from '../../shared/crypto/noble.ts';
import { parseCeiling } from '../../shared/manifest/ceiling.ts';
import { driverId } from '../../shared/manifest/driver-id.ts';
import { computeGrant, type Grant, type GrantRequest } from '../../shared/manifest/grant.ts';
import { grantPredicate, grantStatement } from '../../shared/manifest/grant-document.ts';
import { parseIsm2 } from '../../shared/manifest/ism2.ts';
import { parsePolicy } from '../../shared/manifest/policy.ts';
import { ism2Bytes } from '../../shared/manifest/resource-manifest.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { eduDevice } from './edu.ts';
import { node, refused } from './support.ts';

const example = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../examples/edu/${name}`, import.meta.url), 'utf8'));
const [ceilingJson, policyJson] = [example('ceiling.json'), example('policy.json')];
const ceiling = (change: object = {}) => parseCeiling(node({ ...ceilingJson, ...change }));
const policy = (change: object = {}) =>
  parsePolicy(
    Buffer.from(JSON.stringify({ ...policyJson, allow: [{ ...policyJson.allow[0], ...change }] })),
  );

const base: GrantRequest = {
  ceiling: ceiling(),
  ceilingSha256: 'c'.repeat(64),
  policy: policy(),
  policySha256: 'd'.repeat(64),
  artifact: { path: 'acme/edu/1.0.0/edu.js', sha256: 'a'.repeat(64) },
  device: eduDevice,
  hostId: 'host-1',
  iommuDomain: 7,
  bindingNonce: 0x12345678,
  expires: 1_900_000_000,
};
const grant = (change: Partial<GrantRequest> = {}): Grant =>
  computeGrant({ ...base, ...change }, platformCrypto);

const edu = grant();

t.test('the example: what edu gets', async (t) => {
  t.same(
    edu.mmio.map(({ bar, offset, window, access }) => [
      bar,
      offset,
      window.start,
      window.end,
      access,
    ]),
    [
      [0, 0n, 0xfea00000n, 0xfea01000n, 'read-write'],
      [0, 0x40000n, 0xfea40000n, 0xfea41000n, 'read-write'],
    ],
  );
  t.same(edu.ports, []);
  const never = { burst: null, lifetimeMax: null };
  t.same(edu.interrupts, { kind: 'msi', vectors: 1, perSecondBudget: 500, ...never });
  t.same(edu.dma, {
    maskBits: 28,
    totalBytes: 0x10000n,
    segmentsMax: null,
    alignmentBytes: 1n,
    boundaryBytes: null,
    windows: [{ window: { start: 0x100000n, end: 0x110000n }, access: 'read-write' }],
  });
  t.same(edu.narrowings, ['interrupts: 500 a second instead of 1000'], 'and nothing else is less');
  t.match(edu.manifest, { iommuDomain: 7, bindingNonce: 0x12345678 });
  t.same(parseIsm2(edu.ism2), edu.manifest, 'what a kernel would read');
  t.same(computeGrant(base, nobleCrypto), edu, 'the same, whoever computes it');
});

t.test('the driver id is the first 8 bytes of the hash of the path, little-endian', async (t) => {
  const digest = createHash('sha256').update('acme/edu/1.0.0/edu.js').digest();
  t.equal(driverId('acme/edu/1.0.0/edu.js', platformCrypto), digest.readBigUInt64LE(0));
  const zero = { ...platformCrypto, sha256: () => new Uint8Array(32) };
  refused(t, () => driverId('any', zero), 'E_MANIFEST', /driver id 0/);
});

t.test('the document says all of it', async (t) => {
  const statement = JSON.parse(JSON.stringify(grantStatement(edu)));
  t.same(statement, {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: 'acme/edu/1.0.0/edu.js', digest: { sha256: 'a'.repeat(64) } }],
    predicateType: 'https://ironshim.dev/attestation/resource-grant/v1',
    predicate: {
      ceiling_sha256: 'c'.repeat(64),
      policy_sha256: 'd'.repeat(64),
      host: 'host-1',
      device: {
        path: '0000:00:05.0',
        vendor: '0x1234',
        device: '0x11e8',
        subsystem_vendor: '0x1af4',
        subsystem_device: '0x1100',
        class: '0x00ff00',
        revision: '0x10',
        serial: null,
      },
      mode: 'brokered',
      mmio: [
        {
          bar: 0,
          offset_bytes: '0x0',
          base: '0xfea00000',
          length_bytes: '0x1000',
          access: 'read-write',
        },
        {
          bar: 0,
          offset_bytes: '0x40000',
          base: '0xfea40000',
          length_bytes: '0x1000',
          access: 'read-write',
        },
      ],
      ports: [],
      interrupts: {
        ...{ kind: 'msi', vectors: 1, per_second_budget: 500, burst: null, lifetime_max: null },
      },
      dma: {
        mask_bits: 28,
        total_bytes: '0x10000',
        segments_max: null,
        alignment_bytes: '0x1',
        boundary_bytes: null,
        windows: [{ iova: '0x100000', length_bytes: '0x10000', access: 'read-write' }],
      },
      vf_budget: null,
      isolation: { mode: 'mapped', pasid_bits: 0 },
      abi: 1,
      generation: 1,
      expires: '2030-03-17T17:46:40Z',
      resource_manifest: {
        driver_id: `0x${driverId('acme/edu/1.0.0/edu.js', platformCrypto).toString(16)}`,
        iommu_domain: 7,
        binding_nonce: 0x12345678,
        sha256: edu.manifestSha256,
        ism2: toHex(ism2Bytes(edu.manifest)),
      },
      narrowings: ['interrupts: 500 a second instead of 1000'],
    },
  });
  node(statement);
});

t.test('who is refused', async (t) => {
  const device = (change: object) => ({ device: { ...eduDevice, ...change } });
  for (const change of [{ vendor: 1 }, { device: 1 }, { class: 0x020000 }]) {
    refused(t, () => grant(device(change)), 'E_AGENT_REFUSED', /not for/);
  }
  const runtime = { version: 2, features: 0n };
  refused(t, () => grant({ abi: runtime }), 'E_AGENT_REFUSED', /speaks driver ABI 1 to 1/);
  const asking = (change: object) => ({ ceiling: ceiling(change) });
  const layout = { size_bytes: '0x18', alignment_bytes: '0x8' };
  for (const [change, message] of [
    [{ abi: { min: 1, max: 1, features: '0x2' } }, /features 0x2/],
    [{ abi: { min: 1, max: 1, layout } }, /descriptor of 24 bytes/],
    [{ isolation: { mode: 'shared-virtual-addressing', pasid_bits: 20 } }, /shared virtual/],
    [{ requires: { device_attestation: true, boot_state: 'any' } }, /attests itself/],
    [{ requires: { device_attestation: false, boot_state: 'degraded' } }, /degraded boot/],
  ] as const) {
    refused(t, () => grant(asking(change)), 'E_AGENT_REFUSED', message);
  }
  const [sva, needs] = [
    asking({ isolation: { mode: 'shared-virtual-addressing', pasid_bits: 20 } }),
    asking({ requires: { device_attestation: true, boot_state: 'trusted' } }),
  ];
  const isolation = { ats: true, pri: true, pasid: true, sva: true };
  t.match(grant({ ...sva, ...device({ isolation }) }).isolation, { pasidBits: 20 });
  t.ok(grant({ ...needs, attested: { device: true, boot: 'trusted' } }));
  refused(t, () => grant({ policy: { ...base.policy, allow: [] } }), 'E_POLICY');
  refused(t, () => grant({ policy: policy({ namespace: 'other' }) }), 'E_POLICY');
  refused(t, () => grant({ policy: policy({ generation: 2 }) }), 'E_POLICY', /generation 1/);
  refused(t, () => grant({ bindingNonce: 0 }), 'E_NONCE');
  refused(t, () => grant({ iommuDomain: 0 }), 'E_MANIFEST', /domain/);

  const empty = refused(t, () => grant({ policy: policy({ bars: [] }) }), 'E_GRANT_EMPTY');
  t.match(empty?.why, /BAR 0, 0x0\.\.0xfff: the policy does not allow it/);
  refused(t, () => grant({ ceiling: ceiling({ bars: [] }) }), 'E_GRANT_EMPTY');
  refused(t, () => grant(device({ bars: [] })), 'E_GRANT_EMPTY');
  const [bar] = eduDevice.bars;
  refused(t, () => grant(device({ bars: [{ ...bar, base: 0n }] })), 'E_GRANT_EMPTY');
  // A BAR that shares its page with another device's cannot be fenced.
  refused(
    t,
    () => grant(device({ bars: [{ ...bar, base: 0xfea00800n, size: 0x800n }] })),
    'E_GRANT_EMPTY',
  );
});

t.test('what the strict reader refuses is never granted', async (t) => {
  const [bar] = eduDevice.bars;
  const bars = [0, 1].map((index) => ({ ...ceilingJson.bars[0], index }));
  const both = policy({ bars: bars.map(({ index }) => ({ index, access: 'read-write' })) });
  const two = (change: object) => ({
    ceiling: ceiling({ bars }),
    policy: both,
    device: {
      ...eduDevice,
      bars: [
        { ...bar, ...change },
        { ...bar, index: 1 },
      ],
    } as never,
  });
  refused(t, () => grant(two({})), 'E_MANIFEST_OVERLAP', /mmio\[1\]/);
  const top = { base: (1n << 64n) - 0x1000n, size: 0x4000n };
  const wide = ceiling({ bars: [{ ...ceilingJson.bars[0], length_bytes: '0x2000' }] });
  refused(t, () => grant({ ...two(top), ceiling: wide }), 'E_MANIFEST_OVERFLOW', /mmio\[0\]/);
  const nine = Array.from({ length: 9 }, (_, i) => ({
    ...ceilingJson.bars[0],
    offset_bytes: `0x${i}000`,
  }));
  refused(t, () => grant({ ceiling: ceiling({ bars: nine }) }), 'E_MANIFEST', /9 MMIO/);
  t.equal(grant({ ceiling: ceiling({ bars: nine.slice(1) }) }).mmio.length, 8);
});

t.test('every narrowing is said', async (t) => {
  const said = (change: Partial<GrantRequest>, words: RegExp): Grant => {
    const granted = grant(change);
    t.match(granted.narrowings.join('\n'), words);
    return granted;
  };
  const registers = ceilingJson.bars[0];
  const allow = (bars: object[]) => ({ policy: policy({ bars }) });

  const readOnly = said(allow([{ index: 0, access: 'read' }]), /BAR 0.*read only/);
  t.same(
    readOnly.mmio.map(({ access }) => access),
    ['read', 'read'],
  );
  const part = { index: 0, access: 'read-write', offset_bytes: '0x0', length_bytes: '0x40800' };
  said(allow([part]), /0x40000\.\.0x40fff: cut to 0x40000\.\.0x407ff by the policy/);
  said(allow([part]), /0x40000\.\.0x407ff: holds no whole page of 4096/);
  const odd = { ...registers, offset_bytes: '0x800', length_bytes: '0x2000' };
  const inward = said({ ceiling: ceiling({ bars: [odd] }) }, /rounded inward to whole pages/);
  t.match(inward.mmio, [{ offset: 0x1000n, window: { start: 0xfea01000n, end: 0xfea02000n } }]);
  const large = { ...registers, length_bytes: '0x200000' };
  said({ ceiling: ceiling({ bars: [large] }) }, /cut at the end of the BAR, which has 1048576/);
  const past = { ...registers, offset_bytes: '0x100000' };
  said({ ceiling: ceiling({ bars: [registers, past] }) }, /past the end of the BAR/);
  said({ ceiling: ceiling({ bars: [registers, { ...past, index: 3 }] }) }, /no such BAR/);

  const interrupts = (change: object) => ({ ...policyJson.allow[0].interrupts, ...change });
  const deaf = said({ policy: policy({ interrupts: interrupts({ kinds: ['msix'] }) }) }, /no msi/);
  t.match(deaf.interrupts, { kind: 'none', vectors: 0, perSecondBudget: 0 });
  const bounded = said(
    { policy: policy({ interrupts: interrupts({ burst: 7, lifetime_max: 1000 }) }) },
    /1000 of a vector, and then no more/,
  );
  t.match(bounded.interrupts, { perSecondBudget: 500, burst: 7, lifetimeMax: 1000 });
  t.match(grantPredicate(bounded).interrupts, { burst: 7, lifetime_max: 1000 });
  said({ policy: policy({ interrupts: interrupts({ vectors: 0 }) }) }, /allows no vector/);
  const found = (msi: number) => ({
    device: { ...eduDevice, interrupts: { ...eduDevice.interrupts, msi } },
  });
  said(found(0), /the device has no msi/);
  const four = { ceiling: ceiling({ interrupts: { ...ceilingJson.interrupts, vectors: 4 } }) };
  said(
    { ...four, ...found(2), policy: policy({ interrupts: interrupts({ vectors: 8 }) }) },
    /2 of 4 .* device/,
  );
  said({ ...four, ...found(4) }, /1 of 4 vectors, since the policy/);

  const dma = (change: object) => ({
    policy: policy({ dma: { ...policyJson.allow[0].dma, ...change } }),
  });
  t.same(said(dma({ total_bytes: '0x0' }), /DMA: none/).dma.windows, []);
  said(dma({ windows_max: 0 }), /DMA: none/);
  t.equal(said(dma({ total_bytes: '0x2fff' }), /DMA: 8192 of 65536 bytes/).dma.totalBytes, 0x2000n);
  t.match(said(dma({ direction: 'to-device' }), /read only/).dma.windows, [{ access: 'read' }]);
});

t.test('DMA windows lie where they may', async (t) => {
  const dma = (change: object) => ceiling({ dma: { ...ceilingJson.dma, ...change } });
  const device = (start: bigint, end: bigint) => ({ ...eduDevice, reservedIova: [{ start, end }] });
  const ranges = (granted: Grant) =>
    granted.dma.windows.map(({ window }) => [window.start, window.end]);

  t.same(
    ranges(grant({ device: device(0n, 0x200000n) })),
    [[0x200000n, 0x210000n]],
    'past the reserved',
  );
  t.same(
    ranges(grant({ device: device(0x108000n, 0x200000n) })),
    [[0x200000n, 0x210000n]],
    'where all of it fits',
  );
  const tight = grant({ device: device(0x108000n, 1n << 64n) });
  t.same(ranges(tight), [[0x100000n, 0x108000n]], 'or what is free');
  t.match(tight.narrowings.join(), /no free range of 65536 bytes/);
  t.same(ranges(grant({ ceiling: dma({ mask_bits: 20 }) })), [], 'never in the first MiB');

  const own = (...windows: [iova: string, length_bytes: string, access?: string][]) =>
    dma({
      windows_max: windows.length,
      windows: windows.map(([iova, length_bytes, access = 'read-write']) => ({
        iova,
        length_bytes,
        access,
      })),
    });
  t.same(
    ranges(grant({ ceiling: own(['0x4000', '0x2000']) })),
    [[0x4000n, 0x6000n]],
    'as the ceiling says',
  );
  const cut = grant({ ceiling: own(['0x4800', '0x2000']), device: device(0x6000n, 0x7000n) });
  t.same(ranges(cut), [[0x5000n, 0x6000n]]);
  t.match(cut.narrowings.join(), /0x4800\.\.0x67ff: 4096 bytes/);
  const split = grant({
    ceiling: own(['0x4000', '0x3000'], ['0x10000', '0x1000']),
    device: device(0x5000n, 0x6000n),
  });
  t.same(ranges(split), [[0x4000n, 0x5000n]], 'the policy allows one window');
  t.match(split.narrowings.join(), /1 of 3 windows/);
  const write = policy({ dma: { ...policyJson.allow[0].dma, direction: 'from-device' } });
  const readers = own(['0x4000', '0x1000', 'read'], ['0x8000', '0x1000']);
  t.match(grant({ ceiling: readers, policy: write }).dma.windows, [
    { window: { start: 0x8000n }, access: 'write' },
  ]);
  const without = { mask_bits: 32, total_bytes: '0x0', windows_max: 0, direction: 'bidirectional' };
  t.match(grant({ ceiling: dma(without) }).dma, { maskBits: 32, totalBytes: 0n, windows: [] });
});

t.test('I/O ports: only inside an I/O BAR, only where the policy says so', async (t) => {
  const io = { index: 4, base: 0xc000n, size: 32n, kind: 'io' } as const;
  const device = { ...eduDevice, bars: [...eduDevice.bars, io] };
  const bars = [
    ...ceilingJson.bars,
    { index: 4, offset_bytes: '0x3', length_bytes: '0x5', access: 'read-write' },
  ];
  const allowed = [
    { index: 0, access: 'read-write' },
    { index: 4, access: 'read' },
  ];
  const open = policy({ ports: true, bars: allowed });
  const claimed = grant({ ceiling: ceiling({ bars }), device, policy: open });
  t.same(
    claimed.manifest.ports,
    [{ port: 0xc003, count: 5, revoked: false }],
    'not rounded to pages',
  );
  t.match(claimed.ports, [{ bar: 4, offset: 3n, access: 'read' }]);
  t.equal(claimed.mmio.length, 2);

  const closed = grant({ ceiling: ceiling({ bars }), device, policy: policy({ bars: allowed }) });
  t.same(closed.ports, []);
  t.match(closed.narrowings.join(), /I\/O ports: the policy allows none/);

  const ports = [
    { port: 0x60, count: 5 },
    { port: 0xc001, count: 0x40 },
  ];
  const absolute = grant({ ceiling: ceiling({ bars, ports }), device, policy: open });
  t.same(
    absolute.manifest.ports.map(({ port, count }) => [port, count]),
    [
      [0xc003, 5],
      [0xc001, 2],
      [0xc008, 24],
    ],
    'what the BAR covers and no other claim has',
  );
  t.match(absolute.narrowings.join('\n'), /ports 0x60\.\.0x64: only what an allowed I\/O BAR/);
  const document = JSON.parse(JSON.stringify(grantStatement(claimed)));
  t.same(document.predicate.ports, [
    { bar: 4, offset_ports: 3, port: 0xc003, count: 5, access: 'read' },
  ]);
});

t.test('a virtual function stays in its budget', async (t) => {
  const vfBudget = { dmaBytes: 0x2000n, mmioBytes: 0x1800n, interruptsPerSecond: 5 };
  const granted = grant({ vfBudget });
  t.equal(granted.dma.totalBytes, 0x2000n);
  t.equal(granted.mmio.length, 1, 'the second page does not fit whole');
  t.equal(granted.interrupts.perSecondBudget, 5);
  t.match(granted.narrowings.join('\n'), /cut from 8192 to 4096 bytes by the budget/);
  const document = JSON.parse(JSON.stringify(grantStatement(granted)));
  t.same(document.predicate.vf_budget, {
    dma_bytes: '0x2000',
    mmio_bytes: '0x1800',
    interrupts_per_second: 5,
  });
  refused(t, () => grant({ vfBudget: { ...vfBudget, mmioBytes: 0n } }), 'E_GRANT_EMPTY', /./);
});

t.test("a virtual function has the least of the host's and the vendor's budget", async (t) => {
  const each = { dma_bytes: '0x1000', mmio_bytes: '0x2000', interrupts_per_second: 9 };
  const vf = ceiling({ virtual_functions: { count_max: 2, each } });
  const vfBudget = { dmaBytes: 0x2000n, mmioBytes: 0x1800n, interruptsPerSecond: 5 };
  t.same(grant({ ceiling: vf, vfBudget }).vfBudget, {
    dmaBytes: 0x1000n,
    mmioBytes: 0x1800n,
    interruptsPerSecond: 5,
  });
  t.equal(grant({ ceiling: vf }).vfBudget, null, 'a whole device has no such budget');
});

t.test('DMA is placed aligned, and across no boundary', async (t) => {
  const dma = { ...ceilingJson.dma, total_bytes: '0x8000', windows_max: 2 };
  const placed = (change: object, allow: object = {}) =>
    grant({
      ceiling: ceiling({ dma: { ...dma, ...change } }),
      policy: policy({
        dma: { total_bytes: '0x10000', windows_max: 4, direction: 'bidirectional', ...allow },
      }),
    }).dma.windows.map(({ window }) => [window.start, window.end]);
  t.same(placed({ alignment_bytes: '0x200000' }), [[0x200000n, 0x208000n]]);
  t.same(placed({ boundary_bytes: '0x4000' }), [
    [0x100000n, 0x104000n],
    [0x104000n, 0x108000n],
  ]);
  t.same(placed({ boundary_bytes: '0x800' }), [], 'a boundary inside every page leaves none');
  const windows = [
    { iova: '0x10000', length_bytes: '0x4000', access: 'read' },
    { iova: '0x20000', length_bytes: '0x4000', access: 'read' },
  ];
  t.same(placed({ windows, alignment_bytes: '0x10000', boundary_bytes: '0x10000' }), [
    [0x10000n, 0x14000n],
    [0x20000n, 0x24000n],
  ]);
});
