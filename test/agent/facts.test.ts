/** What is read of a host and its devices: options of the kernel, disks in use, names and numbers. */

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { isBdf } from '../../agent/host/bdf.ts';
import { deviceSerial } from '../../agent/host/config.ts';
import { readInUse } from '../../agent/host/in-use.ts';
import { parseKernelOptions } from '../../agent/host/kernel-options.ts';
import { Sysfs } from '../../agent/host/sysfs.ts';
import { findUses } from '../../agent/host/usage.ts';
import { procOf } from './support.ts';

t.test('options of a kernel', async (t) => {
  t.strictSame(parseKernelOptions(' ro  a-b=c-d\t"e f=g" h="i j" k\n-- l\n'), [
    ...['ro', 'a_b=c-d', 'e f=g', 'h=i j', 'k'],
  ]);
  t.strictSame(parseKernelOptions(''), []);
  t.strictSame(parseKernelOptions('a="never closed b\n'), ['a=never closed b\n']);
});

t.test('what /proc says of disks', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'ironport-sys-'));
  t.teardown(() => rmSync(root, { recursive: true }));
  const folder = 'devices/pci0000:00/0000:00:05.0';
  const partition = join(root, folder, 'nvme/nvme0/nvme0n1/nvme0n1p1');
  mkdirSync(join(partition, 'holders'), { recursive: true });
  writeFileSync(join(partition, 'dev'), '259:1\n');
  const sysfs = await Sysfs.open(root);
  const proc = procOf(t, '');
  const uses = async (mounts: string, swaps = '') => {
    writeFileSync(join(proc, 'self/mountinfo'), mounts);
    writeFileSync(join(proc, 'swaps'), `Filename Type Size Used Priority\n${swaps}`);
    return findUses(sysfs, folder, await readInUse(sysfs, proc));
  };
  const mounted = [{ kind: 'mounted', name: 'nvme0n1p1' }];
  const mount = (rest: string) => `36 35 ${rest}\n`;
  t.strictSame(await uses(''), []);
  t.strictSame(await uses(mount('259:1 / / rw - ext4 /dev/root rw')), mounted);
  t.strictSame(await uses('', '/dev/nvme0n1p1 partition 8 0 -2\n'), [
    { kind: 'swap', name: 'nvme0n1p1' },
  ]);
  // Systems of several disks have a number that is no disk's; their source names one disk, or all.
  const at = '0:40 /sub / rw,relatime shared:1 master:2 -';
  t.strictSame(await uses(mount(`${at} btrfs /dev/nvme0n1p1 rw`)), mounted);
  t.strictSame(await uses(mount(`${at} bcachefs /dev/sda:/dev/nvme0n1p1 rw`)), mounted);
  t.strictSame(await uses(mount('0:40 / /a\\040-\\040b rw - btrfs /dev/nvme0n1p1 rw')), mounted);
  t.strictSame(await uses(mount(`${at} btrfs /dev/nvme0n1p2 rw`)), []);
  t.strictSame(await uses(mount(`${at} tmpfs nvme0n1p1 rw`)), [], 'a name that is no path');
  const link = join(proc, 'by-uuid');
  writeFileSync(join(proc, 'nvme0n1p1'), '');
  symlinkSync('nvme0n1p1', link);
  t.strictSame(await uses(mount(`${at} btrfs ${link} rw`)), mounted, 'by another name');
  // A pool does not say which disks it has.
  const pool = [{ kind: 'pool', name: 'nvme0n1p1' }];
  t.strictSame(await uses(mount('0:50 / /tank rw - zfs tank/data rw')), pool);
  t.strictSame(await uses(''), []);
  mkdirSync(join(proc, 'spl/kstat/zfs/tank'), { recursive: true });
  t.strictSame(await uses(''), pool, 'imported, and not mounted');
});

t.test('a disk that is part of something that is not put together', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'ironport-sys-'));
  t.teardown(() => rmSync(root, { recursive: true }));
  const folder = 'devices/pci0000:00/0000:00:05.0';
  const disk = join(root, folder, 'nvme/nvme0/nvme0n1');
  mkdirSync(join(disk, 'holders'), { recursive: true });
  mkdirSync(join(disk, 'nvme0n1p1', 'holders'), { recursive: true });
  writeFileSync(join(disk, 'dev'), '259:0\n');
  writeFileSync(join(disk, 'nvme0n1p1', 'dev'), '259:1\n');
  const sysfs = await Sysfs.open(root);
  const proc = procOf(t, '');
  const udev = t.testdir();
  const uses = async (noted?: string) => {
    if (noted !== undefined) writeFileSync(join(udev, 'b259:1'), `S:disk/by-id/x\nI:1\n${noted}`);
    return findUses(sysfs, folder, await readInUse(sysfs, proc, udev));
  };
  t.strictSame(await uses(), [], 'without a record');
  const member = [{ kind: 'signature', name: 'nvme0n1p1' }];
  const noted = (type: string, usage: string) =>
    `E:ID_FS_VERSION=1\nE:ID_FS_TYPE=${type}\nE:ID_FS_USAGE=${usage}\nG:systemd\n`;
  for (const [type, usage] of [
    ['LVM2_member', 'raid'],
    ['linux_raid_member', 'raid'],
    ['isw_raid_member', 'raid'],
    ['zfs_member', 'filesystem'],
    ['drbd', 'raid'],
    ['bcache', 'other'],
  ] as const)
    t.strictSame(await uses(noted(type, usage)), member, type);
  for (const type of ['ext4', 'vfat', 'crypto_LUKS'])
    t.strictSame(await uses(noted(type, 'filesystem')), [], `${type}: not in use by itself`);
  t.strictSame(await uses('E:ID_PART_ENTRY_NAME=E:ID_FS_TYPE=zfs_member\n'), [], 'a mere name');
  rmSync(join(udev, 'b259:1'));
  mkdirSync(join(udev, 'b259:1'));
  await t.rejects(uses(), { code: /^E_/ }, 'unknown is not unused');
  t.equal((await readInUse(sysfs, proc)).udev, undefined, 'a recorded tree is not of this kernel');
});

t.test('addresses', async (t) => {
  for (const text of ['0000:00:05.0', 'ffff:ff:1f.7', '10000:e1:00.0', '12345678:00:00.0'])
    t.ok(isBdf(text), text);
  for (const text of [
    ...['00:05.0', '0000:00:20.0', '0000:00:05.8', '0000:00:05.a', '0000:0:05.0', '0000:00:5.0'],
    ...[
      '00000:00:05.0',
      '0000:00:05.0\n',
      ' 0000:00:05.0',
      'FFFF:00:05.0',
      '123456789:00:00.0',
      '',
    ],
  ])
    t.notOk(isBdf(text), JSON.stringify(text));
});

t.test('serial numbers', async (t) => {
  const config = new Uint8Array(4096);
  const view = new DataView(config.buffer);
  t.equal(deviceSerial(config), null, 'no extended capabilities');
  view.setUint32(0x100, 0x0001 | (1 << 16) | (0x140 << 20), true);
  view.setUint32(0x140, 0x0003 | (1 << 16), true);
  config.set([1, 2, 3, 4, 5, 6, 7, 8], 0x144);
  t.equal(deviceSerial(config), '08-07-06-05-04-03-02-01');
  t.equal(deviceSerial(config.subarray(0, 256)), null, 'an unprivileged reader');
  t.equal(deviceSerial(config.subarray(0, 0x148)), null, 'cut short');
  view.setUint32(0x140, 0x0001 | (0x100 << 20), true);
  t.equal(deviceSerial(config), null, 'a list that is a ring');
  t.equal(deviceSerial(new Uint8Array(4096).fill(0xff)), null, 'a device that is gone');
});
