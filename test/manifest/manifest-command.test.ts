import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { manifestCommands } from '../../agent/commands/manifest.ts';
import { type Ran, run } from '../cli/support.ts';

const program = { name: 'ironport-agent', summary: 'test', commands: manifestCommands };
const path = new URL('../vectors/manifest-vectors.json', import.meta.url);
const vectors = JSON.parse(readFileSync(path, 'utf8')) as {
  canonical: string;
  sha256: string;
  ism2: string;
  well_formed: boolean;
  driver_id: string;
}[];

const folder = mkdtempSync(join(tmpdir(), 'ironport-manifest-'));
t.teardown(() => rmSync(folder, { recursive: true }));

function agent(verb: string, content: string | Uint8Array, ...more: string[]): Promise<Ran> {
  const file = join(folder, 'input');
  writeFileSync(file, content);
  return run(program, ['manifest', verb, file, ...more]);
}

t.test('encode prints the bare object, also for windows that earn warnings', async (t) => {
  for (const vector of vectors) {
    const { exit, stdout, stderr } = await agent('encode', JSON.stringify(vector), '--json');
    t.equal(exit, 0);
    const { warnings, ...bytes } = JSON.parse(stdout);
    t.same(bytes, { canonical: vector.canonical, sha256: vector.sha256, ism2: vector.ism2 });
    t.equal(warnings.length === 0, vector.well_formed);
    t.equal(stderr.includes('ends past') || stderr.includes('overlaps'), !vector.well_formed);
  }
  const [good] = vectors;
  const { stdout, stderr } = await agent('encode', JSON.stringify(good));
  t.ok(stdout.includes(`sha256    ${good?.sha256}\n`));
  t.match(stderr, /2 windows are revoked/, 'what the blob cannot say is said');
});

t.test('decode reads blobs and their hexadecimal, strictly', async (t) => {
  for (const vector of vectors) {
    const forms = [Buffer.from(vector.ism2, 'hex'), vector.ism2, ` ${vector.ism2.toUpperCase()}\n`];
    for (const form of forms) {
      const { exit, stdout } = await agent('decode', form, '--json');
      const document = JSON.parse(stdout);
      t.equal(exit, vector.well_formed ? 0 : 17);
      t.equal(document.ok, vector.well_formed);
      if (vector.well_formed) t.equal(document.data.manifest.driver_id, vector.driver_id);
      else
        t.match(document.error, { code: /^E_MANIFEST_OVER/, context: { window: /^ports\[\d\]$/ } });
    }
    const lenient = JSON.parse((await agent('decode', vector.ism2, '--lenient', '--json')).stdout);
    t.equal(lenient.data.warnings.length === 0, vector.well_formed);

    const again = await agent('encode', JSON.stringify(lenient.data.manifest), '--json');
    t.equal(JSON.parse(again.stdout).ism2, vector.ism2, 'what decode prints, encode takes');
  }
});

t.test('what is refused, and how', async (t) => {
  const ism2 = vectors[0]?.ism2 ?? '';
  const cases = [
    ['decode', `${ism2}00`, 'E_MANIFEST_TRAILING', 17],
    ['decode', ism2.slice(0, -2), 'E_MANIFEST', 17],
    ['decode', ism2.slice(0, -1), 'E_MANIFEST', 17],
    ['decode', '', 'E_MANIFEST', 17],
    ['decode', '\n', 'E_MANIFEST', 17],
    ['decode', 'no blob', 'E_MANIFEST', 17],
    ['decode', Uint8Array.of(0xa0, 0x20), 'E_MANIFEST', 17],
    ['decode', new Uint8Array(70_000), 'E_TOO_LARGE', 9],
    ['encode', '', 'E_JSON', 9],
    ['encode', ism2, 'E_JSON', 9],
    ['encode', '{}', 'E_SCHEMA', 9],
  ] as const;
  for (const [verb, content, code, status] of cases) {
    const { exit, stdout } = await agent(verb, content, '--json');
    t.equal(exit, status);
    t.match(JSON.parse(stdout), { ok: false, error: { code } });
  }
  const lenient = await agent('decode', `${ism2}00`, '--lenient');
  t.equal(lenient.exit, 0);
  t.match(lenient.stdout, /! E_MANIFEST_TRAILING: 1 byte follows/);

  const missing = await run(program, ['manifest', 'decode', join(folder, 'nothing'), '--json']);
  t.equal(missing.exit, 4);
  t.match(JSON.parse(missing.stdout), { error: { code: 'E_NOT_FOUND' } });
  const directory = await run(program, ['manifest', 'decode', folder, '--json']);
  t.equal(directory.exit, 6);
});

t.test('- is standard input', async (t) => {
  const command = new URL('../../agent/commands/manifest.ts', import.meta.url).href;
  const script = `const { manifestDecode } = await import(${JSON.stringify(command)});
    const result = await manifestDecode.run({ args: ['-'], flag: () => false, ui: {} });
    console.log(JSON.stringify(result.data.manifest));`;
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    input: vectors[1]?.ism2 ?? '',
    encoding: 'utf8',
  });
  t.equal(child.status, 0, child.stderr);
  t.equal(JSON.parse(child.stdout).driver_id, vectors[1]?.driver_id);
});
