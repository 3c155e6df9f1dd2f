/** What we ship around the programs: units that systemd takes, and files that name what there is. */

import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
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

/** What older ones do not know, and pass over. */
const SINCE: Readonly<Record<string, number>> = { DelegateSubgroup: 254 };

t.test('systemd takes what is added to the unit of the helper', { skip }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ironport-drop-in-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const [unit, added] = ['ironport-agent-helper.service', 'ironport-agent-helper-adopt.conf'];
  const text = readFileSync(join('examples/systemd', unit), 'utf8');
  writeFileSync(join(folder, unit), text.replaceAll('/usr/bin/ironport-agent', process.execPath));
  mkdirSync(join(folder, `${unit}.d`));
  copyFileSync(join('examples/systemd', added), join(folder, `${unit}.d`, 'adopt.conf'));
  const { stdout } = spawnSync('systemd-analyze', ['--version'], { encoding: 'utf8' });
  const version = Number(/^systemd ([0-9]+)/.exec(stdout)?.[1]);
  const unknown = Object.keys(SINCE).filter((name) => version < (SINCE[name] ?? 0));
  const argv = ['verify', '--man=no', join(folder, unit)];
  const { status, stderr } = spawnSync('systemd-analyze', argv, { encoding: 'utf8' });
  const own = stderr
    .split('\n')
    .filter((line) => line.includes('adopt.conf') || line.includes(unit))
    .filter((line) => !unknown.some((name) => line.includes(`'${name}'`)));
  t.same([status, own], [0, []]);
  // The helper goes into the group in which systemd starts it.
  const set = settings(added);
  t.equal(set.get('DelegateSubgroup'), 'helper');
  t.ok(settings(unit).has('Delegate'));
  t.equal(set.get('NotifyAccess'), 'main');
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

/** Highest exposure that `systemd-analyze security` may see, in tenths; what each lacks is in its comments. */
const EXPOSURE = { 'ironport-agent-front.service': 5, 'ironport-agent-helper.service': 42 };

t.test(
  'the front is exposed to next to nothing, and the helper to what it needs',
  { skip },
  async (t) => {
    for (const [unit, threshold] of Object.entries(EXPOSURE)) {
      const argv = ['security', '--offline=true', '--no-pager', `--threshold=${threshold}`];
      const { status, stdout } = spawnSync(
        'systemd-analyze',
        [...argv, `examples/systemd/${unit}`],
        {
          encoding: 'utf8',
        },
      );
      const [, level] = /exposure level for .*: ([0-9.]+)/.exec(stdout) ?? [];
      t.equal(status, 0, `${unit}: an exposure of ${level}, of at most ${threshold / 10}`);
    }
  },
);

t.test(
  'helper and front are started with options that they have, and know each other',
  async (t) => {
    const starts = ['helper', 'front'].map((name) => {
      const start = settings(`ironport-agent-${name}.service`).get('ExecStart') ?? '';
      t.match(start, new RegExp(`^/usr/bin/ironport-agent ${name} `), name);
      const spec = agent.commands.find((one) => one.name === name);
      const known = new Set((spec?.options ?? []).map(({ flags }) => flags.split(' ')[0]));
      for (const flag of start.match(/--[a-z-]+/g) ?? []) t.ok(known.has(flag), `${name}: ${flag}`);
      const after = (flag: string): string | undefined =>
        new RegExp(`${flag} (\\S+)`).exec(start)?.[1];
      return after;
    });
    const [helper, front] = starts;
    t.equal(front?.('--helper'), helper?.('--socket'));
    t.equal(settings('ironport-agent-front.service').get('User'), helper?.('--user'));
    const read = (name: string): string => readFileSync(join('examples/systemd', name), 'utf8');
    t.match(read('ironport-agent.tmpfiles.conf'), ` ${helper?.('--user')} `);
    t.match(read('ironport-agent.tmpfiles.conf'), `d ${helper?.('--spool')} `);
    t.match(read('ironport-agent.sysusers.conf'), `u ${helper?.('--user')} `);
  },
);

t.test('what would break the helper is not taken from it', async (t) => {
  const unit = settings('ironport-agent-helper.service');
  // Measured on kernels, or read in systemd.exec(5): each says in the unit what it would break.
  for (const name of [
    ...['ProtectKernelTunables', 'ProtectControlGroups', 'ProtectKernelLogs', 'PrivateDevices'],
    ...['MemoryDenyWriteExecute', 'PrivateNetwork', 'ProtectProc', 'User', 'DynamicUser'],
  ])
    t.notOk(unit.has(name), name);
  t.equal(unit.get('ProtectHome'), 'read-only', 'what is mounted there is seen');
  t.equal(unit.get('RestrictAddressFamilies'), 'AF_UNIX');
  t.equal(unit.get('NoNewPrivileges'), 'yes');
  const page = readFileSync('docs/guide/host-helper.md', 'utf8');
  for (const right of (unit.get('CapabilityBoundingSet') ?? '').split(' '))
    t.match(page, `\`${right}\``, `the guide says what ${right} is for`);
  const front = settings('ironport-agent-front.service');
  t.equal(front.get('CapabilityBoundingSet'), '', 'the front has no rights');
  t.equal(front.get('PrivateDevices'), 'yes');
});

t.test('whoever looks whether a device is in use sees the network and the disks', (t) => {
  for (const name of UNITS) {
    const unit = settings(name);
    if (!/ironport-agent (helper|restore|apply|upgrade) /.test(unit.get('ExecStart') ?? ''))
      continue;
    t.notOk(unit.has('PrivateNetwork'), `${name}: in another network no card is in use`);
    t.equal(unit.get('RestrictAddressFamilies'), 'AF_UNIX', name);
    t.equal(
      unit.get('ProtectHome'),
      'read-only',
      `${name}: a disk that is mounted there is in use`,
    );
  }
  t.end();
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
