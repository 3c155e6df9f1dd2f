/** `attest`: the evidence of an artifact, without sending anything. */

import { mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { CommandSpec } from '../../shared/cli/command.ts';
import { SIDECARS } from '../../shared/layout.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { writeFileAtomic } from '../../shared/node/files.ts';
import { loadConfig } from '../config.ts';
import { ARTIFACT_OPTIONS, attestArtifact, loadClaim, measureArtifact } from '../evidence.ts';
import { DIR_OPTION, PASSPHRASE_OPTION, VendorSigners } from '../signers.ts';

export const attest: CommandSpec = {
  name: 'attest',
  summary: 'make and sign the evidence for an artifact, and send nothing',
  description:
    'Writes NAME.ceiling.json, NAME.intoto.jsonl, NAME.spdx.json and NAME.sigstore.json into a folder, as `publish` would publish them.',
  arguments: [{ name: 'file', description: 'the artifact' }],
  options: [
    ...ARTIFACT_OPTIONS,
    { flags: '-o, --out <folder>', description: 'folder to write into', required: true },
    DIR_OPTION,
    PASSPHRASE_OPTION,
  ],
  examples: [
    'ironport attest edu.js --product edu --version 1.0.0 --ceiling edu.ceiling.json --dir acme --out evidence',
  ],
  schema: 'ironport/attest/v1',
  async run(context) {
    const dir = context.need('dir');
    const config = await loadConfig(dir);
    const claim = await loadClaim(context, config);
    const signer = await new VendorSigners(context, dir, config).one('evidence');
    const measured = await measureArtifact(context, claim.file);
    const { sidecars, evidence } = await attestArtifact(claim, measured, signer);

    const out = context.need('out');
    await onPath(out, () => mkdir(out, { recursive: true }));
    const written = [];
    for (const { sidecar, path, bytes, sha256 } of sidecars) {
      const file = join(out, basename(claim.path) + SIDECARS[sidecar]);
      await writeFileAtomic(file, bytes);
      written.push({ sidecar, file, path, length: bytes.length, sha256 });
    }
    return {
      data: { path: claim.path, ...measured, custom: evidence.custom, sidecars: written },
      text: written.map(({ file }) => file).join('\n'),
    };
  },
};
