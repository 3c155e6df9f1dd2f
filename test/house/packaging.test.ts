/** What we ship around the programs: units that systemd takes, and files that name what there is. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { program as agent } from '../../agent/main.ts';
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

/** The settings of a unit, by name; comments are none. */
function settings(name: string): Map<string, string> {
  const text = readFileSync(join('examples/systemd', name), 'utf8');
  const lines = text.matchAll(/^([A-Za-z]+)=(.*)$/gm);
  return new Map(Array.from(lines, ([, key = '', value = '']) => [key, value]));
}

t.test('quarantine is enforced at a start, and for each device that comes', async (t) => {
  const rules = readFileSync('examples/systemd/90-ironport-quarantine.rules', 'utf8');
  const rule = rules.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  t.equal(rule.length, 1);
  const [, wanted = ''] = /ENV\{SYSTEMD_WANTS\}\+="([^"]+)"/.exec(rule[0] ?? '') ?? [];
  t.ok(UNITS.includes(wanted), `the rule starts ${wanted}`);
  // systemd.device(5): an instance for each path in sysfs; one unit for all is started once for many.
  t.match(wanted, /@\.service$/, 'an instance for each device');
  t.equal(settings(wanted).get('StartLimitIntervalSec'), '0', 'however many come at once');

  const enforce = agent.commands.find(({ name }) => name === 'quarantine enforce');
  const known = new Set((enforce?.options ?? []).map(({ flags }) => flags.split(' ')[0]));
  const units = UNITS.filter((name) => name.startsWith('ironport-quarantine'));
  t.equal(units.length, 2);
  for (const name of units) {
    const unit = settings(name);
    const start = unit.get('ExecStart') ?? '';
    t.match(start, /^\/usr\/bin\/ironport-agent quarantine enforce /, name);
    for (const flag of start.match(/--[a-z-]+/g) ?? []) t.ok(known.has(flag), `${name}: ${flag}`);
    const conditions = [...unit.keys()].filter((key) => /^(Condition|Assert)/.test(key));
    t.strictSame(conditions, [], `${name}: nothing skips it silently`);
  }
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
