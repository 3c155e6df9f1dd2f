// An artifact of ours, judged by the files through which it was found.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { type Sidecar, sidecarPath, tree } from '../../shared/layout.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { type SidecarFile, verifyArtifact } from '../../shared/verify/artifact.ts';
import { drive } from '../../shared/verify/drive.ts';
import { loadRevocations } from '../../shared/verify/revocations.ts';
import { TrustedMetadata } from '../../shared/verify/trusted.ts';
import {
  type FoundTarget,
  findTarget,
  type Request,
  refresh,
} from '../../shared/verify/workflow.ts';
import { addArtifact, addVendor, EDU } from '../support/artifact.ts';
import { TODAY } from '../support/clock.ts';
import { testKey } from '../support/keys.ts';
import { Simulator, signFile } from '../support/simulator.ts';

t.test(
  'a file that another vendor put under the name of this one says nothing of it',
  async (t) => {
    const sim = new Simulator();
    addVendor(sim, 'acme');
    addVendor(sim, 'evil');
    const bytes = await addArtifact(sim, EDU, utf8('the driver'));
    const own = [...(sim.signers.get('acme') ?? [])];
    sim.delegate('evil', 'acme', { keys: [testKey('evil')], paths: ['evil/*/*/*'] });
    sim.signers.set('acme', own);
    sim.publish('targets', 'acme', 'evil');
    // Of the same version, with no evidence keys, and a week shorter.
    const impostor = signFile(
      { ...sim.role('acme'), targets: {}, 'x-ironport': {}, expires: sim.expiry(1) },
      [testKey('evil')],
    );
    let isEvil = false;
    const mirror = (request: Request): Uint8Array | undefined => {
      if (request.kind !== 'fetch') return undefined;
      const { role, version } = request;
      if (role === 'acme' && isEvil) return impostor;
      return sim.serve(version === undefined ? tree.timestamp : tree.metadata(role, version));
    };
    const root = sim.roots.get(1) as Uint8Array;
    const trusted = new TrustedMetadata({ crypto: platformCrypto, now: TODAY, root });
    drive(refresh(trusted), mirror);
    const find = (path: string): FoundTarget => {
      const found = drive(findTarget(trusted, path), mirror);
      if (found === undefined) throw new Error(`${path} is there`);
      return found;
    };
    const artifact = find(EDU);
    const revocations = drive(loadRevocations(trusted), mirror);
    const sidecars = new Map<Sidecar, SidecarFile>(
      [...bytes].map(([sidecar, bytes]) => [
        sidecar,
        { found: find(sidecarPath(EDU, sidecar)), bytes },
      ]),
    );
    const [ceiling, sbom] = [sidecars.get('ceiling'), sidecars.get('sbom')] as SidecarFile[];
    t.throws(
      () =>
        verifyArtifact(platformCrypto, {
          trusted,
          artifact,
          revocations,
          sidecars: new Map([
            ...sidecars,
            ['ceiling', { ...ceiling, found: sbom?.found } as SidecarFile],
          ]),
        }),
      { code: 'E_NOT_AUTHORISED' },
      'right bytes that were found under another path',
    );
    const before = verifyArtifact(platformCrypto, { trusted, artifact, sidecars, revocations });
    isEvil = true;
    t.equal(drive(findTarget(trusted, 'evil/x/1/y'), mirror), undefined, 'it is met on the way');
    const after = verifyArtifact(platformCrypto, { trusted, artifact, sidecars, revocations });
    t.equal(after.freshUntil, before.freshUntil);
    t.strictSame(after.versions, before.versions);
  },
);
