/** `ironport manifest`: ceilings as files, bare and signed, and what is no ceiling. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { manifestDiff, manifestExplain, manifestLint } from '../../publisher/commands/manifest.ts';
import { toBase64, utf8 } from '../../shared/bytes.ts';
import { run } from '../cli/support.ts';

const commands = [manifestLint, manifestExplain, manifestDiff];
const program = { name: 'ironport', summary: 'test', commands };
const edu = new URL('../../examples/edu/ceiling.json', import.meta.url);
const ceiling = JSON.parse(readFileSync(edu, 'utf8'));
const folder = t.testdir();

function file(name: string, content: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

const statement = (predicateType: string, predicate: unknown) => ({
  payloadType: 'application/vnd.in-toto+json',
  payload: toBase64(
    utf8(
      JSON.stringify({
        _type: 'https://in-toto.io/Statement/v1',
        subject: [{ name: 'x', digest: { sha256: '00'.repeat(32) } }],
        predicateType,
        predicate,
      }),
    ),
  ),
  signatures: [{ sig: toBase64(new Uint8Array(64)) }],
});
const CEILING = 'https://ironshim.dev/attestation/resource-ceiling/v1';
const manifest = (...args: string[]) => run(program, ['manifest', ...args]);

t.test('diff: words, signs, and an exit status for who asks', async (t) => {
  const old = file('old.json', { ...ceiling, bars: [{ ...ceiling.bars[0], access: 'read' }] });
  const fresh = file('new.json', statement(CEILING, ceiling));
  const { exit, stdout } = await manifest('diff', old, fresh);
  t.equal(exit, 0);
  t.match(stdout, /^\+ BAR 0, 0x0\.\.0xfff \(4 KiB\): becomes writable, it was read only$/m);
  t.match(stdout, /^\+ BAR 0, 0x40000\.\.0x40fff \(4 KiB\): newly asked for, to read and write$/m);
  t.equal((await manifest('diff', old, fresh, '--refuse-wider')).exit, 16);
  t.equal((await manifest('diff', fresh, old, '--refuse-wider')).exit, 0);
  t.match((await manifest('diff', old, old)).stdout, /both allow the same/);
});

t.test('lint and explain', async (t) => {
  const odd = file('odd.json', {
    ...ceiling,
    bars: [{ ...ceiling.bars[0], length_bytes: '0x10' }],
  });
  const lint = await manifest('lint', odd);
  t.match([lint.exit, lint.stdout], [0, /not whole pages/]);
  t.equal((await manifest('lint', odd, '--strict')).exit, 16);
  t.match((await manifest('lint', file('edu.json', ceiling), '--strict')).stdout, /nothing to say/);
  t.match((await manifest('explain', odd)).stdout, /interrupts +msi, 1 vector/);
});

t.test('what is no ceiling is refused with its code', async (t) => {
  const good = JSON.stringify(ceiling);
  for (const [name, content, exit] of [
    ['truncated', good.slice(0, -5), 9],
    ['empty', '', 9],
    ['twice', good.replace('{', '{"generation": 1,'), 9],
    ['nested', `${'['.repeat(5000)}${']'.repeat(5000)}`, 9],
    ['list', '[]', 9],
    ['unknown field', { ...ceiling, more: 1 }, 9],
    ['contradiction', { ...ceiling, devices: [] }, 16],
    ['another statement', statement('https://slsa.dev/provenance/v1', ceiling), 16],
    ['a signed contradiction', statement(CEILING, { ...ceiling, devices: [] }), 16],
    ['huge', ' '.repeat(2 ** 21), 9],
  ] as const) {
    const ran = await manifest('explain', file(name, content), '--json');
    t.equal(ran.exit, exit, name);
    const { ok, error } = JSON.parse(ran.stdout);
    t.equal(ok, false, name);
    if (exit === 9) t.match(error.message, new RegExp(name), `${name}: which file it is`);
  }
  t.equal((await manifest('explain', join(folder, 'missing'))).exit, 4);
});
