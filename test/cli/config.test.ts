// Flags, then variables, then one file; and a working folder that may be anybody's.

import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { ProgramSpec } from '../../shared/cli/command.ts';
import { loadConfiguration } from '../../shared/cli/config.ts';

const PROGRAM: ProgramSpec = {
  name: 'prog',
  summary: 'a program',
  commands: [],
  config: {
    repository: { env: 'P_REPOSITORY' },
    store: { env: 'P_STORE', decidesTrust: true },
    offline: { env: 'P_OFFLINE' },
  },
};

async function folders(t: Test) {
  const folder = t.testdir({ work: {}, xdg: { ironport: {} } });
  const [work, user] = [join(folder, 'work'), join(folder, 'xdg', 'ironport', 'prog.json')];
  const env = { XDG_CONFIG_HOME: join(folder, 'xdg') };
  const put = (path: string, value: unknown): Promise<void> =>
    writeFile(path, typeof value === 'string' ? value : JSON.stringify(value), { mode: 0o600 });
  return { folder, work, local: join(work, 'prog.json'), user, env, put };
}

t.test('a variable comes before the file, and the nearest file is the only one', async (t) => {
  const { work, local, user, env, put } = await folders(t);
  const load = (more: object = {}) => loadConfiguration(PROGRAM, { ...env, ...more }, work);
  t.match(await load(), { file: undefined, env });
  await put(user, { repository: 'user', store: '/s', offline: true });
  t.match(await load(), {
    env: { P_REPOSITORY: 'user', P_STORE: '/s', P_OFFLINE: '1' },
    file: user,
  });
  const set = await load({ P_REPOSITORY: 'variable', P_STORE: '' });
  t.match(set.env, { P_REPOSITORY: 'variable', P_STORE: '/s' });
  t.strictSame(
    [...set.sources],
    [
      ['P_STORE', user],
      ['P_OFFLINE', user],
    ],
  );
  await put(local, { repository: 'here', offline: false });
  const near = await load();
  t.match(near.env, { P_REPOSITORY: 'here', P_OFFLINE: '' });
  t.equal(near.env.P_STORE, undefined);
  const named = join(work, 'other.json');
  await put(named, { store: 'named' });
  t.match(await load({ IRONPORT_CONFIG: named }), { env: { P_STORE: 'named' }, file: named });
  t.match(await loadConfiguration({ ...PROGRAM, config: undefined } as never, env, work), {
    file: undefined,
  });
});

t.test('a working folder of somebody else', async (t) => {
  const { work, local, env, put } = await folders(t);
  const load = () => loadConfiguration(PROGRAM, env, work);
  await put(local, { store: '/their/store' });
  await t.rejects(load(), { code: 'E_CONFIG', why: /must not say what is trusted/ });
  await put(local, { repository: 'theirs' });
  await chmod(local, 0o666);
  const passed = await load();
  t.equal(passed.env.P_REPOSITORY, undefined);
  t.match(passed.notices, [/others can write to it/]);
});

t.test('a link or a folder in the place of the file is passed over', async (t) => {
  const { work, local, user, env, put } = await folders(t);
  await put(user, { repository: 'user' });
  await symlink(user, local);
  const linked = await loadConfiguration(PROGRAM, env, work);
  t.match(linked, { file: user, notices: [/not a regular file/] });
  const other = join(work, 'deeper');
  await mkdir(join(other, 'prog.json'), { recursive: true });
  t.match(await loadConfiguration(PROGRAM, env, other), { file: user });
});

t.test('what is no configuration is refused, with its place', async (t) => {
  const { work, user, env, put } = await folders(t);
  for (const bad of [
    '',
    '{',
    '[]',
    '"x"',
    { repositry: 'x' },
    { repository: 1 },
    { repository: null },
    '{"repository":"a","repository":"b"}',
    `${'['.repeat(100)}${']'.repeat(100)}`,
    { repository: 'x'.repeat(70_000) },
    '{"__proto__":"x"}',
  ]) {
    await put(user, bad);
    const text = JSON.stringify(bad).slice(0, 60);
    await t.rejects(loadConfiguration(PROGRAM, env, work), { code: 'E_CONFIG' }, text);
  }
  const gone = { ...env, IRONPORT_CONFIG: join(work, 'gone.json') };
  await t.rejects(loadConfiguration(PROGRAM, gone, work), { code: 'E_CONFIG' });
});
