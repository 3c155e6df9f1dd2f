import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { equalBytes, fromHex, toHex, utf8 } from '../../shared/bytes.ts';
import { nobleCrypto } from '../../shared/crypto/noble.ts';
import { type Code, IronError } from '../../shared/errors.ts';
import { inspectIsm2, parseIsm2 } from '../../shared/manifest/ism2.ts';
import {
  manifestJson,
  parseManifest,
  parseManifestJson,
} from '../../shared/manifest/manifest-json.ts';
import { windowObjections } from '../../shared/manifest/objections.ts';
import {
  canonicalBytes,
  ism2Bytes,
  manifestSha256,
  type ResourceManifest,
} from '../../shared/manifest/resource-manifest.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { holds, node, refused } from './support.ts';

interface Vector {
  readonly canonical: string;
  readonly sha256: string;
  readonly ism2: string;
  readonly ism2_sha256_of_parsed: string;
  readonly well_formed: boolean;
  readonly ports: readonly { readonly count: number }[];
  readonly mmio: readonly { readonly base: string }[];
}

const path = new URL('../vectors/manifest-vectors.json', import.meta.url);
const vectors = JSON.parse(readFileSync(path, 'utf8')) as Vector[];

/** Found with another program. */
const FIRST_BAD: Readonly<Record<number, readonly [Code, string]>> = {
  4: ['E_MANIFEST_OVERFLOW', 'ports[0]'],
  5: ['E_MANIFEST_OVERFLOW', 'ports[0]'],
  6: ['E_MANIFEST_OVERLAP', 'ports[1]'],
};

t.test('what IronShim-rs computed, bit for bit', async (t) => {
  t.equal(vectors.length, 7);
  for (const [index, vector] of vectors.entries()) {
    const manifest = parseManifest(node(vector));
    t.equal(toHex(canonicalBytes(manifest)), vector.canonical);
    t.equal(toHex(ism2Bytes(manifest)), vector.ism2);
    t.equal(manifestSha256(manifest, platformCrypto), vector.sha256);
    t.equal(manifestSha256(manifest, nobleCrypto), vector.sha256);

    const blob = fromHex(vector.ism2);
    const { manifest: read, objections } = inspectIsm2(blob);
    t.equal(manifestSha256(read, platformCrypto), vector.ism2_sha256_of_parsed);
    t.equal(objections.length === 0, vector.well_formed, 'the lenient reader objects to the bad');
    t.same(objections, windowObjections(manifest), 'the encoder warns of the same');
    if (vector.well_formed) t.same(parseIsm2(blob), read);
    else {
      const [code, window] = FIRST_BAD[index] ?? [];
      const error = refused(t, () => parseIsm2(blob), code as Code);
      t.equal(error?.context.window, window, 'the first bad window is named');
    }
  }
});

const scope = { driverId: 1n, iommuDomain: 1, bindingNonce: 1 };
const mmio = (...windows: [base: bigint, size: bigint][]): ResourceManifest => ({
  ...scope,
  mmio: windows.map(([base, size]) => ({ base, size, revoked: false })),
  ports: [],
});
const ports = (...windows: [port: number, count: number][]): ResourceManifest => ({
  ...scope,
  mmio: [],
  ports: windows.map(([port, count]) => ({ port, count, revoked: false })),
});

t.test('the strict reader names the first bad window', async (t) => {
  const top = 1n << 64n;
  const strict = (manifest: ResourceManifest) => () => parseIsm2(ism2Bytes(manifest));
  const overlap = refused(
    t,
    strict(mmio([0x1000n, 0x1000n], [0x3000n, 1n], [0x1fffn, 1n], [0x1000n, 1n])),
    'E_MANIFEST_OVERLAP',
    /^mmio\[2\] \(0x1fff \+ 0x1\) overlaps mmio\[0\]/,
  );
  t.equal(overlap?.context.window, 'mmio[2]');
  refused(
    t,
    strict(mmio([0n, 1n], [top - 1n, 2n])),
    'E_MANIFEST_OVERFLOW',
    /^mmio\[1\] .* ends past/,
  );
  refused(
    t,
    strict(mmio([top - 1n, top - 1n], [top - 1n, 1n])),
    'E_MANIFEST_OVERFLOW',
    /^mmio\[0\]/,
  );
  refused(t, strict(ports([0, 8], [7, 1])), 'E_MANIFEST_OVERLAP', /^ports\[1\]/);
  refused(t, strict(ports([0xffff, 2])), 'E_MANIFEST_OVERFLOW', /last port/);
  refused(
    t,
    strict({ ...ports([0xffff, 2]), mmio: mmio([0n, 2n], [1n, 1n]).mmio }),
    'E_MANIFEST_OVERLAP',
    /^mmio\[1\]/,
  );
  for (const good of [
    mmio(),
    mmio([top - 1n, 1n], [0n, 1n]),
    mmio([0x1000n, 0x1000n], [0x2000n, 0x1000n], [0n, 0x1000n]),
    ports([0xffff, 1], [0, 0xffff]),
  ]) {
    t.same(parseIsm2(ism2Bytes(good)), good, 'windows that touch, and the ends of the spaces');
  }
  t.same(
    inspectIsm2(ism2Bytes(mmio([0n, 2n], [1n, top - 1n]))).objections.map(({ code }) => code),
    ['E_MANIFEST_OVERLAP'],
  );
});

t.test('blobs that are no blobs', async (t) => {
  const good = ism2Bytes({ ...mmio([0x1000n, 0x1000n]), ports: ports([1, 1]).ports });
  for (let length = 0; length < good.length; length++) {
    const cut = good.subarray(0, length);
    refused(t, () => parseIsm2(cut), 'E_MANIFEST');
    refused(t, () => inspectIsm2(cut), 'E_MANIFEST');
  }
  const longer = new Uint8Array(good.length + 3);
  longer.set(good);
  refused(t, () => parseIsm2(longer), 'E_MANIFEST_TRAILING', /^3 bytes follow/);
  t.same(inspectIsm2(longer).manifest, parseIsm2(good), 'the lenient reader reads on');
  t.match(inspectIsm2(longer).objections, [{ code: 'E_MANIFEST_TRAILING', window: null }]);

  const patched = (at: number, ...bytes: number[]): Uint8Array => {
    const copy = Uint8Array.from(good);
    copy.set(bytes, at);
    return copy;
  };
  refused(t, () => parseIsm2(patched(3, 0x31)), 'E_MANIFEST', /ISM2/);
  refused(t, () => parseIsm2(patched(20, 9)), 'E_MANIFEST', /9 MMIO/);
  refused(t, () => inspectIsm2(patched(22, 0xff, 0xff)), 'E_MANIFEST', /65535 port/);
  const bad = [
    patched(4, 0, 0, 0, 0, 0, 0, 0, 0),
    patched(12, 0, 0, 0, 0),
    patched(32, 0, 0, 0, 0, 0, 0, 0, 0),
    patched(42, 0, 0),
  ];
  for (const [i, what] of ['driver id', 'domain', 'mmio[0]', 'ports[0]'].entries()) {
    const error = refused(t, () => parseIsm2(bad[i] as Uint8Array), 'E_MANIFEST');
    t.ok(error?.message.includes(what), what);
    t.match(inspectIsm2(bad[i] as Uint8Array).objections, [{ code: 'E_MANIFEST' }]);
  }
  t.same(
    parseIsm2(new Uint8Array([9, 9, ...good]).subarray(2)),
    parseIsm2(good),
    'a view into more',
  );
});

const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const small = fc.bigInt({ min: 0n, max: 40n });
const address = fc.oneof(
  u64,
  small,
  small.map((n) => (1n << 64n) - 1n - n),
);
const port = fc.oneof(
  fc.nat(0xffff),
  fc.nat(40),
  fc.nat(40).map((n) => 0xffff - n),
);
const PLAIN = { noNullPrototype: true } as const;
const manifests: fc.Arbitrary<ResourceManifest> = fc.record(
  {
    driverId: u64.map((n) => n || 1n),
    iommuDomain: fc.integer({ min: 1, max: 0xffff_ffff }),
    bindingNonce: fc.integer({ min: 0, max: 0xffff_ffff }),
    mmio: fc.array(
      fc.record({ base: address, size: address.map((n) => n || 1n), revoked: fc.boolean() }, PLAIN),
      { maxLength: 8 },
    ),
    ports: fc.array(
      fc.record({ port, count: port.map((n) => n || 1), revoked: fc.boolean() }, PLAIN),
      {
        maxLength: 8,
      },
    ),
  },
  PLAIN,
);

/** Strictness decided another way: sorted by start, each ends before the next and the last inside. */
function isWellFormed(windows: [start: bigint, length: bigint][], space: bigint): boolean {
  const sorted = [...windows].sort((a, b) => (a[0] < b[0] ? -1 : 1));
  return sorted.every(([start, length], i) => start + length <= (sorted[i + 1]?.[0] ?? space));
}

/** The two forms by another way of writing: each number as digits, lowest byte first. */
function digits(...numbers: [value: bigint | number, width: number][]): string {
  return numbers
    .map(([value, width]) => {
      const hex = BigInt(value)
        .toString(16)
        .padStart(width * 2, '0');
      return (hex.match(/../g) ?? []).reverse().join('');
    })
    .join('');
}

t.test('for every manifest', async (t) => {
  holds(
    t,
    'the canonical bytes and the blob are these, byte for byte',
    fc.property(manifests, (manifest) => {
      const { driverId, iommuDomain, bindingNonce, mmio, ports } = manifest;
      const scope = digits(
        [driverId, 8],
        [iommuDomain, 4],
        [bindingNonce, 4],
        [mmio.length, 2],
        [ports.length, 2],
      );
      const flag = (revoked: boolean): [number, number] => [revoked ? 1 : 0, 1];
      assert.equal(
        toHex(canonicalBytes(manifest)),
        scope +
          mmio.map((w) => digits([w.base, 8], [w.size, 8], flag(w.revoked))).join('') +
          ports.map((w) => digits([w.port, 2], [w.count, 2], flag(w.revoked))).join(''),
      );
      assert.equal(
        toHex(ism2Bytes(manifest)),
        '49534d32' +
          scope +
          mmio.map((w) => digits([w.base, 8], [w.size, 8])).join('') +
          ports.map((w) => digits([w.port, 2], [w.count, 2])).join(''),
      );
    }),
    500,
  );
  holds(
    t,
    'without a driver or without a domain it is none, by whichever way it comes',
    fc.property(
      manifests,
      fc.constantFrom({ driverId: 0n }, { iommuDomain: 0 }, { driverId: 0n, iommuDomain: 0 }),
      (manifest, zero) => {
        const blob = ism2Bytes(manifest);
        const none = { ...manifest, ...zero };
        if ('driverId' in zero) blob.fill(0, 4, 12);
        if ('iommuDomain' in zero) blob.fill(0, 12, 16);
        const hex = `0x${none.driverId.toString(16)}`;
        const json = { ...manifestJson(manifest), driver_id: hex, iommu_domain: none.iommuDomain };
        for (const run of [
          () => canonicalBytes(none),
          () => ism2Bytes(none),
          () => manifestSha256(none, platformCrypto),
          () => parseManifest(node(json)),
          () => parseIsm2(blob),
        ])
          assert.throws(run, { code: 'E_MANIFEST', message: /the (driver id|IOMMU domain) is 0/ });
        assert.equal(
          inspectIsm2(blob).objections.filter(({ message }) => message.endsWith(' is 0')).length,
          Object.keys(zero).length,
        );
      },
    ),
  );
  holds(
    t,
    'blob and JSON are read back, and strictness is what sorting says',
    fc.property(manifests, (manifest) => {
      const blob = ism2Bytes(manifest);
      const unrevoked = {
        ...manifest,
        mmio: manifest.mmio.map((w) => ({ ...w, revoked: false })),
        ports: manifest.ports.map((w) => ({ ...w, revoked: false })),
      };
      assert.deepEqual(inspectIsm2(blob).manifest, unrevoked);
      assert.deepEqual(parseManifest(node(manifestJson(manifest))), manifest);
      assert.equal(
        canonicalBytes(manifest).length,
        20 + 17 * manifest.mmio.length + 5 * manifest.ports.length,
      );
      const good =
        isWellFormed(
          manifest.mmio.map((w) => [w.base, w.size]),
          1n << 64n,
        ) &&
        isWellFormed(
          manifest.ports.map((w) => [BigInt(w.port), BigInt(w.count)]),
          1n << 16n,
        );
      let accepted = true;
      try {
        parseIsm2(blob);
      } catch (error) {
        assert.ok(error instanceof IronError && /^E_MANIFEST_OVER/.test(error.code));
        accepted = false;
      }
      assert.equal(accepted, good);
    }),
    500,
  );
  holds(
    t,
    'hostile bytes are refused with a code, or are the blob of what they say',
    fc.property(manifests, fc.array(fc.tuple(fc.nat(200), fc.nat(255))), (manifest, edits) => {
      const blob = ism2Bytes(manifest);
      for (const [at, byte] of edits) if (at < blob.length) blob[at] = byte;
      try {
        return equalBytes(ism2Bytes(parseIsm2(blob)), blob);
      } catch (error) {
        return error instanceof IronError && error.code.startsWith('E_MANIFEST');
      }
    }),
    500,
  );
});

t.test('JSON that is no manifest', async (t) => {
  const [vector] = vectors;
  const minimal = { driver_id: '0x1', iommu_domain: 1, binding_nonce: 0, mmio: [], ports: [] };
  t.same(parseManifest(node(minimal)), { ...scope, bindingNonce: 0, mmio: [], ports: [] });
  const window = { base: '0x0', size: '0x1' };
  for (const [change, code] of [
    [{ driver_id: 1 }, 'E_SCHEMA'],
    [{ driver_id: '1' }, 'E_SCHEMA'],
    [{ driver_id: '0x' }, 'E_SCHEMA'],
    [{ driver_id: '0xA' }, 'E_SCHEMA'],
    [{ driver_id: '0x10000000000000000' }, 'E_SCHEMA'],
    [{ driver_id: '0x0' }, 'E_MANIFEST'],
    [{ iommu_domain: 0 }, 'E_MANIFEST'],
    [{ iommu_domain: 2 ** 32 }, 'E_SCHEMA'],
    [{ binding_nonce: -1 }, 'E_SCHEMA'],
    [{ mmio: undefined }, 'E_SCHEMA'],
    [{ mmio: {} }, 'E_SCHEMA'],
    [{ mmio: [{ ...window, revokd: true }] }, 'E_SCHEMA'],
    [{ mmio: [{ ...window, revoked: 1 }] }, 'E_SCHEMA'],
    [{ mmio: [{ base: '0x0', size: '0x0' }] }, 'E_MANIFEST'],
    [{ mmio: Array.from({ length: 9 }, () => window) }, 'E_MANIFEST'],
    [{ ports: [{ port: 65536, count: 1 }] }, 'E_SCHEMA'],
    [{ ports: [{ port: 0, count: 0 }] }, 'E_MANIFEST'],
    [{ ports: Array.from({ length: 9 }, (_, port) => ({ port, count: 1 })) }, 'E_MANIFEST'],
    [{ port: [] }, 'E_SCHEMA'],
    [{ __proto__: undefined, constructor: 1 }, 'E_SCHEMA'],
  ] as const) {
    refused(t, () => parseManifest(node({ ...minimal, ...change })), code);
  }
  const text = JSON.stringify(vector);
  refused(t, () => parseManifestJson(utf8(text.slice(0, -1))), 'E_JSON');
  refused(t, () => parseManifestJson(utf8(`${text} ${text}`)), 'E_JSON');
  refused(t, () => parseManifestJson(utf8(text.replace('{', '{"mmio":[],'))), 'E_JSON', /twice/);
  refused(t, () => parseManifestJson(utf8(text.padEnd(70_000))), 'E_TOO_LARGE');
  refused(t, () => parseManifestJson(utf8('['.repeat(5000))), 'E_JSON', /nested/);
});

t.test('numbers that no field holds are refused, not cut', async (t) => {
  for (const manifest of [
    { ...mmio(), driverId: 1n << 64n },
    { ...mmio(), driverId: -1n },
    { ...mmio(), iommuDomain: 2 ** 32 },
    { ...mmio(), bindingNonce: 1.5 },
    mmio([1n << 64n, 1n]),
    mmio([0n, 1n << 64n]),
    ports([65536, 1]),
    ports([0, 65536]),
  ]) {
    refused(t, () => canonicalBytes(manifest), 'E_MANIFEST', /fit/);
    refused(t, () => ism2Bytes(manifest), 'E_MANIFEST', /fit/);
  }
});
