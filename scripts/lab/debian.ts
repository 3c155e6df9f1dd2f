/**
 * Packages of Debian trixie, unpacked and not installed: an apt of its own, with an empty list of
 * what is installed, fetches a closure; `dpkg-deb` unpacks it. The host's apt is only read, for the
 * address of its mirror and for its keys.
 */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const SUITE = 'trixie';
const ARCHITECTURE = 'amd64';
const KEYS = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** An unpacked closure: a folder that looks like the root of a Debian system. */
export interface Unpacked {
  readonly root: string;
  /** Package name to version. */
  readonly versions: ReadonlyMap<string, string>;
}

/**
 * Fetches `packages` with all that they depend on and unpacks them under `cache`; once. With
 * `closure: false` only the packages themselves. Throws with what apt said.
 */
export function unpackDebian(
  cache: string,
  packages: readonly string[],
  { closure = true, say = (_: string) => {} } = {},
): Unpacked {
  const key = createHash('sha256')
    .update(JSON.stringify([SUITE, packages, closure]))
    .digest('hex')
    .slice(0, 12);
  const folder = join(cache, `debian-${key}`);
  const debs = join(folder, 'debs');
  const root = join(folder, 'root');
  if (!existsSync(root)) {
    say(`fetching from Debian ${SUITE}: ${packages.join(', ')}`);
    mkdirSync(debs, { recursive: true });
    const apt = new PrivateApt(join(cache, 'apt'));
    apt.update();
    apt.download(packages, debs, closure);
    const fresh = `${root}.new`;
    rmSync(fresh, { recursive: true, force: true });
    mkdirSync(fresh, { recursive: true });
    for (const deb of debsIn(debs)) must('dpkg-deb', ['-x', join(debs, deb), fresh]);
    renameSync(fresh, root);
  }
  const versions = debsIn(debs).map((deb): [string, string] => {
    const [name = '', version = ''] = deb.split('_');
    return [name, decodeURIComponent(version)];
  });
  return { root, versions: new Map(versions) };
}

function debsIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.deb'))
    .sort();
}

class PrivateApt {
  readonly #folder: string;
  readonly #config: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.#config = join(folder, 'apt.conf');
    for (const name of ['state/lists/partial', 'cache/archives/partial', 'etc/parts', 'log'])
      mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, 'status'), '');
    const signedBy = existsSync(KEYS) ? `[signed-by=${KEYS}] ` : '';
    writeFileSync(
      join(folder, 'etc', 'sources.list'),
      `deb ${signedBy}${mirror()} ${SUITE} main\n`,
    );
    const settings = {
      'Dir::State': join(folder, 'state'),
      'Dir::State::status': join(folder, 'status'),
      'Dir::Cache': join(folder, 'cache'),
      'Dir::Log': join(folder, 'log'),
      'Dir::Etc::sourcelist': join(folder, 'etc', 'sources.list'),
      'Dir::Etc::sourceparts': join(folder, 'etc', 'parts'),
      'Dir::Etc::preferences': '/dev/null',
      'Dir::Etc::preferencesparts': join(folder, 'etc', 'parts'),
      'APT::Architecture': ARCHITECTURE,
      'APT::Architectures': ARCHITECTURE,
      'APT::Install-Recommends': 'false',
      'APT::Sandbox::User': 'root',
      'Debug::NoLocking': 'true',
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";\n`);
    writeFileSync(this.#config, lines.join(''));
  }

  update(): void {
    this.#run('apt-get', ['-qq', 'update']);
  }

  download(packages: readonly string[], into: string, closure: boolean): void {
    const what = closure
      ? ['-o', `Dir::Cache::archives=${into}`, 'install', '--download-only', '-y', ...packages]
      : ['download', ...packages];
    mkdirSync(join(into, 'partial'), { recursive: true });
    this.#run('apt-get', ['-qq', ...what], into);
  }

  #run(command: string, args: readonly string[], cwd = this.#folder): void {
    must(command, args, { cwd, env: { ...process.env, APT_CONFIG: this.#config, LC_ALL: 'C' } });
  }
}

/**
 * The mirror that this machine's own apt uses for its release of Debian, so that no address is
 * written down here; `IRONPORT_LAB_MIRROR` names another.
 */
function mirror(): string {
  const named = process.env.IRONPORT_LAB_MIRROR;
  if (named !== undefined) return named;
  const uris = must('apt-get', ['update', '--print-uris']);
  const found = Array.from(uris.matchAll(/'(\S+)\/dists\/([a-z]+)\/InRelease'/g));
  const codename = /^VERSION_CODENAME=(.*)$/m.exec(must('cat', ['/etc/os-release']))?.[1];
  const own = found.find(([, , suite]) => suite === codename)?.[1];
  if (own === undefined) {
    throw new Error(
      'no mirror of Debian in the configuration of apt: name one in IRONPORT_LAB_MIRROR',
    );
  }
  return own;
}

/** Runs to the end and returns what it printed; throws when it failed. */
export function must(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    ...options,
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (status === 0) return stdout;
  const said = error?.message ?? `${stdout}${stderr}`.split('\n').slice(-12).join('\n');
  throw new Error(`${command} ${args.join(' ')} failed (${status}): ${said}`);
}
