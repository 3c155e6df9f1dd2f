/** e_machine by the names that are usual (the registry of the System V ABI). */

const MACHINES: Readonly<Record<number, string>> = {
  3: 'i386',
  8: 'mips',
  20: 'powerpc',
  21: 'powerpc64',
  22: 's390',
  40: 'arm',
  62: 'x86-64',
  183: 'aarch64',
  243: 'riscv',
  247: 'bpf',
  258: 'loongarch',
};

export function machineName(machine: number): string {
  return MACHINES[machine] ?? `machine ${machine}`;
}
