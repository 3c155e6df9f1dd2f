/** `request`: the file with which a vendor asks to be admitted. */

import {
  admissionFingerprint,
  formatFingerprint,
  makeAdmission,
  parseAdmission,
} from '../../shared/api/admission.ts';
import type { CommandSpec } from '../../shared/cli/command.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { writeFileExclusive } from '../../shared/node/files.ts';
import { loadConfig } from '../config.ts';
import { DIR_OPTION, PASSPHRASE_OPTION, VendorSigners } from '../signers.ts';

export const request: CommandSpec = {
  name: 'request',
  summary: 'make the admission request, signed by every key that it names',
  description:
    'Give the file to the operators of a repository, and read them its fingerprint by another channel: the signatures say that you hold the keys, and only the fingerprint that it is you.',
  options: [
    DIR_OPTION,
    { flags: '-o, --out <file>', description: 'file to write', required: true },
    PASSPHRASE_OPTION,
  ],
  examples: ['ironport request --dir acme --out acme.admission.json'],
  schema: 'ironport/request/v1',
  async run(context) {
    const dir = context.need('dir');
    const config = await loadConfig(dir);
    const signers = new VendorSigners(context, dir, config);
    const bytes = await makeAdmission(crypto, config, {
      tuf: await signers.all('tuf'),
      evidence: await signers.all('evidence'),
      api: await signers.all('api'),
    });
    const out = context.need('out');
    await writeFileExclusive(out, bytes);
    const fingerprint = admissionFingerprint(crypto, parseAdmission(bytes));
    return {
      data: { vendor: config.vendor, file: out, fingerprint },
      text: `${out} is signed by every key of ${config.vendor}\nfingerprint  ${formatFingerprint(fingerprint)}`,
    };
  },
};
