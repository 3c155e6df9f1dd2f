/** What we ship around the programs: units that systemd takes, and files that name what there is. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { program } from '../../server/main.ts';

const UNITS = readdirSync('examples/systemd').filter((name) => name.endsWith('.service'));
const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0;
const skip = hasSystemd ? false : 'systemd-analyze is not installed';

t.test('systemd takes the units', { skip }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ironport-units-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  for (const name of readdirSync('examples/systemd')) {
    // It looks whether the program is there, which it is only where it was installed.
    const text = readFileSync(join('examples/systemd', name), 'utf8');
    writeFileSync(
      join(folder, name),
      text.replaceAll(/\/usr\/bin\/ironport-[a-z]+/g, process.execPath),
    );
  }
  for (const name of UNITS) {
    const path = join(folder, name);
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', path], {
      encoding: 'utf8',
    });
    const own = stderr.split('\n').filter((line) => line.includes(name));
    t.same([status, own], [0, []], name);
  }
});

t.test('the service is exposed to little', { skip }, async (t) => {
  const argv = [
    'security',
    '--offline=true',
    '--no-pager',
    '--threshold=20',
    'examples/systemd/ironport-repo.service',
  ];
  const { status, stdout } = spawnSync('systemd-analyze', argv, { encoding: 'utf8' });
  const [, level] = /exposure level for .*: ([0-9.]+)/.exec(stdout) ?? [];
  t.equal(status, 0, `an exposure of ${level}, of at most 2.0`);
});

t.test('what they start has these options', async (t) => {
  const serve = program.commands.find(({ name }) => name === 'serve');
  const known = new Set((serve?.options ?? []).map(({ flags }) => flags.split(' ')[0]));
  const unit = readFileSync('examples/systemd/ironport-repo.service', 'utf8');
  const image = readFileSync('docker/Dockerfile', 'utf8');
  const compose = readFileSync('docker/compose.yaml', 'utf8').replace(/^ *#.*$/gm, '');
  const [line = ''] = /^ExecStart=.*$/m.exec(unit) ?? [];
  const said = [line, /^CMD .*$/m.exec(image)?.[0] ?? '', compose]
    .flatMap((text) => text.match(/--[a-z-]+/g) ?? [])
    .filter((flag) => !['--build', '--quiet'].includes(flag));
  t.ok(said.length > 5);
  t.same(
    said.filter((flag) => !known.has(flag)),
    [],
  );
});

const compose = spawnSync('docker', ['compose', 'version']).status === 0;
t.test(
  'docker compose reads its file',
  { skip: compose ? false : 'docker compose is not installed' },
  async (t) => {
    const { status, stderr } = spawnSync(
      'docker',
      ['compose', '-f', 'docker/compose.yaml', 'config', '--quiet'],
      {
        encoding: 'utf8',
      },
    );
    t.equal(status, 0, stderr);
  },
);
