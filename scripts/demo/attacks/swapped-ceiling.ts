import { join } from 'node:path';
import type { JsonObject } from '../../../shared/json/value.ts';
import { sidecarPath, tree, vendorFolder } from '../../../shared/layout.ts';
import { systemClock } from '../../../shared/node/clock.ts';
import { objectMember, targetEntry, withFields } from '../../../shared/tuf/build.ts';
import { parseTargets } from '../../../shared/tuf/targets.ts';
import { forgeOnline, readRole, readTree, signWith } from '../support/thief.ts';
import type { Attack } from './attack.ts';
import { attackClient, HONEST_NEWS } from './victim.ts';

/**
 * A ceiling of another artifact, signed by the vendor's own evidence key, in the place of this
 * one's. Every digest and every TUF signature is right: the thief has those keys. Only the
 * statement's subject tells.
 */
export const swappedCeiling: Attack = {
  name: 'swapped-ceiling',
  summary: "the vendor's TUF key and the server are stolen; an older version's ceiling is listed",
  async run(scene, say) {
    const { bytes, envelope, version } = await readRole(scene, 'acme');
    const older = sidecarPath(scene.artifact.replace('/1.1.0/', '/1.0.0/'), 'ceiling');
    const listed = parseTargets(bytes, 'acme').entry(older);
    const file = { length: listed?.length ?? 0, sha256: listed?.hashes.get('sha256') ?? '' };
    const ceiling = await readTree(scene, tree.target(older, file.sha256));

    const targets = objectMember(envelope.tree, 'targets');
    const swapped = withFields(targets, {
      [scene.artifact]: withCeiling(objectMember(targets, scene.artifact), file),
      [sidecarPath(scene.artifact, 'ceiling')]: targetEntry(file),
    });
    const forged = withFields(envelope.tree, { version: version + 1, targets: swapped });
    const lies = await forgeOnline(scene, systemClock(), new Map([['acme', version + 1]]));
    lies.set(
      tree.metadata('acme', version + 1),
      await signWith(forged, join(scene.vendor('acme'), vendorFolder.key('tuf', 1))),
    );
    lies.set(tree.target(sidecarPath(scene.artifact, 'ceiling'), file.sha256), ceiling);
    say(
      `acme ${version + 1}, signed by acme's own TUF key, lists the ceiling of 1.0.0 beside 1.1.0`,
    );
    return [
      await attackClient(scene, lies, {
        expected: 'E_CEILING',
        context: { reason: 'subject' },
        progress: [...HONEST_NEWS, 'acme'],
      }),
    ];
  },
};

/** The artifact's entry with another ceiling's length and digest in `custom.ironport`. */
function withCeiling(entry: JsonObject, file: { length: number; sha256: string }): JsonObject {
  const custom = objectMember(entry, 'custom');
  const ours = objectMember(custom, 'ironport');
  const sidecars = withFields(objectMember(ours, 'sidecars'), { ceiling: { ...file } });
  return withFields(entry, {
    custom: withFields(custom, { ironport: withFields(ours, { sidecars }) }),
  });
}
