import { join } from 'node:path';
import { toHex, utf8 } from '../../../shared/bytes.ts';
import { data, tree } from '../../../shared/layout.ts';
import { systemClock } from '../../../shared/node/clock.ts';
import { platformCrypto } from '../../../shared/node/crypto.ts';
import { DAY, formatInstant } from '../../../shared/time.ts';
import { objectMember, targetEntry, withFields } from '../../../shared/tuf/build.ts';
import { forgeOnline, readRole, signWith } from '../support/thief.ts';
import type { Attack } from './attack.ts';
import { attackClient, HONEST_NEWS } from './victim.ts';

/** Key compromise (TUF 1.5.2): whoever has the whole server still has no vendor's key. */
export const stolenServer: Attack = {
  name: 'stolen-server',
  summary: 'all online keys are stolen, and sign an artifact of the thief as acme',
  async run(scene, say) {
    const { envelope, version } = await readRole(scene, 'acme');
    const artifact = utf8('#!/bin/sh\n# anything\n');
    const sha256 = toHex(platformCrypto.sha256(artifact));
    const targets = withFields(objectMember(envelope.tree, 'targets'), {
      [scene.artifact]: targetEntry({ length: artifact.length, sha256 }),
    });
    const expires = formatInstant(systemClock() + DAY);
    const forged = withFields(envelope.tree, { version: version + 1, expires, targets });
    const keys = (['snapshot', 'timestamp'] as const).map((role) =>
      join(scene.repository, data.onlineKey(role)),
    );
    const lies = await forgeOnline(scene, systemClock(), new Map([['acme', version + 1]]));
    lies.set(tree.metadata('acme', version + 1), await signWith(forged, ...keys));
    lies.set(tree.target(scene.artifact, sha256), artifact);
    say(`acme ${version + 1} is signed by the keys of snapshot and timestamp, and both list it`);
    return [
      await attackClient(scene, lies, {
        expected: 'E_THRESHOLD',
        context: { role: 'acme' },
        progress: HONEST_NEWS,
      }),
    ];
  },
};
