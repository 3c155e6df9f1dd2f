/** Drivers that do what they should not: plain programs, as text, for the machine's Node. */

/** What all of them begin with: one access of the broker, whatever it is. */
const ASK = `
const { readSync, writeSync, openSync, readFileSync } = process.getBuiltinModule('node:fs');
let sequence = 0;
function ask({ version = 1, op = 1, width = 4, region = 0, offset = 0n, value = 0n }) {
  const request = Buffer.alloc(24);
  request.set([version, op, width, region]);
  request.writeUInt32LE(++sequence, 4);
  request.writeBigUInt64LE(BigInt.asUintN(64, offset), 8);
  request.writeBigUInt64LE(BigInt.asUintN(64, value), 16);
  writeSync(3, request);
  const reply = Buffer.alloc(16);
  for (let held = 0; held < 16; ) held += readSync(4, reply, held, 16 - held, null);
  return { status: reply[1], value: reply.readBigUInt64LE(8) };
}
const say = (what) => console.log(JSON.stringify(what));
`;

/**
 * Tries everything that was not granted, and says what came of it: a line for each attempt, and
 * after each the granted register, which must go on answering.
 */
export const GREEDY = `${ASK}
const attempts = [];
const add = (what, request) => attempts.push([what, request]);
for (const op of [1, 2]) {
  const value = op === 2 ? 6n : 0n;
  for (const region of [1, 2, 3, 4, 5, 6, 7, 8, 9, 255])
    for (const offset of [0n, 4n, 0x10n]) add('region ' + region, { op, region, offset, value });
  // From region 0 into the others, by the offsets that VFIO gives them.
  for (let region = 1n; region <= 8n; region++)
    add('offset of region ' + region, { op, offset: (region << 40n) + 4n, value });
  for (const [edge, by] of [[0x1000n, 0n], [0x1000n, 4n], [0x3fffcn, 0n], [0x41000n, 0n],
    [0xfffffn, -3n], [0x100000n, 0n], [1n << 32n, 0n], [1n << 63n, 0n], [-4n, 0n]])
    add('outside', { op, offset: edge + by, value });
  for (const [width, offset] of [[4, 0xffen], [4, 0xffdn], [4, 0xfffn], [2, 0xfffn], [2, 1n]])
    add('unaligned', { op, width, offset, value });
  for (const width of [0, 3, 5, 8, 16, 64, 255]) add('width ' + width, { op, width, value });
}
add('a write where reading was granted', { op: 2, offset: 0x40000n, value: 1n });
add('a value that is wider', { op: 2, width: 1, value: 0x100n });
add('a value in a read', { value: 1n });
for (const op of [0, 3, 255]) add('operation ' + op, { op });
for (const version of [0, 2, 255]) add('version ' + version, { version });
for (const [what, request] of attempts) {
  const { status, value } = ask(request);
  const control = ask({});
  say({ what, status, value: String(value), control: control.status, id: Number(control.value & 0xffffn) });
}
const take = (what, act) => {
  try {
    act();
    say({ what, taken: true });
  } catch (error) {
    say({ what, taken: false, code: error.code });
  }
};
for (const path of ['/dev/vfio/vfio', '/dev/iommu', '/dev/mem', '/sys/bus/pci/devices/0000:00:05.0/config',
  '/sys/bus/pci/devices/0000:00:05.0/resource0', '/proc/1/mem', '/proc/self/environ', '/dev/kmsg']) {
  take(path, () => openSync(path, 'r'));
  take(path + ' to write', () => openSync(path, 'r+'));
}
for (let fd = 7; fd < 64; fd++) take('descriptor ' + fd, () => {
  // Its own program is one, and ends long before.
  if (readSync(fd, Buffer.alloc(4), 0, 4, 7 * 2 ** 40 + 4) < 4) throw Object.assign(new Error(), { code: 'EMPTY' });
});
say({ what: 'done' });
// Until it is ended: what the device looks like is to be seen before the brake.
setInterval(() => {}, 1000);
`;

/** Asks as fast as it can, for ever, and never waits for an answer to be useful. */
export const FLOOD = `${ASK}
say({ what: 'begun' });
for (;;) ask({ region: 7, offset: 4n, op: 2, value: 6n });
`;

/** Has the device interrupt, again and again, and counts what it is told of. */
export const STORM = `${ASK}
let told = 0;
const raise = (times) => {
  for (let i = 0; i < times; i++) {
    ask({ op: 2, offset: 0x60n, value: 1n });
    ask({ op: 2, offset: 0x64n, value: 1n });
  }
};
const count = Buffer.alloc(8);
function listen() {
  try {
    readSync(6, count, 0, 8, null);
    told += Number(count.readBigUInt64LE());
  } catch (error) {
    if (error.code !== 'EAGAIN') throw error;
  }
}
raise(3);
const quiet = setInterval(() => {
  listen();
  if (told === 0) return;
  clearInterval(quiet);
  say({ what: 'told', told });
  for (;;) raise(100);
}, 20);
`;

/** Has the device interrupt now and then, and says each time that it was told. */
export const STEADY = `${ASK}
let told = 0;
const count = Buffer.alloc(8);
ask({ op: 2, offset: 0x60n, value: 1n });
setInterval(() => {
  try {
    readSync(6, count, 0, 8, null);
  } catch (error) {
    if (error.code === 'EAGAIN') return;
    throw error;
  }
  say({ what: 'tick ' + ++told });
  ask({ op: 2, offset: 0x64n, value: 1n });
  ask({ op: 2, offset: 0x60n, value: 1n });
}, 100);
`;

/** Has the device write into memory, again and again, and is there. */
export const BUSY = `${ASK}
say({ what: 'begun' });
for (;;) {
  for (const [offset, value] of [[0x80n, 0x40000n], [0x88n, 0x200000n], [0x90n, 256n], [0x98n, 3n]])
    ask({ op: 2, offset, value });
}
`;

/** Takes memory, some MiB a second, and gives none back. */
export const HOARD_MEMORY = `${ASK}
const kept = [];
ask({});
say({ what: 'begun' });
setInterval(() => kept.push(Buffer.alloc(1 << 20, 1)), 250);
`;

/** Opens the file again and again, which it may, and closes nothing. */
export const hoardDescriptors = (file: string): string => `${ASK}
const kept = [];
ask({});
say({ what: 'begun' });
setInterval(() => kept.push(openSync(${JSON.stringify(file)}, 'r')), 250);
`;
