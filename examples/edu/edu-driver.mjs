#!/usr/bin/env node
/**
 * A user-space driver for QEMU's educational PCI device (1234:11e8, QEMU docs/specs/edu.rst), in one
 * file that needs nothing but Node. It opens nothing: it works on the descriptors that it is handed,
 * inside the windows that it is told. It identifies the device, checks that it is alive, lets it
 * compute a factorial, and moves a pattern by DMA into the device's buffer and back.
 *
 * What it is handed is one JSON object, in the environment variable IRONPORT_DRIVER or else as the
 * first line of standard input. Brokered, as `ironport-agent apply --hold --run` hands it over
 * (docs/reference/driver.md):
 *
 *   {"schema": "ironport.driver/v2", "requests": 3, "replies": 4,
 *    "registers": [{"bar": 0, "offset": "0x0", "length": "0x1000", "access": "read-write"}],
 *    "dma": [{"iova": "0x100000", "length": "0x10000", "fd": 5, "access": "read-write"}],
 *    "interrupts": [{"vector": 0, "fd": 6}]}
 *
 * Or direct, with windows that are ranges of descriptors, to be read and written by pread and pwrite
 * of exactly four bytes; `at` is where a window begins in its descriptor. When there is a `begin`, a
 * byte comes out of it when the device may be used:
 *
 *   {"schema": "ironport.driver/v1", "begin": 4,
 *    "registers": [{"bar": 0, "offset": "0x0", "length": "0x1000", "fd": 3, "at": "0x0"}],
 *    "dma": [{"iova": "0x100000", "length": "0x10000", "fd": 5, "at": "0x0"}],
 *    "interrupts": [{"vector": 0, "fd": 6}]}
 *
 * A DMA window is memory that the device sees at `iova`. Without one the transfer is left out, and
 * without an event to wait on the interrupt, and both are said to be.
 *
 * Exit status: 0 all good, 2 not handed what it needs, 3 not an edu device, 4 not alive, 5 a wrong
 * factorial, 6 a wrong transfer, 7 the device does not finish, 8 reading or writing failed or was
 * refused.
 */

import { readSync, writeSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

/** Registers in BAR 0 (docs/specs/edu.rst, "MMIO area spec"). */
export const REGISTER = {
  identification: 0x00,
  liveness: 0x04,
  factorial: 0x08,
  status: 0x20,
  interruptStatus: 0x24,
  interruptRaise: 0x60,
  interruptAcknowledge: 0x64,
  dmaSource: 0x80,
  dmaDestination: 0x88,
  dmaCount: 0x90,
  dmaCommand: 0x98,
};

/** The device's buffer, as its DMA engine addresses it. */
export const BUFFER = { at: 0x40000, length: 4096 };

const STATUS_COMPUTING = 0x01;
const DMA_START = 0x01;
const DMA_FROM_DEVICE = 0x02;
/** The device drives 28 bits of address unless QEMU was told otherwise. */
const DMA_REACH = 2 ** 28;

export const EXIT = {
  good: 0,
  handed: 2,
  identity: 3,
  liveness: 4,
  factorial: 5,
  transfer: 6,
  stalled: 7,
  io: 8,
};

/** What went wrong, and the exit status that says so. */
export class DriverError extends Error {
  constructor(exit, message) {
    super(message);
    this.exit = exit;
  }
}

/** The object handed over, checked: `{registers, memory: {fd, at, iova, length}?, event?}`. */
export function parseHanded(text) {
  const bad = (what) => new DriverError(EXIT.handed, `not handed what is needed: ${what}`);
  let handed;
  try {
    handed = JSON.parse(text);
  } catch {
    throw bad('no JSON object');
  }
  const isBrokered = handed?.schema === 'ironport.driver/v2';
  if (!isBrokered && handed?.schema !== 'ironport.driver/v1')
    throw bad('the schema is not ironport.driver/v2 or v1');
  const number = (value, name) => {
    if (typeof value !== 'string' || !/^0x[0-9a-f]{1,13}$/.test(value)) throw bad(name);
    return Number(value);
  };
  const descriptor = (value) => {
    if (!Number.isSafeInteger(value) || value < 3) throw bad('a descriptor of 3 or more');
    return value;
  };
  const { registers, dma = [], interrupts = [] } = handed;
  if (![registers, dma, interrupts].every(Array.isArray)) throw bad('lists of windows');
  const first = registers.find(({ bar, offset }) => bar === 0 && offset === '0x0');
  if (first === undefined) throw bad('a window at the beginning of BAR 0');
  if (number(first.length, 'the length of the window') < REGISTER.dmaCommand + 4)
    throw bad('a window over all registers');
  const window = isBrokered
    ? { requests: descriptor(handed.requests), replies: descriptor(handed.replies) }
    : {
        ...{ fd: descriptor(first.fd), at: number(first.at, 'where the window is') },
        ...(handed.begin === undefined ? {} : { begin: descriptor(handed.begin) }),
      };
  const event = interrupts[0] === undefined ? undefined : descriptor(interrupts[0].fd);
  const [memory] = dma;
  if (memory === undefined) return { registers: window, memory: undefined, event };
  const iova = number(memory.iova, 'the address of the memory');
  const length = number(memory.length, 'the length of the memory');
  if (iova + length > DMA_REACH) throw bad('memory within the 28 bits that the device drives');
  if (length < 2 * BUFFER.length) throw bad('two pages of memory');
  const at = isBrokered ? 0 : number(memory.at, 'where the memory is');
  return { registers: window, memory: { fd: descriptor(memory.fd), at, iova, length }, event };
}

/** The broker's frames (docs/reference/driver.md), and what it may answer. */
const FRAME = { version: 1, request: 24, reply: 16, read: 1, write: 2, width: 4 };
const ANSWERS = [
  ...['good', 'malformed', 'width', 'unaligned', 'region', 'outside', 'read-only', 'device'],
];

/** Registers of BAR 0 behind a broker: 32 bits each, one request and one reply an access. */
export function brokeredRegistersOf({ requests, replies }) {
  let sequence = 0;
  const ask = (op, offset, value) => {
    const request = Buffer.alloc(FRAME.request);
    request.set([FRAME.version, op, FRAME.width, 0]);
    sequence = (sequence + 1) >>> 0;
    request.writeUInt32LE(sequence, 4);
    request.writeBigUInt64LE(BigInt(offset), 8);
    request.writeBigUInt64LE(BigInt(value), 16);
    writeSync(requests, request);
    const reply = Buffer.alloc(FRAME.reply);
    for (let held = 0; held < FRAME.reply; ) {
      const count = readSync(replies, reply, held, FRAME.reply - held, null);
      if (count === 0) throw new DriverError(EXIT.io, 'the broker is gone');
      held += count;
    }
    const status = reply.readUInt8(1);
    if (status !== 0 || reply.readUInt32LE(4) !== sequence)
      throw new DriverError(EXIT.io, `register ${hex(offset)}: ${ANSWERS[status] ?? status}`);
    return reply.readUInt32LE(8);
  };
  return {
    read: (offset) => ask(FRAME.read, offset, 0),
    write: (offset, value) => void ask(FRAME.write, offset, value >>> 0),
  };
}

/** Registers behind a descriptor: 32 bits each, little-endian, one access a call. */
export function registersOf({ fd, at }) {
  const word = Buffer.alloc(4);
  return {
    read(offset) {
      if (readSync(fd, word, 0, 4, at + offset) !== 4)
        throw new DriverError(EXIT.io, `register 0x${offset.toString(16)} gave less than 4 bytes`);
      return word.readUInt32LE();
    },
    write(offset, value) {
      word.writeUInt32LE(value >>> 0);
      if (writeSync(fd, word, 0, 4, at + offset) !== 4)
        throw new DriverError(EXIT.io, `register 0x${offset.toString(16)} took less than 4 bytes`);
    },
  };
}

/** Memory behind a descriptor, which the device sees at `iova`. */
export function memoryOf({ fd, at, iova }) {
  return {
    iova,
    read(offset, length) {
      const bytes = Buffer.alloc(length);
      if (readSync(fd, bytes, 0, length, at + offset) !== length)
        throw new DriverError(EXIT.io, 'the memory ends too early');
      return bytes;
    },
    write(offset, bytes) {
      if (writeSync(fd, bytes, 0, bytes.length, at + offset) !== bytes.length)
        throw new DriverError(EXIT.io, 'the memory took too little');
    },
  };
}

/** 0xRRrr00ed: major and minor version, and the mark of the device. Returns the version. */
export function identify(registers) {
  const id = registers.read(REGISTER.identification);
  if ((id & 0xffff) !== 0x00ed)
    throw new DriverError(EXIT.identity, `not an edu device: identification ${hex(id)}`);
  return { major: id >>> 24, minor: (id >>> 16) & 0xff };
}

/** The device gives back what was written with every bit turned. */
export function checkAlive(registers, value) {
  registers.write(REGISTER.liveness, value);
  const answer = registers.read(REGISTER.liveness);
  if (answer !== ~value >>> 0)
    throw new DriverError(EXIT.liveness, `wrote ${hex(value)} and read ${hex(answer)}`);
}

/** `n!` modulo 2^32, computed by the device. */
export async function factorial(registers, n, limits) {
  registers.write(REGISTER.factorial, n);
  await until(
    () => (registers.read(REGISTER.status) & STATUS_COMPUTING) === 0,
    'the factorial',
    limits,
  );
  return registers.read(REGISTER.factorial);
}

/** The same, computed here. */
export function factorialHere(n) {
  let product = 1n;
  for (let i = 2n; i <= BigInt(n); i++) product = BigInt.asUintN(32, product * i);
  return Number(product);
}

/** Moves `pattern` from memory into the device's buffer and from there to another place; compares. */
export async function checkTransfer(registers, memory, pattern, limits) {
  const { length } = pattern;
  memory.write(0, pattern);
  memory.write(BUFFER.length, Buffer.alloc(length));
  await transfer(registers, { from: memory.iova, to: BUFFER.at, length, command: 0 }, limits);
  const back = { from: BUFFER.at, to: memory.iova + BUFFER.length, length };
  await transfer(registers, { ...back, command: DMA_FROM_DEVICE }, limits);
  const found = memory.read(BUFFER.length, length);
  const wrong = found.findIndex((byte, i) => byte !== pattern[i]);
  if (wrong !== -1) {
    const what = `${hex(found[wrong])} instead of ${hex(pattern[wrong])}`;
    throw new DriverError(EXIT.transfer, `byte ${wrong} of ${length} came back as ${what}`);
  }
}

async function transfer(registers, { from, to, length, command }, limits) {
  registers.write(REGISTER.dmaSource, from);
  registers.write(REGISTER.dmaDestination, to);
  registers.write(REGISTER.dmaCount, length);
  registers.write(REGISTER.dmaCommand, DMA_START | command);
  await until(
    () => (registers.read(REGISTER.dmaCommand) & DMA_START) === 0,
    'the transfer',
    limits,
  );
}

/** Asks again and again, with pauses, for as long as `limits` says. */
async function until(isDone, what, { tries = 500, pauseMs = 10 } = {}) {
  for (let i = 0; i < tries; i++) {
    if (isDone()) return;
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  throw new DriverError(EXIT.stalled, `${what} does not come to an end`);
}

/** Lets the device interrupt, and waits until the event behind `fd` was signalled. */
export async function checkInterrupt(registers, fd, limits) {
  const count = Buffer.alloc(8);
  const isSignalled = () => {
    try {
      return readSync(fd, count, 0, 8, null) === 8;
    } catch (error) {
      if (error.code === 'EAGAIN') return false;
      throw error;
    }
  };
  registers.write(REGISTER.interruptRaise, 1);
  await until(isSignalled, 'the interrupt', limits);
  registers.write(REGISTER.interruptAcknowledge, registers.read(REGISTER.interruptStatus));
}

/** A pattern in which every 32-bit word differs from its neighbours. */
export function patternOf(length) {
  const pattern = Buffer.alloc(length);
  for (let i = 0; i + 4 <= length; i += 4) pattern.writeUInt32LE((i * 2654435761) >>> 0, i);
  return pattern;
}

/** Drives the device once through everything; `say` takes a line for each thing that held. */
export async function drive(registers, memory, say, limits = {}, event = undefined) {
  const { major, minor } = identify(registers);
  say(`edu device, version ${major}.${minor}`);
  for (const value of [0, 0xffffffff, 0x12345678]) checkAlive(registers, value);
  say('alive: it inverts what it is given');
  for (const n of [0, 5, 12, 13]) {
    const found = await factorial(registers, n, limits);
    if (found !== factorialHere(n)) throw new DriverError(EXIT.factorial, `${n}! is not ${found}`);
  }
  say('factorials: 0!, 5!, 12! and 13! modulo 2^32');
  if (event !== undefined) {
    await checkInterrupt(registers, event, limits);
    say('interrupts: one was raised, and one came');
  }
  if (memory === undefined) {
    say('transfers: left out, no memory was granted');
    return;
  }
  // Not to the last byte: older versions of QEMU end the machine when a transfer ends there.
  const longest = BUFFER.length / 2;
  for (const length of [4, 256, longest])
    await checkTransfer(registers, memory, patternOf(length), limits);
  say(`transfers: up to ${longest} bytes into the device and back`);
}

/** The first line of standard input, of at most 64 KiB. */
function firstLine() {
  const bytes = Buffer.alloc(65_536);
  let length = 0;
  while (length < bytes.length) {
    const count = readSync(0, bytes, length, bytes.length - length, null);
    length += count;
    if (count === 0 || bytes.subarray(0, length).includes(10)) break;
  }
  return bytes.toString('utf8', 0, length).split('\n')[0];
}

function hex(value) {
  return `0x${value.toString(16)}`;
}

async function main() {
  try {
    const handed = parseHanded(process.env.IRONPORT_DRIVER ?? firstLine());
    const memory = handed.memory === undefined ? undefined : memoryOf(handed.memory);
    const { registers, event } = handed;
    if (registers.begin !== undefined && readSync(registers.begin, Buffer.alloc(1)) !== 1)
      throw new DriverError(EXIT.io, 'the device is not to be used');
    const access =
      registers.replies === undefined ? registersOf(registers) : brokeredRegistersOf(registers);
    await drive(access, memory, (line) => console.log(line), {}, event);
    return EXIT.good;
  } catch (error) {
    console.error(`edu-driver: ${error.message}`);
    if (error instanceof DriverError) return error.exit;
    if (error.syscall !== undefined) return EXIT.io;
    throw error;
  }
}

const isProgram = import.meta.main ?? process.argv[1] === fileURLToPath(import.meta.url);
if (isProgram) process.exitCode = await main();
