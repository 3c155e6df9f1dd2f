/** Real processes: the example driver under its runtime, and a static program, both confined. */

import { spawnSync } from 'node:child_process';
import { openSync, readFileSync, readlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { launch } from '../../agent/host/launch.ts';
import { program } from '../../agent/main.ts';
import { AGENT_LIMITS } from '../../shared/limits.ts';
import { run } from '../cli/support.ts';
import { elf, type Syscall } from './elf.ts';
import { node, sealed, USER, WITH, whyNot, window } from './launch-support.ts';
import { EDU } from './support.ts';

t.test('confined programs', { skip: whyNot() }, async (t) => {
  t.test('the example driver runs under Node, and works on what it was given', async (t) => {
    const registers = window();
    // The mark of the device, and nothing that answers: a driver that gets this far is alive.
    writeSync(registers, Uint8Array.of(0xed, 0, 0, 1), 0, 4, 0);
    const handed = {
      schema: 'ironport.driver/v1',
      registers: [{ bar: 0, offset: '0x0', length: '0x1000', fd: 3, at: '0x0' }],
      dma: [],
    };
    const driver = await launch({
      ...WITH,
      program: sealed(readFileSync(join(EDU, 'edu-driver.mjs'))),
      runtime: node(),
      descriptors: [registers],
      environment: { IRONPORT_DRIVER: JSON.stringify(handed) },
    });
    t.strictSame(await driver.ended, { status: 4, signal: null });
    t.match(driver.output(), 'edu device, version 1.0\n');
    t.match(driver.output(), 'edu-driver: wrote 0x0 and read 0x0');
  });

  t.test('whose group had no memory for it is told so, and no other', async (t) => {
    const pause = elf([], [[35, new Uint8Array(new BigInt64Array([60n, 0n]).buffer), 0]]);
    const folder = t.testdir({ procs: '' });
    const start = (outOfMemory: 'limit' | undefined): ReturnType<typeof launch> => {
      const procs = openSync(join(folder, 'procs'), 'r+');
      const cgroup = {
        ...{ path: folder, missing: [], procs, freeze: () => true },
        ...{ outOfMemory: () => outOfMemory, end: async () => {} },
      };
      return launch({ ...WITH, program: sealed(pause), cgroup });
    };
    const hog = await start('limit');
    process.kill(hog.pid, 'SIGKILL');
    const killed = { status: null, signal: 'SIGKILL' };
    t.strictSame(await hog.ended, { ...killed, outOfMemory: 'limit' });
    const other = await start(undefined);
    process.kill(other.pid, 'SIGKILL');
    t.strictSame(await other.ended, killed);
    const third = await start('limit');
    process.kill(third.pid, 'SIGTERM');
    t.strictSame(await third.ended, { status: null, signal: 'SIGTERM' }, 'by somebody else');
  });

  t.test('a static program is what was sealed, and has what was listed', async (t) => {
    const pause = elf([], [[35, new Uint8Array(new BigInt64Array([60n, 0n]).buffer), 0]]);
    const memory = window();
    const driver = await launch({ ...WITH, program: sealed(pause), descriptors: [memory] });
    const fds = [0, 1, 2, 3, 4, 5, 1023].map((fd) => {
      try {
        return readlinkSync(`/proc/${driver.pid}/fd/${fd}`).replace(/[0-9]+/, 'N');
      } catch {
        return 'none';
      }
    });
    t.strictSame(fds, [
      ...['/dev/null', 'pipe:[N]', 'pipe:[N]', '/memfd:ironport-test-window (deleted)'],
      ...['none', 'none', 'none'],
    ]);
    t.match(readlinkSync(`/proc/${driver.pid}/exe`), '/memfd:ironport-driver');
    const status = readFileSync(`/proc/${driver.pid}/status`, 'utf8');
    t.match(status, new RegExp(`^Uid:\\t${USER}\\t${USER}\\t${USER}\\t${USER}$`, 'm'));
    t.match(status, /^Seccomp:\t2$/m);
    t.match(status, /^NoNewPrivs:\t1$/m);
    t.match(status, /^CapBnd:\t0+$/m);
    t.match(await driver.end(), { signal: 'SIGKILL' });
    t.match(await driver.end(), { signal: 'SIGKILL' }, 'and again');
  });

  t.test('what it writes is kept up to a limit, and holds it up never', async (t) => {
    const piece = new Uint8Array(4096).fill(0x78);
    const write: Syscall = [1, 1, piece, piece.length];
    const times = AGENT_LIMITS.driverOutput / piece.length + 40;
    // So that it is looked at before it ends.
    const nap: Syscall = [35, new Uint8Array(new BigInt64Array([2n, 0n]).buffer), 0];
    const program = sealed(elf([nap, ...Array.from({ length: times }, () => write)]));
    const driver = await launch({ ...WITH, program });
    // A pipe holds 64 KiB: one that nobody reads on would keep it from its end.
    t.match(await driver.ended, { status: 0 });
    t.equal(driver.bytes().length, AGENT_LIMITS.driverOutput);
    await driver.end();
  });

  t.test('what does not come to run is refused by name', async (t) => {
    const refused = (reason: string, context = {}) => ({
      code: 'E_AGENT_REFUSED',
      context: { reason, ...context },
    });
    const text = sealed(Buffer.from('#!/bin/sh\necho never\n'));
    await t.rejects(
      launch({ ...WITH, program: text }),
      refused('driver-launch', { step: 'run' }),
      'a script is not run by its path, for it has none',
    );
    await t.rejects(
      launch({ ...WITH, program: text, runtime: { ...node(), files: [] } }),
      refused('driver-launch', { step: 'run', errno: 'EACCES' }),
      'a runtime whose loader is not listed',
    );
    await t.rejects(launch({ ...WITH, program: text, user: 0 }), refused('driver-user'));
  });

  t.test('with the rights that the unit of the helper leaves, and no others', (t) => {
    const unit = readFileSync('examples/systemd/ironport-agent-helper.service', 'utf8');
    const [, rights = ''] = /^CapabilityBoundingSet=(.+)$/m.exec(unit) ?? [];
    const bounds = rights.split(' ').map((right) => `+${right.slice('CAP_'.length).toLowerCase()}`);
    const argv = [`--bounding-set=-all,${bounds.join(',')}`, '--no-new-privs', process.execPath];
    const tried = spawnSync('setpriv', [...argv, 'bin/ironport-agent.js', 'check-sandbox'], {
      encoding: 'utf8',
    });
    if (tried.error !== undefined) t.pass('setpriv is not installed', { skip: true });
    else t.equal(tried.status, 0, tried.stderr);
    t.end();
  });

  t.test('trying it out', async (t) => {
    const { exit, stdout } = await run(program, ['check-sandbox', '--json']);
    t.equal(exit, 0);
    const { data } = JSON.parse(stdout);
    t.match(data, { user: 64_999, landlock_abi: Number, missing_controllers: null });
    t.match(data.status, [
      { name: 'Seccomp', value: '2' },
      { name: 'NoNewPrivs', value: '1' },
      { name: 'CapEff', value: '0000000000000000' },
    ]);
    const nowhere = await run(program, ['check-sandbox', '--cgroup', '/nowhere']);
    t.equal(nowhere.exit, 20);
    t.match(nowhere.stderr, 'no control group of its own');
    t.equal((await run(program, ['check-sandbox', '--user', '0'])).exit, 2);
  });
});
