import { toHex, utf8 } from '../../../shared/bytes.ts';
import { tree } from '../../../shared/layout.ts';
import { platformCrypto } from '../../../shared/node/crypto.ts';
import { parseTargets } from '../../../shared/tuf/targets.ts';
import type { Lie } from '../support/hostile-server.ts';
import { readRole } from '../support/thief.ts';
import type { Attack } from './attack.ts';
import { attackClient, HONEST_NEWS } from './victim.ts';

/** TUF 1.5.2, arbitrary software: the vendor's file is altered to fit another artifact. */
export const tamperedMetadata: Attack = {
  name: 'tampered-metadata',
  summary: "a mirror writes its own artifact's digest into the vendor's file",
  async run(scene, say) {
    const { bytes, version } = await readRole(scene, 'acme');
    const entry = parseTargets(bytes, 'acme').entry(scene.artifact);
    const artifact = new Uint8Array(entry?.length ?? 0).fill(0x2f);
    const [honest, forged] = [
      entry?.hashes.get('sha256') ?? '',
      toHex(platformCrypto.sha256(artifact)),
    ];
    const altered = new TextDecoder().decode(bytes).replaceAll(honest, forged);
    say(
      `digest ${honest.slice(0, 12)}… becomes ${forged.slice(0, 12)}…; the signature stays as it was`,
    );
    const lies = new Map<string, Lie>([
      [tree.metadata('acme', version), utf8(altered)],
      [tree.target(scene.artifact, forged), artifact],
    ]);
    return [
      await attackClient(scene, lies, {
        expected: 'E_THRESHOLD',
        context: { role: 'acme' },
        progress: HONEST_NEWS,
      }),
    ];
  },
};
