/** The reader of a product's index takes its own form and nothing else. */

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { INDEX_LIMITS } from '../../shared/limits.ts';
import { formatIndex, parseIndex, productOfIndex } from '../../shared/product/index-file.ts';
import { TODAY } from '../support/clock.ts';
import { entry, index } from './support.ts';

const PATH = 'acme/edu/index/index.json';
const WHOLE = index(
  entry('1.0.0', { withdrawn: { at: TODAY, reason: 'loses writes', supersededBy: '1.1.0' } }),
  entry('1.1.0', {
    channel: 'testing',
    rolloutPercent: 0,
    devices: [
      { vendor: 0x1234, device: 0x11e8, subsystemVendor: 0x1af4, subsystemDevice: 0x1100 },
      { vendor: 0x1234, device: 0x11e9, class: 0x00ff00, revision: 0x10 },
    ],
    abi: { min: 1, max: 3 },
    generation: 2,
    notes: 'Fixes the write path.\n\tAnd more: ünïcode.',
    fixes: ['CVE-2030-12345'],
  }),
);

t.test('what is written is read back', async (t) => {
  const bytes = formatIndex(WHOLE);
  t.strictSame(parseIndex(bytes, PATH), WHOLE);
  t.strictSame(formatIndex(parseIndex(bytes, PATH)), bytes);
  t.strictSame(parseIndex(formatIndex(index()), PATH).entries, []);
});

type Json = Record<string, unknown>;

/** The file with `edit` made to its tree. */
function edited(edit: (tree: Json, first: Json) => void): Uint8Array {
  const tree = JSON.parse(new TextDecoder().decode(formatIndex(WHOLE)));
  edit(tree, tree.versions[0]);
  return utf8(JSON.stringify(tree));
}

t.test('anything else is refused', async (t) => {
  const cases: [name: string, code: string, bytes: Uint8Array][] = [
    ['another schema', 'E_SCHEMA', edited((tree) => (tree.schema = 'ironport.index/v2'))],
    ['an unknown field', 'E_SCHEMA', edited((tree) => (tree.more = 1))],
    ['an unknown field of a version', 'E_SCHEMA', edited((_, first) => (first.more = 1))],
    ['another vendor', 'E_SCHEMA', edited((tree) => (tree.vendor = 'evil'))],
    ['another product', 'E_SCHEMA', edited((tree) => (tree.product = 'net'))],
    ['revision 0', 'E_SCHEMA', edited((tree) => (tree.revision = 0))],
    ['no versions', 'E_SCHEMA', edited((tree) => delete tree.versions)],
    ['a path of another product', 'E_SCHEMA', edited((_, f) => (f.path = 'acme/net/1.0.0/x'))],
    ['a path of another vendor', 'E_SCHEMA', edited((_, f) => (f.path = 'evil/edu/1.0.0/x'))],
    ['a sidecar', 'E_SCHEMA', edited((_, f) => (f.path = 'acme/edu/1.0.0/x.spdx.json'))],
    ['the index itself', 'E_SCHEMA', edited((_, f) => (f.path = PATH))],
    ['a path that climbs', 'E_NAME', edited((_, f) => (f.path = 'acme/edu/../x'))],
    ['a path twice', 'E_SCHEMA', edited((tree, f) => (tree.versions = [f, f]))],
    ['a channel that is none', 'E_SCHEMA', edited((_, f) => (f.channel = 'nightly'))],
    ['101 %', 'E_SCHEMA', edited((_, f) => (f.rollout_percent = 101))],
    ['half a percent', 'E_JSON', utf8('{"rollout_percent":0.5}')],
    ['below 0 %', 'E_SCHEMA', edited((_, f) => (f.rollout_percent = -1))],
    ['no device', 'E_SCHEMA', edited((_, f) => (f.devices = []))],
    ['a device without its vendor', 'E_SCHEMA', edited((_, f) => (f.devices = [{}]))],
    ['an ABI upside down', 'E_SCHEMA', edited((_, f) => (f.abi = { min: 2, max: 1 }))],
    ['generation 0', 'E_SCHEMA', edited((_, f) => (f.generation = 0))],
    ['a generation that falls', 'E_SCHEMA', edited((_, f) => (f.generation = 3))],
    ['a digest in capitals', 'E_SCHEMA', edited((_, f) => (f.sha256 = 'A'.repeat(64)))],
    ['no date', 'E_SCHEMA', edited((_, f) => (f.released = 'yesterday'))],
    ['a fix that is no CVE', 'E_SCHEMA', edited((_, f) => (f.fixes = ['GHSA-1']))],
    ['an escape sequence in the notes', 'E_SCHEMA', edited((_, f) => (f.notes = '\u001b[2J'))],
    ['text that runs backwards', 'E_SCHEMA', edited((_, f) => (f.notes = 'a\u202eb'))],
    ['notes without end', 'E_SCHEMA', edited((_, f) => (f.notes = 'x'.repeat(16_385)))],
    [
      'withdrawn without a reason',
      'E_SCHEMA',
      edited((_, f) => ((f.withdrawn as Json).reason = '')),
    ],
    ['withdrawn: null', 'E_SCHEMA', edited((_, f) => (f.withdrawn = null))],
    ['cut off', 'E_JSON', formatIndex(WHOLE).subarray(0, -10)],
    ['a member twice', 'E_JSON', utf8('{"schema":"ironport.index/v1","schema":"x"}')],
    ['nested without end', 'E_JSON', utf8('['.repeat(100_000))],
    ['too long', 'E_TOO_LARGE', new Uint8Array(INDEX_LIMITS.file + 1)],
  ];
  for (const [name, code, bytes] of cases) t.throws(() => parseIndex(bytes, PATH), { code }, name);
  const many = Array.from({ length: INDEX_LIMITS.versions + 1 }, (_, i) => entry(`1.0.${i}`));
  t.throws(() => formatIndex(index(...many)), { code: 'E_SCHEMA' }, 'too many versions');
});

t.test('which paths are indexes', async (t) => {
  t.equal(productOfIndex(PATH), 'acme/edu');
  for (const path of [
    'acme/edu/1.0.0/index.json',
    'acme/edu/index/x',
    'x/acme/edu/index/index.json',
    'acme',
  ])
    t.equal(productOfIndex(path), undefined, path);
});
