/**
 * `node scripts/demo/kernel/main.ts FOLDER [--fault WHERE:KIND]… [--unbound]` plays the kernel in
 * FOLDER and prints `ready`. On stdin it takes lines: `fault WHERE:KIND…` replaces the faults,
 * `clear` ends them, `stop` ends the program, as do SIGTERM and the end of a piped stdin.
 */

import process from 'node:process';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { BRIDGE, EDU_DEVICE } from './devices.ts';
import { startKernel } from './kernel.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    fault: { type: 'string', multiple: true, default: [] },
    unbound: { type: 'boolean', default: false },
  },
});
const [folder] = positionals;
if (folder === undefined) {
  refuse('usage: node scripts/demo/kernel/main.ts FOLDER [--fault WHERE:KIND]… [--unbound]');
}

const edu = values.unbound ? { ...EDU_DEVICE, driver: null } : EDU_DEVICE;
const kernel = await startKernel(folder, { devices: [BRIDGE, edu], faults: values.fault }).catch(
  (error: Error) => refuse(error.message),
);
// What listens does not keep a process alive by itself, so that tests can end.
const alive = setInterval(() => {}, 2 ** 30);
const stop = async (): Promise<void> => {
  clearInterval(alive);
  await kernel.stop();
  process.exit(0);
};
process.once('SIGTERM', stop);
process.once('SIGINT', stop);

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const [word, ...rest] = line.trim().split(/\s+/);
  if (word === 'stop') void stop();
  else if (word === 'clear') kernel.setFaults([]);
  else if (word === 'fault') setFaults(rest);
  else if (word !== '') console.error(`no command: ${line}`);
});
// A pipe that ends is a parent that is gone; /dev/null ends at once and says nothing.
if (!process.stdin.isTTY && process.stdin.constructor.name !== 'ReadStream')
  lines.on('close', () => void stop());
console.log('ready');

/** A mistyped fault changes nothing, and ends nothing. */
function setFaults(faults: readonly string[]): void {
  try {
    kernel.setFaults(faults);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
  }
}

function refuse(message: string): never {
  console.error(message);
  process.exit(2);
}
