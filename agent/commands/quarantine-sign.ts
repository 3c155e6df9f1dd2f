/** `ironport-agent quarantine sign`: an operator's signature under a statement of release. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import {
  OPERATOR_SIGNS,
  readStatement,
  type StatementKind,
  signedWords,
  signStatement,
} from '../../shared/cli/operator-statement.ts';
import { QUARANTINE_LIMITS } from '../../shared/limits.ts';
import { showIdentity } from '../../shared/manifest/device.ts';
import {
  parseRelease,
  parseReleaseDraft,
  RELEASE_PAYLOAD_TYPE,
  releasePayload,
} from '../../shared/manifest/quarantine.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { formatInstant } from '../../shared/time.ts';
import { argument } from './options.ts';

const RELEASE: StatementKind = {
  payloadType: RELEASE_PAYLOAD_TYPE,
  what: 'statement of release',
  limit: QUARANTINE_LIMITS.statement,
  begin(bytes) {
    const expires = systemClock() + QUARANTINE_LIMITS.releaseSeconds;
    return releasePayload({ ...parseReleaseDraft(bytes), expires });
  },
};

export const quarantineSignCommand: CommandSpec = {
  name: 'quarantine sign',
  summary: 'sign the release of a device from quarantine as an operator of the fleet',
  description:
    'FILE is a statement as `quarantine show --out` wrote it, or one that other operators signed ' +
    'already. The first signature begins its hour. What it says is shown before the key is used.',
  arguments: [{ name: 'file', description: 'the statement' }],
  options: OPERATOR_SIGNS,
  examples: ['ironport-agent quarantine sign release.json --key operator-1.json --out signed.json'],
  schema: 'ironport-agent/quarantine-sign/v1',
  async run(context) {
    const statement = await readStatement(argument(context, 0, 'FILE'), RELEASE);
    const { incident, host, device, expires } = parseRelease(statement.payload);
    context.ui.stage(
      `this releases ${device.path} (${showIdentity(device)}) of host ${host} from incident ${incident}, until ${formatInstant(expires)}`,
    );
    const signed = await signStatement(context, RELEASE, statement);
    return {
      data: { ...signed, incident, device: device.path, expires: formatInstant(expires) },
      text: `${signedWords(signed)}, and is good until ${formatInstant(expires)}`,
    };
  },
};
