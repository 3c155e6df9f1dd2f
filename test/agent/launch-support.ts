/** Starting real programs by the launcher: what they are given, and what runs them. */

import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { Launch, Runtime } from '../../agent/host/launch.ts';
import { libc } from '../../agent/host/libc.ts';
import { openMeasured, sealProgram } from '../../agent/host/sealed.ts';

/** Users that nothing else on a machine has. */
export const USER = 64_001;

/** Why a test that starts confined programs cannot run here; false when it can. */
export function whyNot(): string | false {
  if (process.getuid?.() !== 0) return 'only root can become another user';
  if (process.arch !== 'x64') return 'x86-64 only';
  return libc().landlockAbi() < 1 && 'this kernel has no Landlock';
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Sealed memory with these bytes, as from a file that was accepted. */
export function sealed(bytes: Uint8Array): number {
  const folder = mkdtempSync(join(tmpdir(), 'ironport-launch-'));
  try {
    const path = join(folder, 'driver');
    writeFileSync(path, bytes);
    const source = openSync(path, 'r');
    const fd = sealProgram(source, { length: bytes.length, sha256: sha256(bytes) });
    closeSync(source);
    return fd;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A window as the agent makes it: sealed against every change of its size. */
export function window(length = 65_536): number {
  const fd = libc().memory('ironport-test-window');
  ftruncateSync(fd, length);
  libc().seal(fd, 1 | 2 | 4);
  return fd;
}

/** The Node that runs this, with its loader, its libraries, and the one file that it insists on. */
export function node(without: readonly string[] = []): Runtime {
  // What is mapped into this process is what it needs; add-ons are not of the runtime.
  const mapped = readFileSync('/proc/self/maps', 'utf8').match(/\/\S+\.so\S*$/gm) ?? [];
  const files = [...new Set(mapped), '/etc/ssl/openssl.cnf'].filter(
    (path) => existsSync(path) && !without.some((name) => path.endsWith(name)),
  );
  const open = (path: string): number => openMeasured(path, sha256(readFileSync(path)));
  return {
    fd: open(process.execPath),
    arguments: ['--preserve-symlinks-main'],
    files: files.map(open),
  };
}

/** As much as a driver for this runtime takes: V8 reserves half a GiB for code at once. */
export const WITH: Omit<Launch, 'program'> = {
  user: USER,
  group: USER,
  descriptors: [],
  environment: {},
  limits: { dataBytes: 1 << 30, threads: 64, stackBytes: 8 << 20 },
};
