/** What intake holds the index of a product to. */

import t from 'tap';
import type { Branch } from '../../server/intake/branch.ts';
import { productIndex } from '../../server/intake/checks/product-index.ts';
import { Delta } from '../../server/intake/delta.ts';
import { utf8 } from '../../shared/bytes.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { withdrawn } from '../../shared/product/change-index.ts';
import {
  formatIndex,
  type IndexEntry,
  type ProductIndex,
} from '../../shared/product/index-file.ts';
import { formatMetadata, targetEntry, targetsTree } from '../../shared/tuf/build.ts';
import { parseHardwareId } from '../../shared/tuf/hardware-id.ts';
import { parseTargets, type TargetEntry } from '../../shared/tuf/targets.ts';
import { entry, index } from '../product/support.ts';
import { TODAY } from '../support/clock.ts';

const PATH = 'acme/edu/index/index.json';
const first = entry('1.0.0');
const one = index(first);

function subject(entries: readonly IndexEntry[], generation = 1) {
  const custom = {
    ironport: { schema: 'ironport.target/v1', kind: 'artifact', generation, sidecars: {} },
  };
  const targets = new Map(entries.map((file) => [file.path, targetEntry(file, custom)]));
  const role = parseTargets(formatMetadata(targetsTree(1, TODAY, { targets }), new Map()), 'acme');
  const record = {
    name: 'acme',
    hardwareIds: [parseHardwareId('PCI:0x1234')],
    apiKeys: [],
    contact: '',
  };
  // Nothing of it is published yet: all that it lists is new.
  const delta = new Delta({ entry: async () => undefined } as unknown as Branch);
  for (const path of role.paths()) delta.take(role.entry(path) as TargetEntry, undefined);
  return {
    owner: { crypto: platformCrypto, vendor: 'acme', record, own: role, revocations: undefined },
    delta,
  };
}

const check = (
  { owner, delta }: ReturnType<typeof subject>,
  after: ProductIndex | undefined,
  before?: ProductIndex,
): Promise<string> =>
  productIndex(owner, delta, {
    path: PATH,
    before: before && formatIndex(before),
    after: after && formatIndex(after),
  });

t.test('a true one', async (t) => {
  t.match(await check(subject([first]), one), 'revision 1, 1 version');
  t.match(await check(subject([first]), one, one), 'revision 1');
  t.match(await check(subject([]), undefined), 'no index');
  const gone = withdrawn(one, '1.0.0', { at: TODAY, reason: 'bad' });
  t.match(await check(subject([]), gone, one), 'revision 2');
});

t.test('one that is not', async (t) => {
  const gone = withdrawn(one, '1.0.0', { at: TODAY, reason: 'bad' });
  const foreign = entry('1.0.0', { devices: [{ vendor: 0x8086, device: 1 }] });
  const other = { ...first, sha256: 'f'.repeat(64) };
  const cases: [name: string, code: string, act: () => Promise<string>][] = [
    ['an index that is dropped', 'E_CONFLICT', () => check(subject([first]), undefined, one)],
    ['a version that the role lacks', 'E_CONFLICT', () => check(subject([]), one)],
    ['another digest', 'E_CONFLICT', () => check(subject([other]), one)],
    ['another length', 'E_CONFLICT', () => check(subject([{ ...first, length: 9 }]), one)],
    ['another generation', 'E_CONFLICT', () => check(subject([first], 2), one)],
    [
      'hardware of somebody else',
      'E_NOT_AUTHORISED',
      () => check(subject([foreign]), index(foreign)),
    ],
    ['a withdrawn name that is listed', 'E_WITHDRAWN', () => check(subject([first]), gone, one)],
    [
      'a withdrawn name that reappears with its own bytes',
      'E_WITHDRAWN',
      () => check(subject([first]), { ...one, revision: 3 }, gone),
    ],
    [
      'a revision that goes back',
      'E_ROLLBACK',
      () => check(subject([first]), one, { ...one, revision: 5 }),
    ],
    [
      'no index at all',
      'E_JSON',
      () => {
        const { owner, delta } = subject([first]);
        return productIndex(owner, delta, { path: PATH, before: undefined, after: utf8('x') });
      },
    ],
  ];
  for (const [name, code, act] of cases) await t.rejects(act(), { code }, name);
});
