// The pipeline over real drivers: Debian's Linux sources, when this machine can fetch them.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { loadCGrammar } from '../../publisher/pipeline/c/grammar.ts';
import { chooseFiles, summary, tryFile } from '../../scripts/pipeline/try-on-linux.ts';

t.setTimeout(900_000);

const PACKAGES = ['linux-source-6.12', 'linux-source-6.1'];

t.test('a hundred real drivers', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ironport-linux-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const drivers = fetchDrivers(folder);
  if (drivers === undefined) {
    t.pass('the sources cannot be fetched here', { skip: true });
    return;
  }
  const grammar = await loadCGrammar();
  const tried = chooseFiles(drivers, 120).map((file) => tryFile(grammar, file));
  for (const line of summary(tried, drivers).split('\n')) t.comment(line);
  t.ok(tried.length >= 100, `${tried.length} files`);
  for (const { file, failure } of tried) t.equal(failure, undefined, file.slice(drivers.length));
  const sum = (pick: (one: (typeof tried)[number]) => number): number =>
    tried.reduce((all, one) => all + pick(one), 0);
  t.equal(
    sum(({ renamed }) => renamed),
    sum(({ outside }) => outside),
    'each call of what is outside is renamed',
  );
  t.ok(sum(({ found }) => found) > 0.99 * sum(({ mapped }) => mapped), 'and found again');
});

/** The `drivers/` of the newest package that there is, or undefined. */
function fetchDrivers(folder: string): string | undefined {
  const run = (command: string, ...args: string[]): boolean =>
    spawnSync(command, args, { cwd: folder, stdio: 'ignore' }).status === 0;
  const found = (extension: RegExp): string | undefined =>
    readdirSync(folder).find((name) => extension.test(name));
  if (!PACKAGES.some((name) => run('apt-get', 'download', name))) return undefined;
  const deb = found(/\.deb$/);
  if (deb === undefined || !run('dpkg-deb', '-x', deb, '.')) return undefined;
  const sources = join(folder, 'usr/src');
  const archive = readdirSync(sources).find((name) => name.endsWith('.tar.xz'));
  if (archive === undefined) return undefined;
  if (!run('tar', 'xJf', join(sources, archive), '--wildcards', '*/drivers/*')) return undefined;
  const tree = found(/^linux-source-[0-9.]+$/);
  return tree === undefined ? undefined : join(folder, tree, 'drivers');
}
