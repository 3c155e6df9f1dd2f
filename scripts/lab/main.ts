/**
 * `npm run lab`: the cases of the lab, each run inside a machine with an IOMMU that QEMU emulates.
 * It ends with `N passed, N failed`.
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { FIGURE, type KernelKind } from '../../test/lab/cases/case.ts';
import { backendsOf, CASES, type CaseForm, formsOn } from '../../test/lab/cases/index.ts';
import { consoleOf } from './console.ts';
import { must, unpackDebian } from './debian.ts';
import { FAULTS, type Fault } from './faults.ts';
import { makeInitramfs } from './initramfs.ts';
import { findKernel, type Kernel } from './kernel.ts';
import { partsOf } from './parts.ts';
import { cacheFolder } from './places.ts';
import { startMachine } from './qemu.ts';
import { type CaseResult, runSession } from './session.ts';

const HELP = `npm run lab -- [options]

  --kernel WHICH   lab (iommufd), stock (Debian's own) or the path of an image; may be repeated.
                   Both lab and stock when left out.
  --only CASE      run this case alone, in all its forms, with what it stands on; may be repeated
  --prove          plant faults into the agent, one a boot, and see that the cases fail by them;
                   with --only, the faults that this case is to catch
  --list           name the cases, and run none
  --every-backend  try each backend on each kernel; else, of several kernels, the one that has
                   iommufd leaves the container to the others
  --one-by-one     one machine after the other, as for figures; else as many as there are cores,
                   among which the cases are shared out
  --shell          a prompt in the machine, instead of the cases
  --verbose        show the console of each machine, with its name (kernel and part) before each
                   line, and what the cases say
  --help

The first run fetches QEMU and Debian's kernel (some 200 MB) into ~/.cache/ironport-lab; nothing is
installed. The lab kernel is one that IRONPORT_LAB_KERNEL or --kernel PATH names, or a cached one,
or is built.

Example: npm run lab -- --kernel stock --only machine
`;

const QEMU = ['qemu-system-x86', 'seabios', 'ipxe-qemu', 'busybox-static', 'e2fsprogs'];
/** A machine more costs a boot, some seconds; too few leave a core idle at the end. */
const CASES_A_PART = 14;
/** A case that takes longer hangs; one that is only slow, on a machine with much to do, does not. */
const LIMIT_SECONDS = 1800;
/** That it was ended is heard before the machine is. */
const MARGIN_SECONDS = 300;

interface Prepared {
  /** Which machine it is, for people: its kernel, and its part or fault. */
  readonly machine: string;
  readonly qemu: string;
  readonly kernel: Kernel;
  readonly initramfs: string;
  readonly disk: string;
}

type Job = () => Promise<void>;

/** All of them, so many at a time. */
async function workOff(jobs: readonly Job[], together: number): Promise<void> {
  const next = jobs.values();
  const worker = async (): Promise<void> => {
    for (const job of next) await job();
  };
  await Promise.all(Array.from({ length: together }, worker));
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      kernel: { type: 'string', multiple: true },
      only: { type: 'string', multiple: true },
      prove: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      'every-backend': { type: 'boolean', default: false },
      'one-by-one': { type: 'boolean', default: false },
      shell: { type: 'boolean', default: false },
      verbose: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (values.list) {
    for (const { name, title, kernels } of CASES)
      process.stdout.write(`${name}  (${(kernels ?? ['lab', 'stock']).join(', ')}): ${title}\n`);
    return 0;
  }
  const unknown = values.only?.find((only) => !CASES.some(({ name }) => name === only));
  if (unknown !== undefined) {
    process.stderr.write(`there is no case ${unknown}; --list names them\n`);
    return 2;
  }
  const work = mkdtempSync(join(tmpdir(), 'ironport-lab-work-'));
  let passed = 0;
  let failed = 0;
  try {
    const kernels = values.kernel ?? ['lab', 'stock'];
    if (values.shell) return await shell(await prepare(kernels[0] ?? 'lab', work), work);
    const faults: readonly (Fault | undefined)[] = values.prove
      ? FAULTS.filter(({ caughtBy }) => values.only?.includes(caughtBy) ?? true)
      : [undefined];
    // A machine keeps little more than a core busy: most of what a case does is one process's.
    const together = values['one-by-one'] ? 1 : availableParallelism();
    const take = (isGood: boolean): void => void (isGood ? passed++ : failed++);
    const parts: Job[] = [];
    const machines = kernels.flatMap((which) => faults.map((fault) => ({ which, fault })));
    const first = machines.map(({ which, fault }, number) => async (): Promise<void> => {
      const folder = join(work, `${number}`);
      const prepared = await prepare(which, folder, fault);
      if (fault !== undefined) return take(await isCaught(prepared, fault, values.verbose));
      const kind = kindOf(prepared.kernel.name);
      const backends = values['every-backend'] ? undefined : backendsOf(kind, kernels.map(kindOf));
      const forms = withGround(formsOn(kind, backends), values.only);
      say(`the ${prepared.kernel.name} kernel: ${forms.length} cases`);
      const run = async (at: Prepared, some: readonly CaseForm[]): Promise<void> => {
        for (const { status } of await runCases(at, some, values.verbose)) take(status === 0);
      };
      const shared = partsOf(forms, together === 1 ? forms.length : CASES_A_PART);
      await run(prepared, shared.ground);
      for (const [part, some] of shared.parts.entries())
        parts.push(async () => {
          const disk = copyDisk(prepared.disk, join(folder, `part-${part}.img`));
          const machine = `${prepared.machine} ${part + 1}`;
          await run({ ...prepared, machine, disk }, some);
          rmSync(disk);
        });
    });
    await workOff(first, together);
    await workOff(parts, together);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  if (passed + failed === 0) failed = 1;
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}

async function prepare(which: string, work: string, fault?: Fault): Promise<Prepared> {
  const cache = cacheFolder();
  mkdirSync(cache, { recursive: true });
  const qemu = unpackDebian(cache, QEMU, { say }).root;
  const kernel = findKernel(which, { cache, say });
  mkdirSync(work, { recursive: true });
  const initramfs = join(work, 'initramfs.cpio');
  const busybox = join(qemu, 'usr', 'bin', 'busybox');
  writeFileSync(initramfs, await makeInitramfs({ busybox, modules: kernel.modules, fault }));
  const machine = fault === undefined ? kernel.name : `${kernel.name} ${fault.name}`;
  return { machine, qemu, kernel, initramfs, disk: makeDisk(qemu, work) };
}

/** An empty file system that outlives a boot. */
function makeDisk(qemu: string, work: string): string {
  const disk = join(work, 'state.img');
  rmSync(disk, { force: true });
  must('truncate', ['-s', '256M', disk]);
  const lib = join(qemu, 'usr', 'lib', 'x86_64-linux-gnu');
  must(join(lib, 'ld-linux-x86-64.so.2'), [
    ...['--library-path', lib, join(qemu, 'usr', 'sbin', 'mkfs.ext4')],
    ...['-q', '-F', disk],
  ]);
  return disk;
}

/** Of a machine that has ended. */
function copyDisk(from: string, to: string): string {
  must('cp', ['--sparse=always', from, to]);
  return to;
}

/** Whether the fault was caught, in every form of the case that is to catch it. */
async function isCaught(prepared: Prepared, fault: Fault, verbose: boolean): Promise<boolean> {
  const { kernel } = prepared;
  const forms = withGround(formsOn(kindOf(kernel.name)), [fault.caughtBy]);
  const all = await boot(prepared, forms, 1, () => {}, verbose);
  const results = all.filter(({ name }) => name.split('/')[0] === fault.caughtBy);
  // A case that fails by anything but its own assertion shows nothing about the fault.
  const caught =
    results.length > 0 &&
    results.every(({ status, output }) => status === 1 && output.includes('ERR_ASSERTION'));
  const word = caught ? 'ok    ' : 'FAILED';
  const by = results.map(({ name, status }) => `${name} ${status === 0 ? 'passed' : 'failed'}`);
  process.stdout.write(
    `${word} ${kernel.name}: ${fault.name} (${fault.title}): ${by.join(', ')}\n`,
  );
  if (!caught) for (const { output } of results) process.stdout.write(`${output}\n`);
  return caught;
}

/** The kind of a kernel that was named by its path is found out in the machine: it is a lab one. */
function kindOf(name: string): KernelKind {
  return name === 'stock' ? 'stock' : 'lab';
}

async function runCases(
  prepared: Prepared,
  forms: readonly CaseForm[],
  verbose: boolean,
): Promise<CaseResult[]> {
  const { kernel } = prepared;
  const tell = ({ name, status, seconds, busySeconds, output }: CaseResult): void => {
    const word = status === 0 ? 'ok    ' : 'FAILED';
    const why = status === null ? ' (it never came back)' : '';
    const took = `${seconds.toFixed(1)} s, ${busySeconds.toFixed(1)} s of processor`;
    process.stdout.write(`${word} ${kernel.name}: ${name}${why} ${took}\n`);
    const shown = status !== 0 || verbose ? output.trimEnd() : figuresOf(output);
    if (shown !== '') process.stdout.write(`${shown.replaceAll(/^/gm, '         ')}\n`);
  };
  const results: CaseResult[] = [];
  for (const number of [1, 2] as const) {
    const ofBoot = forms.filter(({ lab }) => (lab.boot ?? 1) === number);
    if (ofBoot.length > 0) results.push(...(await boot(prepared, ofBoot, number, tell, verbose)));
  }
  return results;
}

/** The forms that are asked for, with what they stand on. */
function withGround(all: readonly CaseForm[], only: readonly string[] | undefined): CaseForm[] {
  const asked = all.filter(({ lab }) => only === undefined || only.includes(lab.name));
  const needGround = asked.some(({ lab }) => lab.standsAlone !== true);
  return all.filter((form) => asked.includes(form) || (needGround && form.lab.isGround));
}

/** What a case measured is shown also when it passed. */
function figuresOf(output: string): string {
  const lines = output.split('\n').filter((line) => line.startsWith(FIGURE));
  return lines.map((line) => line.slice(FIGURE.length)).join('\n');
}

async function boot(
  { machine, qemu, kernel, initramfs, disk }: Prepared,
  forms: readonly CaseForm[],
  number: 1 | 2,
  onResult: (result: CaseResult) => void,
  verbose: boolean,
): Promise<readonly CaseResult[]> {
  const { results } = await runSession({
    parts: {
      ...{ qemu, kernel: kernel.image, initramfs, append: ['quiet'], disk },
      // One device more: the numbers of groups are others than before the power was cut.
      more: number === 2 ? ['-device', 'edu,addr=0x4'] : [],
    },
    cases: forms.map(({ name, lab }) => ({
      name,
      limitSeconds: lab.limitSeconds ?? LIMIT_SECONDS,
    })),
    silenceSeconds:
      Math.max(LIMIT_SECONDS, ...forms.map(({ lab }) => lab.limitSeconds ?? 0)) + MARGIN_SECONDS,
    show: verbose ? consoleOf(machine) : undefined,
    onResult,
  });
  return results;
}

async function shell(prepared: Prepared, work: string): Promise<number> {
  const { qemu, kernel, initramfs, disk } = prepared;
  const run = join(work, 'run');
  mkdirSync(run, { recursive: true });
  const machine = startMachine({
    ...{ qemu, kernel: kernel.image, initramfs, disk, run },
    append: ['quiet', 'lab.shell'],
    interactive: true,
  });
  machine.stderr?.pipe(process.stderr);
  return await new Promise((resolve) => machine.once('close', (code) => resolve(code ?? 1)));
}

function say(text: string): void {
  process.stderr.write(`lab: ${text}\n`);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
process.exitCode = await main();
