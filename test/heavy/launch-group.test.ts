/** The control group of a driver: what is in it, and that nothing of it is left, however it ends. */

import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import t from 'tap';
import { makeCgroup } from '../../agent/host/cgroup.ts';
import { type Launch, launch } from '../../agent/host/launch.ts';
import { elf } from '../agent/elf.ts';
import { PAUSE } from '../agent/hostile.ts';
import { sealed, WITH, whyNot } from '../agent/launch-support.ts';

const SLEEPER = elf([], [PAUSE]);

const GROUPS = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'].find((path) =>
  existsSync(join(path, 'cgroup.controllers')),
);

t.test(
  'a control group of its own',
  { skip: whyNot() || (GROUPS === undefined && 'no cgroup v2') },
  async (t) => {
    const parent = GROUPS as string;
    const make = (name: string) =>
      makeCgroup(
        parent,
        `ironport-test-${name}-${process.pid}`,
        { memoryBytes: 256 << 20, processes: 16 },
        'group',
      );
    await t.test('bounds a driver and ends it', async (t) => {
      const cgroup = make('own');
      const driver = await launch({ ...WITH, program: sealed(SLEEPER), cgroup });
      t.match(
        readFileSync(`/proc/${driver.pid}/cgroup`, 'utf8'),
        `0::${cgroup.path.slice(parent.length)}\n`,
      );
      t.equal(readFileSync(join(cgroup.path, 'cgroup.procs'), 'utf8'), `${driver.pid}\n`);
      if (!cgroup.missing.includes('pids'))
        t.equal(readFileSync(join(cgroup.path, 'pids.max'), 'utf8'), '16\n');
      if (!cgroup.missing.includes('memory'))
        t.equal(readFileSync(join(cgroup.path, 'memory.max'), 'utf8'), `${256 << 20}\n`);
      const ends = await Promise.all([driver.end(), driver.end(), cgroup.end()]);
      t.notOk(existsSync(cgroup.path), 'nothing of it is left');
      t.match(ends.slice(0, 2), [{ signal: 'SIGKILL' }, { signal: 'SIGKILL' }]);
      t.match(await driver.end(), { signal: 'SIGKILL' }, 'and once more');
      if (cgroup.missing.length === 0) return;
      t.throws(
        () => makeCgroup(parent, 'ironport-test', { memoryBytes: 1 << 26, processes: 8 }, 'limits'),
        { code: 'E_AGENT_REFUSED', context: { reason: 'cgroup' } },
        'without the controllers it is no bound',
      );
    });

    await t.test('is gone when no driver comes to run', async (t) => {
      const program = sealed(SLEEPER);
      const fails = async (name: string, options: Partial<Launch>, code: string, step?: string) => {
        const cgroup = make('fails');
        await t.rejects(
          launch({ ...WITH, program, ...options, cgroup }),
          { code, ...(step === undefined ? {} : { context: { step } }) },
          name,
        );
        t.notOk(existsSync(cgroup.path), name);
      };
      await fails('a plan that is refused', { user: 0 }, 'E_AGENT_REFUSED');
      // execve(2), E2BIG: one string of 128 KiB is too long.
      await fails('no launcher', { environment: { A: 'x'.repeat(1 << 17) } }, 'E_IO');
      await fails('a launcher without a program', { program: 900 }, 'E_IO');
      const none = sealed(Buffer.from('none'));
      await fails('a program that is none', { program: none }, 'E_AGENT_REFUSED', 'run');
    });

    await t.test('is gone when the driver ends before anyone can look', async (t) => {
      const cgroup = make('at-once');
      const program = sealed(nowhere(SLEEPER));
      // execve(2) closes the report before it maps the program: a look at the process in between finds
      // one that runs, and which of the two comes first is for the kernel to say.
      const driver = await launch({ ...WITH, program, cgroup }).catch((error) => {
        t.match(error, { code: 'E_AGENT_REFUSED' });
      });
      const end = await driver?.end();
      if (end !== undefined) t.match(end.signal, /^SIG(SEGV|KILL)$/);
      t.notOk(existsSync(cgroup.path), 'nothing of it is left');
    });

    await t.test('a launcher that does not come on is ended', async (t) => {
      const cgroup = make('frozen');
      // Whoever enters it stands still; being killed is all that it still does.
      writeFileSync(join(cgroup.path, 'cgroup.freeze'), '1');
      await t.rejects(launch({ ...WITH, program: sealed(SLEEPER), cgroup, seconds: 1 }), {
        code: 'E_AGENT_REFUSED',
        context: { reason: 'driver-late' },
      });
      t.notOk(existsSync(cgroup.path), 'nothing of it is left');
    });

    await t.test(
      'one that cannot be ended is said to be there, and can be asked again',
      async (t) => {
        const cgroup = make('busy');
        const below = join(cgroup.path, 'below');
        mkdirSync(below);
        const stuck = { code: 'E_IO', context: { reason: 'driver-not-ended' } };
        await t.rejects(cgroup.end(), stuck);
        await t.rejects(cgroup.end(), stuck);
        rmdirSync(below);
        await cgroup.end();
        t.notOk(existsSync(cgroup.path));
        await cgroup.end();
      },
    );
  },
);

/**
 * elf(5): the same program, to be laid where only the kernel may be. execve(2) finds that out when the
 * launcher is gone already, and ends what it began: that it ends is certain, unlike with a stack too small.
 */
function nowhere(program: Buffer): Buffer {
  const bytes = Buffer.from(program);
  const segment = Number(bytes.readBigUInt64LE(32));
  bytes.writeBigUInt64LE(0xffff_8000_0000_0000n, segment + 16);
  return bytes;
}
