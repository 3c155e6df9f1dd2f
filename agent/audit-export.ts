/** A copy of the audit log, its signed heads and its key, to be verified anywhere. */

import { constants } from 'node:fs';
import { copyFile, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { IronError } from '../shared/errors.ts';
import { agentState, auditExport } from '../shared/layout.ts';
import { onPath } from '../shared/node/file-system.ts';
import { syncFolder } from '../shared/node/files.ts';
import { loadPublicKey } from '../shared/node/signers/file.ts';
import type { Agent } from './agent.ts';
import { type VerifiedLog, verifyAudit } from './audit-verify.ts';

/**
 * Copies into `folder`, which must not be there yet, and verifies the copy. The end of the log is
 * signed before. `E_EXISTS`, `E_NOT_FOUND`, `E_STORE`, `E_IO`, `E_NO_SPACE`.
 */
export function exportAudit(agent: Agent, folder: string): Promise<VerifiedLog> {
  return agent.alone(async () => {
    await agent.heads.sign();
    await makeFolder(folder);
    await copy(agent.audit.path, join(folder, auditExport.log));
    await copy(agent.heads.path, join(folder, auditExport.heads));
    await copy(agent.place(agentState.auditPublicKey), join(folder, auditExport.key));
    await syncFolder(folder);
    return await verifyExport(agent, folder);
  });
}

/** Verifies an export, by the key in it unless another is given. */
export async function verifyExport(
  { crypto }: Pick<Agent, 'crypto'>,
  folder: string,
  given: { readonly heads?: readonly string[]; readonly key?: string | undefined } = {},
  keep = 0,
): Promise<VerifiedLog> {
  return await verifyAudit(
    crypto,
    {
      log: join(folder, auditExport.log),
      heads: join(folder, auditExport.heads),
      kept: given.heads ?? [],
      key: await loadPublicKey(given.key ?? join(folder, auditExport.key)),
    },
    keep,
  );
}

async function makeFolder(folder: string): Promise<void> {
  await onPath(folder, () => mkdir(folder, { mode: 0o700 })).catch((error) => {
    if (error instanceof IronError && error.context.errno === 'EEXIST') {
      throw new IronError('E_EXISTS', `${folder} is there already`, {
        hint: 'nothing was changed; name a folder that is not there yet',
        cause: error,
      });
    }
    throw error;
  });
}

async function copy(from: string, to: string): Promise<void> {
  await onPath(to, async () => {
    await copyFile(from, to, constants.COPYFILE_EXCL);
    const file = await open(to, 'r+');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  });
}
