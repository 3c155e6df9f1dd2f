/**
 * The kernel's structures: sizes and offsets against a second transcription, the answers of a kernel
 * that errs, and what of it runs on any Linux.
 */

import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import t from 'tap';
import { iovaRangesIn } from '../../agent/host/container.ts';
import { libc, SEALS } from '../../agent/host/libc.ts';
import { parseMemlock, requireMemlock } from '../../agent/host/memlock.ts';
import { makeWindowMemory } from '../../agent/host/memory.ts';
import { decode, decode64, encode, type Field, widthOf } from '../../agent/host/struct.ts';
import { REQUESTS, STRUCTS } from '../../agent/host/uapi.ts';
import { windowAt } from '../../shared/manifest/windows.ts';

/** Size, then the offset of every field: written down apart from the table. */
const EXPECTED: Readonly<Record<keyof typeof STRUCTS, readonly [number, string]>> = {
  ioas: [12, 'size:0 flags:4 out_ioas_id:8'],
  destroy: [8, 'size:0 id:4'],
  iovaRanges: [
    32,
    'size:0 ioas_id:4 num_iovas:8 reserved:12 allowed_iovas:16 out_iova_alignment:24',
  ],
  ioasMap: [40, 'size:0 flags:4 ioas_id:8 reserved:12 user_va:16 length:24 iova:32'],
  ioasUnmap: [24, 'size:0 ioas_id:4 iova:8 length:16'],
  deviceInfo: [24, 'argsz:0 flags:4 num_regions:8 num_irqs:12 cap_offset:16 pad:20'],
  regionInfo: [32, 'argsz:0 flags:4 index:8 cap_offset:12 size:16 offset:24'],
  irqInfo: [16, 'argsz:0 flags:4 index:8 count:12'],
  irqSet: [20, 'argsz:0 flags:4 index:8 start:12 count:16'],
  hotResetInfo: [12, 'argsz:0 flags:4 count:8'],
  hotResetDevice: [8, 'group_or_device_id:0 segment:4 bus:6 devfn:7'],
  bindIommufd: [16, 'argsz:0 flags:4 iommufd:8 out_devid:12'],
  attachPt: [12, 'argsz:0 flags:4 pt_id:8'],
  detachPt: [8, 'argsz:0 flags:4'],
  groupStatus: [8, 'argsz:0 flags:4'],
  typeInfo: [24, 'argsz:0 flags:4 iova_pgsizes:8 cap_offset:16 pad:20'],
  dmaMap: [32, 'argsz:0 flags:4 vaddr:8 iova:16 size:24'],
  dmaUnmap: [24, 'argsz:0 flags:4 iova:8 size:16'],
  capHeader: [8, 'id:0 version:2 next:4'],
  capIovaRanges: [16, 'id:0 version:2 next:4 nr_iovas:8 reserved:12'],
  iovaRange: [16, 'start:0 last:8'],
};

t.test('every structure has its size and its offsets', async (t) => {
  for (const [key, struct] of Object.entries(STRUCTS)) {
    const [size, offsets] = EXPECTED[key as keyof typeof STRUCTS];
    const fields = Object.entries(struct.fields as Record<string, Field>);
    t.equal(struct.size, size, `${struct.name}: size`);
    t.equal(fields.map(([name, { at }]) => `${name}:${at}`).join(' '), offsets, struct.name);
    // Neither holes nor overlaps: what is not a field is not in the structure.
    let end = 0;
    for (const [name, field] of fields) {
      t.equal(field.at, end, `${struct.name}.${name} follows`);
      t.equal(field.at % widthOf(field), 0, `${struct.name}.${name} is aligned`);
      end = field.at + widthOf(field);
    }
    t.equal(end, size, `${struct.name} is covered`);
  }
});

t.test('the numbers of requests are those of their ranges', async (t) => {
  for (const [name, number] of Object.entries(REQUESTS)) {
    t.equal(number >> 8, 0x3b, `${name} has the type of VFIO`);
    const isIommufd = name.startsWith('IOMMU_');
    t.ok(isIommufd ? number >= 0x3b80 : number >= 0x3b64 && number < 0x3b80, name);
  }
});

t.test('fields are written and read where they are', async (t) => {
  const { bindIommufd, ioasMap } = STRUCTS;
  const bytes = encode(ioasMap, { size: 40, iova: 0xfedc_ba98_7654_3210n }, 8);
  t.equal(bytes.length, 48);
  t.equal(bytes.readUInt32LE(0), 40);
  t.equal(bytes.readBigUInt64LE(32), 0xfedc_ba98_7654_3210n);
  t.equal(decode64(ioasMap, bytes, 'iova'), 0xfedc_ba98_7654_3210n);
  t.throws(() => decode(ioasMap, bytes, 'iova'), { code: 'E_SCHEMA' }, 'too large to count');
  t.throws(() => decode64(ioasMap, bytes.subarray(0, 39), 'iova'), { code: 'E_SCHEMA' });
  t.equal(decode(bindIommufd, encode(bindIommufd, { iommufd: -1 }), 'iommufd'), -1);
  t.throws(() => encode(ioasMap, { nothing: 1 } as never), { code: 'E_INTERNAL' });
});

/** An answer of the container with a chain of capabilities. */
function answer(ranges: readonly (readonly [bigint, bigint])[], count = ranges.length): Buffer {
  const { typeInfo, capHeader, capIovaRanges, iovaRange } = STRUCTS;
  const first = encode(capHeader, { id: 3, next: typeInfo.size + capHeader.size });
  const list = encode(capIovaRanges, { id: 1, nr_iovas: count });
  const entries = ranges.map(([start, last]) => encode(iovaRange, { start, last }));
  return Buffer.concat([Buffer.alloc(typeInfo.size), first, list, ...entries]);
}

t.test('the ranges of a container are read from its chain', async (t) => {
  const first = STRUCTS.typeInfo.size;
  t.strictSame(iovaRangesIn(answer([[0n, 0xfedf_ffffn]]), first), [
    { start: 0n, end: 0xfee0_0000n },
  ]);
  t.strictSame(iovaRangesIn(answer([]), 0), [], 'no chain, no ranges');
  t.throws(() => iovaRangesIn(answer([[0n, 1n]], 2), first), { code: 'E_SCHEMA' });
  t.throws(() => iovaRangesIn(answer([]), 1000), { code: 'E_SCHEMA' }, 'an offset outside');
  const loop = encode(STRUCTS.capHeader, { id: 9, next: 8 });
  t.strictSame(iovaRangesIn(Buffer.concat([Buffer.alloc(8), loop]), 8), [], 'a loop ends');
});

const STATUS = 'Name:\tnode\nCapEff:\t0000000000000000\n';
const LIMITS =
  'Limit  Soft Limit  Hard Limit  Units\nMax locked memory         8388608 16777216 bytes\n';

t.test('memory that may be locked', async (t) => {
  t.equal(parseMemlock(LIMITS, STATUS), 8_388_608n);
  t.equal(parseMemlock(LIMITS, 'CapEff:\t0000000000004000\n'), undefined, 'CAP_IPC_LOCK');
  t.equal(parseMemlock(LIMITS.replace('8388608', 'unlimited'), STATUS), undefined);
  t.equal(parseMemlock('', ''), 0n, 'what is not said is not allowed');
  requireMemlock(8n, 8n);
  requireMemlock(8n, undefined);
  t.throws(() => requireMemlock(9n, 8n), {
    code: 'E_MEMLOCK',
    message: /takes 9 bytes, and this process may lock 8/,
    context: { reason: 'memlock', needed_bytes: '9', limit_bytes: '8' },
  });
});

t.test('the memory of a window is sealed, and zeroed at its end', async (t) => {
  const memory = makeWindowMemory({ window: windowAt(0x10_0000n, 8192n), access: 'read-write' });
  t.equal(fstatSync(memory.fd).size, 8192);
  // Linux 6.3 adds the seal against running it.
  const seals = libc().seals(memory.fd) & ~SEALS.exec;
  t.equal(seals, SEALS.seal | SEALS.shrink | SEALS.grow);
  t.equal(fstatSync(memory.fd).mode & 0o777, 0o600, 'nobody else opens it, and nobody runs it');
  t.throws(() => ftruncateSync(memory.fd, 4096), { code: 'EPERM' }, 'it cannot shrink');
  t.throws(() => ftruncateSync(memory.fd, 16_384), { code: 'EPERM' }, 'nor grow');
  t.throws(() => libc().seal(memory.fd, SEALS.write), { code: 'EPERM' }, 'nor be sealed more');

  writeSync(memory.fd, Buffer.from('secret'), 0, 6, 4096);
  // Another descriptor of the same memory, as somebody else may hold one.
  const other = openSync(`/proc/self/fd/${memory.fd}`, 'r');
  memory.end();
  memory.end();
  const bytes = Buffer.alloc(8192, 1);
  t.equal(readSync(other, bytes, 0, 8192, 0), 8192);
  t.ok(
    bytes.every((byte) => byte === 0),
    'nothing of it is left',
  );
  closeSync(other);
});

t.test('a request that the kernel does not know is an error with its name', async (t) => {
  const fd = libc().eventfd();
  t.throws(() => libc().ioctl(fd, REQUESTS.VFIO_DEVICE_RESET, 0, 'VFIO_DEVICE_RESET'), {
    code: 'ENOTTY',
    syscall: 'VFIO_DEVICE_RESET',
  });
  closeSync(fd);
});
