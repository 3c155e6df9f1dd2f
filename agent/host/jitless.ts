/** How a Node is started without a compiler. */

import process from 'node:process';

/**
 * Options for a Node of this version. Node 22 warns on the driver's own output that it leaves out
 * WebAssembly, unless it is told to; later ones do not know the option.
 */
export const JITLESS: readonly string[] = process.versions.node.startsWith('22.')
  ? ['--no-expose-wasm', '--jitless']
  : ['--jitless'];
