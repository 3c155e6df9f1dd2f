/** `publish`: from a file on the vendor's disk to what hosts can fetch. */

import type { CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { formatBytes } from '../../shared/cli/table.ts';
import { IronError } from '../../shared/errors.ts';
import { formatInstant } from '../../shared/time.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import { rolesWords } from '../branch.ts';
import { countOf, type Waiting, waitingData, waitingText } from '../co-sign.ts';
import { ARTIFACT_OPTIONS, loadClaim } from '../evidence.ts';
import type { SignedRole } from '../hand-in.ts';
import { type Made, publishClaims } from '../publish-claims.ts';
import { floorsOf, loadRelease, RELEASE_OPTIONS } from '../release.ts';
import { REPOSITORY_OPTION, ROOT_OPTION, type Session, withSession } from '../session.ts';
import { DIR_OPTION, PASSPHRASE_OPTION } from '../signers.ts';

export const publish: CommandSpec = {
  name: 'publish',
  summary: 'attest an artifact, sign it at home, upload it and wait until hosts can fetch it',
  description:
    'Measures FILE, makes and signs its evidence, verifies the published state from the root that is pinned here, signs the next version of the own role on top of it, uploads what the repository does not have and hands the role in. An upload that broke off goes on where it stopped.',
  arguments: [{ name: 'file', description: 'the artifact' }],
  options: [
    ...ARTIFACT_OPTIONS,
    ...RELEASE_OPTIONS,
    REPOSITORY_OPTION,
    DIR_OPTION,
    ROOT_OPTION,
    PASSPHRASE_OPTION,
  ],
  examples: [
    'ironport publish edu.js --product edu --version 1.0.0 --ceiling edu.ceiling.json --repository http://127.0.0.1:8080 --dir acme --root 1.root.json',
  ],
  schema: 'ironport/publish/v1',
  run: (context) => withSession(context, publishArtifact),
};

async function publishArtifact(session: Session): Promise<CommandResult> {
  const { context, config } = session;
  const claim = await loadClaim(context, config);
  const released = await loadRelease(context);
  const outcome = await publishClaims(session, [claim], released, floorsOf(context, [claim]));
  const { base, made, signed, published } = outcome;
  const { measured, attested } = made[0] as Made;
  // Only roles below it may have changed.
  const own = signed.own ?? { role: base.role as Targets, have: 0, need: 0 };
  const facts = {
    path: claim.path,
    ...measured,
    sidecars: attested.sidecars.map(({ path, length, sha256 }) => ({ path, length, sha256 })),
    channel: released.channel,
    rollout_percent: released.rolloutPercent,
    role: config.vendor,
    version: own.role.version,
    expires: formatInstant(own.role.expires),
    signatures: { have: own.have, need: own.need },
    bins: signed.bins.map(({ role, version }) => ({ role, version })),
    nested: signed.nested.map(({ role, version }) => ({ role, version })),
  };
  if (outcome.waiting !== undefined) return waits(outcome.waiting, countOf(signed), facts);
  if (published === undefined) throw new IronError('E_INTERNAL', 'neither published nor waiting');
  const roles = rolesWords(config.vendor, signed, own.role);
  return {
    data: { ...facts, published: true, ...published },
    text: [
      `${claim.path} is published`,
      `  ${formatBytes(measured.length)}, SHA-256 ${measured.sha256}`,
      `  in ${released.channel}, for ${released.rolloutPercent} % of the hosts`,
      `  ${roles}, in snapshot ${published.snapshot}`,
      `  ${published.verdicts.length} checks of the repository passed, and the own client sees it`,
    ].join('\n'),
  };
}

/** Too few signatures: the bytes are there, the role waits for the next signer. */
function waits(
  waiting: Waiting,
  own: Pick<SignedRole, 'have' | 'need'>,
  facts: object,
): CommandResult {
  return {
    data: { ...facts, ...waitingData(waiting) },
    text: [waitingText(waiting, own), 'all bytes are uploaded'].join('\n'),
  };
}
