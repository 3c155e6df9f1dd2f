/** Parsers with one fault each, for the fuzzer to find. */

import { IronError } from '../../shared/errors.ts';

const row = (name: string, parse: (bytes: Uint8Array) => unknown) => ({
  name: `broken.ts#${name}`,
  seeds: ['root'],
  parse,
});
const hoard: unknown[] = [];

export const TARGETS = [
  row('good', () => {
    throw new IronError('E_SCHEMA', 'it is never right');
  }),
  row('crash', (bytes) => {
    if (bytes.includes(0)) throw new TypeError('of no use');
  }),
  row('internal', () => {
    throw new IronError('E_INTERNAL', 'a defect of ours is no refusal');
  }),
  row('slow', () => {
    const until = process.cpuUsage().user + 1.1e6;
    while (process.cpuUsage().user < until /* the processor works */);
  }),
  row('stuck', () => {
    for (let i = 0; i >= 0; i = (i + 1) % 7);
  }),
  row('heap', () => {
    for (;;) hoard.push(new Array(1000).fill(hoard.length));
  }),
  row('buffers', () => {
    hoard.push(new Uint8Array(300 * 2 ** 20).fill(1));
  }),
];
