/** An import that is killed, or whose disk is full, leaves no repository, and can be run again. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { checkTree } from '../../server/publish/fsck.ts';
import { data } from '../../shared/layout.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { repo } from '../publisher/support.ts';
import { TODAY } from '../support/clock.ts';
import { FOREIGN_FILES, writeForeign } from '../support/foreign.ts';

const MAIN = new URL('../../server/main.ts', import.meta.url).href;
const PROGRAM = `import { main } from ${JSON.stringify(MAIN)}; process.exitCode = await main(process.argv.slice(1));`;

t.test('killed while it waits for any file of the repository', async (t) => {
  const folder = t.testdir({});
  const from = join(folder, 'theirs');
  const roots = await writeForeign(from, { style: 'python-tuf' });
  const root = join(folder, 'root.json');
  await writeFile(root, roots.get(1) as Uint8Array);
  const home = join(folder, 'ours');
  const given = ['import', '--root', root, '--dir', home];
  for (const stalled of ['2.root.json', 'timestamp.json', 'acme.json', 'firmware-1.bin']) {
    const server = createServer();
    const asked = stall(server, from, stalled);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const child = start([...given, '--from', url]);
    const ended = once(child, 'exit');
    // When it ends by itself it never asked, and the test says so instead of waiting.
    const first = await Promise.race([asked.then(() => 'asked'), ended.then(() => 'ended')]);
    t.equal(first, 'asked', stalled);
    child.kill('SIGKILL');
    await ended;
    t.notOk(existsSync(home), `${stalled}: nothing is there`);
    server.closeAllConnections();
    server.close();
  }
  const again = await repo(...given, '--from', from);
  t.equal(again.exit, 0, 'and it can be run again');
  const { findings } = await checkTree(join(home, data.tree), { crypto, clock: () => TODAY });
  t.strictSame(findings, []);
});

function start(args: readonly string[]): ChildProcess {
  const flags = ['--input-type=module', '--eval', PROGRAM, '--', ...args];
  return spawn(process.execPath, flags, { stdio: 'ignore' });
}

/** Serves `folder`, but for the file whose name ends so: that is never answered, and is waited for. */
function stall(server: Server, folder: string, name: string): Promise<void> {
  return new Promise((resolve) => {
    server.on('request', (request, response) => {
      const path = decodeURIComponent(request.url ?? '');
      if (path.endsWith(name)) resolve();
      else if (existsSync(join(folder, path))) response.end(readFileSync(join(folder, path)));
      else response.writeHead(404).end();
    });
  });
}

const disk = await mkdtemp(join(tmpdir(), 'ironport-disk-'));
const canMount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk]).status === 0;
t.teardown(async () => {
  if (canMount) spawnSync('umount', [disk]);
  await rm(disk, { recursive: true, force: true });
});

t.test('a full disk', { skip: canMount ? false : 'no right to mount a tmpfs' }, async (t) => {
  const folder = t.testdir({});
  const from = join(folder, 'theirs');
  const files = { ...FOREIGN_FILES, 'large.bin': 'x'.repeat(2 * 1024 * 1024) };
  const roots = await writeForeign(from, { style: 'python-tuf', files });
  const root = join(folder, 'root.json');
  await writeFile(root, roots.get(1) as Uint8Array);
  await mkdir(join(disk, 'here'));
  const home = join(disk, 'here', 'ours');
  const full = await repo('import', '--from', from, '--root', root, '--dir', home);
  t.equal(full.error?.code, 'E_NO_SPACE');
  t.strictSame(readdirSync(join(disk, 'here')), [], 'nothing of it is left');
  const elsewhere = join(folder, 'ours');
  t.equal((await repo('import', '--from', from, '--root', root, '--dir', elsewhere)).exit, 0);
});
