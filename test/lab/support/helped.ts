/** A helper in the machine: its operators, what they sign, and the device as one of its holders has it. */

import { deepEqual, ok } from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { libc } from '../../../agent/host/libc.ts';
import { REGION } from '../../../agent/host/uapi.ts';
import { VfioDevice } from '../../../agent/host/vfio-device.ts';
import { must, type Program } from '../../../scripts/demo/support/programs.ts';
import { systemClock } from '../../../shared/node/clock.ts';
import { formatInstant } from '../../../shared/time.ts';
import { Edu, pattern } from './edu.ts';
import { POLICY } from './scene.ts';

export const PAGE = 4096;

/** Lets both operators, whose keys are in `place`, sign what `program` has signed by `policy sign`. */
async function sign(place: string, program: Program, file: string, out: string): Promise<void> {
  const half = join(place, 'half.json');
  const words = (from: string, key: string, to: string): string[] => [
    ...['policy', 'sign', from, '--key', join(place, key), '--out', to],
  ];
  await must(program, words(file, 'operator-1.json', half));
  await must(program, words(half, 'operator-2.json', out));
}

/** A fleet policy of this version, signed by both, as an entry of the spool below `place`. */
export async function putPolicy(place: string, version: number, form = POLICY): Promise<string> {
  const expires = formatInstant(systemClock() + 86_400);
  const policy = { ...JSON.parse(readFileSync(form, 'utf8')), version, expires };
  const file = join(place, 'policy.json');
  writeFileSync(file, JSON.stringify(policy));
  const entry = `policy-${version}.json`;
  await sign(place, 'ironport-agent', file, join(place, 'spool', entry));
  return entry;
}

/** The rules of a host that has none of its own, signed: with keys of a fleet it takes nothing without some. */
export async function putHostPolicy(place: string): Promise<string> {
  const [file, signed] = [join(place, 'rules.json'), join(place, 'host-policy.json')];
  const evidence = { otherwise: 'default', rules: [] };
  writeFileSync(file, JSON.stringify({ schema: 'ironport.host-policy/v1', version: 1, evidence }));
  await sign(place, 'ironport-client', file, signed);
  return signed;
}

/** Device and memory as their holder has them, taken from it: the engine of what is asserted. */
export interface Engine {
  readonly edu: Edu;
  readonly memory: number;
  readonly device: number;
  close(): void;
}

export function engineOf(holder: number): Engine {
  const fds = readdirSync(`/proc/${holder}/fd`).map(Number);
  const at = (form: RegExp): number => {
    const isIt = (fd: number): boolean => form.test(readlinkSync(`/proc/${holder}/fd/${fd}`));
    const found = fds.find((fd) => existsSync(`/proc/${holder}/fd/${fd}`) && isIt(fd));
    ok(found !== undefined, `it has ${form}`);
    return libc().takeDescriptor(holder, found);
  };
  const device = at(/^anon_inode:\[vfio-device\]$|^\/dev\/vfio\/devices\/vfio[0-9]+$/);
  const memory = at(/^\/memfd:ironport-dma/);
  const edu = new Edu(device, new VfioDevice(device).region(REGION.bar0).offset);
  return { edu, memory, device, close: () => [device, memory].forEach(closeSync) };
}

/** Through the device and back, inside the window at `iova`. */
export async function roundTrip({ edu, memory }: Engine, iova: bigint, seed: number) {
  const bytes = pattern(PAGE, seed);
  writeSync(memory, bytes, 0, PAGE, 0);
  writeSync(memory, Buffer.alloc(PAGE), 0, PAGE, PAGE);
  await edu.take(iova, PAGE);
  await edu.give(iova + BigInt(PAGE), PAGE);
  const back = Buffer.alloc(PAGE);
  readSync(memory, back, 0, PAGE, PAGE);
  deepEqual(back, bytes, 'every byte moves inside the window');
}
