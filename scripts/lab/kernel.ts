/**
 * The kernel to boot. `lab` has iommufd and the VFIO character device and needs no modules; `stock`
 * is the one that Debian ships, with neither: there the group and the container are all there is.
 */

import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { must, unpackDebian } from './debian.ts';
import { loadModules, type Module } from './modules.ts';
import { CHECKOUT } from './places.ts';

export interface Kernel {
  /** `lab`, `stock` or the path that was named. */
  readonly name: string;
  readonly image: string;
  /** In the order in which they are loaded. */
  readonly modules: readonly Module[];
}

/** What a lab kernel is configured with; its hash names the built image. */
const CONFIG = join(CHECKOUT, 'test', 'lab', 'kernel.config');
const BUILD_NEEDS = ['gcc', 'make', 'flex', 'bison', 'bc', 'lz4', 'xz'];

/** Modules of Debian's kernel that the lab's devices and programs need. */
const STOCK_MODULES = [
  'virtio_pci',
  'virtio_console',
  'virtio_blk',
  '9pnet_virtio',
  '9p',
  'crc32c_generic',
  'ext4',
  'vfio_pci',
  'vfio_iommu_type1',
  'igb',
  'nvme',
  'virtio_rng',
  'pci_stub',
];

export interface FindKernel {
  readonly cache: string;
  readonly say: (text: string) => void;
}

/** Finds, fetches or builds the kernel that `wanted` names: `lab`, `stock` or the path of an image. */
export function findKernel(wanted: string, { cache, say }: FindKernel): Kernel {
  if (wanted === 'stock') return stockKernel(cache, say);
  if (wanted !== 'lab') {
    if (!existsSync(wanted)) throw new Error(`there is no kernel at ${wanted}`);
    return { name: wanted, image: resolve(wanted), modules: [] };
  }
  const named = process.env.IRONPORT_LAB_KERNEL;
  if (named !== undefined && named !== '')
    return { ...findKernel(named, { cache, say }), name: 'lab' };
  const hash = createHash('sha256').update(readFileSync(CONFIG)).digest('hex').slice(0, 16);
  const built = join(cache, `bzImage-${hash}`);
  if (existsSync(built)) return { name: 'lab', image: built, modules: [] };
  buildKernel(cache, built, say);
  return { name: 'lab', image: built, modules: [] };
}

function stockKernel(cache: string, say: (text: string) => void): Kernel {
  const { root } = unpackDebian(cache, ['linux-image-amd64'], { say });
  const boot = join(root, 'boot');
  const image = readdirSync(boot).find((name) => name.startsWith('vmlinuz-'));
  if (image === undefined) throw new Error(`no kernel in ${boot}`);
  const version = image.slice('vmlinuz-'.length);
  const folder = join(root, 'usr', 'lib', 'modules', version);
  return {
    name: 'stock',
    image: join(boot, image),
    modules: loadModules(folder, STOCK_MODULES, cache),
  };
}

/** Builds Debian's kernel source with the lab's configuration: minutes, once. */
function buildKernel(cache: string, built: string, say: (text: string) => void): void {
  const missing = BUILD_NEEDS.filter((tool) => {
    try {
      must('sh', ['-c', `command -v ${tool}`]);
      return false;
    } catch {
      return true;
    }
  });
  if (missing.length > 0) {
    throw new Error(
      `the lab's kernel is to be built, and the build needs: ${missing.join(', ')}. Install them, or name an image: --kernel PATH, or take Debian's: --kernel stock`,
    );
  }
  const { root } = unpackDebian(cache, ['linux-source-6.12'], { closure: false, say });
  const work = join(cache, 'kernel-build');
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  say('building the kernel: this takes minutes, once');
  must('tar', ['-xf', join(root, 'usr', 'src', 'linux-source-6.12.tar.xz'), '-C', work]);
  const source = join(work, 'linux-source-6.12');
  must('make', [`KCONFIG_ALLCONFIG=${CONFIG}`, 'allnoconfig'], { cwd: source });
  requireConfigured(readFileSync(join(source, '.config'), 'utf8'), readFileSync(CONFIG, 'utf8'));
  must('make', [`-j${availableParallelism()}`, 'bzImage'], { cwd: source });
  copyFileSync(join(source, 'arch', 'x86', 'boot', 'bzImage'), `${built}.new`);
  copyFileSync(`${built}.new`, built);
  rmSync(`${built}.new`);
  writeFileSync(`${built}.config`, readFileSync(join(source, '.config')));
  rmSync(work, { recursive: true, force: true });
}

/** allnoconfig drops in silence what it cannot satisfy: what the lab stands on must be there. */
const MUST_HAVE = [
  'IOMMUFD',
  'VFIO_DEVICE_CDEV',
  'VFIO_CONTAINER',
  'VFIO_PCI',
  'INTEL_IOMMU',
  'SECCOMP_FILTER',
  'SECURITY_LANDLOCK',
  'PCIEAER',
  'NET_9P_VIRTIO',
  'VIRTIO_CONSOLE',
];

function requireConfigured(finished: string, wanted: string): void {
  const missing = MUST_HAVE.filter(
    (name) => wanted.includes(`CONFIG_${name}=y`) && !finished.includes(`CONFIG_${name}=y\n`),
  );
  if (missing.length > 0)
    throw new Error(`the kernel's configuration lost ${missing.join(', ')}: nothing was built`);
}
