import { join } from 'node:path';
import { Api } from '../../../publisher/upload/api.ts';
import { Repository } from '../../../publisher/upload/http.ts';
import { submit, waitFor } from '../../../publisher/upload/submission.ts';
import { toHex, utf8 } from '../../../shared/bytes.ts';
import { asIronError } from '../../../shared/errors.ts';
import { tree, vendorFolder } from '../../../shared/layout.ts';
import { systemClock } from '../../../shared/node/clock.ts';
import { platformCrypto } from '../../../shared/node/crypto.ts';
import { systemRandom } from '../../../shared/node/random.ts';
import { loadFileSigner } from '../../../shared/node/signers/file.ts';
import { DAY } from '../../../shared/time.ts';
import { targetEntry, targetsTree } from '../../../shared/tuf/build.ts';
import { startService } from '../honest.ts';
import { type Scene, treeOf } from '../scene.ts';
import { changedPaths, folderState } from '../support/folder-state.ts';
import type { Document } from '../support/programs.ts';
import { forgeOnline, signWith } from '../support/thief.ts';
import type { Answer, Attack } from './attack.ts';
import { answer, attackClient, HONEST_NEWS } from './victim.ts';

/** A vendor speaks for another one's paths: at intake, and past a service that was stolen. */
export const wrongVendor: Attack = {
  name: 'wrong-vendor',
  summary: 'mallory, an admitted vendor, signs an artifact in the name of acme',
  async run(scene, say) {
    const target = 'acme/edu/9.9.9/edu-driver.mjs';
    const artifact = utf8('#!/bin/sh\n# not by acme\n');
    const sha256 = toHex(platformCrypto.sha256(artifact));
    const entry = targetEntry({ length: artifact.length, sha256 });
    const signed = targetsTree(1, systemClock() + 30 * DAY, {
      targets: new Map([[target, entry]]),
    });
    const role = await signWith(signed, join(scene.vendor('mallory'), vendorFolder.key('tuf', 1)));
    say(`mallory 1, rightly signed by mallory, lists ${target}`);

    const atIntake = await offer(scene, role);
    say('past a stolen server: timestamp and snapshot list mallory 1 all the same');
    const lies = await forgeOnline(scene, systemClock(), new Map([['mallory', 1]]));
    lies.set(tree.metadata('mallory', 1), role);
    lies.set(tree.target(target, sha256), artifact);
    const atClient = await attackClient(scene, lies, {
      expected: 'E_TARGET_UNKNOWN',
      target,
      progress: [...HONEST_NEWS, 'acme'],
    });
    return [atIntake, atClient];
  },
};

/** Hands the role in as mallory's own program would not. */
async function offer(scene: Scene, role: Uint8Array): Promise<Answer> {
  const url = await startService(scene);
  const before = await folderState(treeOf(scene));
  const repository = new Repository(url);
  const signer = await loadFileSigner(join(scene.vendor('mallory'), vendorFolder.key('api', 1)));
  const api = new Api({
    repository,
    signer,
    crypto: platformCrypto,
    clock: systemClock,
    random: systemRandom,
  });
  const error = await submit(api, 'mallory', { metadata: role })
    .then((first) => waitFor(api, first))
    .then((reply) => (reply.error == null ? undefined : toError(reply.error)))
    .catch((thrown: unknown) => toError(asIronError(thrown)));
  await repository.close();
  await scene.service?.stop();
  scene.service = undefined;
  const changed = changedPaths(before, await folderState(treeOf(scene)));
  return answer('intake', { error }, { expected: 'E_NOT_AUTHORISED' }, changed);
}

interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly why?: string | null | undefined;
  readonly hint?: string | null | undefined;
}

function toError({ code, message, why, hint }: Refusal): NonNullable<Document['error']> {
  return { code, message, ...(why == null ? {} : { why }), ...(hint == null ? {} : { hint }) };
}
