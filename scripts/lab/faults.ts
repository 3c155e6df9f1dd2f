/**
 * Faults planted into the agent as it goes into the machine, each of which must make the lab fail:
 * a lab that passes without confinement would show nothing. They are made in the sources while they
 * are bundled; the checkout is not touched.
 */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Plugin } from 'esbuild';
import { CHECKOUT } from './places.ts';

export interface Fault {
  readonly name: string;
  readonly title: string;
  /** The case that must fail by it. */
  readonly caughtBy: string;
  readonly edits: readonly { readonly file: string; readonly from: string; readonly to: string }[];
}

export const FAULTS: readonly Fault[] = [
  {
    name: 'long-map',
    title: 'every window is mapped one page too long',
    caughtBy: 'windows',
    edits: [
      {
        file: 'agent/host/iommufd.ts',
        from: 'length: windowLength(window),',
        to: 'length: windowLength(window) + 4096n,',
      },
      {
        file: 'agent/host/container.ts',
        from: "size: windowLength(window),\n    });\n    ask(this.#container, 'VFIO_IOMMU_MAP_DMA'",
        to: "size: windowLength(window) + 4096n,\n    });\n    ask(this.#container, 'VFIO_IOMMU_MAP_DMA'",
      },
      // So that there is memory to be reached: the page behind belongs to nobody.
      {
        file: 'agent/host/memory.ts',
        from: 'const length = Number(windowLength(window));',
        to: 'const length = Number(windowLength(window)) + 4096;',
      },
    ],
  },
  {
    name: 'writable-map',
    title: 'a read-only window is mapped writable',
    caughtBy: 'windows',
    edits: [
      {
        file: 'agent/host/iommufd.ts',
        from: "(access === 'read' ? 0 : writable)",
        to: 'writable',
      },
      {
        file: 'agent/host/container.ts',
        from: "(access === 'read' ? 0 : write)",
        to: 'write',
      },
    ],
  },
  {
    name: 'brake-without-detach',
    title: 'the brake turns the bus master off and leaves the device attached',
    caughtBy: 'brake',
    edits: [
      {
        file: 'agent/confine.ts',
        from: 'if (this.#space?.isAttached === true) this.#space.detach();',
        to: '',
      },
    ],
  },
  {
    name: 'brake-without-freeze',
    title: 'the brake stops the device and leaves its driver running',
    caughtBy: 'run-flood',
    edits: [
      {
        file: 'agent/confine.ts',
        from: 'if (this.#running?.freeze() === false)',
        to: 'if (this.#running === null)',
      },
    ],
  },
  {
    name: 'open-broker',
    title: 'the broker serves any offset, and its filter lets it',
    caughtBy: 'run-greedy',
    edits: [
      {
        file: 'agent/broker/policy.ts',
        from: 'if (window === undefined) return statuses.outside;',
        to: 'if (window === undefined) return statuses.good;',
      },
      {
        file: 'agent/sandbox/broker-profile.ts',
        from: 'const REGION_MASK = 0xffffff00;',
        to: 'const REGION_MASK = 0;',
      },
    ],
  },
  {
    name: 'open-direct',
    title: "a driver with its device's descriptor may reset and detach it",
    caughtBy: 'run-direct-hostile',
    edits: [
      {
        file: 'agent/sandbox/direct-profile.ts',
        from: 'const INFORMATION = [0x3b6b, 0x3b6c, 0x3b6d];',
        to: 'const INFORMATION = [0x3b6b, 0x3b6c, 0x3b6d, 0x3b6f, 0x3b78];',
      },
    ],
  },
  {
    name: 'unmeasured-program',
    title: 'what is sealed is run, whatever it is',
    caughtBy: 'swapped',
    edits: [
      {
        file: 'agent/host/sealed.ts',
        from: "requireDigest(fd, expected, 'the program');",
        to: '',
      },
    ],
  },
  {
    name: 'soft-kills',
    title: 'a driver that takes too much is ended, and not held for whoever wants to look at it',
    caughtBy: 'level-soft',
    edits: [
      {
        file: 'agent/hold.ts',
        from: "if (level === 'soft' && isStopped) await holdFrozen(holding, log, end);",
        to: "if (level === 'soft' && isStopped) {}",
      },
    ],
  },
  {
    name: 'translation-not-passed-on',
    title: 'binding forgets what fleet policy trusts a device with',
    caughtBy: 'translation',
    edits: [
      {
        file: 'agent/bind.ts',
        from: 'return { backend, steps, prepared, translation };',
        to: 'return { backend, steps, prepared, translation: translation.slice(0, 0) };',
      },
    ],
  },
  {
    name: 'translation-not-asked',
    title: 'nobody looks whether a device translates addresses by itself',
    caughtBy: 'translation',
    edits: [
      {
        file: 'agent/confine.ts',
        from: 'await this.#confining.checkTranslation?.();',
        to: '',
      },
    ],
  },
];

/** Makes the fault's edits; a source that changed so that one does not fit is an error. */
export function planting({ name, edits }: Fault): Plugin {
  return {
    name: `fault-${name}`,
    setup(build) {
      for (const file of new Set(edits.map((edit) => edit.file))) {
        const path = join(CHECKOUT, file);
        build.onLoad({ filter: new RegExp(`${file.replaceAll('.', '\\.')}$`) }, async () => {
          let contents = await readFile(path, 'utf8');
          for (const { from, to } of edits.filter((edit) => edit.file === file)) {
            if (contents.split(from).length !== 2)
              throw new Error(`the fault ${name} does not fit into ${file}: ${from}`);
            contents = contents.replace(from, () => to);
          }
          return { contents, loader: 'ts' };
        });
      }
    },
  };
}
