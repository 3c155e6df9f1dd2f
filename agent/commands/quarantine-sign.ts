/** `ironport-agent quarantine sign`: an operator's signature under a statement of release. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { IronError } from '../../shared/errors.ts';
import { parseEnvelope, signEnvelope, writeEnvelope } from '../../shared/evidence/dsse.ts';
import { Node } from '../../shared/json/decode.ts';
import { parseJson } from '../../shared/json/read.ts';
import { QUARANTINE_LIMITS } from '../../shared/limits.ts';
import { showIdentity } from '../../shared/manifest/device.ts';
import {
  parseRelease,
  parseReleaseDraft,
  RELEASE_PAYLOAD_TYPE,
  releasePayload,
} from '../../shared/manifest/quarantine.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { readFileCapped, writeFileAtomic } from '../../shared/node/files.ts';
import { openSigner } from '../../shared/node/signers/uri.ts';
import { formatInstant } from '../../shared/time.ts';
import { keyId } from '../../shared/tuf/key.ts';
import { argument } from './options.ts';

export const quarantineSignCommand: CommandSpec = {
  name: 'quarantine sign',
  summary: 'sign the release of a device from quarantine as an operator of the fleet',
  description:
    'FILE is a statement as `quarantine show --out` wrote it, or one that other operators signed ' +
    'already. The first signature begins its hour. What it says is shown before the key is used.',
  arguments: [{ name: 'file', description: 'the statement' }],
  options: [
    { flags: '-k, --key <file>', description: 'key file of the operator', required: true },
    { flags: '-o, --out <file>', description: 'file to write', required: true },
    {
      flags: '--passphrase-file <file>',
      description: 'file with the passphrase of an encrypted key, or fd:N',
      env: 'IRONPORT_PASSPHRASE_FILE',
    },
  ],
  examples: ['ironport-agent quarantine sign release.json --key operator-1.json --out signed.json'],
  schema: 'ironport-agent/quarantine-sign/v1',
  async run(context) {
    const file = argument(context, 0, 'FILE');
    const { payload, before } = readSignable(
      await readFileCapped(file, QUARANTINE_LIMITS.statement),
    );
    const { incident, host, device, expires } = parseRelease(payload);
    context.ui.stage(
      `this releases ${device.path} (${showIdentity(device)}) of host ${host} from incident ${incident}, until ${formatInstant(expires)}`,
    );
    const signer = await openSigner(context.need('key'), {
      passphraseFile: context.text('passphrase-file'),
      env: context.env,
    });
    const keyid = keyId(platformCrypto, signer.key);
    const own = await signEnvelope(RELEASE_PAYLOAD_TYPE, payload, [{ signer, keyid }]);
    const others = before.filter((signature) => signature.keyid !== keyid);
    const signatures = [...others, ...parseEnvelope(own).signatures];
    const out = context.need('out');
    const envelope = { payloadType: RELEASE_PAYLOAD_TYPE, payload, signatures };
    await writeFileAtomic(out, writeEnvelope(envelope));
    const count = signatures.length;
    return {
      data: {
        out,
        incident,
        device: device.path,
        expires: formatInstant(expires),
        keyid,
        signatures: count,
      },
      text: `${out} has ${count} signature${count === 1 ? '' : 's'}, and is good until ${formatInstant(expires)}`,
    };
  },
};

/** A statement, bare or in an envelope; its signatures are for the host to judge. */
function readSignable(bytes: Uint8Array): {
  readonly payload: Uint8Array;
  readonly before: ReturnType<typeof parseEnvelope>['signatures'];
} {
  const node = new Node(parseJson(bytes, { length: QUARANTINE_LIMITS.statement }), 'release');
  if (node.maybe('payloadType') === undefined) {
    const expires = systemClock() + QUARANTINE_LIMITS.releaseSeconds;
    return { payload: releasePayload({ ...parseReleaseDraft(bytes), expires }), before: [] };
  }
  const { payloadType, payload, signatures } = parseEnvelope(bytes, 'release');
  if (payloadType !== RELEASE_PAYLOAD_TYPE) {
    throw new IronError('E_SCHEMA', 'the envelope holds no statement of release', {
      why: `its payload type is not ${RELEASE_PAYLOAD_TYPE}`,
      hint: 'nothing was signed',
    });
  }
  return { payload, before: signatures };
}
