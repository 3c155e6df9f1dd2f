/** The machine: q35 with an emulated IOMMU and the devices that the cases are about. */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

export interface MachineParts {
  /** Root of the unpacked QEMU. */
  readonly qemu: string;
  readonly kernel: string;
  readonly initramfs: string;
  /** More words for the kernel's command line. */
  readonly append: readonly string[];
  /** A folder for this run: sockets and the state disk are in it. */
  readonly run: string;
  /** The disk that outlives a boot. */
  readonly disk: string;
  /** Devices that only this boot has. */
  readonly more?: readonly string[];
  /** Also give the guest's console a keyboard. */
  readonly interactive: boolean;
}

export const sockets = {
  lab: 'lab.sock',
  qmp: 'qmp.sock',
} as const;

/** A root port with a function behind it, in a group of its own. */
function behindPort(slot: number, device: string): string[] {
  const port = `pcie-root-port,id=rp${slot},chassis=${slot},slot=${slot},addr=0x${(7 + slot).toString(16)}`;
  return ['-device', port, '-device', `${device},bus=rp${slot}`];
}

/**
 * Two `edu` with DMA of every width, so that an address that is cut short cannot hide a fault; a
 * network card with virtual functions, and an NVMe controller with those; a device with AER below a
 * port, and one with ATS. The chipset itself brings the group of three at 00:1f.
 */
function devices(disk: string): string[] {
  return [
    ...['-device', 'edu,id=edu0,addr=0x5,dma_mask=0xffffffffffff'],
    ...['-device', 'edu,id=edu1,addr=0x6,dma_mask=0xffffffffffff'],
    ...behindPort(1, 'igb,id=igb0'),
    // Without `iommu_platform` it would reach memory past the IOMMU.
    ...behindPort(2, 'virtio-rng-pci,id=vr0,aer=on,iommu_platform=on'),
    ...['-drive', `id=state,if=none,format=raw,file=${disk}`],
    ...behindPort(3, 'virtio-blk-pci,id=blk0,drive=state'),
    // Queues and vectors beyond the controller's own, for its virtual functions to be given.
    ...['-device', 'nvme-subsys,id=sub0'],
    ...behindPort(
      4,
      'nvme,id=nvme0,serial=LAB0,subsys=sub0,sriov_max_vfs=4,max_ioqpairs=18,msix_qsize=20,' +
        'sriov_vq_flexible=8,sriov_vi_flexible=4',
    ),
    // Translates addresses by itself: the kernel turns that on where the IOMMU says that it may.
    ...behindPort(5, 'virtio-rng-pci,id=vr1,iommu_platform=on,ats=on'),
  ];
}

/** Starts QEMU out of its unpacked tree; nothing of it is installed. */
export function startMachine(parts: MachineParts): ChildProcess {
  const { qemu, run } = parts;
  const lib = join(qemu, 'usr', 'lib', 'x86_64-linux-gnu');
  const libraries = [lib, join(lib, 'pulseaudio'), join(lib, 'ceph')].filter((at) =>
    existsSync(at),
  );
  const args = [
    ...['--library-path', libraries.join(':'), join(qemu, 'usr', 'bin', 'qemu-system-x86_64')],
    ...['qemu', 'seabios', 'OVMF', ''].flatMap((name) => {
      const place =
        name === '' ? join(qemu, 'usr', 'lib', 'ipxe', 'qemu') : join(qemu, 'usr', 'share', name);
      return existsSync(place) ? ['-L', place] : [];
    }),
    // Emulation alone: nothing is assumed of the processor underneath.
    ...['-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', '1280'],
    ...['-machine', 'q35,kernel-irqchip=split', '-nodefaults', '-display', 'none', '-no-reboot'],
    ...['-device', 'intel-iommu,intremap=on,caching-mode=on,device-iotlb=on'],
    ...['-kernel', parts.kernel, '-initrd', parts.initramfs],
    ...[
      '-append',
      ['console=ttyS0 panic=-1 tsc=reliable no_timer_check intel_iommu=on', ...parts.append].join(
        ' ',
      ),
    ],
    ...devices(parts.disk),
    ...(parts.more ?? []),
    // What the guest reports, and what it asks of the machine it runs in.
    ...[
      '-device',
      'virtio-serial-pci,addr=0x1e',
      '-chardev',
      `socket,id=lab,path=${join(run, sockets.lab)},server=on,wait=off`,
    ],
    ...['-device', 'virtserialport,chardev=lab,name=lab'],
    ...['-qmp', `unix:${join(run, sockets.qmp)},server=on,wait=off`],
    ...['-serial', 'stdio'],
  ];
  return spawn(join(lib, 'ld-linux-x86-64.so.2'), args, {
    env: { ...process.env, QEMU_MODULE_DIR: join(lib, 'qemu') },
    stdio: [
      parts.interactive ? 'inherit' : 'ignore',
      parts.interactive ? 'inherit' : 'pipe',
      'pipe',
    ],
  });
}
