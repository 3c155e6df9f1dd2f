/**
 * A static program made of system calls: it makes them in order, writes their results to its
 * standard output as 64-bit numbers, and ends. No compiler is needed, and nothing is in between.
 */

export type Operand = number | bigint | string | Uint8Array;
export type Syscall = readonly [nr: number, ...operands: Operand[]];

const BASE = 0x400000n;
const HEADERS = 64 + 56;
/** `movabs` into rax, rdi, rsi, rdx, r10, r8 and r9: the number, then six arguments (syscall(2)). */
const REGISTERS = ['48b8', '48bf', '48be', '48ba', '49ba', '49b8', '49b9'];
const PER_CALL = REGISTERS.length * 10 + 2 + 10;

/** `then`: calls after the results were written, such as one that waits. */
export function elf(calls: readonly Syscall[], then: readonly Syscall[] = []): Buffer {
  const all: Syscall[] = [...calls, [1, 1, 0, 8 * calls.length], ...then, [231, 0]];
  const codeAt = BASE + BigInt(HEADERS);
  const resultsAt = codeAt + BigInt(PER_CALL * all.length);
  let dataAt = resultsAt + BigInt(8 * all.length);
  all[calls.length] = [1, 1, resultsAt, 8 * calls.length];
  const data: Buffer[] = [];
  const operand = (value: Operand): bigint => {
    if (typeof value === 'number' || typeof value === 'bigint') return BigInt(value);
    const bytes = typeof value === 'string' ? Buffer.from(`${value}\0`) : Buffer.from(value);
    const at = dataAt;
    data.push(bytes);
    dataAt += BigInt(bytes.length);
    return at;
  };
  const code = all.map((call, i) =>
    Buffer.concat([
      ...REGISTERS.map((opcode, j) => Buffer.concat([hex(opcode), word(operand(call[j] ?? 0))])),
      hex('0f05'),
      // movabs [where], rax
      Buffer.concat([hex('48a3'), word(resultsAt + BigInt(8 * i))]),
    ]),
  );
  const body = Buffer.concat([...code, Buffer.alloc(8 * all.length), ...data]);
  return Buffer.concat([headers(codeAt, HEADERS + body.length), body]);
}

/** The results in what such a program wrote. */
export function resultsOf(output: Buffer): number[] {
  const count = Math.floor(output.length / 8);
  return Array.from({ length: count }, (_, i) => Number(output.readBigInt64LE(8 * i)));
}

/** elf(5): one segment, to be read, written and run. */
function headers(entry: bigint, size: number): Buffer {
  const bytes = Buffer.alloc(HEADERS);
  hex('7f454c4602010100').copy(bytes);
  bytes.writeUInt16LE(2, 16);
  bytes.writeUInt16LE(62, 18);
  bytes.writeUInt32LE(1, 20);
  bytes.writeBigUInt64LE(entry, 24);
  bytes.writeBigUInt64LE(64n, 32);
  bytes.writeUInt16LE(64, 52);
  bytes.writeUInt16LE(56, 54);
  bytes.writeUInt16LE(1, 56);
  bytes.writeUInt32LE(1, 64);
  bytes.writeUInt32LE(7, 68);
  bytes.writeBigUInt64LE(BASE, 80);
  bytes.writeBigUInt64LE(BASE, 88);
  bytes.writeBigUInt64LE(BigInt(size), 96);
  bytes.writeBigUInt64LE(BigInt(size), 104);
  bytes.writeBigUInt64LE(0x1000n, 112);
  return bytes;
}

function word(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, value));
  return bytes;
}

function hex(text: string): Buffer {
  return Buffer.from(text, 'hex');
}
